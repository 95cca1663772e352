package awsxrayreceiver

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	upstream "github.com/open-telemetry/opentelemetry-collector-contrib/receiver/awsxrayreceiver"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/open-telemetry/opentelemetry-collector-contrib/receiver/awsxrayreceiver/segments"
)

const header = `{"format": "json", "version": 1}` + "\n"

type fixture struct {
	*intake
	sink      *consumertest.TracesSink
	telemetry *componenttest.Telemetry
}

func newFixture(t testing.TB) *fixture {
	t.Helper()
	telemetry := componenttest.NewTelemetry()
	t.Cleanup(func() { _ = telemetry.Shutdown(context.Background()) })
	sink := new(consumertest.TracesSink)
	made, err := newIntake(receiver.Settings{ID: component.MustNewID("awsxray"), TelemetrySettings: telemetry.NewTelemetrySettings()}, "127.0.0.1:2000", sink)
	if err != nil {
		t.Fatal(err)
	}
	return &fixture{made, sink, telemetry}
}

// counted is a counter's value by the label `reason`, or by "" where it has none.
func (f *fixture) counted(t testing.TB, name string) map[string]int64 {
	t.Helper()
	found := map[string]int64{}
	read, err := f.telemetry.GetMetric(name)
	if err != nil {
		return found // nothing was counted yet
	}
	for _, point := range read.Data.(metricdata.Sum[int64]).DataPoints {
		reason, _ := point.Attributes.Value("reason")
		found[reason.AsString()] += point.Value
	}
	return found
}

func (f *fixture) total(t testing.TB, name string) int64 {
	t.Helper()
	total := int64(0)
	for _, value := range f.counted(t, name) {
		total += value
	}
	return total
}

func (f *fixture) accepted(t testing.TB) int64 { return f.total(t, "otelcol_receiver_accepted_spans") }
func (f *fixture) refusedSpans(t testing.TB) int64 {
	return f.total(t, "otelcol_receiver_refused_spans") + f.total(t, "otelcol_receiver_failed_spans")
}
func (f *fixture) running(t testing.TB) int64 {
	return f.total(t, "otelcol_receiver_in_progress_spans")
}

type object = map[string]any

func segment(changes object) object {
	made := object{
		"name": "shop", "id": "53995c3f42cd8ad8", "trace_id": "1-581cf771-a006649127e371903a2de979",
		"start_time": 1700000000.25, "end_time": 1700000000.5,
	}
	for name, value := range changes {
		if made[name] = value; value == nil {
			delete(made, name)
		}
	}
	return made
}

func packet(document any) []byte {
	body, err := json.Marshal(document)
	if err != nil {
		panic(err)
	}
	return append([]byte(header), body...)
}

func TestEachSegmentCountsOnce(t *testing.T) {
	f := newFixture(t)
	for range 20 {
		f.take(packet(segment(nil)))
	}
	if f.accepted(t) != 20 || f.sink.SpanCount() != 20 || f.refusedSpans(t) != 0 {
		t.Errorf("20 sent: accepted %d, passed on %d, refused %d", f.accepted(t), f.sink.SpanCount(), f.refusedSpans(t))
	}
}

func TestASubsegmentCountsAsASpanOfItsOwn(t *testing.T) {
	f := newFixture(t)
	inner := segment(object{"trace_id": nil, "id": "aaaaaaaaaaaaaaaa"})
	f.take(packet(segment(object{"subsegments": []object{inner, inner}})))
	if f.accepted(t) != 3 || f.sink.SpanCount() != 3 {
		t.Errorf("accepted %d, passed on %d", f.accepted(t), f.sink.SpanCount())
	}
}

func TestWhatIsRefusedIsCountedByItsReason(t *testing.T) {
	for name, one := range map[string]struct {
		packet []byte
		reason string
	}{
		"no line break":               {[]byte("garbage"), reasonHeader},
		"a header of version 2":       {[]byte(`{"format": "json", "version": 2}` + "\n{}"), reasonHeader},
		"a header alone":              {[]byte(header), reasonEmpty},
		"half a segment":              {[]byte(header + `{"name": "shop"`), reasonJSON},
		"a list":                      {packet([]int{1}), reasonType},
		"a name alone":                {packet(object{"name": "x"}), reasonSegment},
		"no name":                     {packet(segment(object{"name": nil})), reasonSegment},
		"a short id":                  {packet(segment(object{"id": "5399"})), reasonSegment},
		"no trace id":                 {packet(segment(object{"trace_id": nil})), reasonSegment},
		"a W3C trace id":              {packet(segment(object{"trace_id": "581cf771a006649127e371903a2de979"})), reasonSegment},
		"an overlong trace id":        {packet(segment(object{"trace_id": "1-581cf771-a006649127e371903a2de979aabbccdd"})), reasonSegment},
		"milliseconds":                {packet(segment(object{"start_time": 1700000000250.0})), reasonSegment},
		"a time as text":              {packet(segment(object{"start_time": "now"})), reasonType},
		"a status as text":            {packet(segment(object{"http": object{"response": object{"status": "200"}}})), reasonType},
		"a user as number":            {packet(segment(object{"user": 7})), reasonType},
		"an overlong trace id inside": {packet(segment(object{"subsegments": []object{segment(object{"trace_id": "1-581cf771-a006649127e371903a2de979aabbccdd"})}})), reasonSegment},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			f.take(one.packet)
			reasons := f.counted(t, "otelcol_receiver_refused_requests")
			if !maps.Equal(reasons, map[string]int64{one.reason: 1}) {
				t.Errorf("refused by reason: %v", reasons)
			}
			if f.accepted(t) != 0 || f.sink.SpanCount() != 0 || f.refusedSpans(t) < 1 {
				t.Errorf("accepted %d, passed on %d, refused %d", f.accepted(t), f.sink.SpanCount(), f.refusedSpans(t))
			}
		})
	}
}

func TestASegmentInProgressHasNoLengthAndIsNotYetAccepted(t *testing.T) {
	for name, changes := range map[string]object{
		"as X-Ray documents it": {"end_time": nil, "in_progress": true},
		"without a word":        {"end_time": nil},
		"with an end of 0":      {"end_time": 0},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			f.take(packet(segment(changes)))
			span := f.sink.AllTraces()[0].ResourceSpans().At(0).ScopeSpans().At(0).Spans().At(0)
			said, _ := span.Attributes().Get(segments.InProgress)
			if span.EndTimestamp() != span.StartTimestamp() || !said.Bool() {
				t.Errorf("from %d to %d, in progress: %v", span.StartTimestamp(), span.EndTimestamp(), said.Bool())
			}
			if f.accepted(t) != 0 || f.running(t) != 1 || f.refusedSpans(t) != 0 {
				t.Errorf("accepted %d, in progress %d, refused %d", f.accepted(t), f.running(t), f.refusedSpans(t))
			}
		})
	}
}

func TestAnEndSaysThatASegmentHasEnded(t *testing.T) {
	f := newFixture(t)
	f.take(packet(segment(object{"in_progress": true})))
	span := f.sink.AllTraces()[0].ResourceSpans().At(0).ScopeSpans().At(0).Spans().At(0)
	if _, found := span.Attributes().Get(segments.InProgress); found || f.accepted(t) != 1 || f.running(t) != 0 {
		t.Errorf("attribute: %v, accepted %d, in progress %d", found, f.accepted(t), f.running(t))
	}
}

func TestAnEndBeforeItsStartIsRepairedAndCounted(t *testing.T) {
	f := newFixture(t)
	f.take(packet(segment(object{"start_time": 1700000000.5, "end_time": 1600000000.5})))
	span := f.sink.AllTraces()[0].ResourceSpans().At(0).ScopeSpans().At(0).Spans().At(0)
	was, _ := span.Attributes().Get(timeRepaired)
	if span.EndTimestamp() != span.StartTimestamp() || was.Str() != "start 1700000000500000000, end 1600000000500000000" || f.total(t, "otelcol_receiver_repaired_values") != 1 {
		t.Errorf("from %d to %d, %q", span.StartTimestamp(), span.EndTimestamp(), was.Str())
	}
}

func TestTheLastRefusalSaysWhoseItWasAndWhatHelps(t *testing.T) {
	f := newFixture(t)
	sdk := object{"xray": object{"sdk": "X-Ray for Go", "sdk_version": "1.8\x1b[31m"}}
	f.take(packet(segment(object{"aws": sdk, "id": "5399"})))
	read, err := f.telemetry.GetMetric("otelcol_receiver_refused_requests_last")
	if err != nil {
		t.Fatal(err)
	}
	labels := read.Data.(metricdata.Gauge[int64]).DataPoints[0].Attributes
	for name, want := range map[attribute.Key]string{
		"receiver": "awsxray", "protocol": "udp", "path": "127.0.0.1:2000", "reason": reasonSegment,
		"user_agent": "X-Ray for Go 1.8?[31m", "detail": "id is no 16 hexadecimal digits", "why": cures[reasonSegment],
	} {
		if got, _ := labels.Value(name); got.AsString() != want {
			t.Errorf("%s: %q, not %q", name, got.AsString(), want)
		}
	}
}

func TestWhatThePipelineDoesNotTakeIsNotAccepted(t *testing.T) {
	f := newFixture(t)
	f.next = consumertest.NewErr(errors.New("no room"))
	f.take(packet(segment(nil)))
	f.take(packet(segment(object{"end_time": nil})))
	if got := f.counted(t, "otelcol_receiver_refused_requests"); got[reasonBusy] != 2 || f.refusedSpans(t) != 2 || f.accepted(t)+f.running(t) != 0 {
		t.Errorf("%v, refused %d, accepted %d, in progress %d", got, f.refusedSpans(t), f.accepted(t), f.running(t))
	}
}

func TestAPanicIsARefusal(t *testing.T) {
	f := newFixture(t)
	f.next = nil
	f.take(packet(segment(nil)))
	if got := f.counted(t, "otelcol_receiver_refused_requests"); got[reasonForeign] != 1 {
		t.Errorf("%v", got)
	}
}

// Upstream's own samples: what its tests take and what they do not.
func TestTheSamplesOfUpstream(t *testing.T) {
	listed := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/open-telemetry/opentelemetry-collector-contrib/internal/aws/xray")
	listed.Dir = ".." // the module that has all versions
	folder, err := listed.Output()
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(folder)), "testdata", "*.txt"))
	if err != nil || len(files) < 15 {
		t.Fatal(len(files), err)
	}
	want := map[string]string{
		"invalidNamespace.txt": reasonForeign, "indepSubsegmentWithInvalidSqlUrl.txt": reasonForeign,
		"minCauseIsInvalid.txt": reasonForeign, "segmentValidationFailed.txt": reasonSegment,
	}
	for _, file := range files {
		body, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		f := newFixture(t)
		f.take(append([]byte(header), body...))
		reasons := f.counted(t, "otelcol_receiver_refused_requests")
		if reason := want[filepath.Base(file)]; reason != "" && reasons[reason] != 1 || reason == "" && len(reasons) != 0 {
			t.Errorf("%s: %v", filepath.Base(file), reasons)
		}
	}
}

// values are what a member can be and should not.
func values() []any {
	return []any{
		nil, true, false, 0, -1, 1.5, 1e308, int64(1) << 62, "", "x", strings.Repeat("a", 300), "\x00", "1-581cf771-a006649127e371903a2de979",
		"53995c3f42cd8ad8", []any{}, []any{nil}, []any{1, "a"}, object{}, object{"id": nil}, object{"a": object{"b": []any{nil}}},
	}
}

// full has every member that X-Ray documents.
func full() object {
	cause := object{"working_directory": "/", "paths": []any{"a"}, "exceptions": []any{object{
		"id": "cccccccccccccccc", "message": "m", "type": "T", "remote": true, "truncated": 0, "skipped": 0, "cause": "dddddddddddddddd",
		"stack": []any{object{"path": "a.py", "line": 1, "label": "f"}},
	}}}
	return segment(object{
		"parent_id": "bbbbbbbbbbbbbbbb", "type": "subsegment", "namespace": "remote", "origin": "AWS::EC2::Instance", "user": "u",
		"service": object{"version": "1"}, "resource_arn": "arn", "in_progress": false, "fault": true, "error": true, "throttle": true,
		"http": object{
			"request":  object{"method": "GET", "url": "http://a/b", "user_agent": "c", "client_ip": "::1", "x_forwarded_for": true, "traced": true},
			"response": object{"status": 200, "content_length": 3},
		},
		"aws": object{
			"account_id": "1", "operation": "Get", "region": "us-east-1", "request_id": "r", "queue_url": "q", "table_name": "t", "retries": 1,
			"ec2": object{"availability_zone": "a", "instance_id": "i"}, "ecs": object{"container": "c"}, "eks": object{"pod": "p"},
			"elastic_beanstalk": object{"environment_name": "e", "deployment_id": 1, "version_label": "v"},
			"xray":              object{"sdk": "X-Ray for Python", "sdk_version": "2", "auto_instrumentation": true}, "cloudwatch_logs": []any{object{"log_group": "g", "arn": "a"}},
		},
		"sql":         object{"url": "jdbc:postgresql://h:1/d", "sanitized_query": "q", "database_type": "PostgreSQL", "database_version": "9", "driver_version": "1", "user": "u", "preparation": "call", "connection_string": "c"},
		"annotations": object{"a": 1, "b": 1.5, "c": true, "d": "x"}, "metadata": object{"default": object{"k": []any{1, "a"}}},
		"links": []any{object{"trace_id": "1-581cf771-a006649127e371903a2de979", "id": "eeeeeeeeeeeeeeee", "attributes": object{"a": "b"}}},
		"cause": cause, "precursor_ids": []any{"ffffffffffffffff"}, "traced": true,
		"subsegments": []any{segment(object{"trace_id": nil, "cause": "cccccccccccccccc", "namespace": "aws", "in_progress": true, "end_time": nil})},
	})
}

func pick(random *rand.Rand) any {
	all := values()
	return all[random.IntN(len(all))]
}

// change gives one member, somewhere in there, another value, or takes it away.
func change(random *rand.Rand, in any) {
	switch holder := in.(type) {
	case object:
		names := slices.Sorted(maps.Keys(holder))
		if len(names) == 0 {
			return
		}
		name := names[random.IntN(len(names))]
		if inner := holder[name]; random.IntN(3) > 0 && isHolder(inner) {
			change(random, inner)
		} else if holder[name] = pick(random); random.IntN(6) == 0 {
			delete(holder, name)
		}
	case []any:
		if len(holder) == 0 {
			return
		}
		at := random.IntN(len(holder))
		if random.IntN(3) > 0 && isHolder(holder[at]) {
			change(random, holder[at])
		} else {
			holder[at] = pick(random)
		}
	}
}

func isHolder(value any) bool {
	switch value.(type) {
	case object, []any:
		return true
	}
	return false
}

// 20,000 segments with members that are something else: each is passed on or refused, and counted.
func TestWhateverIsSentIsCounted(t *testing.T) {
	const inputs = 20_000
	random := rand.New(rand.NewPCG(11, 0))
	f := newFixture(t)
	passed, spans := int64(0), int64(0)
	for range inputs {
		one := full()
		for range random.IntN(3) {
			change(random, one)
		}
		body := packet(one)
		if random.IntN(10) == 0 {
			body = body[:random.IntN(len(body))]
		}
		f.take(body)
		for _, traces := range f.sink.AllTraces() {
			passed++
			spans += int64(traces.SpanCount())
			for _, span := range traces.ResourceSpans().At(0).ScopeSpans().At(0).Spans().All() {
				if span.StartTimestamp() == 0 || span.EndTimestamp() == 0 {
					t.Fatalf("from %d to %d: %s", span.StartTimestamp(), span.EndTimestamp(), body)
				}
			}
		}
		f.sink.Reset()
	}
	reasons := f.counted(t, "otelcol_receiver_refused_requests")
	refused := f.total(t, "otelcol_receiver_refused_requests")
	t.Logf("%d packets: %d passed on (%d spans accepted, %d in progress), %d refused: %v", inputs, passed, f.accepted(t), f.running(t), refused, reasons)
	if passed+refused != inputs || f.accepted(t)+f.running(t) != spans {
		t.Error("not all is counted")
	}
	for _, reason := range []string{reasonHeader, reasonJSON, reasonType, reasonSegment} {
		if reasons[reason] == 0 || passed < inputs/10 {
			t.Errorf("too few kinds of packets: %v, %d passed on", reasons, passed)
		}
	}
}

func TestSegmentsByUDP(t *testing.T) {
	socket, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	address := socket.LocalAddr().String()
	_ = socket.Close()
	factory := NewFactory()
	config := factory.CreateDefaultConfig().(*upstream.Config)
	config.Endpoint, config.ProxyServer.Endpoint = address, "127.0.0.1:0"
	sink := new(consumertest.TracesSink)
	set := receiver.Settings{ID: component.NewID(factory.Type()), TelemetrySettings: componenttest.NewNopTelemetrySettings()}
	made, err := factory.CreateTraces(context.Background(), set, config, sink)
	if err != nil {
		t.Fatal(err)
	}
	if err := made.Start(context.Background(), componenttest.NewNopHost()); err != nil {
		t.Fatal(err)
	}
	sender, err := net.Dial("udp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer sender.Close()
	for deadline := time.Now().Add(time.Minute); sink.SpanCount() == 0; time.Sleep(10 * time.Millisecond) {
		if _, err := sender.Write(packet(segment(nil))); err != nil || time.Now().After(deadline) {
			t.Fatal("nothing arrived", err)
		}
	}
	if err := made.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
}
