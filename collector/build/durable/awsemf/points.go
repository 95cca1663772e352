package awsemf

import (
	"iter"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// point is a data point of any kind: an estimate of its bytes as JSON, and what of it has to be finite.
type point struct {
	at         pcommon.Timestamp
	attributes pcommon.Map
	size       int
	// missing: the sender says that it has no value (Prometheus' staleness marker).
	missing bool
	values  []float64
}

func points(metric pmetric.Metric) iter.Seq[point] {
	var sizes pmetric.ProtoMarshaler
	name := jsonGrows * len(metric.Name())
	number := func(p pmetric.NumberDataPoint) point {
		values := []float64{p.DoubleValue()}
		return point{p.Timestamp(), p.Attributes(), name + jsonGrows*sizes.NumberDataPointSize(p), p.Flags().NoRecordedValue(), values}
	}
	switch metric.Type() {
	case pmetric.MetricTypeGauge:
		return each(metric.Gauge().DataPoints().All(), number)
	case pmetric.MetricTypeSum:
		return each(metric.Sum().DataPoints().All(), number)
	case pmetric.MetricTypeHistogram:
		return each(metric.Histogram().DataPoints().All(), func(p pmetric.HistogramDataPoint) point {
			values := []float64{p.Sum(), p.Min(), p.Max()}
			return point{p.Timestamp(), p.Attributes(), name + jsonGrows*sizes.HistogramDataPointSize(p), p.Flags().NoRecordedValue(), values}
		})
	case pmetric.MetricTypeExponentialHistogram:
		return each(metric.ExponentialHistogram().DataPoints().All(), func(p pmetric.ExponentialHistogramDataPoint) point {
			values := []float64{p.Sum(), p.Min(), p.Max(), furthest(p.Scale(), p.Positive()), furthest(p.Scale(), p.Negative())}
			return point{p.Timestamp(), p.Attributes(), name + bucketGrows*sizes.ExponentialHistogramDataPointSize(p), p.Flags().NoRecordedValue(), values}
		})
	case pmetric.MetricTypeSummary:
		return each(metric.Summary().DataPoints().All(), func(p pmetric.SummaryDataPoint) point {
			values := []float64{p.Sum()}
			for _, one := range p.QuantileValues().All() {
				values = append(values, one.Quantile(), one.Value())
			}
			return point{p.Timestamp(), p.Attributes(), name + jsonGrows*sizes.SummaryDataPointSize(p), p.Flags().NoRecordedValue(), values}
		})
	}
	return func(func(point) bool) {}
}

func each[P any](all iter.Seq2[int, P], read func(P) point) iter.Seq[point] {
	return func(yield func(point) bool) {
		for _, one := range all {
			if !yield(read(one)) {
				return
			}
		}
	}
}

// copies puts each data point of a metric into `one`, alone.
func copies(metric, one pmetric.Metric) iter.Seq[int] {
	switch metric.Type() {
	case pmetric.MetricTypeGauge:
		return copied(metric.Gauge().DataPoints().All(), func(p pmetric.NumberDataPoint) {
			p.CopyTo(one.SetEmptyGauge().DataPoints().AppendEmpty())
		})
	case pmetric.MetricTypeSum:
		return copied(metric.Sum().DataPoints().All(), func(p pmetric.NumberDataPoint) {
			p.CopyTo(one.SetEmptySum().DataPoints().AppendEmpty())
		})
	case pmetric.MetricTypeHistogram:
		return copied(metric.Histogram().DataPoints().All(), func(p pmetric.HistogramDataPoint) {
			p.CopyTo(one.SetEmptyHistogram().DataPoints().AppendEmpty())
		})
	case pmetric.MetricTypeExponentialHistogram:
		return copied(metric.ExponentialHistogram().DataPoints().All(), func(p pmetric.ExponentialHistogramDataPoint) {
			p.CopyTo(one.SetEmptyExponentialHistogram().DataPoints().AppendEmpty())
		})
	case pmetric.MetricTypeSummary:
		return copied(metric.Summary().DataPoints().All(), func(p pmetric.SummaryDataPoint) {
			p.CopyTo(one.SetEmptySummary().DataPoints().AppendEmpty())
		})
	}
	return func(func(int) bool) {}
}

func copied[P any](all iter.Seq2[int, P], copyTo func(P)) iter.Seq[int] {
	return func(yield func(int) bool) {
		for number, point := range all {
			copyTo(point)
			if !yield(number) {
				return
			}
		}
	}
}

// only is a copy of the data points with these numbers.
func only(md pmetric.Metrics, numbers map[int]bool) pmetric.Metrics {
	copied := pmetric.NewMetrics()
	md.CopyTo(copied)
	number := -1
	left := func() bool {
		number++
		return !numbers[number]
	}
	copied.ResourceMetrics().RemoveIf(func(resource pmetric.ResourceMetrics) bool {
		resource.ScopeMetrics().RemoveIf(func(scope pmetric.ScopeMetrics) bool {
			scope.Metrics().RemoveIf(func(metric pmetric.Metric) bool {
				return removeIf(metric, left) == 0
			})
			return scope.Metrics().Len() == 0
		})
		return resource.ScopeMetrics().Len() == 0
	})
	return copied
}

// removeIf returns how many data points are left.
func removeIf(metric pmetric.Metric, remove func() bool) int {
	switch metric.Type() {
	case pmetric.MetricTypeGauge:
		all := metric.Gauge().DataPoints()
		all.RemoveIf(func(pmetric.NumberDataPoint) bool { return remove() })
		return all.Len()
	case pmetric.MetricTypeSum:
		all := metric.Sum().DataPoints()
		all.RemoveIf(func(pmetric.NumberDataPoint) bool { return remove() })
		return all.Len()
	case pmetric.MetricTypeHistogram:
		all := metric.Histogram().DataPoints()
		all.RemoveIf(func(pmetric.HistogramDataPoint) bool { return remove() })
		return all.Len()
	case pmetric.MetricTypeExponentialHistogram:
		all := metric.ExponentialHistogram().DataPoints()
		all.RemoveIf(func(pmetric.ExponentialHistogramDataPoint) bool { return remove() })
		return all.Len()
	case pmetric.MetricTypeSummary:
		all := metric.Summary().DataPoints()
		all.RemoveIf(func(pmetric.SummaryDataPoint) bool { return remove() })
		return all.Len()
	}
	return 0
}
