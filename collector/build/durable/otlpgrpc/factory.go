// Package otlpgrpc is upstream's `otlp_grpc` exporter, whose vendor's answers are read without the
// keys that they repeat. Queue and retry are upstream's.
package otlpgrpc

import (
	"context"
	"slices"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/configmiddleware"
	"go.opentelemetry.io/collector/exporter"
	upstream "go.opentelemetry.io/collector/exporter/otlpexporter"
	"go.opentelemetry.io/collector/exporter/xexporter"

	"otel-stack/durable"
)

// NewFactory takes upstream's place under its name and its old one.
func NewFactory() exporter.Factory {
	base := upstream.NewFactory()
	return xexporter.NewFactory(
		base.Type(),
		base.CreateDefaultConfig,
		xexporter.WithDeprecatedTypeAlias(component.MustNewType("otlp")),
		xexporter.WithTraces(func(ctx context.Context, set exporter.Settings, cfg component.Config) (exporter.Traces, error) {
			inner, err := base.CreateTraces(ctx, set, witnessed(cfg))
			return tracesShell{inner, set.TelemetrySettings}, err
		}, base.TracesStability()),
		xexporter.WithMetrics(func(ctx context.Context, set exporter.Settings, cfg component.Config) (exporter.Metrics, error) {
			inner, err := base.CreateMetrics(ctx, set, witnessed(cfg))
			return metricsShell{inner, set.TelemetrySettings}, err
		}, base.MetricsStability()),
		xexporter.WithLogs(func(ctx context.Context, set exporter.Settings, cfg component.Config) (exporter.Logs, error) {
			inner, err := base.CreateLogs(ctx, set, witnessed(cfg))
			return logsShell{inner, set.TelemetrySettings}, err
		}, base.LogsStability()),
	)
}

func witnessed(cfg component.Config) component.Config {
	own := *cfg.(*upstream.Config)
	own.ClientConfig.Middlewares = append(
		slices.Clone(own.ClientConfig.Middlewares), configmiddleware.Config{ID: durable.WitnessID},
	)
	return &own
}

// The shells start upstream's exporter with a host that has the witness.
type (
	tracesShell struct {
		exporter.Traces
		set component.TelemetrySettings
	}
	metricsShell struct {
		exporter.Metrics
		set component.TelemetrySettings
	}
	logsShell struct {
		exporter.Logs
		set component.TelemetrySettings
	}
)

func (s tracesShell) Start(ctx context.Context, host component.Host) error {
	return s.Traces.Start(ctx, durable.Host(host, s.set))
}

func (s metricsShell) Start(ctx context.Context, host component.Host) error {
	return s.Metrics.Start(ctx, durable.Host(host, s.set))
}

func (s logsShell) Start(ctx context.Context, host component.Host) error {
	return s.Logs.Start(ctx, durable.Host(host, s.set))
}
