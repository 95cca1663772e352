package admission

import (
	"errors"
	"strings"
	"testing"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"google.golang.org/protobuf/encoding/protowire"
)

// usual is spans with 15 attributes, as an SDK sends them.
func usual(spans int) ptrace.Traces {
	td := ptrace.NewTraces()
	all := td.ResourceSpans().AppendEmpty().ScopeSpans().AppendEmpty().Spans()
	for range spans {
		span := all.AppendEmpty()
		span.SetName("GET /api/activities/home")
		span.SetTraceID(pcommon.TraceID{1})
		span.SetSpanID(pcommon.SpanID{1})
		for _, key := range strings.Fields("a b c d e f g h i j k l m n o") {
			span.Attributes().PutStr("http.request.header."+key, "a value of some length")
		}
	}
	return td
}

func encoded(t testing.TB, td ptrace.Traces, json bool) []byte {
	t.Helper()
	request := ptraceotlp.NewExportRequestFromTraces(td)
	marshal := request.MarshalProto
	if json {
		marshal = request.MarshalJSON
	}
	body, err := marshal()
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func weighJSON(body []byte) (int, error) {
	d, err := readJSON("traces", body, false)
	return d.weight, err
}

func TestUsualRequestsPassUpToTheLimitOfABody(t *testing.T) {
	body := encoded(t, usual(12_000), false)
	if len(body) < 7<<20 {
		t.Fatalf("%d bytes are far from 8 MiB", len(body))
	}
	weight, err := weigh("traces", body)
	if err != nil {
		t.Fatal(err)
	}
	if weight += copies * len(body); weight > maxAtWork {
		t.Errorf("%d bytes do not fit into %d", weight, maxAtWork)
	}
	if _, err := weighJSON(encoded(t, usual(5_000), true)); err != nil {
		t.Error(err)
	}
}

func nested(depth int) ptrace.Traces {
	td := usual(1)
	value := td.ResourceSpans().At(0).ScopeSpans().At(0).Spans().At(0).Attributes().PutEmpty("deep")
	for range depth {
		value = value.SetEmptySlice().AppendEmpty()
	}
	value.SetStr("x")
	return td
}

func TestDepth(t *testing.T) {
	for depth, want := range map[int]error{maxDepth - 1: nil, maxDepth + 1: errDeep} {
		if _, err := weigh("traces", encoded(t, nested(depth), false)); !errors.Is(err, want) {
			t.Errorf("protobuf %d deep: %v", depth, err)
		}
	}
	for depth, want := range map[int]error{maxDepth - 1: nil, maxDepth + 2: errDeep} {
		if _, err := weighJSON(encoded(t, nested(depth), true)); !errors.Is(err, want) {
			t.Errorf("JSON %d deep: %v", depth, err)
		}
	}
}

// Upstream takes what scopes were called before OTLP 0.15 for scopes: unweighed it would be a way around.
func TestSpansOfAnInstrumentationLibraryAreWeighed(t *testing.T) {
	spans := protowire.AppendBytes(protowire.AppendTag(nil, 2, protowire.BytesType), []byte("\x2a\x01x"))
	library := protowire.AppendBytes(protowire.AppendTag(nil, 1000, protowire.BytesType), spans)
	body := protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), library)
	request := ptraceotlp.NewExportRequest()
	if err := request.UnmarshalProto(body); err != nil || request.Traces().SpanCount() != 1 {
		t.Fatalf("upstream makes %d spans of it, %v", request.Traces().SpanCount(), err)
	}
	if weight, err := weigh("traces", body); err != nil || weight < len(body)+span.bytes {
		t.Errorf("%d, %v", weight, err)
	}
}

func TestBracketsInTextsDoNotCount(t *testing.T) {
	body := []byte(`{"a":"` + strings.Repeat(`[{\"`, 10_000) + `"}`)
	if weight, err := weighJSON(body); err != nil || weight > len(body)+jsonObject {
		t.Errorf("%d, %v", weight, err)
	}
}

func TestWhatIsTooLongIsCut(t *testing.T) {
	attributes := pcommon.NewMap()
	for number := range maxAttributes + 5 {
		attributes.PutInt(strings.Repeat("k", number+1), 1)
	}
	attributes.PutStr("k", strings.Repeat("é", maxText))
	if dropped := newWalk().attributes(attributes); dropped != 5 || attributes.Len() != maxAttributes {
		t.Errorf("%d dropped, %d left", dropped, attributes.Len())
	}
	text, _ := attributes.Get("k")
	if length := len(text.Str()); length > maxText || length < maxText-4 {
		t.Errorf("cut to %d", length)
	}
}

func TestARoomIsNeverOverfull(t *testing.T) {
	r := room{limit: 10}
	if !r.take(6) || r.take(5) || !r.take(4) {
		t.Error("takes what does not fit, or not what fits")
	}
	r.leave(10)
	if r.taken != 0 {
		t.Error("keeps what has left")
	}
}

// Nulls become spans, and so do numbers until upstream sees that they are none.
func TestWhatAListHoldsIsCountedWhateverItIs(t *testing.T) {
	for _, one := range []string{"1,", "null,", "{},", `"",`, " null ,\n", "-1e9,"} {
		count := maxWeight/jsonObject + 1
		body := `{"resourceSpans":[{"scopeSpans":[{"spans":[` + strings.Repeat(one, count) + "null]}]}]}"
		if _, err := weighJSON([]byte(body)); !errors.Is(err, errHeavy) {
			t.Errorf("%d times %q: %v", count, one, err)
		}
	}
}

func TestNumbersOfAHistogramAreCheap(t *testing.T) {
	body := `{"explicitBounds":[` + strings.Repeat("0.5,", 1000) + `1],"bucketCounts":["` +
		strings.Repeat(`1","`, 1000) + `1"]}`
	if weight, err := weighJSON([]byte(body)); err != nil || weight > len(body)+3*jsonObject+2002*jsonNumber {
		t.Errorf("%d, %v", weight, err)
	}
	// A name that is a text, part of one, or of a list further out makes no list of numbers.
	for body, objects := range map[string]int{
		`{"c":["explicitBounds",[1,1]]}`:     6,
		`{"a":"bucketCounts","b":[1,1]}`:     4,
		`{"explicitBounds":1,"b":[1,1]}`:     4,
		`{"c":[{"explicitBounds":1},[1,1]]}`: 6,
		`{"bucketCounts":{"spans":[1,1]}}`:   5,
	} {
		if weight, err := weighJSON([]byte(body)); err != nil || weight != len(body)+objects*jsonObject {
			t.Errorf("%s weighs %d, %v", body, weight, err)
		}
	}
}

// tally is what a decoded request is known to take, and how deep its values nest.
type tally struct{ messages, bytes, depth int }

func (c *tally) add(of *message) { c.messages, c.bytes = c.messages+1, c.bytes+of.bytes }

func (c *tally) value(value pcommon.Value, depth int) {
	c.depth = max(c.depth, depth)
	switch value.Type() {
	case pcommon.ValueTypeMap:
		c.attributes(value.Map(), depth)
	case pcommon.ValueTypeSlice:
		for _, one := range value.Slice().All() {
			c.add(anyValue)
			c.value(one, depth+1)
		}
	}
}

func (c *tally) attributes(attributes pcommon.Map, depth int) {
	for _, one := range attributes.All() {
		c.add(keyValue)
		c.value(one, depth+1)
	}
}

func (c *tally) traces(td ptrace.Traces) {
	for _, all := range td.ResourceSpans().All() {
		c.attributes(all.Resource().Attributes(), 0)
		for _, scoped := range all.ScopeSpans().All() {
			c.attributes(scoped.Scope().Attributes(), 0)
			for _, one := range scoped.Spans().All() {
				c.add(span)
				c.attributes(one.Attributes(), 0)
				for _, inner := range one.Events().All() {
					c.add(event)
					c.attributes(inner.Attributes(), 0)
				}
				for _, inner := range one.Links().All() {
					c.add(link)
					c.attributes(inner.Attributes(), 0)
				}
			}
		}
	}
}

func (c *tally) logs(ld plog.Logs) {
	for _, all := range ld.ResourceLogs().All() {
		c.attributes(all.Resource().Attributes(), 0)
		for _, scoped := range all.ScopeLogs().All() {
			c.attributes(scoped.Scope().Attributes(), 0)
			for _, one := range scoped.LogRecords().All() {
				c.add(record)
				c.value(one.Body(), 1)
				c.attributes(one.Attributes(), 0)
			}
		}
	}
}

func (c *tally) metrics(md pmetric.Metrics) {
	for _, all := range md.ResourceMetrics().All() {
		c.attributes(all.Resource().Attributes(), 0)
		for _, scoped := range all.ScopeMetrics().All() {
			c.attributes(scoped.Scope().Attributes(), 0)
			for _, one := range scoped.Metrics().All() {
				c.add(metricData)
				c.attributes(one.Metadata(), 0)
				c.points(one)
			}
		}
	}
}

func (c *tally) points(of pmetric.Metric) {
	switch of.Type() {
	case pmetric.MetricTypeGauge:
		c.numbers(of.Gauge().DataPoints())
	case pmetric.MetricTypeSum:
		c.numbers(of.Sum().DataPoints())
	case pmetric.MetricTypeHistogram:
		for _, point := range of.Histogram().DataPoints().All() {
			c.add(histogram)
			c.attributes(point.Attributes(), 0)
			c.exemplars(point.Exemplars())
		}
	case pmetric.MetricTypeExponentialHistogram:
		for _, point := range of.ExponentialHistogram().DataPoints().All() {
			c.add(buckets)
			c.attributes(point.Attributes(), 0)
			c.exemplars(point.Exemplars())
		}
	case pmetric.MetricTypeSummary:
		for _, point := range of.Summary().DataPoints().All() {
			c.add(summary)
			c.attributes(point.Attributes(), 0)
			for range point.QuantileValues().All() {
				c.add(quantile)
			}
		}
	}
}

func (c *tally) numbers(points pmetric.NumberDataPointSlice) {
	for _, point := range points.All() {
		c.add(number)
		c.attributes(point.Attributes(), 0)
		c.exemplars(point.Exemplars())
	}
}

func (c *tally) exemplars(found pmetric.ExemplarSlice) {
	for _, one := range found.All() {
		c.add(exemplar)
		c.attributes(one.FilteredAttributes(), 0)
	}
}

type decoder interface {
	UnmarshalProto([]byte) error
	UnmarshalJSON([]byte) error
}

func decoded(to decoder, body []byte, json bool) error {
	if json {
		return to.UnmarshalJSON(body)
	}
	return to.UnmarshalProto(body)
}

var decoders = map[string]func(body []byte, json bool) (tally, error){
	"traces": func(body []byte, json bool) (c tally, err error) {
		request := ptraceotlp.NewExportRequest()
		if err = decoded(request, body, json); err == nil {
			c.traces(request.Traces())
		}
		return c, err
	},
	"metrics": func(body []byte, json bool) (c tally, err error) {
		request := pmetricotlp.NewExportRequest()
		if err = decoded(request, body, json); err == nil {
			c.metrics(request.Metrics())
		}
		return c, err
	},
	"logs": func(body []byte, json bool) (c tally, err error) {
		request := plogotlp.NewExportRequest()
		if err = decoded(request, body, json); err == nil {
			c.logs(request.Logs())
		}
		return c, err
	},
}

func everyMetric() pmetricotlp.ExportRequest {
	md := pmetric.NewMetrics()
	all := md.ResourceMetrics().AppendEmpty().ScopeMetrics().AppendEmpty().Metrics()
	for _, point := range []interface {
		Attributes() pcommon.Map
		Exemplars() pmetric.ExemplarSlice
	}{
		all.AppendEmpty().SetEmptyGauge().DataPoints().AppendEmpty(),
		all.AppendEmpty().SetEmptySum().DataPoints().AppendEmpty(),
		all.AppendEmpty().SetEmptyHistogram().DataPoints().AppendEmpty(),
		all.AppendEmpty().SetEmptyExponentialHistogram().DataPoints().AppendEmpty(),
	} {
		point.Attributes().PutStr("a", "b")
		point.Exemplars().AppendEmpty().FilteredAttributes().PutInt("c", 1)
	}
	all.AppendEmpty().SetEmptySummary().DataPoints().AppendEmpty().QuantileValues().AppendEmpty().SetValue(1)
	all.At(2).Histogram().DataPoints().At(0).ExplicitBounds().FromRaw([]float64{1, 2})
	all.At(2).Histogram().DataPoints().At(0).BucketCounts().FromRaw([]uint64{1, 2, 3})
	return pmetricotlp.NewExportRequestFromMetrics(md)
}

func everyRecord() plogotlp.ExportRequest {
	ld := plog.NewLogs()
	all := ld.ResourceLogs().AppendEmpty().ScopeLogs().AppendEmpty().LogRecords()
	all.AppendEmpty().Body().SetEmptyMap().PutEmptySlice("a").AppendEmpty().SetEmptySlice().AppendEmpty().SetInt(1)
	all.AppendEmpty().Attributes().PutEmptyBytes("b").FromRaw([]byte{1})
	return plogotlp.NewExportRequestFromLogs(ld)
}

// Whatever the bytes: what upstream makes of them has been counted, else it would be a way around.
func FuzzWeigh(f *testing.F) {
	inner := usual(2)
	first := inner.ResourceSpans().At(0).ScopeSpans().At(0).Spans().At(0)
	first.Events().AppendEmpty().Attributes().PutBool("a", true)
	first.Links().AppendEmpty().Attributes().PutEmpty("b")
	for _, json := range []bool{false, true} {
		f.Add(encoded(f, inner, json))
		f.Add(encoded(f, nested(3), json))
	}
	for _, marshal := range []func() ([]byte, error){
		everyMetric().MarshalProto, everyMetric().MarshalJSON, everyRecord().MarshalProto, everyRecord().MarshalJSON,
	} {
		body, err := marshal()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(body)
	}
	f.Add([]byte("\x0a\x02\x12\x00"))
	f.Add([]byte("\x0a\x04\x12\x02\x12\x00"))
	f.Add([]byte(`{"resourceSpans":[null,{"scopeSpans":[{"spans":[null,{"attributes":[{},null]}]}]}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		for signal, decode := range decoders {
			if weight, err := weigh(signal, body); err == nil {
				if c, err := decode(body, false); err == nil && (weight < len(body)+c.bytes || c.depth > maxDepth) {
					t.Errorf("%s weigh %d: %+v", signal, weight, c)
				}
			}
			if sent, err := readJSON(signal, body, false); err == nil {
				if c, err := decode(sent.body, true); err == nil && sent.weight < len(body)+c.messages*jsonObject {
					t.Errorf("%s of JSON weigh %d: %+v", signal, sent.weight, c)
				}
			}
		}
	})
}

func BenchmarkWeigh(b *testing.B) {
	body := encoded(b, usual(100), false)
	for b.Loop() {
		if _, err := weigh("traces", body); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	body := encoded(b, usual(100), false)
	for b.Loop() {
		if err := ptraceotlp.NewExportRequest().UnmarshalProto(body); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkWeighJSON(b *testing.B) {
	body := encoded(b, usual(100), true)
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		if _, err := weighJSON(body); err != nil {
			b.Fatal(err)
		}
	}
}
