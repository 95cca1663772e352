package admission

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	collectorlogs "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	collectormetrics "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	collectortraces "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// What a sender may put wherever OTLP has a text, as the official descriptors say where that is. Go's
// protobuf refuses to write what is no UTF-8, so a text of equal length stands for it until it is written.
var spoiltTexts = []struct{ standsIn, is, becomes string }{
	{"<0>", "a\xff\xfe", "a\uFFFD"},
	{"<01>", "\xed\xa0\xbda", "\uFFFDa"}, // a lone surrogate
	{"<02>", "\xe2\x82zz", "\uFFFDzz"},   // half of €
	{"<3>", "\x80bc", "\uFFFDbc"},
}

var goodTexts = []string{"", "GET /", "ünïcode €", "😀", "nul\x00byte", "\uFFFD was there", strings.Repeat("long ", 50)}

var oddNumbers = []float64{math.NaN(), math.Inf(1), math.Inf(-1), 0, -0.0, 1.5, math.MaxFloat64, math.SmallestNonzeroFloat64}

// spoiler makes requests in which any text and any number may be one that cannot be encoded.
type spoiler struct {
	rand  *rand.Rand
	bound int
}

func (s *spoiler) text() string {
	if s.rand.IntN(3) == 0 {
		return spoiltTexts[s.rand.IntN(len(spoiltTexts))].standsIn
	}
	return goodTexts[s.rand.IntN(len(goodTexts))]
}

func (s *spoiler) fill(message protoreflect.Message, depth int) {
	fields := message.Descriptor().Fields()
	for at := range fields.Len() {
		field := fields.Get(at)
		name := string(field.Name())
		switch {
		case strings.HasSuffix(name, "_strindex") || field.ContainingOneof() != nil && s.rand.IntN(2) == 0:
			continue // Those are the profiles'; of a oneof any may be the last that is set.
		case field.Kind() == protoreflect.MessageKind && depth > s.bound:
			continue
		case field.IsList():
			list := message.Mutable(field).List()
			for range 1 + s.rand.IntN(2) {
				list.Append(s.value(field, depth, func() protoreflect.Message { return list.NewElement().Message() }))
			}
		case strings.HasSuffix(name, "time_unix_nano"):
			message.Set(field, protoreflect.ValueOfUint64(1_700_000_000_000_000_000+uint64(at))) // the end after the start
		default:
			message.Set(field, s.value(field, depth, func() protoreflect.Message { return message.NewField(field).Message() }))
		}
	}
}

func (s *spoiler) value(field protoreflect.FieldDescriptor, depth int, empty func() protoreflect.Message) protoreflect.Value {
	switch field.Kind() {
	case protoreflect.MessageKind, protoreflect.GroupKind:
		inner := empty()
		s.fill(inner, depth+1)
		return protoreflect.ValueOfMessage(inner)
	case protoreflect.StringKind:
		return protoreflect.ValueOfString(s.text())
	case protoreflect.DoubleKind:
		return protoreflect.ValueOfFloat64(oddNumbers[s.rand.IntN(len(oddNumbers))])
	case protoreflect.BytesKind:
		length := map[string]int{"trace_id": 16, "span_id": 8, "parent_span_id": 8}[string(field.Name())]
		return protoreflect.ValueOfBytes(bytes.Repeat([]byte{0xff}, max(length, 3)))
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(true)
	case protoreflect.EnumKind:
		return protoreflect.ValueOfEnum(1)
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		return protoreflect.ValueOfInt32(7)
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return protoreflect.ValueOfUint32(7)
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		return protoreflect.ValueOfInt64(7)
	default:
		return protoreflect.ValueOfUint64(7)
	}
}

// distinct names the keys of one map differently: pdata lets them be equal, what is renamed does not.
func distinct(pairs protoreflect.List) {
	for at := range pairs.Len() {
		pair := pairs.Get(at).Message()
		if pair.Descriptor().FullName() == "opentelemetry.proto.common.v1.KeyValue" {
			key := pair.Descriptor().Fields().ByName("key")
			pair.Set(key, protoreflect.ValueOfString(pair.Get(key).String()+strings.Repeat("+", at)))
		}
	}
}

// each calls `do` for every message, the inner ones first.
func each(message protoreflect.Message, do func(protoreflect.Message)) {
	message.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		switch {
		case field.IsList() && field.Message() != nil:
			for at := range value.List().Len() {
				each(value.List().Get(at).Message(), do)
			}
		case field.Message() != nil:
			each(value.Message(), do)
		}
		return true
	})
	do(message)
}

// replaced puts something in the place of each text, wherever it is.
func replaced(message protoreflect.Message, with func(string) string) {
	message.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		if field.Kind() != protoreflect.StringKind {
			return true
		}
		if field.IsList() {
			for at := range value.List().Len() {
				value.List().Set(at, protoreflect.ValueOfString(with(value.List().Get(at).String())))
			}
		} else {
			message.Set(field, protoreflect.ValueOfString(with(value.String())))
		}
		return true
	})
}

// encodable is what the request is to become.
func encodable(request proto.Message) proto.Message {
	expected := proto.Clone(request)
	each(expected.ProtoReflect(), func(message protoreflect.Message) {
		replaced(message, func(text string) string {
			for _, spoilt := range spoiltTexts {
				text = strings.ReplaceAll(text, spoilt.standsIn, spoilt.becomes)
			}
			return text
		})
		if value, is := message.Interface().(*common.AnyValue); is {
			if text := unencodable(value.GetDoubleValue()); text != "" {
				value.Value = &common.AnyValue_StringValue{StringValue: text}
			}
		}
	})
	return expected
}

func spoilt(t *testing.T, request proto.Message) []byte {
	t.Helper()
	body, err := proto.Marshal(request)
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range spoiltTexts {
		if len(one.standsIn) != len(one.is) {
			t.Fatalf("%q is not as long as %q", one.standsIn, one.is)
		}
		body = bytes.ReplaceAll(body, []byte(one.standsIn), []byte(one.is))
	}
	return body
}

type coder interface {
	decoder
	MarshalProto() ([]byte, error)
}

var coders = map[string]func() coder{
	"traces":  func() coder { return ptraceotlp.NewExportRequest() },
	"metrics": func() coder { return pmetricotlp.NewExportRequest() },
	"logs":    func() coder { return plogotlp.NewExportRequest() },
}

// passedOn is what the walk makes of a body.
func passedOn(t *testing.T, signal string, body []byte, json bool) []byte {
	t.Helper()
	g, ctx := usually(t), context.Background()
	var out []byte
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	var err error
	switch signal {
	case "traces":
		in, sink := ptraceotlp.NewExportRequest(), new(consumertest.TracesSink)
		check(decoded(in, body, json))
		next, failed := g.Traces(sink)
		check(failed)
		check(next.ConsumeTraces(ctx, in.Traces()))
		out, err = ptraceotlp.NewExportRequestFromTraces(sink.AllTraces()[0]).MarshalProto()
	case "metrics":
		in, sink := pmetricotlp.NewExportRequest(), new(consumertest.MetricsSink)
		check(decoded(in, body, json))
		next, failed := g.Metrics(sink)
		check(failed)
		check(next.ConsumeMetrics(ctx, in.Metrics()))
		out, err = pmetricotlp.NewExportRequestFromMetrics(sink.AllMetrics()[0]).MarshalProto()
	case "logs":
		in, sink := plogotlp.NewExportRequest(), new(consumertest.LogsSink)
		check(decoded(in, body, json))
		next, failed := g.Logs(sink)
		check(failed)
		check(next.ConsumeLogs(ctx, in.Logs()))
		out, err = plogotlp.NewExportRequestFromLogs(sink.AllLogs()[0]).MarshalProto()
	}
	check(err)
	return out
}

// written is a request as pdata writes it: with empty messages where there are none.
func written(t *testing.T, signal string, request proto.Message) proto.Message {
	t.Helper()
	body, err := proto.Marshal(request)
	if err != nil {
		t.Fatal(err)
	}
	coder := coders[signal]()
	if err := coder.UnmarshalProto(body); err != nil {
		t.Fatal(err)
	}
	if body, err = coder.MarshalProto(); err != nil {
		t.Fatal(err)
	}
	again := request.ProtoReflect().New().Interface()
	if err := proto.Unmarshal(body, again); err != nil {
		t.Fatal(err)
	}
	return again
}

var officialRequests = map[string]func() proto.Message{
	"traces":  func() proto.Message { return new(collectortraces.ExportTraceServiceRequest) },
	"metrics": func() proto.Message { return new(collectormetrics.ExportMetricsServiceRequest) },
	"logs":    func() proto.Message { return new(collectorlogs.ExportLogsServiceRequest) },
}

const spoiltRequests = 400

// Held against the official Go types of OTLP: they refuse to read a text that is no UTF-8, as a vendor does.
func TestWhateverCannotBeEncodedIsRepairedAndItsNeighboursAreUntouched(t *testing.T) {
	tried, texts, numbers := 0, 0, 0
	for signal, empty := range officialRequests {
		for seed := range uint64(spoiltRequests) {
			request := empty()
			s := &spoiler{rand: rand.New(rand.NewPCG(seed, 11)), bound: 7}
			s.fill(request.ProtoReflect(), 0)
			each(request.ProtoReflect(), func(message protoreflect.Message) {
				message.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
					if field.IsList() && field.Message() != nil {
						distinct(value.List())
					}
					return true
				})
			})
			body := spoilt(t, request)
			for _, one := range spoiltTexts {
				texts += bytes.Count(body, []byte(one.is))
			}
			if empty := empty(); proto.Unmarshal(body, empty) == nil && bytes.Contains(body, []byte("\xff\xfe")) {
				t.Fatal("the official types read what is no UTF-8")
			}
			got, expected := empty(), written(t, signal, encodable(request))
			if err := proto.Unmarshal(passedOn(t, signal, body, false), got); err != nil {
				t.Fatalf("%s, seed %d: %v", signal, seed, err)
			}
			if diff := difference(expected, got); diff != "" {
				t.Fatalf("%s, seed %d: wanted (-), got (+)\n%s", signal, seed, diff)
			}
			each(got.ProtoReflect(), func(message protoreflect.Message) {
				if value, is := message.Interface().(*common.AnyValue); is {
					switch value.GetStringValue() {
					case "NaN", "Infinity", "-Infinity":
						numbers++
					}
				}
			})
			tried++
		}
	}
	t.Logf("%d requests with %d spoilt texts and %d numbers that JSON has not", tried, texts, numbers)
	if tried != 3*spoiltRequests || texts < 10*tried || numbers < tried {
		t.Errorf("%d requests, %d texts, %d numbers: too few", tried, texts, numbers)
	}
}

func TestNamesThatBecomeEqualStayTwo(t *testing.T) {
	all := pcommon.NewMap()
	for at, name := range []string{"a\uFFFD", "a\xff", "a\xfe", "b"} {
		all.PutInt(name, int64(at))
	}
	newWalk().attributes(all)
	values := map[int64]bool{}
	for _, value := range all.All() {
		values[value.Int()] = true
	}
	if value, _ := all.Get("a\uFFFD"); all.Len() != 4 || len(values) != 4 || value.Int() != 0 {
		t.Errorf("%v", all.AsRaw())
	}
}

func TestASpanHasTimesThatEveryVendorTakes(t *testing.T) {
	const at = pcommon.Timestamp(1_700_000_000_000_000_000)
	for name, of := range map[string]struct{ start, end, newStart, newEnd pcommon.Timestamp }{
		"as it should be":   {at, at + 5, at, at + 5},
		"no duration":       {at, at, at, at},
		"end before start":  {at, at - 5, at, at},
		"no end":            {at, 0, at, at},
		"no start":          {0, at, at, at},
		"neither":           {0, 0, 1, 1}, // when it came
		"end far too large": {at, math.MaxUint64, at, math.MaxUint64},
	} {
		td := ptrace.NewTraces()
		span := td.ResourceSpans().AppendEmpty().ScopeSpans().AppendEmpty().Spans().AppendEmpty()
		span.SetStartTimestamp(of.start)
		span.SetEndTimestamp(of.end)
		event := span.Events().AppendEmpty()
		w := &walk{arrived: 1}
		w.span(span)
		_, marked := span.Attributes().Get(timeRepaired)
		if span.StartTimestamp() != of.newStart || span.EndTimestamp() != of.newEnd || event.Timestamp() != of.newStart {
			t.Errorf("%s: %d to %d, event %d", name, span.StartTimestamp(), span.EndTimestamp(), event.Timestamp())
		}
		if changed := of.start != of.newStart || of.end != of.newEnd; marked != changed {
			t.Errorf("%s: marked %t", name, marked)
		}
	}
}

func TestALogRecordHasTheTimeAtWhichItWasObserved(t *testing.T) {
	for name, of := range map[string]struct{ time, observed, newTime, newObserved pcommon.Timestamp }{
		"both":          {5, 6, 5, 6},
		"observed only": {0, 6, 6, 6}, // Rust's SDK
		"time only":     {5, 0, 5, 0},
		"neither":       {0, 0, 1, 1}, // when it came
	} {
		record := plog.NewLogRecord()
		record.SetTimestamp(of.time)
		record.SetObservedTimestamp(of.observed)
		w := &walk{arrived: 1}
		w.record(record)
		if record.Timestamp() != of.newTime || record.ObservedTimestamp() != of.newObserved {
			t.Errorf("%s: %d, %d", name, record.Timestamp(), record.ObservedTimestamp())
		}
	}
}

func BenchmarkWalk(b *testing.B) {
	td := usual(100)
	for _, span := range td.ResourceSpans().At(0).ScopeSpans().At(0).Spans().All() {
		span.SetStartTimestamp(1)
		span.SetEndTimestamp(2)
	}
	next, err := guard(b, holding{bytes: maxArriving, calls: maxCalls}).Traces(new(nowhere))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := next.ConsumeTraces(context.Background(), td); err != nil {
			b.Fatal(err)
		}
	}
}

type nowhere struct{ consumer.Traces }

func (nowhere) ConsumeTraces(context.Context, ptrace.Traces) error { return nil }

func (nowhere) Capabilities() consumer.Capabilities { return consumer.Capabilities{} }

func difference(want, got proto.Message) string {
	if proto.Equal(want, got) {
		return ""
	}
	expected, found := strings.Split(prototext.Format(want), "\n"), strings.Split(prototext.Format(got), "\n")
	for at := range min(len(expected), len(found)) {
		if expected[at] != found[at] {
			return fmt.Sprintf("- %s\n+ %s", expected[at], found[at])
		}
	}
	return fmt.Sprintf("%d lines, %d lines", len(expected), len(found))
}
