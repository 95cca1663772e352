// Package file is upstream's `file` exporter; what it cannot write is its own loss.
package file

import (
	"context"
	"errors"
	"os"
	"sync"
	"sync/atomic"
	"time"

	upstream "github.com/open-telemetry/opentelemetry-collector-contrib/exporter/fileexporter"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.uber.org/zap"

	"otel-stack/durable"
)

// NewFactory takes upstream's place under its name. An error of upstream's reaches the app, which
// sends again, and every vendor has it twice. It is counted in upstream's send_failed.
func NewFactory() exporter.Factory {
	base := upstream.NewFactory()
	return exporter.NewFactory(base.Type(), base.CreateDefaultConfig,
		exporter.WithTraces(func(ctx context.Context, set exporter.Settings, cfg component.Config) (exporter.Traces, error) {
			inner, err := base.CreateTraces(ctx, set, cfg)
			return traces{newRecord(set, cfg, inner)}, err
		}, base.TracesStability()),
		exporter.WithMetrics(func(ctx context.Context, set exporter.Settings, cfg component.Config) (exporter.Metrics, error) {
			inner, err := base.CreateMetrics(ctx, set, cfg)
			return metrics{newRecord(set, cfg, inner)}, err
		}, base.MetricsStability()),
		exporter.WithLogs(func(ctx context.Context, set exporter.Settings, cfg component.Config) (exporter.Logs, error) {
			inner, err := base.CreateLogs(ctx, set, cfg)
			return logs{newRecord(set, cfg, inner)}, err
		}, base.LogsStability()))
}

type writer interface {
	component.Component
	Capabilities() consumer.Capabilities
}

// record is upstream's exporter, started anew when its file is gone: whoever deletes it, or its folder,
// would have no local record until the next start, and upstream writes on without an error.
type record[W writer] struct {
	*place
	logger *zap.Logger
	said   atomic.Int64
	inner  W
	host   component.Host
}

// place is a file. Upstream has one writer for all signals that go to it.
type place struct {
	path    string
	grouped bool
	mu      sync.RWMutex
	written atomic.Bool
}

var places sync.Map

func newRecord[W writer](set exporter.Settings, cfg component.Config, inner W) *record[W] {
	own := cfg.(*upstream.Config)
	grouped := own.GroupBy != nil && own.GroupBy.Enabled
	known, _ := places.LoadOrStore(own, &place{path: own.Path, grouped: grouped})
	return &record[W]{place: known.(*place), logger: set.Logger, inner: inner}
}

func (r *record[W]) Start(ctx context.Context, host component.Host) error {
	r.host = host
	return r.inner.Start(ctx, host)
}

func (r *record[W]) Shutdown(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.inner.Shutdown(ctx)
}

func (r *record[W]) Capabilities() consumer.Capabilities { return r.inner.Capabilities() }

func (r *record[W]) put(write func(W) error) error {
	if r.gone() {
		r.renew()
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	// A panic here ends the app's request, which all vendors then get again.
	err := durable.Guard(func() error { return write(r.inner) })
	if err == nil {
		r.written.Store(true)
	} else {
		r.say("Not in the local record: the file cannot be written", err)
	}
	return nil
}

// gone says whether there was a file and is none. With group_by the path is a pattern, and never there.
func (p *place) gone() bool {
	if p.grouped || !p.written.Load() {
		return false
	}
	_, err := os.Stat(p.path)
	return errors.Is(err, os.ErrNotExist)
}

func (r *record[W]) renew() {
	r.mu.Lock()
	defer r.mu.Unlock()
	// While a file is rotated there is none for a moment.
	if !r.gone() {
		return
	}
	r.written.Store(false)
	ctx := context.Background()
	r.say("The local record was deleted: it begins anew",
		errors.Join(r.inner.Shutdown(ctx), r.inner.Start(ctx, r.host)))
}

func (r *record[W]) say(what string, err error) {
	now := time.Now().Unix()
	if last := r.said.Load(); now-last > 10 && r.said.CompareAndSwap(last, now) {
		r.logger.Error(what, zap.Error(err))
	}
}

type traces struct{ *record[exporter.Traces] }

func (t traces) ConsumeTraces(ctx context.Context, td ptrace.Traces) error {
	return t.put(func(w exporter.Traces) error { return w.ConsumeTraces(ctx, td) })
}

type metrics struct{ *record[exporter.Metrics] }

func (m metrics) ConsumeMetrics(ctx context.Context, md pmetric.Metrics) error {
	return m.put(func(w exporter.Metrics) error { return w.ConsumeMetrics(ctx, md) })
}

type logs struct{ *record[exporter.Logs] }

func (l logs) ConsumeLogs(ctx context.Context, ld plog.Logs) error {
	return l.put(func(w exporter.Logs) error { return w.ConsumeLogs(ctx, ld) })
}
