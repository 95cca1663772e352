package awsxray

import (
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"math/rand/v2"
	"path/filepath"
	"reflect"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	upstream "github.com/open-telemetry/opentelemetry-collector-contrib/exporter/awsxrayexporter"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"otel-stack/durable"
	"otel-stack/durable/anything"
)

// slow is for fifty spans; the translation takes some microseconds of each.
const slow = 10 * time.Second

// owed puts spans, and tells of each that is neither put nor refused with a reason.
func owed(t *testing.T, td ptrace.Traces) (refused map[string]string) {
	t.Helper()
	x := &taking{}
	began := time.Now()
	err := made(x).ConsumeTraces(t.Context(), td)
	if took := time.Since(began); took > slow {
		t.Errorf("%v for %d spans", took, td.SpanCount())
	}
	put := map[string]bool{}
	for _, document := range x.documents {
		var segment struct {
			ID, Name string
			Trace    string `json:"trace_id"`
		}
		if err := json.Unmarshal([]byte(document), &segment); err != nil || segment.Trace == "" {
			t.Errorf("put %s: %v", document, err)
		}
		put[segment.ID] = true
	}
	refused = map[string]string{}
	if several, is := err.(interface{ Unwrap() []error }); is {
		for _, one := range several.Unwrap() {
			var partly *durable.PartlyError[ptrace.Traces]
			if !errors.As(one, &partly) || partly.Data.SpanCount() != 1 || partly.Reason == "" {
				t.Fatal(one)
			}
			each(partly.Data, func(_ int, _ ptrace.ResourceSpans, span ptrace.Span) {
				refused[span.SpanID().String()] = partly.Reason
			})
		}
	} else if err != nil {
		t.Fatal(err)
	}
	each(td, func(_ int, _ ptrace.ResourceSpans, span ptrace.Span) {
		id := span.SpanID().String()
		if _, is := refused[id]; is == put[id] {
			t.Errorf("span %s: put %v, refused %v", id, put[id], is)
		}
	})
	return refused
}

// batches hands over spans by fifty, and counts the reasons by the function that panicked.
type batches struct {
	t       *testing.T
	td      ptrace.Traces
	spans   int
	refused int
	panics  map[string]int
}

func (b *batches) next(r *rand.Rand, language string) ptrace.Span {
	resource := b.td.ResourceSpans().AppendEmpty()
	anything.Resource(r, resource.Resource())
	if language != "" {
		resource.Resource().Attributes().PutStr("telemetry.sdk.language", language)
	}
	span := resource.ScopeSpans().AppendEmpty().Spans().AppendEmpty()
	anything.Span(r, b.spans, span)
	b.spans++
	return span
}

func (b *batches) put(atLeast int) {
	if b.td.SpanCount() < atLeast {
		return
	}
	for _, reason := range owed(b.t, b.td) {
		b.refused++
		if _, place, is := strings.Cut(reason, "in translator."); is {
			name, _, _ := strings.Cut(place, " ")
			b.panics[name]++
		}
	}
	b.td = ptrace.NewTraces()
}

func begin(t *testing.T) *batches {
	return &batches{t: t, td: ptrace.NewTraces(), panics: map[string]int{}}
}

func (b *batches) told() {
	b.put(1)
	b.t.Logf("%d spans; %d refused, each with its reason; panics of upstream's: %v", b.spans, b.refused, b.panics)
}

func TestEveryAttributeOfEveryType(t *testing.T) {
	b, r := begin(t), rand.New(rand.NewPCG(1, 11))
	for _, key := range anything.Keys {
		for _, value := range anything.Values() {
			span := b.next(r, "")
			value.CopyTo(span.Attributes().PutEmpty(key))
			b.put(maxPut)
			b.next(r, "")
			value.CopyTo(b.td.ResourceSpans().At(b.td.ResourceSpans().Len() - 1).Resource().Attributes().PutEmpty(key))
			b.put(maxPut)
		}
	}
	if b.told(); b.spans < 10_000 {
		t.Errorf("only %d", b.spans)
	}
}

// upstreams are the texts of several lines in upstream's own test of stack traces.
func upstreams(t *testing.T) (all []string) {
	t.Helper()
	file, _ := runtime.FuncForPC(reflect.ValueOf(upstream.NewFactory).Pointer()).FileLine(0)
	path := filepath.Join(filepath.Dir(file), "internal", "translator", "cause_test.go")
	parsed, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(parsed, func(node ast.Node) bool {
		if literal, is := node.(*ast.BasicLit); is && literal.Kind == token.STRING {
			if text, err := strconv.Unquote(literal.Value); err == nil && strings.Count(text, "\n") > 1 {
				all = append(all, text)
			}
		}
		return true
	})
	return all
}

// A length limit cuts anywhere. Upstream's own examples, as each language's, cut at each place.
func TestEveryStackTraceCutAnywhere(t *testing.T) {
	examples := upstreams(t)
	if len(examples) < 15 {
		t.Fatalf("only %d examples", len(examples))
	}
	b, r := begin(t), rand.New(rand.NewPCG(2, 11))
	td := ptrace.NewTraces()
	for _, language := range []string{"java", "python", "javascript", "dotnet", "go", "ruby"} {
		resource := td.ResourceSpans().AppendEmpty()
		resource.Resource().Attributes().PutStr("telemetry.sdk.language", language)
		spans := resource.ScopeSpans().AppendEmpty().Spans()
		for _, example := range examples {
			for length := range len(example) + 1 {
				span := spans.AppendEmpty()
				anything.Span(r, b.spans, span)
				b.spans++
				span.Attributes().Clear()
				span.Events().RemoveIf(func(ptrace.SpanEvent) bool { return true })
				span.Links().RemoveIf(func(ptrace.SpanLink) bool { return true })
				event := span.Events().AppendEmpty()
				event.SetName("exception")
				event.Attributes().PutStr("exception.stacktrace", example[:length])
			}
		}
		b.td = td
		b.put(1)
		td = ptrace.NewTraces()
	}
	b.told()
	if b.spans < 50_000 || b.panics["fillDotnetStacktrace"]+b.panics["fillJavaStacktrace"] == 0 {
		t.Errorf("%d spans, %v", b.spans, b.panics)
	}
}

func TestAnySpan(t *testing.T) {
	b, r := begin(t), rand.New(rand.NewPCG(3, 11))
	for range 20_000 {
		b.next(r, "")
		b.put(maxPut)
	}
	b.told()
}

func FuzzSpan(f *testing.F) {
	for seed := range uint64(20) {
		f.Add(seed, seed, "java", "Caused by: a.B:")
	}
	f.Add(uint64(0), uint64(0), "dotnet", "E\n   at A.B() in /c.cs:line")
	f.Add(uint64(0), uint64(0), "python", "During handling of the above exception, another exception occurred:\nE")
	f.Fuzz(func(t *testing.T, one, two uint64, language, stack string) {
		b := begin(t)
		span := b.next(rand.New(rand.NewPCG(one, two)), language)
		event := span.Events().AppendEmpty()
		event.SetName("exception")
		event.Attributes().PutStr("exception.stacktrace", stack)
		b.put(1)
	})
}
