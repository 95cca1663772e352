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
	return exporter.NewFactory(base.Type(), base.CreateDefaultConfig,
		exporter.WithMetrics(func(ctx context.Context, set exporter.Settings, cfg component.Config) (exporter.Metrics, error) {
			own := cfg.(*upstream.Config)
			inner, err := base.CreateMetrics(ctx, durable.Quiet(set), cfg)
			if err != nil {
				return nil, err
			}
			putting := &putter{
				Metrics: inner, streams: durable.Streams(streamPattern(own)),
				taken: durable.NewTaken(set.ID, set.Logger), turn: make(chan struct{}, 1),
			}
			return durable.Metrics(ctx, durable.Settings{Settings: set, Config: cfg}, putting)
		}, base.MetricsStability()),
		exporter.WithLogs(base.CreateLogs, base.LogsStability()))
}

func streamPattern(config *upstream.Config) string {
	pattern := config.LogGroupName + "\n" + config.LogStreamName
	if config.LogGroupName == "" && config.Namespace == "" {
		pattern += "{ServiceNamespace}{ServiceName}"
	}
	return pattern
}
