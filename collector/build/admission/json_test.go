package admission

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"

	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Fields that upstream's decoder has and a request has no use for, or the other way round.
var onlyOfficial = map[string]bool{"keyStrindex": true, "stringValueStrindex": true}

// The official descriptors say which members there are; one that is missing here would be reported as
// unknown to everybody who sends it.
func TestEveryMemberOfOTLPIsKnownByBothNames(t *testing.T) {
	checked := 0
	for signal, empty := range officialRequests {
		seen := map[protoreflect.FullName]bool{}
		var check func(protoreflect.MessageDescriptor, *shape)
		check = func(of protoreflect.MessageDescriptor, s *shape) {
			if seen[of.FullName()] {
				return
			}
			seen[of.FullName()] = true
			known := map[string]bool{}
			for at := range of.Fields().Len() {
				field := of.Fields().Get(at)
				for _, name := range []string{field.JSONName(), string(field.Name())} {
					known[name] = true
					m := s.members[name]
					if m == nil {
						t.Errorf("%s has %s", of.FullName(), name)
						continue
					}
					checked++
					if (m.of != nil) != (field.Message() != nil) {
						t.Errorf("%s.%s is or is not a message", of.FullName(), name)
					}
					if want := kindOfField(field); m.kind != want && m.kind != intValue && m.of == nil {
						t.Errorf("%s.%s is of kind %d, not %d", of.FullName(), name, m.kind, want)
					}
					if m.of != nil {
						check(field.Message(), m.of)
					}
				}
			}
			for name, m := range s.members {
				if !known[name] && !m.renamed([]byte(name)) && !onlyOfficial[m.name] {
					t.Errorf("%s has no %s", of.FullName(), name)
				}
			}
		}
		check(empty().ProtoReflect().Descriptor(), shapes[signal])
	}
	if checked < 300 {
		t.Errorf("%d names: too few", checked)
	}
}

func kindOfField(field protoreflect.FieldDescriptor) kind {
	if field.IsList() {
		return plain
	}
	switch field.Kind() {
	case protoreflect.DoubleKind:
		return floating
	case protoreflect.Fixed64Kind, protoreflect.Uint64Kind:
		return unsigned
	case protoreflect.Sfixed64Kind, protoreflect.Int64Kind, protoreflect.Sint64Kind:
		return integer
	}
	return plain
}

// What upstream writes is read as it stands: made from the official descriptors, written by pdata.
func TestWhatIsRightAlreadyIsLeftAlone(t *testing.T) {
	for signal, empty := range officialRequests {
		for seed := range uint64(100) {
			request := empty()
			s := &spoiler{rand: rand.New(rand.NewPCG(seed, 5)), bound: 6}
			s.fill(request.ProtoReflect(), 0)
			body, err := proto.Marshal(request)
			if err != nil {
				t.Fatal(err)
			}
			coder := coders[signal]()
			if err = coder.UnmarshalProto(body); err == nil {
				body, err = coder.(interface{ MarshalJSON() ([]byte, error) }).MarshalJSON()
			}
			if err != nil {
				t.Fatal(err)
			}
			sent, err := readJSON(signal, body, true)
			if err != nil || sent.unknown > 0 || &sent.body[0] != &body[0] || len(sent.items) == 0 {
				t.Fatalf("%s, seed %d: %v, unknown %q, %d items", signal, seed, err, sent.names, len(sent.items))
			}
			for _, item := range sent.items {
				if kind := kinds[signal]; kind.decode([]byte(kind.before+string(body[item.from:item.to])+kind.after)) != nil {
					t.Fatalf("%s, seed %d: no item: %s", signal, seed, body[item.from:item.to])
				}
			}
		}
	}
}

// reception is what became of one request of spans.
type reception struct {
	status   int
	spans    []string
	body     string
	partial  ptraceotlp.ExportPartialSuccess
	guard    *Guard
	received ptrace.Traces
}

// sentJSON sends to upstream's decoder behind the guard, as the receiver has it.
func sentJSON(t *testing.T, body string) reception {
	t.Helper()
	g, got := usually(t), reception{received: ptrace.NewTraces()}
	got.guard = g
	sink := new(consumertest.TracesSink)
	next, err := g.Traces(sink)
	if err != nil {
		t.Fatal(err)
	}
	upstream := func(w http.ResponseWriter, r *http.Request) {
		request := ptraceotlp.NewExportRequest()
		if err := request.UnmarshalJSON(all(t, r.Body)); err != nil {
			answer(w, typeJSON, http.StatusBadRequest, 3, err)
			return
		}
		if err := next.ConsumeTraces(r.Context(), request.Traces()); err != nil {
			t.Error(err)
		}
		w.Header().Set("Content-Type", typeJSON)
		_, _ = w.Write([]byte("{}"))
	}
	answered := postedAs(t, g, upstream, "/v1/traces", typeJSON, strings.NewReader(body))
	got.status, got.body = answered.StatusCode, string(all(t, answered.Body))
	response := ptraceotlp.NewExportResponse()
	if got.status == 200 {
		if err := response.UnmarshalJSON([]byte(got.body)); err != nil {
			t.Fatal(err)
		}
	}
	got.partial = response.PartialSuccess()
	for _, td := range sink.AllTraces() {
		got.received = td
		for _, resource := range td.ResourceSpans().All() {
			for _, scope := range resource.ScopeSpans().All() {
				for _, span := range scope.Spans().All() {
					got.spans = append(got.spans, span.Name())
				}
			}
		}
	}
	return got
}

func all(t *testing.T, from io.Reader) []byte {
	t.Helper()
	content, err := io.ReadAll(from)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

const ids = `"traceId":"0102030405060708090a0b0c0d0e0f10","spanId":"0102030405060708"`

// withSpan is a request with two good spans and between them one that has `more`.
func withSpan(more string) string {
	return `{"resourceSpans":[{"scopeSpans":[{"spans":[{` + ids + `,"name":"first"},{` + ids + `,"name":"odd"` + more +
		`},{` + ids + `,"name":"last"}]}]}]}`
}

func TestOneOddValueOfJSONCostsNothingElse(t *testing.T) {
	three := []string{"first", "odd", "last"}
	for name, of := range map[string]struct{ more, key, want string }{
		"bare NaN, as Python's json writes it": {`{"doubleValue":NaN}`, "a", "NaN"},
		"bare infinity":                        {`{"doubleValue": -Infinity }`, "a", "-Infinity"},
		"NaN as a text":                        {`{"doubleValue":"NaN"}`, "a", "NaN"},
		"too large for a double":               {`{"doubleValue":1e999}`, "a", "Infinity"},
		"an integer beyond 2^63":               {`{"intValue":9223372036854775808}`, "a", "9223372036854775808"},
		"the same as a text":                   {`{"intValue":"9223372036854775808"}`, "a", "9223372036854775808"},
		"the same in snake case":               {`{"int_value":-9223372036854775809}`, "a", "-9223372036854775809"},
		"an integer with a point":              {`{"intValue":12.0}`, "a", "12"},
		"an integer with an exponent":          {`{"intValue":1.5e3}`, "a", "1500"},
		"no integer at all":                    {`{"intValue":1.5}`, "a", "1.5"},
		"the largest integer":                  {`{"intValue":"9223372036854775807"}`, "a", "9223372036854775807"},
		"a lone surrogate":                     {`{"stringValue":"ok\ud83d"}`, "a", "ok\uFFFD"},
		"the second half alone":                {`{"stringValue":"\udc00 ok"}`, "a", "\uFFFD ok"},
		"bytes that are no UTF-8":              {"{\"stringValue\":\"ok\xff\xfe\"}", "a", "ok\uFFFD"},
		"a line break within a text":           {"{\"stringValue\":\"one\ntwo\"}", "a", "one\ntwo"},
		"deep in a list":                       {`{"arrayValue":{"values":[{"kvlistValue":{"values":[{"key":"x","value":{"doubleValue":NaN}}]}}]}}`, "a", `[{"x":"NaN"}]`},
		"null":                                 {`null`, "a", ""},
	} {
		got := sentJSON(t, withSpan(`,"attributes":[{"key":"a","value":`+of.more+`}]`))
		if got.status != 200 || !slices.Equal(got.spans, three) || got.body != "{}" {
			t.Errorf("%s: %d %s, %q", name, got.status, got.body, got.spans)
			continue
		}
		span := got.received.ResourceSpans().At(0).ScopeSpans().At(0).Spans().At(1)
		if value, _ := span.Attributes().Get(of.key); value.AsString() != of.want {
			t.Errorf("%s: %q", name, value.AsString())
		}
	}
	got := sentJSON(t, "\uFEFF"+withSpan(`,"startTimeUnixNano":1.6e18,"end_time_unix_nano":"1.6000000000000005e18"`))
	if !slices.Equal(got.spans, three) {
		t.Fatalf("%d %s", got.status, got.body)
	}
	span := got.received.ResourceSpans().At(0).ScopeSpans().At(0).Spans().At(1)
	if span.StartTimestamp() != 1_600_000_000_000_000_000 || span.EndTimestamp() != 1_600_000_000_000_000_512 {
		t.Errorf("%d to %d", span.StartTimestamp(), span.EndTimestamp())
	}
}

func TestASpanThatCannotBeReadIsLostAlone(t *testing.T) {
	id := base64.StdEncoding.EncodeToString([]byte("0123456789abcdef"))
	for more, want := range map[string]string{
		`,"parentSpanId":"` + id + `"`: "hex digits", `,"name":7`: "OTLP/JSON", `,"kind":"SERVER"`: "OTLP/JSON",
		`,"status":{"code":"ERROR"}`: "OTLP/JSON", `,"attributes":[{"key":"a","value":{"intValue":true}}]`: "OTLP/JSON",
		`,"attributes":{"a":1}`: "OTLP/JSON", `,"startTimeUnixNano":"2026-01-01T00:00:00Z"`: "OTLP/JSON",
	} {
		got := sentJSON(t, withSpan(more))
		if got.status != 200 || !slices.Equal(got.spans, []string{"first", "last"}) || got.partial.RejectedSpans() != 1 ||
			!strings.Contains(got.partial.ErrorMessage(), want) {
			t.Errorf("%s: %d %s, %q", more, got.status, got.body, got.spans)
		}
	}
	// At each end, and all of them: then the request is refused as a whole.
	bad, good := `{"traceId":"`+id+`"}`, `{`+ids+`,"name":"good"}`
	for spans, kept := range map[string]int{
		bad + "," + good: 1, good + " , " + bad: 1, bad + "," + bad + "," + good + "," + bad: 1, bad: 0, bad + ", " + bad: 0,
	} {
		got := sentJSON(t, `{"resourceSpans":[{"scopeSpans":[{"spans":[`+spans+`]}]}]}`)
		if len(got.spans) != kept || got.status == 200 != (kept > 0) || !strings.Contains(got.body, "hex digits") {
			t.Errorf("%s: %d %s, %q", spans, got.status, got.body, got.spans)
		}
	}
}

func TestOldNamesAreTranslated(t *testing.T) {
	span := `{` + ids + `,"name":"x"}`
	for _, body := range []string{
		// The example of Lightstep's documentation, collector#6320.
		`{"resourceSpans":[{"resource":{},"instrumentationLibrarySpans":[{"instrumentationLibrary":{"name":"lib","version":"1"},"spans":[` + span + `]}]}]}`,
		`{"resource_spans":[{"instrumentation_library_spans":[{"instrumentation_library":{"name":"lib"},"spans":[` + span + `]}]}]}`,
		`{"resourceSpans":[{"deprecatedScopeSpans":[{"scope":{"name":"lib"},"spans":[` + span + `]}]}]}`,
		`{"resource_spans":[{"scope_spans":[{"scope":{"name":"lib"},"spans":[` + span + `]}]}]}`,
		`{"resource\u0053pans":[{"scopeSpans":[{"scope":{"name":"lib"},"spans":[` + span + `]}]}]}`,
	} {
		got := sentJSON(t, body)
		if got.status != 200 || got.body != "{}" || !slices.Equal(got.spans, []string{"x"}) {
			t.Errorf("%s: %d %s, %q", body, got.status, got.body, got.spans)
			continue
		}
		if name := got.received.ResourceSpans().At(0).ScopeSpans().At(0).Scope().Name(); name != "lib" {
			t.Errorf("%s: of %q", body, name)
		}
	}
	sent, err := readJSON("logs", []byte(`{"resourceLogs":[{"instrumentationLibraryLogs":[{"logs":[{"body":{"stringValue":"x"}}]}]}]}`), false)
	if want := `{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":"x"}}]}]}]}`; err != nil || string(sent.body) != want {
		t.Errorf("%s, %v", sent.body, err)
	}
}

func TestWhatNobodyKnowsIsSaidAndCounted(t *testing.T) {
	span := `{` + ids + `,"name":"x"}`
	for body, want := range map[string]struct {
		spans int
		lost  int64
		name  string
	}{
		`{"resourceLogs":[{"scopeLogs":[{"logRecords":[{},{}]}]}]}`:                               {0, 2, "resourceLogs"}, // logs to /v1/traces
		`{"ResourceSpans":[{"ScopeSpans":[{"Spans":[` + span + `]}]}]}`:                           {0, 1, "ResourceSpans"},
		`{"spans":[` + span + `,` + span + `]}`:                                                   {0, 2, "spans"},
		`{"resourceSpans":[{"scopeSpan":[{"spans":[` + span + `]}],"scopeSpans":[]}]}`:            {0, 1, "scopeSpan"},
		`{"resourceSpans":[{"scopeSpans":[{"spans":[` + span + `],"more":{"spans":[{},{}]}}]}]}`:  {1, 2, "more"},
		`{"resourceSpans":[{"scopeSpans":[{"spans":[{"newField":{"a":[1]},` + span[1:] + `]}]}]}`: {1, 0, "newField"},
		`{"resourceSpans":[{"scopeSpans":[{"spans":[{"":1,` + span[1:] + `]}]}]}`:                 {1, 0, ""}, // upstream takes it for the end
		`{"":1,"resourceSpans":[{"scopeSpans":[{"spans":[` + span + `]}]}]}`:                      {1, 0, ""},
		`{"a":1,"b":2,"c":3,"d":4,"e\u001b[2J":5}`:                                                {0, 0, "a, b, c and 2 more"},
	} {
		got := sentJSON(t, body)
		if got.status != 200 || len(got.spans) != want.spans || got.partial.RejectedSpans() != want.lost ||
			!strings.Contains(got.partial.ErrorMessage(), "unknown members are left out: "+want.name) {
			t.Errorf("%s: %d %s, %q", body, got.status, got.body, got.spans)
		}
		if _, counted := got.guard.refusals.last[refusal{overHTTP, reasonUnknown, "/v1/traces"}]; !counted {
			t.Errorf("%s is not counted", body)
		}
	}
}

func TestWhatIsNoRequestIsRefused(t *testing.T) {
	good := withSpan("")
	for _, body := range []string{"", " ", "null", "[]", `"x"`, "1", good + good, good + "\n" + good, good + " x", "{", `{"resourceSpans":[`} {
		if got := sentJSON(t, body); got.status != 400 || len(got.spans) > 0 || !json.Valid([]byte(got.body)) {
			t.Errorf("%q: %d %s, %q", body, got.status, got.body, got.spans)
		}
	}
	for _, body := range []string{"{}", ` {"resourceSpans":[]} ` + "\n", "{\"resourceSpans\":null}"} {
		if got := sentJSON(t, body); got.status != 200 || got.body != "{}" {
			t.Errorf("%q: %d %s", body, got.status, got.body)
		}
	}
}

// Whatever the bytes: reading them ends without a panic, and what was JSON stays it.
func FuzzReadJSON(f *testing.F) {
	for _, seed := range []string{
		withSpan(`,"attributes":[{"key":"a","value":{"intValue":1e99}}]`), `{"":NaN,"a":{"b":[Infinity,{"":1}]}}`,
		"\uFEFF{\"resourceSpans\":[{\"instrumentationLibrarySpans\":[{\"spans\":[{\"name\":\"a\nb\"}]}]}]}",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		for signal := range shapes {
			sent, err := readJSON(signal, body, true)
			if err == nil && json.Valid(body) && !json.Valid(sent.body) {
				t.Errorf("%s became %s", body, sent.body)
			}
			decodable(signal, body)
		}
	})
}

func BenchmarkReadJSON(b *testing.B) {
	body := encoded(b, usual(100), true)
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		if _, err := readJSON("traces", body, false); err != nil {
			b.Fatal(err)
		}
	}
}
