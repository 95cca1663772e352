// Package awsemf is upstream's exporter of that name; throttling and refused keys are tried again.
package awsemf

import (
	"context"
	"time"

	upstream "github.com/open-telemetry/opentelemetry-collector-contrib/exporter/awsemfexporter"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"otel-stack/durable"
)

// NewFactory takes upstream's place under its name.
func NewFactory() exporter.Factory {
	base := upstream.NewFactory()
	return exporter.NewFactory(base.Type(), base.CreateDefaultConfig,
		exporter.WithMetrics(func(ctx context.Context, set exporter.Settings, cfg component.Config) (exporter.Metrics, error) {
			inner, err := base.CreateMetrics(ctx, durable.Quiet(set), cfg)
			if err != nil {
				return nil, err
			}
			return durable.Metrics(ctx, durable.Settings{Settings: set, Config: cfg}, patient{inner})
		}, base.MetricsStability()),
		exporter.WithLogs(base.CreateLogs, base.LogsStability()))
}

// As X-Ray's.
const putTimeout = 10 * time.Second

type patient struct{ exporter.Metrics }

func (p patient) ConsumeMetrics(ctx context.Context, md pmetric.Metrics) error {
	limited, cancel := durable.Unhurried(ctx, putTimeout)
	defer cancel()
	return p.Metrics.ConsumeMetrics(limited, md)
}
