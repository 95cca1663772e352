package admission

import (
	"errors"
	"strings"
	"testing"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
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
	if dropped := cutAttributes(attributes); dropped != 5 || attributes.Len() != maxAttributes {
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

// Whatever the bytes: what upstream makes of them has been counted, else it would be a way around.
func FuzzWeigh(f *testing.F) {
	f.Add(encoded(f, usual(2), false))
	f.Add(encoded(f, nested(3), false))
	f.Add([]byte("\x0a\x02\x12\x00"))
	f.Add([]byte("\x0a\x04\x12\x02\x12\x00"))
	f.Fuzz(func(t *testing.T, body []byte) {
		decoded := ptraceotlp.NewExportRequest()
		if decoded.UnmarshalProto(body) == nil {
			spans := decoded.Traces().SpanCount()
			if weight, err := weigh("traces", body); err == nil && weight < len(body)+spans*span.bytes {
				t.Errorf("%d spans weigh %d", spans, weight)
			}
		}
		points := pmetricotlp.NewExportRequest()
		if points.UnmarshalProto(body) == nil {
			found := points.Metrics().DataPointCount()
			if weight, err := weigh("metrics", body); err == nil && weight < len(body)+found*number.bytes {
				t.Errorf("%d points weigh %d", found, weight)
			}
		}
		records := plogotlp.NewExportRequest()
		if records.UnmarshalProto(body) == nil {
			found := records.Logs().LogRecordCount()
			if weight, err := weigh("logs", body); err == nil && weight < len(body)+found*record.bytes {
				t.Errorf("%d records weigh %d", found, weight)
			}
		}
		if decoded.UnmarshalJSON(body) == nil {
			spans := decoded.Traces().SpanCount()
			if weight, err := weighJSON(body); err == nil && weight < len(body)+spans*16 {
				t.Errorf("%d spans of JSON weigh %d", spans, weight)
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
