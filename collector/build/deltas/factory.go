// Package deltas takes the place of upstream's `cumulativetodelta` processor, under its name and config.
//
// Upstream's v0.159 loses a histogram for ever when its sender restarts and sets no start time
// (opentelemetry-collector-contrib#50828, #49869). v0.162 and later have that mended, and cannot be
// built from what module proxies have: each needs a module that is in none of them. What is done
// otherwise than there, too:
//
//   - what a sender counts anew after a restart counts; there the first value is dropped;
//   - a point that comes late is no restart;
//   - a sender that was silent for more than `max_staleness` does not count again from its start;
//   - NaN and infinity are left to the exporter, which refuses them by name;
//   - a histogram whose bounds change keeps its count and sum.
package deltas

import (
	"context"
	"time"

	upstream "github.com/open-telemetry/opentelemetry-collector-contrib/processor/cumulativetodeltaprocessor"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/processor"
	"go.opentelemetry.io/collector/processor/processorhelper"
	"go.opentelemetry.io/collector/processor/xprocessor"
)

// maxStaleness is longer than a night without network. Upstream's hour is less than many an outage, and
// who comes back after it counts from its start again.
const maxStaleness = 24 * time.Hour

// NewFactory takes upstream's place.
func NewFactory() processor.Factory {
	base := upstream.NewFactory()
	return xprocessor.NewFactory(base.Type(),
		func() component.Config {
			config := base.CreateDefaultConfig().(*upstream.Config)
			config.MaxStaleness = maxStaleness
			return config
		},
		xprocessor.WithMetrics(create, base.MetricsStability()),
		xprocessor.WithDeprecatedTypeAlias(component.MustNewType("cumulativetodelta")))
}

func create(ctx context.Context, set processor.Settings, cfg component.Config, next consumer.Metrics) (processor.Metrics, error) {
	made, err := newConverter(cfg.(*upstream.Config), set.Logger)
	if err != nil {
		return nil, err
	}
	return processorhelper.NewMetrics(ctx, set, cfg, next, made.convert,
		processorhelper.WithCapabilities(consumer.Capabilities{MutatesData: true}))
}
