package documents

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/open-telemetry/opentelemetry-collector-contrib/exporter/awsxrayexporter"
	"github.com/open-telemetry/opentelemetry-collector-contrib/exporter/awsxrayexporter/internal/translator"
)

func config() *awsxrayexporter.Config {
	return awsxrayexporter.NewFactory().CreateDefaultConfig().(*awsxrayexporter.Config)
}

func asItIs(name string) string { return name }

func spanOf(kind ptrace.SpanKind, attributes map[string]any) ptrace.Span {
	span := ptrace.NewSpan()
	now := time.Now()
	id := pcommon.TraceID{15: 1}
	for byte := range 4 {
		id[byte] = uint8(now.Unix() >> (24 - 8*byte))
	}
	span.SetTraceID(id)
	span.SetSpanID(pcommon.SpanID{7: 7})
	span.SetParentSpanID(pcommon.SpanID{7: 6})
	span.SetKind(kind)
	span.SetName("GET /cart")
	span.SetStartTimestamp(pcommon.NewTimestampFromTime(now.Add(-time.Second)))
	span.SetEndTimestamp(pcommon.NewTimestampFromTime(now))
	_ = span.Attributes().FromRaw(attributes)
	return span
}

func parsed(t *testing.T, documents []string) (all []map[string]any) {
	t.Helper()
	for _, document := range documents {
		one := map[string]any{}
		if err := json.Unmarshal([]byte(document), &one); err != nil {
			t.Fatal(err)
		}
		all = append(all, one)
	}
	return all
}

// The spans of upstream's own tests of LOCAL_ROOT (segment_test.go): every kind, with and without names.
func TestTheSameSpanHasTheSameIDsAndAllElseIsUpstreams(t *testing.T) {
	resource := pcommon.NewResource()
	resource.Attributes().PutStr("service.name", "shop")
	for _, kind := range []ptrace.SpanKind{
		ptrace.SpanKindUnspecified, ptrace.SpanKindInternal, ptrace.SpanKindServer, ptrace.SpanKindClient,
		ptrace.SpanKindProducer, ptrace.SpanKindConsumer,
	} {
		for what, attributes := range map[string]map[string]any{
			"not a local root": {"aws.span.kind": "CLIENT"},
			"with names": {
				"aws.span.kind": "LOCAL_ROOT", "aws.local.service": "shop", "aws.remote.service": "stripe",
				"aws.remote.operation": "charge",
			},
			"of the SDK":    {"aws.span.kind": "LOCAL_ROOT", "rpc.system": "aws-api", "aws.remote.service": "AWS.SDK.S3"},
			"without names": {"aws.span.kind": "LOCAL_ROOT"},
		} {
			span := spanOf(kind, attributes)
			theirs, err := translator.MakeSegmentDocuments(span, resource, nil, false, nil, false)
			if err != nil {
				t.Fatal(err)
			}
			ours, err := Make(span, resource, config(), asItIs)
			if err != nil {
				t.Fatal(err)
			}
			again, err := Make(span, resource, config(), asItIs)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(ours, again) {
				t.Errorf("%v, %s: the same span becomes\n%v\nand then\n%v", kind, what, ours, again)
			}
			upstreams, own := parsed(t, theirs), parsed(t, texts(t, ours))
			if len(own) == 2 {
				dependency, service := own[0], own[1]
				if dependency["id"] != span.SpanID().String() || dependency["parent_id"] != service["id"] {
					t.Errorf("%v, %s: %v of %v", kind, what, dependency, service)
				}
				if service["id"] == dependency["id"] || service["parent_id"] != span.ParentSpanID().String() {
					t.Errorf("%v, %s: %v", kind, what, service)
				}
				for _, pair := range [][]map[string]any{upstreams, own} {
					delete(pair[0], "parent_id")
					delete(pair[1], "id")
				}
			}
			if !reflect.DeepEqual(own, upstreams) {
				t.Errorf("%v, %s: not upstream's:\n%v\n%v", kind, what, own, upstreams)
			}
		}
	}
}

// texts are the documents, whose ids are those that are written in them.
func texts(t *testing.T, made []Document) (all []string) {
	t.Helper()
	for _, one := range made {
		all = append(all, one.Text)
	}
	for number, segment := range parsed(t, all) {
		if id := fmt.Sprintf("%s:%s", segment["trace_id"], segment["id"]); id != made[number].ID {
			t.Errorf("%s is called %s", id, made[number].ID)
		}
	}
	return all
}

func TestSpansOfOneTraceHaveServicesOfTheirOwn(t *testing.T) {
	one := spanOf(ptrace.SpanKindClient, nil)
	other := spanOf(ptrace.SpanKindClient, nil)
	other.SetSpanID(pcommon.SpanID{7: 8})
	elsewhere := spanOf(ptrace.SpanKindClient, nil)
	elsewhere.SetTraceID(pcommon.TraceID{1: 1})
	if serviceID(one) == serviceID(other) || serviceID(one) == serviceID(elsewhere) || len(serviceID(one)) != 16 {
		t.Error(serviceID(one), serviceID(other), serviceID(elsewhere))
	}
}

func TestASpanInProgressThatOthersShareStaysAsItIs(t *testing.T) {
	td := ptrace.NewTraces()
	spanOf(ptrace.SpanKindServer, map[string]any{"aws.xray.inprogress": true}).
		CopyTo(td.ResourceSpans().AppendEmpty().ScopeSpans().AppendEmpty().Spans().AppendEmpty())
	td.MarkReadOnly()
	span := td.ResourceSpans().At(0).ScopeSpans().At(0).Spans().At(0)
	made, err := Make(span, pcommon.NewResource(), config(), asItIs)
	if err != nil || len(made) != 1 || !strings.Contains(made[0].Text, `"in_progress":true`) {
		t.Error(made, err)
	}
}

func stacked(language string, stacks ...string) (ptrace.Span, pcommon.Resource) {
	span := spanOf(ptrace.SpanKindServer, nil)
	for _, stack := range stacks {
		event := span.Events().AppendEmpty()
		event.SetName("exception")
		event.Attributes().PutStr("exception.stacktrace", stack)
	}
	resource := pcommon.NewResource()
	resource.Attributes().PutStr("telemetry.sdk.language", language)
	return span, resource
}

func TestAStackTraceOfAnyLengthTakesShort(t *testing.T) {
	lines := strings.Repeat("x\n", 1<<20)
	for language, stack := range map[string]string{
		"java":       "E: m\n\tat a.B(C.java:1)\nCaused by: F: n\n" + lines,
		"python":     lines + "Traceback\n  File \"a.py\", line 1, in f\nE: m\n",
		"javascript": "E: m\n" + strings.Repeat("    at a (b:1:1)\n", 1<<17),
		"dotnet":     "E: m\n" + strings.Repeat("   at A.B() in /c.cs:line 1\n", 1<<17),
		"go":         "E: m\n" + lines,
	} {
		span, resource := stacked(language, stack, stack)
		began := time.Now()
		if _, err := Make(span, resource, config(), asItIs); err != nil {
			t.Error(language, err)
		}
		if took := time.Since(began); took > 3*time.Second {
			t.Errorf("%s: %v", language, took)
		}
		if kept := span.Events().At(0).Attributes(); len(kept.AsRaw()["exception.stacktrace"].(string)) != len(stack) {
			t.Errorf("%s: others' span was cut", language)
		}
	}
}

func TestACutStackKeepsWhatIsNearestToTheError(t *testing.T) {
	frames := strings.Repeat("    at far (b.js:9:9)\n", maxStacks/10)
	span, resource := stacked("javascript", "E: m\n    at near (a.js:1:1)\n"+frames)
	made, err := Make(span, resource, config(), asItIs)
	if err != nil || !strings.Contains(made[0].Text, `"label":"near "`) {
		t.Error("javascript", err)
	}
	frames = strings.Repeat("  File \"b.py\", line 9, in far\n", maxStacks/10)
	span, resource = stacked("python", "Traceback (most recent call last):\n"+frames+"  File \"a.py\", line 1, in near\nE: m\n")
	made, err = Make(span, resource, config(), asItIs)
	if err != nil || !strings.Contains(made[0].Text, `"label":"near"`) {
		t.Error("python", err)
	}
}
