// Package awsemf is upstream's exporter of that name, made durable.
package awsemf

import (
	"context"

	upstream "github.com/open-telemetry/opentelemetry-collector-contrib/exporter/awsemfexporter"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/exporter"

	"otel-stack/durable"
)

// NewFactory takes upstream's place under its name.
func NewFactory() exporter.Factory {
	base := upstream.NewFactory()
	defaults := func() component.Config {
		return durable.NewQueued(*base.CreateDefaultConfig().(*upstream.Config))
	}
	return exporter.NewFactory(base.Type(), defaults,
		exporter.WithMetrics(func(ctx context.Context, set exporter.Settings, cfg component.Config) (exporter.Metrics, error) {
			own := cfg.(*durable.Queued[upstream.Config])
			putting, err := newPutter(ctx, base, set, &own.Upstream)
			if err != nil {
				return nil, err
			}
			return durable.Metrics(ctx, own.Settings(set, "to_cloudwatch"), putting)
		}, base.MetricsStability()),
		exporter.WithLogs(func(ctx context.Context, set exporter.Settings, cfg component.Config) (exporter.Logs, error) {
			own := cfg.(*durable.Queued[upstream.Config])
			inner, err := base.CreateLogs(ctx, durable.Quiet(set), &own.Upstream)
			if err != nil {
				return nil, err
			}
			return durable.Logs(ctx, own.Settings(set, ""), inner)
		}, base.LogsStability()))
}

func newPutter(ctx context.Context, base exporter.Factory, set exporter.Settings, config *upstream.Config) (*putter, error) {
	create := func(ctx context.Context) (exporter.Metrics, error) {
		return base.CreateMetrics(ctx, durable.Quiet(set), config)
	}
	inner, err := create(ctx)
	if err != nil {
		return nil, err
	}
	return &putter{
		Metrics: inner, make: create, naming: newNaming(config),
		taken: durable.NewTaken(set.ID, set.Logger), turn: make(chan struct{}, 1),
	}, nil
}
