package admission

import (
	"context"
	"strings"

	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

const (
	// An SDK stops at 128. Cleaning compares each with each: 9·10^5 of one span took minutes.
	maxAttributes = 1000
	// Honeycomb's limit of a field and X-Ray's of a whole document.
	maxText = 64 << 10
)

// Traces, Metrics and Logs cut what comes in before it is handed on.

func Traces(next consumer.Traces) (consumer.Traces, error) {
	return consumer.NewTraces(func(ctx context.Context, td ptrace.Traces) error {
		for _, resource := range td.ResourceSpans().All() {
			cut(resource.Resource())
			for _, scope := range resource.ScopeSpans().All() {
				cut(scope.Scope())
				for _, span := range scope.Spans().All() {
					cut(span)
					shorten(span.Name, span.SetName)
					shorten(span.Status().Message, span.Status().SetMessage)
					for _, event := range span.Events().All() {
						cut(event)
						shorten(event.Name, event.SetName)
					}
					for _, link := range span.Links().All() {
						cut(link)
					}
				}
			}
		}
		return next.ConsumeTraces(ctx, td)
	}, consumer.WithCapabilities(consumer.Capabilities{MutatesData: true}))
}

func Logs(next consumer.Logs) (consumer.Logs, error) {
	return consumer.NewLogs(func(ctx context.Context, ld plog.Logs) error {
		for _, resource := range ld.ResourceLogs().All() {
			cut(resource.Resource())
			for _, scope := range resource.ScopeLogs().All() {
				cut(scope.Scope())
				for _, record := range scope.LogRecords().All() {
					cut(record)
					shortenValue(record.Body())
				}
			}
		}
		return next.ConsumeLogs(ctx, ld)
	}, consumer.WithCapabilities(consumer.Capabilities{MutatesData: true}))
}

func Metrics(next consumer.Metrics) (consumer.Metrics, error) {
	return consumer.NewMetrics(func(ctx context.Context, md pmetric.Metrics) error {
		for _, resource := range md.ResourceMetrics().All() {
			cut(resource.Resource())
			for _, scope := range resource.ScopeMetrics().All() {
				cut(scope.Scope())
				for _, metric := range scope.Metrics().All() {
					cutPoints(metric)
				}
			}
		}
		return next.ConsumeMetrics(ctx, md)
	}, consumer.WithCapabilities(consumer.Capabilities{MutatesData: true}))
}

func cutPoints(metric pmetric.Metric) {
	switch metric.Type() {
	case pmetric.MetricTypeGauge:
		for _, point := range metric.Gauge().DataPoints().All() {
			cutAttributes(point.Attributes())
		}
	case pmetric.MetricTypeSum:
		for _, point := range metric.Sum().DataPoints().All() {
			cutAttributes(point.Attributes())
		}
	case pmetric.MetricTypeHistogram:
		for _, point := range metric.Histogram().DataPoints().All() {
			cutAttributes(point.Attributes())
		}
	case pmetric.MetricTypeExponentialHistogram:
		for _, point := range metric.ExponentialHistogram().DataPoints().All() {
			cutAttributes(point.Attributes())
		}
	case pmetric.MetricTypeSummary:
		for _, point := range metric.Summary().DataPoints().All() {
			cutAttributes(point.Attributes())
		}
	}
}

type attributed interface {
	Attributes() pcommon.Map
	DroppedAttributesCount() uint32
	SetDroppedAttributesCount(uint32)
}

func cut(item attributed) {
	if dropped := cutAttributes(item.Attributes()); dropped > 0 {
		item.SetDroppedAttributesCount(item.DroppedAttributesCount() + uint32(dropped))
	}
}

// cutAttributes returns how many it took out.
func cutAttributes(all pcommon.Map) int {
	dropped := max(0, all.Len()-maxAttributes)
	if dropped > 0 {
		kept := 0
		all.RemoveIf(func(string, pcommon.Value) bool {
			kept++
			return kept > maxAttributes
		})
	}
	for _, value := range all.All() {
		shortenValue(value)
	}
	return dropped
}

// shortenValue follows values in values as deep as weigh lets them be.
func shortenValue(value pcommon.Value) {
	switch value.Type() {
	case pcommon.ValueTypeStr:
		shorten(value.Str, value.SetStr)
	case pcommon.ValueTypeBytes:
		if bytes := value.Bytes(); bytes.Len() > maxText {
			bytes.FromRaw(bytes.AsRaw()[:maxText])
		}
	case pcommon.ValueTypeSlice:
		for _, one := range value.Slice().All() {
			shortenValue(one)
		}
	case pcommon.ValueTypeMap:
		cutAttributes(value.Map())
	}
}

func shorten(get func() string, set func(string)) {
	if text := get(); len(text) > maxText {
		// The copy lets go of the rest; a character cut in two is left out.
		set(strings.Clone(strings.ToValidUTF8(text[:maxText], "")))
	}
}
