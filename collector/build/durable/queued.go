package durable

import (
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/config/configretry"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/exporter/exporterhelper"
)

// Queued is the config of an exporter that upstream gives no queue: its own keys, and those that any
// OTLP exporter has for one. Without `sending_queue` the exporter is as upstream's: whoever sends waits
// for the vendor, and is told of its errors.
type Queued[T any] struct {
	Upstream T                         `mapstructure:",squash"`
	Queue    Queue                     `mapstructure:"sending_queue"`
	Retry    configretry.BackOffConfig `mapstructure:"retry_on_failure"`
}

// NewQueued has the defaults of the OTLP exporters for what `sending_queue` and `retry_on_failure` leave out.
func NewQueued[T any](upstream T) *Queued[T] {
	return &Queued[T]{
		Upstream: upstream,
		Queue:    configoptional.Default(exporterhelper.NewDefaultQueueConfig()),
		Retry:    configretry.NewDefaultBackOffConfig(),
	}
}

// Settings for the wrapper. `hop` names the exporter that leads here by other forms of the config.
func (q *Queued[T]) Settings(set exporter.Settings, hop string) Settings {
	retry := q.Retry
	retry.Enabled = retry.Enabled && q.Queue.HasValue()
	return Settings{Settings: set, Config: q, Queue: q.Queue, Retry: retry, Hop: hop}
}
