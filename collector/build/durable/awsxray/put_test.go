package awsxray

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/xray/types"
	"go.opentelemetry.io/collector/pdata/ptrace"
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
	p := &putter{taken: map[string]struct{}{}}
	all := []segment{{id: "t:a"}, {id: "t:b"}}
	p.remember(all, all[1:])
	if rest := p.notTaken(all); len(rest) != 1 || rest[0].id != "t:b" {
		t.Fatalf("%v", rest)
	}
	p.forget(all)
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
