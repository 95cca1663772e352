// Package otlphttp is upstream's `otlp_http` exporter, made durable.
package otlphttp

import (
	"context"
	"slices"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/configmiddleware"
	"go.opentelemetry.io/collector/exporter"
	upstream "go.opentelemetry.io/collector/exporter/otlphttpexporter"
	"go.opentelemetry.io/collector/exporter/xexporter"

	"otel-stack/durable"
)

// NewFactory takes upstream's place under its name and its old one.
func NewFactory() exporter.Factory {
	base := upstream.NewFactory()
	return xexporter.NewFactory(
		base.Type(),
		base.CreateDefaultConfig,
		xexporter.WithDeprecatedTypeAlias(component.MustNewType("otlphttp")),
		xexporter.WithTraces(func(ctx context.Context, set exporter.Settings, cfg component.Config) (exporter.Traces, error) {
			inner, err := base.CreateTraces(ctx, durable.Quiet(set), plain(cfg))
			if err != nil {
				return nil, err
			}
			return durable.Traces(ctx, settings(set, cfg), inner)
		}, base.TracesStability()),
		xexporter.WithMetrics(func(ctx context.Context, set exporter.Settings, cfg component.Config) (exporter.Metrics, error) {
			inner, err := base.CreateMetrics(ctx, durable.Quiet(set), plain(cfg))
			if err != nil {
				return nil, err
			}
			return durable.Metrics(ctx, settings(set, cfg), inner)
		}, base.MetricsStability()),
		xexporter.WithLogs(func(ctx context.Context, set exporter.Settings, cfg component.Config) (exporter.Logs, error) {
			inner, err := base.CreateLogs(ctx, durable.Quiet(set), plain(cfg))
			if err != nil {
				return nil, err
			}
			return durable.Logs(ctx, settings(set, cfg), inner)
		}, base.LogsStability()),
	)
}

func settings(set exporter.Settings, cfg component.Config) durable.Settings {
	own := cfg.(*upstream.Config)
	return durable.Settings{Settings: set, Config: cfg, Queue: own.QueueConfig, Retry: own.RetryConfig}
}

func plain(cfg component.Config) component.Config {
	own := *cfg.(*upstream.Config)
	own.QueueConfig = durable.NoQueue()
	own.RetryConfig.Enabled = false
	own.ClientConfig.Middlewares = append(
		slices.Clone(own.ClientConfig.Middlewares), configmiddleware.Config{ID: durable.WitnessID},
	)
	return &own
}
