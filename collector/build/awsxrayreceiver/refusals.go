package awsxrayreceiver

import (
	"context"
	"strings"
	"sync"
	"time"
	"unicode"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.uber.org/zap"
)

// Why a segment is refused. An SDK is not told: UDP has no answer.
const (
	reasonHeader  = "protocol"
	reasonEmpty   = "empty"
	reasonJSON    = "malformed"
	reasonType    = "member"
	reasonSegment = "segment"
	reasonForeign = "untranslatable"
	reasonBusy    = "busy"
)

// What helps, by reason.
var cures = map[string]string{
	reasonHeader:  `this port takes segments of X-Ray SDKs; a packet begins with {"format": "json", "version": 1} and a line break`,
	reasonEmpty:   "a segment document follows the header's line",
	reasonJSON:    "a document that is too long for a UDP packet is cut: let the SDK send subsegments by themselves (its streaming threshold)",
	reasonType:    "each member has the type of X-Ray's segment document schema: a status is a number, a user is a text",
	reasonSegment: "a segment has a name, an id of 16 hex digits, a trace_id of 1-<8>-<24> hex digits, and times in seconds",
	reasonForeign: "nothing of the collector's settings: the document has a value that no span can say",
	reasonBusy:    "`make status` shows which queue is full, `make logs SERVICE=collector` why",
}

const (
	// Characters of what status shows of a sender's words; some of upstream's errors hold a segment byte by byte.
	longest = 100
	every   = 10 * time.Second
)

// refusal is why a segment goes no further, and whose it was, where that could be read.
type refusal struct {
	reason string
	cause  error
	sdk    string
}

type last struct {
	at          int64
	sdk, detail string
}

// refusals are counted by reason, as those of the otlp receiver are (collector/build/admission).
type refusals struct {
	logger             *zap.Logger
	receiver, endpoint string
	count              metric.Int64Counter
	mu                 sync.Mutex
	last               map[string]last
	logged             time.Time
}

func newRefusals(receiver, endpoint string, logger *zap.Logger, meter metric.Meter) (*refusals, error) {
	count, err := meter.Int64Counter("otelcol_receiver_refused_requests",
		metric.WithDescription("Requests that the receiver refused, in whole or in part, by reason and path."))
	if err != nil {
		return nil, err
	}
	r := &refusals{logger: logger, receiver: receiver, endpoint: endpoint, count: count, last: map[string]last{}}
	last, err := meter.Int64ObservableGauge("otelcol_receiver_refused_requests_last",
		metric.WithUnit("s"), metric.WithDescription("When the last of these was refused (Unix time), whose it was, and why."))
	if err != nil {
		return nil, err
	}
	// A callback that the gauge is made with counts for the first of several receivers alone.
	_, err = meter.RegisterCallback(func(_ context.Context, to metric.Observer) error {
		r.observe(last, to)
		return nil
	}, last)
	return r, err
}

func (r *refusals) observe(last metric.Int64Observable, to metric.Observer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for reason, one := range r.last {
		to.ObserveInt64(last, one.at, metric.WithAttributes(append(r.labels(reason),
			attribute.String("user_agent", one.sdk), attribute.String("why", cures[reason]), attribute.String("detail", one.detail),
		)...))
	}
}

func (r *refusals) labels(reason string) []attribute.KeyValue {
	return []attribute.KeyValue{
		attribute.String("receiver", r.receiver), attribute.String("protocol", "udp"),
		attribute.String("reason", reason), attribute.String("path", r.endpoint),
	}
}

func (r *refusals) add(ctx context.Context, refused *refusal) {
	now := time.Now()
	detail := shown(refused.cause.Error())
	r.count.Add(ctx, 1, metric.WithAttributes(r.labels(refused.reason)...))
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last[refused.reason] = last{now.Unix(), shown(refused.sdk), detail}
	if now.Sub(r.logged) > every {
		r.logged = now
		r.logger.Warn("Refused a segment", zap.String("reason", refused.reason), zap.String("error", detail), zap.String("sdk", shown(refused.sdk)))
	}
}

// shown is what may be printed of a sender's words.
func shown(text string) string {
	kept := 0
	return strings.Map(func(c rune) rune {
		kept++
		switch {
		case kept > longest:
			return -1
		case kept == longest:
			return '…'
		case !unicode.IsPrint(c) || c == unicode.ReplacementChar:
			return '?'
		}
		return c
	}, text)
}
