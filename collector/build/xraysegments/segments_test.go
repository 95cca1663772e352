package segments

import (
	"testing"

	"go.opentelemetry.io/collector/component"
)

const header = "{\"format\": \"json\", \"version\": 1}\n"

func TestASegmentInProgressIsASpanThatSaysSo(t *testing.T) {
	document, err := Split([]byte(header + `{
		"name": "shop", "id": "70de5b6f19ff9a0a", "trace_id": "1-581cf771-a006649127e371903a2de979",
		"start_time": 1478293361.271, "in_progress": true
	}`))
	if err != nil {
		t.Fatal(err)
	}
	traces, err := Translate(document, component.MustNewID("awsxray"))
	if err != nil {
		t.Fatal(err)
	}
	if traces.SpanCount() != 1 {
		t.Fatalf("%d spans", traces.SpanCount())
	}
	span := traces.ResourceSpans().At(0).ScopeSpans().At(0).Spans().At(0)
	if said, found := span.Attributes().Get(InProgress); !found || !said.Bool() || span.Name() != "shop" {
		t.Errorf("%s: %v", span.Name(), span.Attributes().AsRaw())
	}
}

func TestAPacketWithoutItsHeaderIsNoSegment(t *testing.T) {
	if _, err := Split([]byte(`{"name": "shop"}`)); err == nil {
		t.Error("taken")
	}
}
