package awsemf

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"iter"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"otel-stack/durable"
)

const (
	// CloudWatch's limits for an event's time.
	oldest = 14 * 24 * time.Hour
	newest = 2 * time.Hour
	// Nor may the events of one request be further apart.
	apart = 24 * time.Hour
	// Upstream begins another request at 1 MB; what follows here is an estimate.
	maxPut = 256 << 10
	// An event holds the labels of its resource and point, and what CloudWatch is to make of them.
	jsonGrows, jsonAdds = 2, 1024
	// A bucket of an exponential histogram is one byte or two; as JSON a mean and a count.
	bucketGrows = 24
	putTimeout  = 10 * time.Second
)

// putter hands a batch to upstream's exporter in parts of one request to one log stream.
//
// Upstream keeps the events of all streams, and of all batches that are on their way at once, in the
// same buffers, and leaves them there when the request to one stream fails. When the batch comes
// again they are added once more: with CloudWatch away for 12 s, 80 requests of the app counted as
// 400. And who finds its events taken along by another's failed request is told that all went well.
// So one part at a time, which the buffers hold whole or not at all.
type putter struct {
	exporter.Metrics
	streams func(pcommon.Resource) string
	taken   *durable.Taken
	turn    chan struct{}
}

func (p *putter) Start(ctx context.Context, host component.Host) error {
	p.taken.Load()
	return p.Metrics.Start(ctx, host)
}

func (p *putter) Shutdown(ctx context.Context) error {
	p.taken.Save()
	return p.Metrics.Shutdown(ctx)
}

// Capabilities: upstream changes what it is given, which here are copies.
func (*putter) Capabilities() consumer.Capabilities { return consumer.Capabilities{MutatesData: false} }

func (p *putter) ConsumeMetrics(ctx context.Context, md pmetric.Metrics) error {
	select {
	case p.turn <- struct{}{}:
		defer func() { <-p.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	ids := sync.OnceValues(func() ([]string, error) { return idsOf(md) })
	had, err := p.had(ids)
	if err != nil {
		return err
	}
	parts, refused := p.split(md, had, time.Now())
	var reasons []string
	if len(refused) > 0 {
		reasons = append(reasons, "older than 14 days, or more than 2 hours in the future")
	}
	noted := named(had, ids)
	for at, numbers := range parts {
		limited, cancel := durable.Unhurried(ctx, putTimeout)
		err := p.Metrics.ConsumeMetrics(limited, only(md, numbers))
		cancel()
		switch {
		case err == nil && at == len(parts)-1:
		case err == nil:
			if _, failed := ids(); failed != nil {
				return failed
			}
			put := named(numbers, ids)
			p.taken.Add(put...)
			noted = append(noted, put...)
		case durable.Hopeless(err):
			for number := range numbers {
				refused[number] = true
			}
			reasons = append(reasons, err.Error())
		default:
			return err
		}
	}
	p.taken.Remove(noted...)
	if len(refused) == 0 {
		return nil
	}
	return &durable.PartlyError[pmetric.Metrics]{Data: only(md, refused), Reason: strings.Join(reasons, "; ")}
}

// had is what CloudWatch has of a batch that was put in part: the data points' numbers.
func (p *putter) had(ids func() ([]string, error)) (map[int]bool, error) {
	had := map[int]bool{}
	if !p.taken.Any() {
		return had, nil
	}
	all, err := ids()
	for number, id := range all {
		if p.taken.Has(id) {
			had[number] = true
		}
	}
	return had, err
}

func named(numbers map[int]bool, ids func() ([]string, error)) (found []string) {
	if len(numbers) == 0 {
		return nil
	}
	all, _ := ids()
	for number := range numbers {
		found = append(found, all[number])
	}
	return found
}

// idsOf is by the data point's number, and the same for the same point that comes again: after a
// restart it comes in a batch with others than before.
func idsOf(md pmetric.Metrics) (ids []string, err error) {
	var to pmetric.ProtoMarshaler
	for _, resource := range md.ResourceMetrics().All() {
		bare := pmetric.NewMetrics()
		alone := bare.ResourceMetrics().AppendEmpty()
		resource.Resource().CopyTo(alone.Resource())
		one := alone.ScopeMetrics().AppendEmpty().Metrics().AppendEmpty()
		for _, scope := range resource.ScopeMetrics().All() {
			for _, metric := range scope.Metrics().All() {
				one.SetName(metric.Name())
				one.SetUnit(metric.Unit())
				for range copies(metric, one) {
					content, err := to.MarshalMetrics(bare)
					if err != nil {
						return nil, err
					}
					sum := sha256.Sum256(content)
					ids = append(ids, hex.EncodeToString(sum[:]))
				}
			}
		}
	}
	return ids, nil
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

// split makes parts of one request each of what CloudWatch has not had, and takes out what it will
// never take: sets of the data points' numbers.
func (p *putter) split(md pmetric.Metrics, had map[int]bool, now time.Time) (parts []map[int]bool, refused map[int]bool) {
	refused = map[int]bool{}
	open, bytes := map[string]int{}, map[string]int{}
	number := -1
	for _, resource := range md.ResourceMetrics().All() {
		stream := p.streams(resource.Resource())
		shared := sizeOf(resource.Resource())
		for _, scope := range resource.ScopeMetrics().All() {
			for _, metric := range scope.Metrics().All() {
				for at, size := range points(metric) {
					if number++; had[number] {
						continue
					}
					when := now // upstream takes the moment of the export
					if at != 0 {
						when = at.AsTime()
					}
					// Upstream looks at it a little later.
					if age := now.Sub(when); age > oldest-time.Minute || age < -newest {
						refused[number] = true
						continue
					}
					key := fmt.Sprintf("%s\n%d", stream, when.UnixNano()/int64(apart))
					grows := jsonAdds + jsonGrows*shared + size
					if _, found := open[key]; !found || bytes[key]+grows > maxPut {
						open[key], bytes[key] = len(parts), 0
						parts = append(parts, map[int]bool{})
					}
					bytes[key] += grows
					parts[open[key]][number] = true
				}
			}
		}
	}
	return parts, refused
}

func sizeOf(resource pcommon.Resource) int {
	bare := pmetric.NewMetrics()
	resource.CopyTo(bare.ResourceMetrics().AppendEmpty().Resource())
	var sizes pmetric.ProtoMarshaler
	return sizes.MetricsSize(bare)
}

// points is each data point's time and an estimate of its bytes as JSON.
func points(metric pmetric.Metric) iter.Seq2[pcommon.Timestamp, int] {
	var sizes pmetric.ProtoMarshaler
	name := jsonGrows * len(metric.Name())
	switch metric.Type() {
	case pmetric.MetricTypeGauge:
		return each(metric.Gauge().DataPoints().All(), func(p pmetric.NumberDataPoint) int {
			return name + jsonGrows*sizes.NumberDataPointSize(p)
		})
	case pmetric.MetricTypeSum:
		return each(metric.Sum().DataPoints().All(), func(p pmetric.NumberDataPoint) int {
			return name + jsonGrows*sizes.NumberDataPointSize(p)
		})
	case pmetric.MetricTypeHistogram:
		return each(metric.Histogram().DataPoints().All(), func(p pmetric.HistogramDataPoint) int {
			return name + jsonGrows*sizes.HistogramDataPointSize(p)
		})
	case pmetric.MetricTypeExponentialHistogram:
		return each(metric.ExponentialHistogram().DataPoints().All(), func(p pmetric.ExponentialHistogramDataPoint) int {
			return name + bucketGrows*sizes.ExponentialHistogramDataPointSize(p)
		})
	case pmetric.MetricTypeSummary:
		return each(metric.Summary().DataPoints().All(), func(p pmetric.SummaryDataPoint) int {
			return name + jsonGrows*sizes.SummaryDataPointSize(p)
		})
	}
	return func(func(pcommon.Timestamp, int) bool) {}
}

func each[P interface{ Timestamp() pcommon.Timestamp }](all iter.Seq2[int, P], size func(P) int) iter.Seq2[pcommon.Timestamp, int] {
	return func(yield func(pcommon.Timestamp, int) bool) {
		for _, point := range all {
			if !yield(point.Timestamp(), size(point)) {
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
