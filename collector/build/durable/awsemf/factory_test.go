package awsemf

import (
	"testing"

	upstream "github.com/open-telemetry/opentelemetry-collector-contrib/exporter/awsemfexporter"
	"go.opentelemetry.io/collector/confmap"

	"otel-stack/durable"
)

func TestUpstreamsKeysAndThoseOfAQueue(t *testing.T) {
	config := NewFactory().CreateDefaultConfig().(*durable.Queued[upstream.Config])
	keys := map[string]any{
		"region": "eu-west-1", "namespace": "shop", "resource_to_telemetry_conversion": map[string]any{"enabled": true},
		"sending_queue":    map[string]any{"sizer": "items", "queue_size": 200_000, "batch": map[string]any{"max_size": 20_000}},
		"retry_on_failure": map[string]any{"max_elapsed_time": 0},
	}
	if err := confmap.NewFromStringMap(keys).Unmarshal(config); err != nil {
		t.Fatal(err)
	}
	if err := confmap.Validate(config); err != nil {
		t.Fatal(err)
	}
	if config.Upstream.Namespace != "shop" || !config.Upstream.ResourceToTelemetrySettings.Enabled {
		t.Errorf("%+v", config.Upstream)
	}
	if queue := config.Queue.Get(); queue == nil || queue.Batch.Get() == nil || queue.Batch.Get().MaxSize != 20_000 {
		t.Errorf("%+v", queue)
	}

	config = NewFactory().CreateDefaultConfig().(*durable.Queued[upstream.Config])
	wrong := map[string]any{"log_retention": 4, "sending_queue": map[string]any{"num_consumers": -1}}
	if err := confmap.NewFromStringMap(wrong).Unmarshal(config); err != nil {
		t.Fatal(err)
	}
	if err := confmap.Validate(config); err == nil {
		t.Error("neither upstream's keys nor the queue's are validated")
	}
}
