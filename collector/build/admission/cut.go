package admission

import (
	"context"
	"strings"
	"unicode/utf8"

	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/xpdata/entity"
)

const (
	// An SDK stops at 128. Cleaning compares each with each: 9·10^5 of one span took minutes.
	maxAttributes = 1000
	// Honeycomb's limit of a field and X-Ray's of a whole document.
	maxText = 64 << 10
	// In place of bytes that are no UTF-8.
	replacement = "\uFFFD"
)

// Traces, Metrics and Logs cut and repair what comes in before it is handed on: one value that a vendor
// cannot read costs it the whole batch, with what others sent.

func (g *Guard) Traces(next consumer.Traces) (consumer.Traces, error) {
	return consumer.NewTraces(func(ctx context.Context, td ptrace.Traces) error {
		w := newWalk()
		for _, resource := range td.ResourceSpans().All() {
			w.resource(resource.Resource())
			w.text(resource.SchemaUrl(), resource.SetSchemaUrl)
			for _, scope := range resource.ScopeSpans().All() {
				w.scope(scope.Scope())
				w.text(scope.SchemaUrl(), scope.SetSchemaUrl)
				for _, span := range scope.Spans().All() {
					w.span(span)
				}
			}
		}
		g.repaired(ctx, w)
		return next.ConsumeTraces(ctx, td)
	}, consumer.WithCapabilities(consumer.Capabilities{MutatesData: true}))
}

func (g *Guard) Logs(next consumer.Logs) (consumer.Logs, error) {
	return consumer.NewLogs(func(ctx context.Context, ld plog.Logs) error {
		w := newWalk()
		for _, resource := range ld.ResourceLogs().All() {
			w.resource(resource.Resource())
			w.text(resource.SchemaUrl(), resource.SetSchemaUrl)
			for _, scope := range resource.ScopeLogs().All() {
				w.scope(scope.Scope())
				w.text(scope.SchemaUrl(), scope.SetSchemaUrl)
				for _, record := range scope.LogRecords().All() {
					w.record(record)
				}
			}
		}
		g.repaired(ctx, w)
		return next.ConsumeLogs(ctx, ld)
	}, consumer.WithCapabilities(consumer.Capabilities{MutatesData: true}))
}

func (g *Guard) Metrics(next consumer.Metrics) (consumer.Metrics, error) {
	return consumer.NewMetrics(func(ctx context.Context, md pmetric.Metrics) error {
		w := newWalk()
		for _, resource := range md.ResourceMetrics().All() {
			w.resource(resource.Resource())
			w.text(resource.SchemaUrl(), resource.SetSchemaUrl)
			for _, scope := range resource.ScopeMetrics().All() {
				w.scope(scope.Scope())
				w.text(scope.SchemaUrl(), scope.SetSchemaUrl)
				for _, metric := range scope.Metrics().All() {
					w.metric(metric)
				}
			}
		}
		g.repaired(ctx, w)
		return next.ConsumeMetrics(ctx, md)
	}, consumer.WithCapabilities(consumer.Capabilities{MutatesData: true}))
}

// walk is one pass over a request's items, and how much of them it repaired.
type walk struct {
	texts, numbers, times int64
	// When the request came.
	arrived pcommon.Timestamp
}

func (w *walk) span(span ptrace.Span) {
	w.cut(span)
	w.text(span.Name(), span.SetName)
	w.text(span.TraceState().AsRaw(), span.TraceState().FromRaw)
	w.text(span.Status().Message(), span.Status().SetMessage)
	w.spanTimes(span)
	for _, event := range span.Events().All() {
		w.cut(event)
		w.text(event.Name(), event.SetName)
		if event.Timestamp() == 0 {
			event.SetTimestamp(span.StartTimestamp())
			w.times++
		}
	}
	for _, link := range span.Links().All() {
		w.cut(link)
		w.text(link.TraceState().AsRaw(), link.TraceState().FromRaw)
	}
}

func (w *walk) record(record plog.LogRecord) {
	w.cut(record)
	w.text(record.EventName(), record.SetEventName)
	w.text(record.SeverityText(), record.SetSeverityText)
	w.value(record.Body())
	w.recordTimes(record)
}

func (w *walk) resource(resource pcommon.Resource) {
	w.cut(resource)
	for _, ref := range entity.ResourceEntityRefs(resource).All() {
		w.text(ref.SchemaUrl(), ref.SetSchemaUrl)
		w.text(ref.Type(), ref.SetType)
		for _, keys := range []pcommon.StringSlice{ref.IdKeys(), ref.DescriptionKeys()} {
			for at, key := range keys.All() {
				w.text(key, func(fitting string) { keys.SetAt(at, fitting) })
			}
		}
	}
}

func (w *walk) scope(scope pcommon.InstrumentationScope) {
	w.cut(scope)
	w.text(scope.Name(), scope.SetName)
	w.text(scope.Version(), scope.SetVersion)
}

func (w *walk) metric(metric pmetric.Metric) {
	w.text(metric.Name(), metric.SetName)
	w.text(metric.Description(), metric.SetDescription)
	w.text(metric.Unit(), metric.SetUnit)
	w.attributes(metric.Metadata())
	switch metric.Type() {
	case pmetric.MetricTypeGauge:
		for _, point := range metric.Gauge().DataPoints().All() {
			w.point(point, point.Exemplars())
		}
	case pmetric.MetricTypeSum:
		for _, point := range metric.Sum().DataPoints().All() {
			w.point(point, point.Exemplars())
		}
	case pmetric.MetricTypeHistogram:
		for _, point := range metric.Histogram().DataPoints().All() {
			w.point(point, point.Exemplars())
		}
	case pmetric.MetricTypeExponentialHistogram:
		for _, point := range metric.ExponentialHistogram().DataPoints().All() {
			w.point(point, point.Exemplars())
		}
	case pmetric.MetricTypeSummary:
		for _, point := range metric.Summary().DataPoints().All() {
			w.point(point, pmetric.NewExemplarSlice())
		}
	}
}

type point interface {
	Attributes() pcommon.Map
	Timestamp() pcommon.Timestamp
	SetTimestamp(pcommon.Timestamp)
}

func (w *walk) point(point point, exemplars pmetric.ExemplarSlice) {
	w.attributes(point.Attributes())
	w.pointTime(point)
	for _, exemplar := range exemplars.All() {
		w.attributes(exemplar.FilteredAttributes())
	}
}

type attributed interface {
	Attributes() pcommon.Map
	DroppedAttributesCount() uint32
	SetDroppedAttributesCount(uint32)
}

func (w *walk) cut(item attributed) {
	if dropped := w.attributes(item.Attributes()); dropped > 0 {
		item.SetDroppedAttributesCount(item.DroppedAttributesCount() + uint32(dropped))
	}
}

// attributes returns how many it took out.
func (w *walk) attributes(all pcommon.Map) int {
	dropped := max(0, all.Len()-maxAttributes)
	if dropped > 0 {
		kept := 0
		all.RemoveIf(func(string, pcommon.Value) bool {
			kept++
			return kept > maxAttributes
		})
	}
	misspelt := false
	for name, value := range all.All() {
		misspelt = misspelt || !fits(name)
		w.value(value)
	}
	if misspelt {
		w.rename(all)
	}
	return dropped
}

// rename keeps every value: two names that become equal stay two.
func (w *walk) rename(all pcommon.Map) {
	renamed := pcommon.NewMap()
	renamed.EnsureCapacity(all.Len())
	for name, value := range all.All() {
		if !fits(name) {
			name = w.fit(name)
			for taken := true; taken; {
				if _, taken = all.Get(name); !taken {
					_, taken = renamed.Get(name)
				}
				if taken {
					name += replacement
				}
			}
		}
		value.MoveTo(renamed.PutEmpty(name))
	}
	renamed.MoveTo(all)
}

// value follows values in values as deep as weigh lets them be.
func (w *walk) value(value pcommon.Value) {
	switch value.Type() {
	case pcommon.ValueTypeStr:
		if text := value.Str(); !fits(text) {
			value.SetStr(w.fit(text))
		}
	case pcommon.ValueTypeDouble:
		if text := unencodable(value.Double()); text != "" {
			value.SetStr(text)
			w.numbers++
		}
	case pcommon.ValueTypeBytes:
		if bytes := value.Bytes(); bytes.Len() > maxText {
			bytes.FromRaw(bytes.AsRaw()[:maxText])
		}
	case pcommon.ValueTypeSlice:
		for _, one := range value.Slice().All() {
			w.value(one)
		}
	case pcommon.ValueTypeMap:
		w.attributes(value.Map())
	}
}

func (w *walk) text(text string, set func(string)) {
	if !fits(text) {
		set(w.fit(text))
	}
}

func fits(text string) bool { return len(text) <= maxText && utf8.ValidString(text) }

func (w *walk) fit(text string) string {
	if text = upTo(maxText, text); !utf8.ValidString(text) {
		text = upTo(maxText, strings.ToValidUTF8(text, replacement))
		w.texts++
	}
	// The copy lets go of the rest.
	return strings.Clone(text)
}

// upTo leaves out a character that would be cut in two.
func upTo(bytes int, text string) string {
	if len(text) <= bytes {
		return text
	}
	for at := bytes; at > bytes-utf8.UTFMax; at-- {
		if utf8.RuneStart(text[at]) {
			return text[:at]
		}
	}
	return text[:bytes]
}
