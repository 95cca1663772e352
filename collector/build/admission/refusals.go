package admission

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

// Why a request was refused. docs/refusals.md has a line for each.
const (
	reasonAuth     = "auth"     // no token, or another
	reasonBusy     = "busy"     // no room for it now
	reasonEncoding = "encoding" // a compression that is not taken, or is broken
	reasonFailed   = "failed"   // the pipeline refused it for good
	reasonHeavy    = "heavy"    // too much, too deep
	reasonIDs      = "ids"      // base64 where hex belongs
	reasonMethod   = "method"   // no POST
	reasonMalform  = "malformed"
	reasonOrigin   = "origin"   // a page that may not send
	reasonPath     = "path"     // nothing is served there
	reasonProtocol = "protocol" // gRPC on HTTP's port, HTTP on gRPC's
	reasonSlow     = "slow"     // it did not come in time
	reasonTLS      = "tls"      // a handshake that failed
	reasonType     = "type"     // neither protobuf nor JSON
	reasonUnknown  = "unknown"  // members that OTLP/JSON does not have: they are left out
)

const (
	overHTTP = "http"
	overGRPC = "grpc"
	// Of what a sender chose and status shows.
	maxShown = 100
	// Of the senders that are remembered: paths and reasons are few, this is for who writes more of them.
	maxLast = 500
)

// note is what is known of a request while it is worked on; `why` is empty until it is refused.
type note struct {
	protocol, path, agent string
	reason, why           string
	// What the sender wrote that was wrong.
	detail string
}

type noteKey struct{}

func noteOf(ctx context.Context) *note {
	if n, is := ctx.Value(noteKey{}).(*note); is {
		return n
	}
	return &note{}
}

// refuse notes why a request is refused; it is counted when it is answered. The first reason stands.
func refuse(ctx context.Context, reason, why, detail string) {
	if n := noteOf(ctx); n.reason == "" {
		n.reason, n.why, n.detail = reason, why, detail
	}
}

type refusal struct{ protocol, reason, path string }

type sender struct {
	at                 int64
	agent, why, detail string
}

// refusals are counted by protocol, reason and path; of each the last sender is remembered.
type refusals struct {
	logger   *zap.Logger
	receiver string
	count    metric.Int64Counter
	mu       sync.Mutex
	last     map[refusal]sender
	logged   time.Time
}

func newRefusals(receiver string, logger *zap.Logger, meter metric.Meter) (*refusals, error) {
	count, err := meter.Int64Counter("otelcol_receiver_refused_requests",
		metric.WithDescription("Requests that the receiver refused, in whole or in part, by reason and path."))
	if err != nil {
		return nil, err
	}
	r := &refusals{logger: logger, receiver: receiver, count: count, last: map[refusal]sender{}}
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
	for of, one := range r.last {
		to.ObserveInt64(last, one.at, metric.WithAttributes(append(r.labels(of),
			attribute.String("user_agent", one.agent), attribute.String("why", one.why), attribute.String("detail", one.detail),
		)...))
	}
}

func (r *refusals) labels(of refusal) []attribute.KeyValue {
	return []attribute.KeyValue{
		attribute.String("receiver", r.receiver), attribute.String("protocol", of.protocol),
		attribute.String("reason", of.reason), attribute.String("path", of.path),
	}
}

func (r *refusals) add(ctx context.Context, n *note) {
	of := refusal{n.protocol, n.reason, n.path}
	last := sender{at: time.Now().Unix(), agent: shown(n.agent), why: n.why, detail: shown(n.detail)}
	r.count.Add(ctx, 1, metric.WithAttributes(r.labels(of)...))
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, known := r.last[of]; known || len(r.last) < maxLast {
		r.last[of] = last
	}
	if now := time.Now(); now.Sub(r.logged) > 10*time.Second {
		r.logged = now
		r.logger.Warn("Refused a request", zap.String("reason", n.reason), zap.String("why", n.why),
			zap.String("protocol", n.protocol), zap.String("path", n.path), zap.String("detail", last.detail),
			zap.String("user_agent", last.agent))
	}
}

// shown is what may be printed of a sender's words.
func shown(text string) string {
	if len(text) > 4*maxShown {
		text = text[:4*maxShown]
	}
	text = strings.Map(func(c rune) rune {
		if !unicode.IsPrint(c) || c == unicode.ReplacementChar {
			return '?'
		}
		return c
	}, text)
	if cut := upTo(maxShown, text); cut != text {
		return cut + "…"
	}
	return text
}
