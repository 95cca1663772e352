package redaction

import (
	"context"
	"sync"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/processor"
	"go.opentelemetry.io/collector/processor/processorhelper"
)

// The next one in the pipeline gets the same data, changed.
var mutates = processorhelper.WithCapabilities(consumer.Capabilities{MutatesData: true})

// latest keeps what was made last: every pipeline asks with the same config, and making it takes 5 ms.
var latest made

type made struct {
	lock    sync.Mutex
	config  *Config
	cleaner *cleaner
}

func (m *made) of(config *Config) (*cleaner, error) {
	m.lock.Lock()
	defer m.lock.Unlock()
	if m.config != config {
		fresh, err := newCleaner(config)
		if err != nil {
			return nil, err
		}
		m.config, m.cleaner = config, fresh
	}
	return m.cleaner, nil
}

// NewFactory takes the place of upstream's.
func NewFactory() processor.Factory {
	return processor.NewFactory(
		component.MustNewType("redaction"),
		func() component.Config { return &Config{} },
		processor.WithTraces(createTraces, component.StabilityLevelBeta),
		processor.WithMetrics(createMetrics, component.StabilityLevelBeta),
		processor.WithLogs(createLogs, component.StabilityLevelBeta),
	)
}

func createTraces(
	ctx context.Context, set processor.Settings, cfg component.Config, next consumer.Traces,
) (processor.Traces, error) {
	c, err := latest.of(cfg.(*Config))
	if err != nil {
		return nil, err
	}
	return processorhelper.NewTraces(ctx, set, cfg, next, c.traces, mutates)
}

func createMetrics(
	ctx context.Context, set processor.Settings, cfg component.Config, next consumer.Metrics,
) (processor.Metrics, error) {
	c, err := latest.of(cfg.(*Config))
	if err != nil {
		return nil, err
	}
	return processorhelper.NewMetrics(ctx, set, cfg, next, c.metrics, mutates)
}

func createLogs(
	ctx context.Context, set processor.Settings, cfg component.Config, next consumer.Logs,
) (processor.Logs, error) {
	c, err := latest.of(cfg.(*Config))
	if err != nil {
		return nil, err
	}
	return processorhelper.NewLogs(ctx, set, cfg, next, c.logs, mutates)
}
