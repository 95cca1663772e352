package durable

import (
	"context"
	"errors"
	"net/http"

	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

// Batches are bounded by items, vendors by bytes: 2000 spans of 8 kB are above Honeycomb's 15 MB.
// Upstream drops all of them; a dead letter of them would be as large when it is sent again.

// tooLarge tells whether less of the same data may be taken.
func (k *keeper[T]) tooLarge(status int, data T) bool {
	return status == http.StatusRequestEntityTooLarge && k.set.Queue.HasValue() && k.kind.items(data) > 1
}

// pushHalves sends what was too large for one request in two; each may be halved again. A single item
// that is too large is kept as a dead letter, as what a vendor took out of a batch. What could not be
// sent now is left to the retry, without what is delivered.
func (k *keeper[T]) pushHalves(ctx context.Context, data T) error {
	first, second := k.halve(data)
	if err := k.pushPart(ctx, first); err != nil {
		rest := k.kind.empty()
		k.kind.move(k.kind.rest(err, first), rest)
		k.kind.move(second, rest)
		return k.kind.only(err, rest)
	}
	if err := k.pushPart(ctx, second); err != nil {
		return k.kind.only(err, k.kind.rest(err, second))
	}
	return nil
}

func (k *keeper[T]) pushPart(ctx context.Context, data T) error {
	err := k.push(ctx, data)
	var kept hopelessError
	if errors.As(err, &kept) {
		k.refused.Add(ctx, int64(k.kind.items(data)), k.attributes)
		return nil
	}
	return err
}

// halve copies: other exporters may have the same data.
func (k *keeper[T]) halve(data T) (first, second T) {
	half := k.kind.items(data) / 2
	return k.part(data, func(item int) bool { return item < half }),
		k.part(data, func(item int) bool { return item >= half })
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

// restOf is the data that an error is about, all of it where it says nothing.
func restOf[T any, E interface {
	error
	Data() T
}](err error, all T) T {
	var about E
	if errors.As(err, &about) {
		return about.Data()
	}
	return all
}
