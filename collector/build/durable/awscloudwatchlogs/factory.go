// Package awscloudwatchlogs is upstream's exporter of that name, made durable.
package awscloudwatchlogs

import (
	"context"

	upstream "github.com/open-telemetry/opentelemetry-collector-contrib/exporter/awscloudwatchlogsexporter"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/pdata/plog"

	"otel-stack/durable"
)

// NewFactory takes upstream's place under its name.
func NewFactory() exporter.Factory {
	base := upstream.NewFactory()
	return exporter.NewFactory(base.Type(), base.CreateDefaultConfig, exporter.WithLogs(
		func(ctx context.Context, set exporter.Settings, cfg component.Config) (exporter.Logs, error) {
			own := cfg.(*upstream.Config)
			plain := *own
			plain.QueueSettings = durable.NoQueue()
			plain.BackOffConfig.Enabled = false
			inner, err := base.CreateLogs(ctx, durable.Quiet(set), &plain)
			if err != nil {
				return nil, err
			}
			pattern := own.LogGroupName + "\n" + own.LogStreamName
			putting := &putter{
				Logs: inner, fit: durable.Fitting(pattern), streams: durable.Streams(pattern), known: map[string]bool{},
				taken: durable.NewTaken(set.ID, set.Logger), waiting: map[plog.Logs][]string{},
			}
			return durable.Logs(ctx, durable.Settings{
				Settings: set, Config: cfg, Queue: own.QueueSettings, Retry: own.BackOffConfig,
			}, putting)
		}, base.LogsStability()))
}
