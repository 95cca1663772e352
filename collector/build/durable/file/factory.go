// Package file is upstream's `file` exporter; what it cannot write is its own loss.
package file

import (
	"context"
	"sync/atomic"
	"time"

	upstream "github.com/open-telemetry/opentelemetry-collector-contrib/exporter/fileexporter"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.uber.org/zap"
)

// NewFactory takes upstream's place under its name. An error of upstream's reaches the app, which
// sends again, and every vendor has it twice. It is counted in upstream's send_failed.
func NewFactory() exporter.Factory {
	base := upstream.NewFactory()
	return exporter.NewFactory(base.Type(), base.CreateDefaultConfig,
		exporter.WithTraces(func(ctx context.Context, set exporter.Settings, cfg component.Config) (exporter.Traces, error) {
			inner, err := base.CreateTraces(ctx, set, cfg)
			return traces{inner, newMouth(set)}, err
		}, base.TracesStability()),
		exporter.WithMetrics(func(ctx context.Context, set exporter.Settings, cfg component.Config) (exporter.Metrics, error) {
			inner, err := base.CreateMetrics(ctx, set, cfg)
			return metrics{inner, newMouth(set)}, err
		}, base.MetricsStability()),
		exporter.WithLogs(func(ctx context.Context, set exporter.Settings, cfg component.Config) (exporter.Logs, error) {
			inner, err := base.CreateLogs(ctx, set, cfg)
			return logs{inner, newMouth(set)}, err
		}, base.LogsStability()))
}

type mouth struct {
	logger *zap.Logger
	said   *atomic.Int64
}

func newMouth(set exporter.Settings) mouth { return mouth{set.Logger, &atomic.Int64{}} }

func (m mouth) closed(err error) error {
	now := time.Now().Unix()
	if last := m.said.Load(); err != nil && now-last > 10 && m.said.CompareAndSwap(last, now) {
		m.logger.Error("Not in the local record: the file cannot be written", zap.Error(err))
	}
	return nil
}

type traces struct {
	exporter.Traces
	mouth
}

func (t traces) ConsumeTraces(ctx context.Context, td ptrace.Traces) error {
	return t.closed(t.Traces.ConsumeTraces(ctx, td))
}

type metrics struct {
	exporter.Metrics
	mouth
}

func (m metrics) ConsumeMetrics(ctx context.Context, md pmetric.Metrics) error {
	return m.closed(m.Metrics.ConsumeMetrics(ctx, md))
}

type logs struct {
	exporter.Logs
	mouth
}

func (l logs) ConsumeLogs(ctx context.Context, ld plog.Logs) error {
	return l.closed(l.Logs.ConsumeLogs(ctx, ld))
}
