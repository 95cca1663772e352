package durable

import (
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

// halve copies: other exporters may have the same data.
func (k *keeper[T]) halve(data T) []T {
	half := k.kind.items(data) / 2
	return []T{
		k.part(data, func(item int) bool { return item < half }),
		k.part(data, func(item int) bool { return item >= half }),
	}
}

// part is a copy of those items whose number, from 0 on, `wanted` wants.
func (k *keeper[T]) part(data T, wanted func(int) bool) T {
	copied := k.kind.empty()
	k.kind.copy(data, copied)
	item := -1
	k.kind.thin(copied, func() bool {
		item++
		return !wanted(item)
	})
	return copied
}

func thinTraces(data ptrace.Traces, drop func() bool) {
	data.ResourceSpans().RemoveIf(func(resource ptrace.ResourceSpans) bool {
		resource.ScopeSpans().RemoveIf(func(scope ptrace.ScopeSpans) bool {
			scope.Spans().RemoveIf(func(ptrace.Span) bool { return drop() })
			return scope.Spans().Len() == 0
		})
		return resource.ScopeSpans().Len() == 0
	})
}

func thinLogs(data plog.Logs, drop func() bool) {
	data.ResourceLogs().RemoveIf(func(resource plog.ResourceLogs) bool {
		resource.ScopeLogs().RemoveIf(func(scope plog.ScopeLogs) bool {
			scope.LogRecords().RemoveIf(func(plog.LogRecord) bool { return drop() })
			return scope.LogRecords().Len() == 0
		})
		return resource.ScopeLogs().Len() == 0
	})
}

func thinMetrics(data pmetric.Metrics, drop func() bool) {
	data.ResourceMetrics().RemoveIf(func(resource pmetric.ResourceMetrics) bool {
		resource.ScopeMetrics().RemoveIf(func(scope pmetric.ScopeMetrics) bool {
			scope.Metrics().RemoveIf(func(one pmetric.Metric) bool { return thinMetric(one, drop) })
			return scope.Metrics().Len() == 0
		})
		return resource.ScopeMetrics().Len() == 0
	})
}

// thinMetric returns whether no point is left.
func thinMetric(one pmetric.Metric, drop func() bool) bool {
	switch one.Type() {
	case pmetric.MetricTypeGauge:
		return thinPoints(one.Gauge().DataPoints(), drop)
	case pmetric.MetricTypeSum:
		return thinPoints(one.Sum().DataPoints(), drop)
	case pmetric.MetricTypeHistogram:
		return thinPoints(one.Histogram().DataPoints(), drop)
	case pmetric.MetricTypeExponentialHistogram:
		return thinPoints(one.ExponentialHistogram().DataPoints(), drop)
	case pmetric.MetricTypeSummary:
		return thinPoints(one.Summary().DataPoints(), drop)
	}
	return true
}

func thinPoints[P any](points interface {
	RemoveIf(func(P) bool)
	Len() int
}, drop func() bool,
) bool {
	points.RemoveIf(func(P) bool { return drop() })
	return points.Len() == 0
}
