// Package admission stands before upstream's OTLP receiver.
//
// memory_limiter looks at what is decoded already, once a second: by then one request of 8 MiB can
// have taken 700 MB, and one span of 9·10^5 attributes a processor's whole core for minutes. Here a
// request is weighed before it is decoded:
//
//   - one that is too heavy or too deep is refused for good (400, INVALID_ARGUMENT);
//   - one that does not fit beside those that are being worked on has to come again (503 with
//     Retry-After, RESOURCE_EXHAUSTED with RetryInfo), and does so with any SDK;
//   - what no vendor takes anyway, attributes beyond 1,000 of one item and texts beyond 64 KiB, is cut.
//
// The config keys are upstream's; a config runs unchanged where this package is not built in.
package admission

import (
	"sync"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/confighttp"
	"go.opentelemetry.io/collector/config/configtls"
	"go.opentelemetry.io/otel/metric"
	"go.uber.org/zap"
)

const (
	// Decoded requests at once: with the 40 MB of an idle collector below memory_limiter's 160 MiB.
	maxAtWork = 80 << 20
	// 10,000 slow connections hold 40 MB; a batch of ten spans fits.
	freeOfCharge = 4 << 10
	// What upstream copies of a body: its own read, and the strings that decoding makes.
	copies = 2
	// A second is memory_limiter's own pace.
	retryAfter = time.Second
)

// Config is what the guard has to know of the receiver's config.
type Config struct {
	// Inner is of the HTTP server what is behind the guard: authentication, CORS, compression.
	Inner confighttp.ServerConfig
	// Signals by the path at which each is taken.
	Signals map[string]string
	// GRPC is what is asked of gRPC's clients; nil for plain text.
	GRPC *configtls.ServerConfig
}

// Guard is shared by all signals and protocols of a receiver.
type Guard struct {
	component.StartFunc
	component.ShutdownFunc
	// Extensions are the host's, for Config.Inner.
	Extensions map[component.ID]component.Component
	config     Config
	logger     *zap.Logger
	atWork     room
	arriving   *arrivals
	refusals   *refusals
	repairs    metric.Int64Counter
	rejected   metric.Int64Counter
	receiver   string
	// Of gRPC requests between codec and interceptor: what each takes, or why it is refused.
	held sync.Map
	// Of gRPC connections, by address: *line.
	lines sync.Map
	// Signals that a pipeline takes.
	taken sync.Map
}

// ID names the guard among the extensions. It is in no config.
var ID = component.MustNewIDWithName("admission", "guard")

// NewGuard counts what it refuses in otelcol_receiver_refused_requests.
func NewGuard(receiver string, config Config, set component.TelemetrySettings) (*Guard, error) {
	meter := set.MeterProvider.Meter("otel-stack/admission")
	refused, err := newRefusals(receiver, set.Logger, meter)
	if err != nil {
		return nil, err
	}
	repairs, err := meter.Int64Counter("otelcol_receiver_repaired_values",
		metric.WithDescription("Values that no vendor can read as they came: text that is no UTF-8, NaN and infinity, impossible times."))
	if err != nil {
		return nil, err
	}
	rejected, err := meter.Int64Counter("otelcol_receiver_rejected_items",
		metric.WithDescription("Spans, data points and log records of requests that were accepted without them, by reason."))
	if err != nil {
		return nil, err
	}
	return &Guard{
		logger: set.Logger, config: config, refusals: refused, repairs: repairs, rejected: rejected, receiver: receiver,
		atWork: room{limit: maxAtWork}, arriving: newArrivals(holding{bytes: maxArriving, calls: maxCalls}),
	}, nil
}

// Take is for each signal that a pipeline takes from the receiver.
func (g *Guard) Take(signal string) { g.taken.Store(signal, true) }

func (g *Guard) takes(signal string) bool {
	_, is := g.taken.Load(signal)
	return is
}

// room is bytes that may be taken at once.
type room struct {
	limit, taken int64
	mu           sync.Mutex
}

func (r *room) take(bytes int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.taken+int64(bytes) > r.limit {
		return false
	}
	r.taken += int64(bytes)
	return true
}

func (r *room) leave(bytes int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.taken -= int64(bytes)
}
