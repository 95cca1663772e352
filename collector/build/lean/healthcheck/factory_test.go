package healthcheck

import (
	"context"
	"testing"

	upstream "github.com/open-telemetry/opentelemetry-collector-contrib/extension/healthcheckextension"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/extension"
	"go.opentelemetry.io/collector/extension/extensioncapabilities"
	"go.uber.org/zap"
)

func TestItIsStillToldWhenPipelinesAreReady(t *testing.T) {
	factory := NewFactory()
	if factory.Type() != upstream.NewFactory().Type() {
		t.Fatalf("type %s", factory.Type())
	}
	set := extension.Settings{
		ID:                component.NewID(factory.Type()),
		TelemetrySettings: component.TelemetrySettings{Logger: zap.NewNop()},
	}

	made, err := factory.Create(context.Background(), set, factory.CreateDefaultConfig())
	if err != nil {
		t.Fatal(err)
	}

	watcher, ok := made.(extensioncapabilities.PipelineWatcher)
	if !ok {
		t.Fatal("nobody tells it that the pipelines are ready")
	}
	if err := watcher.Ready(); err != nil {
		t.Fatal(err)
	}
}
