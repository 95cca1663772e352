// Package healthcheck is upstream's `health_check` extension, which is told when the start is done.
package healthcheck

import (
	"context"

	upstream "github.com/open-telemetry/opentelemetry-collector-contrib/extension/healthcheckextension"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/extension"
	"go.opentelemetry.io/collector/extension/extensioncapabilities"
	"go.uber.org/zap"

	"otel-stack/lean"
)

// NewFactory takes upstream's place under its name.
func NewFactory() extension.Factory {
	base := upstream.NewFactory()
	return extension.NewFactory(base.Type(), base.CreateDefaultConfig,
		func(ctx context.Context, set extension.Settings, cfg component.Config) (extension.Extension, error) {
			inner, err := base.Create(ctx, set, cfg)
			if err != nil || cfg.(*upstream.Config).Config.UseV2 {
				// Version 2 listens to more than readiness; it stays as it is.
				return inner, err
			}
			return &watcher{inner, inner.(extensioncapabilities.PipelineWatcher), set.Logger}, nil
		}, base.Stability())
}

type watcher struct {
	extension.Extension
	extensioncapabilities.PipelineWatcher
	logger *zap.Logger
}

// Ready is called once every pipeline has started.
func (w *watcher) Ready() error {
	err := w.PipelineWatcher.Ready()
	go func() {
		if err := lean.GiveBack(); err != nil {
			w.logger.Info("The memory of the start is kept", zap.Error(err))
		}
	}()
	return err
}
