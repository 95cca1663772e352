// Package otlp is upstream's receiver of that name behind our admission.
package otlp

import (
	"context"
	"maps"
	"slices"
	"sync"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/confighttp"
	"go.opentelemetry.io/collector/config/configmiddleware"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/receiver"
	upstream "go.opentelemetry.io/collector/receiver/otlpreceiver"

	"go.uber.org/zap"

	"otel-stack/admission"
)

// NewFactory takes upstream's place under its name.
func NewFactory() receiver.Factory {
	admission.LimitZstd()
	base := upstream.NewFactory()
	return receiver.NewFactory(base.Type(), base.CreateDefaultConfig,
		receiver.WithTraces(func(ctx context.Context, set receiver.Settings, cfg component.Config, next consumer.Traces) (receiver.Traces, error) {
			guard, guarded, err := prepare(set, cfg)
			if err != nil {
				return nil, err
			}
			guard.Take("traces")
			if next, err = guard.Traces(next); err != nil {
				return nil, err
			}
			set.Logger = set.Logger.WithOptions(zap.Hooks(guard.Hear))
			inner, err := base.CreateTraces(ctx, set, guarded, next)
			return shell{inner, guard, cfg}, err
		}, base.TracesStability()),
		receiver.WithMetrics(func(ctx context.Context, set receiver.Settings, cfg component.Config, next consumer.Metrics) (receiver.Metrics, error) {
			guard, guarded, err := prepare(set, cfg)
			if err != nil {
				return nil, err
			}
			guard.Take("metrics")
			if next, err = guard.Metrics(next); err != nil {
				return nil, err
			}
			set.Logger = set.Logger.WithOptions(zap.Hooks(guard.Hear))
			inner, err := base.CreateMetrics(ctx, set, guarded, next)
			return shell{inner, guard, cfg}, err
		}, base.MetricsStability()),
		receiver.WithLogs(func(ctx context.Context, set receiver.Settings, cfg component.Config, next consumer.Logs) (receiver.Logs, error) {
			guard, guarded, err := prepare(set, cfg)
			if err != nil {
				return nil, err
			}
			guard.Take("logs")
			if next, err = guard.Logs(next); err != nil {
				return nil, err
			}
			set.Logger = set.Logger.WithOptions(zap.Hooks(guard.Hear))
			inner, err := base.CreateLogs(ctx, set, guarded, next)
			return shell{inner, guard, cfg}, err
		}, base.LogsStability()),
	)
}

type pair struct {
	guard  *admission.Guard
	config *upstream.Config
}

// Upstream makes one receiver of one config, whatever signals ask for it: so it gets one copy.
var pairs struct {
	sync.Mutex
	of map[component.Config]pair
}

func prepare(set receiver.Settings, cfg component.Config) (*admission.Guard, *upstream.Config, error) {
	own := cfg.(*upstream.Config)
	pairs.Lock()
	defer pairs.Unlock()
	if known, found := pairs.of[own]; found {
		return known.guard, known.config, nil
	}
	ours := configmiddleware.Config{ID: admission.ID}
	guarded := *own
	seen := admission.Config{Signals: map[string]string{}}
	if guarded.Protocols.HTTP.HasValue() {
		http := guarded.Protocols.HTTP.Get()
		seen.Signals[string(http.TracesURLPath)] = "traces"
		seen.Signals[string(http.MetricsURLPath)] = "metrics"
		seen.Signals[string(http.LogsURLPath)] = "logs"
		seen.Inner = http.ServerConfig
		seen.Inner.ResponseHeaders = nil
		// What upstream's server keeps is in front of the guard: headers, time and size.
		http.ServerConfig.Auth = configoptional.None[confighttp.AuthConfig]()
		http.ServerConfig.CORS = configoptional.None[confighttp.CORSConfig]()
		http.ServerConfig.CompressionAlgorithms = []string{}
		http.ServerConfig.Middlewares = []configmiddleware.Config{ours}
	}
	if guarded.Protocols.GRPC.HasValue() {
		grpc := guarded.Protocols.GRPC.Get()
		seen.GRPC = grpc.TLS.Get()
		// Ours is the first of those that the config names.
		grpc.Middlewares = slices.Insert(slices.Clone(grpc.Middlewares), 0, ours)
	}
	guard, err := admission.NewGuard(set.ID.String(), seen, set.TelemetrySettings)
	if err != nil {
		return nil, nil, err
	}
	if pairs.of == nil {
		pairs.of = map[component.Config]pair{}
	}
	pairs.of[own] = pair{guard, &guarded}
	return guard, &guarded, nil
}

// shell starts upstream's receiver with a host that has the guard.
type shell struct {
	receiver.Traces
	guard  *admission.Guard
	config component.Config
}

func (s shell) Shutdown(ctx context.Context) error {
	pairs.Lock()
	delete(pairs.of, s.config)
	pairs.Unlock()
	return s.Traces.Shutdown(ctx)
}

func (s shell) Start(ctx context.Context, host component.Host) error {
	s.guard.Extensions = host.GetExtensions()
	return s.Traces.Start(ctx, guarding{host, s.guard})
}

type guarding struct {
	component.Host
	guard *admission.Guard
}

func (g guarding) GetExtensions() map[component.ID]component.Component {
	all := maps.Clone(g.Host.GetExtensions())
	if all == nil {
		all = map[component.ID]component.Component{}
	}
	all[admission.ID] = g.guard
	return all
}
