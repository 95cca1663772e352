package awsxray

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/xray"
	"github.com/aws/aws-sdk-go-v2/service/xray/types"
	upstream "github.com/open-telemetry/opentelemetry-collector-contrib/exporter/awsxrayexporter"
	"github.com/open-telemetry/opentelemetry-collector-contrib/exporter/awsxrayexporter/documents"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.uber.org/zap"

	"otel-stack/durable"
)

func left(id, code string) types.UnprocessedTraceSegment {
	return types.UnprocessedTraceSegment{Id: &id, ErrorCode: &code}
}

func TestSegmentsAreSortedByWhatXRaySaysOfThem(t *testing.T) {
	part := []segment{{id: "t:a"}, {id: "t:b"}, {id: "t:c"}}
	again, never, _ := sorted(part, []types.UnprocessedTraceSegment{
		left("a", "ThrottledException"), left("b", "InvalidSegment"),
	})
	if len(again) != 1 || again[0].id != "t:a" || len(never) != 1 || never[0].id != "t:b" {
		t.Fatalf("again %v, never %v", again, never)
	}
}

func TestASegmentWithoutANameMeansAll(t *testing.T) {
	part := []segment{{id: "t:a"}, {id: "t:b"}}
	again, never, _ := sorted(part, []types.UnprocessedTraceSegment{{}})
	if len(again) != 2 || len(never) != 0 {
		t.Fatalf("again %v, never %v", again, never)
	}
}

func TestWhatWasTakenIsNotPutAgain(t *testing.T) {
	p := &putter{taken: durable.NewTaken(component.MustNewID("awsxray"), zap.NewNop())}
	all := []segment{{id: "t:a"}, {id: "t:b"}}
	p.taken.Add(ids(all[:1])...)
	if rest := p.notTaken(all); len(rest) != 1 || rest[0].id != "t:b" {
		t.Fatalf("%v", rest)
	}
	p.taken.Remove(ids(all)...)
	if len(p.notTaken(all)) != 2 {
		t.Fatal("a batch that is whole is remembered for ever")
	}
}

func TestOnlyKeepsTheNumberedSpans(t *testing.T) {
	td := ptrace.NewTraces()
	for _, name := range []string{"a", "b"} {
		scope := td.ResourceSpans().AppendEmpty().ScopeSpans().AppendEmpty()
		scope.Spans().AppendEmpty().SetName(name)
	}
	kept := only(td, map[int]bool{1: true})
	if kept.SpanCount() != 1 || kept.ResourceSpans().At(0).ScopeSpans().At(0).Spans().At(0).Name() != "b" {
		t.Fatalf("%d spans", kept.SpanCount())
	}
	if td.SpanCount() != 2 {
		t.Fatal("the pipeline's own data was changed")
	}
}

func TestOneThatXRayDoesNotNameIsFoundAlone(t *testing.T) {
	code := "JSONFormatError"
	nameless := []types.UnprocessedTraceSegment{{ErrorCode: &code}}
	again, never, why := sorted([]segment{{id: "t:a"}, {id: "t:b"}}, nameless)
	if len(again) != 2 || len(never) != 0 || !why.nameless || !why.lasting {
		t.Fatalf("again %v, never %v, %+v", again, never, why)
	}
	again, never, _ = sorted([]segment{{id: "t:a"}}, nameless)
	if len(again) != 0 || len(never) != 1 {
		t.Fatalf("alone: again %v, never %v", again, never)
	}
}

// taking is X-Ray that takes all, and keeps the documents.
type taking struct{ documents []string }

func (x *taking) PutTraceSegments(_ context.Context, input *xray.PutTraceSegmentsInput, _ ...func(*xray.Options)) (*xray.PutTraceSegmentsOutput, error) {
	x.documents = append(x.documents, input.TraceSegmentDocuments...)
	return &xray.PutTraceSegmentsOutput{}, nil
}

// named adds a span of now with a text of so many bytes.
func named(td ptrace.Traces, name string, text int) {
	span := td.ResourceSpans().AppendEmpty().ScopeSpans().AppendEmpty().Spans().AppendEmpty()
	// Whole seconds: the times of all documents are written equally long.
	now := time.Now().Truncate(time.Second)
	span.SetName(name)
	span.SetKind(ptrace.SpanKindServer)
	id := pcommon.TraceID{15: 1}
	for byte := range 4 {
		id[byte] = uint8(now.Unix() >> (24 - 8*byte))
	}
	span.SetTraceID(id)
	span.SetSpanID(pcommon.SpanID{7: uint8(td.SpanCount())})
	span.SetStartTimestamp(pcommon.NewTimestampFromTime(now))
	span.SetEndTimestamp(pcommon.NewTimestampFromTime(now))
	span.Attributes().PutStr("text", strings.Repeat("x", text))
}

func TestADocumentThatXRayDoesNotTakeIsNotPutAndTheOthersAre(t *testing.T) {
	put := func(td ptrace.Traces) (*taking, error) {
		x := &taking{}
		config := upstream.NewFactory().CreateDefaultConfig().(*upstream.Config)
		p := &putter{client: x, config: config, taken: durable.NewTaken(component.MustNewID("awsxray"), zap.NewNop())}
		return x, p.ConsumeTraces(t.Context(), td)
	}
	// What a document has besides the text, so that the largest one can be made to the byte.
	empty := ptrace.NewTraces()
	named(empty, "largest", 0)
	x, err := put(empty)
	if err != nil || len(x.documents) != 1 {
		t.Fatal(err, x.documents)
	}
	room := maxDocument - len(x.documents[0])

	td := ptrace.NewTraces()
	named(td, "before", 10)
	named(td, "largest", room)
	named(td, "too large", room+10)
	named(td, "after", 10)
	x, err = put(td)

	var partly *durable.PartlyError[ptrace.Traces]
	if !errors.As(err, &partly) {
		t.Fatalf("nobody is told: %v", err)
	}
	kept := partly.Data
	if kept.SpanCount() != 1 || kept.ResourceSpans().At(0).ScopeSpans().At(0).Spans().At(0).Name() != "too large" {
		t.Errorf("%d spans are set aside", kept.SpanCount())
	}
	if !strings.Contains(partly.Reason, "65536 bytes") {
		t.Errorf("the reason: %s", partly.Reason)
	}
	if len(x.documents) != 3 {
		t.Errorf("%d documents were put", len(x.documents))
	}
	for _, document := range x.documents {
		if len(document) > maxDocument {
			t.Errorf("a document of %d bytes was put", len(document))
		}
	}
}

// leaving takes what it is given but for so many documents at first, whichever come first.
type leaving struct {
	taking
	first int
}

func (x *leaving) PutTraceSegments(_ context.Context, input *xray.PutTraceSegmentsInput, _ ...func(*xray.Options)) (*xray.PutTraceSegmentsOutput, error) {
	output := &xray.PutTraceSegmentsOutput{}
	for _, document := range input.TraceSegmentDocuments {
		id := idOf(document)
		if x.first > 0 {
			x.first--
			output.UnprocessedTraceSegments = append(output.UnprocessedTraceSegments, left(id, "ThrottledException"))
			continue
		}
		x.documents = append(x.documents, document)
	}
	return output, nil
}

func idOf(document string) string {
	var named struct {
		ID string `json:"id"`
	}
	_ = json.Unmarshal([]byte(document), &named)
	return named.ID
}

func localRoot(td ptrace.Traces) ptrace.Span {
	named(td, "pay", 0)
	span := td.ResourceSpans().At(td.ResourceSpans().Len() - 1).ScopeSpans().At(0).Spans().At(0)
	span.SetKind(ptrace.SpanKindClient)
	span.Attributes().PutStr("aws.span.kind", "LOCAL_ROOT")
	span.Attributes().PutStr("aws.local.service", "shop")
	return span
}

func made(x documents.Client) *putter {
	config := upstream.NewFactory().CreateDefaultConfig().(*upstream.Config)
	return &putter{client: x, config: config, taken: durable.NewTaken(component.MustNewID("awsxray"), zap.NewNop())}
}

func TestALocalRootIsTwoSegmentsHoweverOftenItIsTried(t *testing.T) {
	td := ptrace.NewTraces()
	for range 4 {
		localRoot(td)
	}
	// More than one call puts, so that the queue sends the batch again.
	x := &leaving{first: 8*(putAttempts-1) + 5}
	p := made(x)
	for calls := 1; p.ConsumeTraces(t.Context(), td) != nil; calls++ {
		if calls > 2 {
			t.Fatal("never taken")
		}
	}
	ids := map[string]int{}
	for _, document := range x.documents {
		ids[idOf(document)]++
	}
	if len(ids) != 8 || len(x.documents) != 8 {
		t.Errorf("%d documents of %d segments, not 8 of 8", len(x.documents), len(ids))
	}
}

func TestASpanOnWhichTheTranslationPanicsIsRefusedAlone(t *testing.T) {
	td := ptrace.NewTraces()
	named(td, "before", 0)
	span := localRoot(td)
	span.SetName("of another cloud")
	td.ResourceSpans().At(1).Resource().Attributes().PutStr("cloud.provider", "gcp")
	named(td, "cut", 0)
	cut := td.ResourceSpans().At(2)
	cut.Resource().Attributes().PutStr("telemetry.sdk.language", "dotnet")
	event := cut.ScopeSpans().At(0).Spans().At(0).Events().AppendEmpty()
	event.SetName("exception")
	event.Attributes().PutStr("exception.stacktrace", "E: m\n   at Shop.Api.Post() in /src/Api.cs:line")
	named(td, "after", 0)
	x := &taking{}
	err := made(x).ConsumeTraces(t.Context(), td)

	several, is := err.(interface{ Unwrap() []error })
	if !is || len(several.Unwrap()) != 2 || len(x.documents) != 2 {
		t.Fatalf("%v, %d documents", err, len(x.documents))
	}
	for number, want := range []struct{ name, reason string }{
		{"of another cloud", "translator.MakeServiceSegmentForLocalRootDependencySpan (segment.go:"},
		{"cut", "translator.fillDotnetStacktrace (cause.go:"},
	} {
		var one *durable.PartlyError[ptrace.Traces]
		if !errors.As(several.Unwrap()[number], &one) || one.Data.SpanCount() != 1 ||
			one.Data.ResourceSpans().At(0).ScopeSpans().At(0).Spans().At(0).Name() != want.name ||
			!strings.Contains(one.Reason, want.reason) {
			t.Errorf("%s: %v", want.name, one)
		}
	}
}

func TestARequestThatNobodyWaitsForIsNotTranslatedToItsEnd(t *testing.T) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	td := ptrace.NewTraces()
	named(td, "late", 0)
	if err := made(&taking{}).ConsumeTraces(ended, td); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// X-Ray's developer guide: letters, numbers, white space and _.:/%&#=+\-@, up to 200 characters.
var segmentName = regexp.MustCompile(`^[ \p{L}\p{Nd}_.:/%&#=+\\\-@]{1,200}$`)

// Upstream fits span names alone: X-Ray refused the server spans of job-*, and those of clients that name a
// host, a database or a service of such a name.
func TestEverySegmentHasANameThatXRayTakes(t *testing.T) {
	td := ptrace.NewTraces()
	wanted := map[string]string{}
	add := func(kind ptrace.SpanKind, service any, attributes map[string]any, name string) {
		named(td, "GET /a/*", 0)
		resource := td.ResourceSpans().At(td.ResourceSpans().Len() - 1)
		resource.Resource().Attributes().Clear()
		if service != nil {
			if err := resource.Resource().Attributes().PutEmpty("service.name").FromRaw(service); err != nil {
				t.Fatal(err)
			}
		}
		span := resource.ScopeSpans().At(0).Spans().At(0)
		span.SetKind(kind)
		span.SetSpanID(pcommon.SpanID{1, 6: byte(len(wanted) >> 8), 7: byte(len(wanted))})
		if err := span.Attributes().FromRaw(attributes); err != nil {
			t.Fatal(err)
		}
		wanted[span.SpanID().String()] = name
	}
	const server, client = ptrace.SpanKindServer, ptrace.SpanKindClient
	// The service's name is that of its stream and its metrics.
	add(server, "unknown_service:java", nil, "unknown_service_java")
	add(server, "job-*", nil, "job-_")
	add(server, "", nil, "unknown_service")
	add(server, nil, nil, "unknown_service")
	add(server, 42, nil, "42")
	add(server, []any{"a", "b"}, nil, "__a___b__")
	add(client, "a", map[string]any{"peer.service": "unknown_service:java"}, "unknown_service_java")
	add(server, "a", map[string]any{"aws.local.service": "b:c"}, "b_c")
	// What names no service keeps what X-Ray alone allows.
	add(client, "a", map[string]any{"http.host": "127.0.0.1:4568"}, "127.0.0.1:4568")
	add(client, "a", map[string]any{"aws.remote.service": "AWS::S3<x>"}, "AWS::S3_x_")
	add(client, "a", map[string]any{"db.name": "größe*"}, "größe_")
	source := rand.New(rand.NewPCG(11, 4))
	for len(wanted) < 511 {
		text := make([]rune, source.IntN(300))
		for i := range text {
			text[i] = rune(1 + source.IntN(0x3000))
		}
		keys := []string{"peer.service", "http.host", "rpc.service", "net.peer.name", "db.name", "aws.local.service", "aws.remote.service"}
		kind := []ptrace.SpanKind{server, client, ptrace.SpanKindInternal, ptrace.SpanKindConsumer}[source.IntN(4)]
		add(kind, string(text), map[string]any{keys[source.IntN(len(keys))]: string(text)}, "")
	}
	td.MarkReadOnly()
	x := &taking{}
	if err := made(x).ConsumeTraces(t.Context(), td); err != nil {
		t.Fatal(err)
	}

	originals := 0
	for _, document := range x.documents {
		var segment struct {
			Name, ID string
			Metadata struct{ Default map[string]any }
		}
		if err := json.Unmarshal([]byte(document), &segment); err != nil {
			t.Fatal(err)
		}
		if name := wanted[segment.ID]; name != "" && segment.Name != name {
			t.Errorf("%q, not %q", segment.Name, name)
		}
		if !segmentName.MatchString(segment.Name) {
			t.Fatalf("X-Ray refuses %q", segment.Name)
		}
		for key := range segment.Metadata.Default {
			if strings.HasSuffix(key, ".original") {
				originals++
				break
			}
		}
	}
	t.Logf("%d spans, %d segments, %d with the original of a name", len(wanted), len(x.documents), originals)
	if len(x.documents) != len(wanted) || originals < 400 {
		t.Errorf("%d documents of %d spans, %d originals", len(x.documents), len(wanted), originals)
	}
}
