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
	"context"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/configtls"
	"go.opentelemetry.io/otel/attribute"
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

// Guard is shared by all signals and protocols of a receiver.
type Guard struct {
	component.StartFunc
	component.ShutdownFunc
	logger   *zap.Logger
	atWork   room
	arriving *arrivals
	refused  metric.Int64Counter
	repairs  metric.Int64Counter
	receiver string
	// Of gRPC requests between codec and interceptor: what each takes, or why it is refused.
	held sync.Map
	// Of gRPC connections, by address: *line.
	lines sync.Map
	said  atomic.Int64
	// What the config asks of gRPC's clients; nil for plain text.
	tls *configtls.ServerConfig
}

// ID names the guard among the extensions. It is in no config.
var ID = component.MustNewIDWithName("admission", "guard")

// NewGuard counts what it refuses in otelcol_receiver_turned_away_requests.
// `tls` is the config's for gRPC, or nil.
func NewGuard(receiver string, tls *configtls.ServerConfig, set component.TelemetrySettings) (*Guard, error) {
	refused, err := set.MeterProvider.Meter("otel-stack/admission").Int64Counter(
		"otelcol_receiver_turned_away_requests",
		metric.WithDescription("Refused before they were decoded, by reason."))
	if err != nil {
		return nil, err
	}
	repairs, err := set.MeterProvider.Meter("otel-stack/admission").Int64Counter(
		"otelcol_receiver_repaired_values",
		metric.WithDescription("Values that no vendor could have read as they came: text that is no UTF-8, NaN and infinity, impossible times."))
	if err != nil {
		return nil, err
	}
	g := &Guard{
		logger: set.Logger, refused: refused, repairs: repairs, receiver: receiver, tls: tls, atWork: room{limit: maxAtWork},
	}
	g.arriving = newArrivals(holding{bytes: maxArriving, calls: maxCalls}, func() {
		g.turnAway(context.Background(), reasonSlow, "it was not there in whole, and others needed its room")
	})
	return g, nil
}

const (
	reasonBad  = "bomb"
	reasonBusy = "busy"
	reasonSlow = "slow"
)

func (g *Guard) turnAway(ctx context.Context, reason, why string) {
	g.refused.Add(ctx, 1, metric.WithAttributes(
		attribute.String("receiver", g.receiver), attribute.String("reason", reason)))
	now := time.Now().Unix()
	if last := g.said.Load(); now-last > 10 && g.said.CompareAndSwap(last, now) {
		g.logger.Warn("Refused a request before decoding it", zap.String("reason", reason), zap.String("why", why))
	}
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
