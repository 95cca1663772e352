package awscloudwatchlogs

import (
	"context"
	"errors"
	"math"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	upstream "github.com/open-telemetry/opentelemetry-collector-contrib/exporter/awscloudwatchlogsexporter"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/exporter/exportertest"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.uber.org/zap"

	"otel-stack/durable"
	"otel-stack/durable/cloudwatchtest"
)

// vendor takes what `fails` does not refuse, and remembers the records of each call.
type vendor struct {
	component.StartFunc
	component.ShutdownFunc
	fails  func(call int) error
	calls  [][]string
	number int
}

func (*vendor) Capabilities() consumer.Capabilities { return consumer.Capabilities{} }

func (v *vendor) ConsumeLogs(_ context.Context, ld plog.Logs) error {
	v.number++
	if err := v.fails(v.number); err != nil {
		return err
	}
	v.calls = append(v.calls, bodies(ld))
	return nil
}

func bodies(ld plog.Logs) (found []string) {
	for _, resource := range ld.ResourceLogs().All() {
		for _, scope := range resource.ScopeLogs().All() {
			for _, record := range scope.LogRecords().All() {
				found = append(found, record.Body().AsString())
			}
		}
	}
	return found
}

func never(int) error { return nil }

func putting(v *vendor) *putter {
	const pattern = "cruddur\n{ServiceName}"
	return &putter{
		Logs: v, fit: durable.Fitting(pattern), streams: durable.Streams(pattern), known: map[string]bool{},
		taken: durable.NewTaken(component.MustNewID("awscloudwatchlogs"), zap.NewNop()), waiting: map[plog.Logs][]string{},
	}
}

// restarted is the next run of a collector whose queue still has all that was not delivered whole.
func restarted(t *testing.T, p *putter, v *vendor) *putter {
	t.Helper()
	ctx := context.Background()
	if err := p.Shutdown(ctx); err != nil {
		t.Fatal(err)
	}
	next := putting(v)
	if err := next.Start(ctx, componenttest.NewNopHost()); err != nil {
		t.Fatal(err)
	}
	return next
}

func all(v *vendor) map[string]int {
	found := map[string]int{}
	for _, call := range v.calls {
		for _, body := range call {
			found[body]++
		}
	}
	return found
}

// waits is what the retry does with what is left of a batch.
func waits(t *testing.T, err error) plog.Logs {
	t.Helper()
	var rest *durable.RestError[plog.Logs]
	if !errors.As(err, &rest) {
		t.Fatalf("%v", err)
	}
	rest.Waits()
	return rest.Rest
}

func TestAfterAStopComesOnlyWhatWasNotPut(t *testing.T) {
	t.Setenv("QUEUE_DIR", t.TempDir())
	ctx := context.Background()
	away := false
	v := &vendor{fails: func(call int) error {
		if away {
			return errors.New("throttled")
		}
		return nil
	}}
	p := putting(v)
	if err := p.ConsumeLogs(ctx, records(20, "a", "b")); err != nil {
		t.Fatal(err)
	}
	v.calls, v.number = nil, 0
	// One of two streams is put, and then none, for three tries.
	sent := records(40, "a", "b")
	equal := sent.ResourceLogs().At(0).ScopeLogs().At(0).LogRecords()
	equal.At(0).CopyTo(equal.At(1))
	whole := plog.NewLogs()
	sent.CopyTo(whole)
	v.fails = func(call int) error {
		if call > 1 {
			return errors.New("throttled")
		}
		return nil
	}
	rest := waits(t, p.ConsumeLogs(ctx, sent))
	for range 2 {
		rest = waits(t, p.ConsumeLogs(ctx, rest))
	}

	// A stop, a run in which CloudWatch is still away, and another.
	away = true
	v.fails = func(int) error { return errors.New("throttled") }
	p = restarted(t, p, v)
	again := plog.NewLogs()
	whole.CopyTo(again)
	waits(t, p.ConsumeLogs(ctx, again))
	p = restarted(t, p, v)
	v.fails = never
	// It comes in a batch with others than before.
	mixed := records(10, "a")
	for _, record := range mixed.ResourceLogs().At(0).ScopeLogs().At(0).LogRecords().All() {
		record.Body().SetStr("new " + record.Body().AsString())
	}
	whole.ResourceLogs().MoveAndAppendTo(mixed.ResourceLogs())
	if err := p.ConsumeLogs(ctx, mixed); err != nil {
		t.Fatal(err)
	}

	found := all(v)
	if len(found) != 49 {
		t.Fatalf("%d of 49 different ones: %v", len(found), found)
	}
	for body, often := range found {
		if wanted := map[bool]int{true: 2, false: 1}[body == "0"]; often != wanted {
			t.Fatalf("%s is there %d times", body, often)
		}
	}
	// All of it is over: the next run leaves nothing out.
	p = restarted(t, p, v)
	if p.taken.Any() {
		t.Fatal("something is noted of a batch that was put whole")
	}
}

// A batch that is put at the second try is not in the queue any more.
func TestWhatIsPutInTheEndIsNotNoted(t *testing.T) {
	t.Setenv("QUEUE_DIR", t.TempDir())
	v := &vendor{fails: func(call int) error {
		if call == 2 {
			return errors.New("throttled")
		}
		return nil
	}}
	p := putting(v)
	rest := waits(t, p.ConsumeLogs(context.Background(), records(20, "a", "b")))
	if err := p.ConsumeLogs(context.Background(), rest); err != nil {
		t.Fatal(err)
	}
	if p = restarted(t, p, v); p.taken.Any() {
		t.Fatal("noted")
	}
}

// records are numbered; `services` take turns, ten records at a time.
func records(number int, services ...string) plog.Logs {
	ld := plog.NewLogs()
	for i := 0; i < number; {
		resource := ld.ResourceLogs().AppendEmpty()
		resource.Resource().Attributes().PutStr("service.name", services[(i/10)%len(services)])
		list := resource.ScopeLogs().AppendEmpty().LogRecords()
		for range 10 {
			if i == number {
				break
			}
			one := list.AppendEmpty()
			one.SetTimestamp(pcommon.NewTimestampFromTime(time.Now()))
			one.Body().SetStr(strconv.Itoa(i))
			i++
		}
	}
	return ld
}

func TestAStreamsFirstRecordGoesAlone(t *testing.T) {
	v := &vendor{fails: never}
	p := putting(v)
	if err := p.ConsumeLogs(context.Background(), records(40, "a", "b")); err != nil {
		t.Fatal(err)
	}
	sizes := []int{}
	for _, call := range v.calls {
		sizes = append(sizes, len(call))
	}
	if len(sizes) != 4 || sizes[0] != 1 || sizes[1] != 19 && sizes[1] != 1 {
		t.Fatalf("%v", sizes)
	}
	v.calls = nil
	if err := p.ConsumeLogs(context.Background(), records(40, "a", "b")); err != nil || len(v.calls) != 2 {
		t.Fatalf("known streams: %v, %d calls", err, len(v.calls))
	}
}

func TestOnlyWhatWasNotPutComesAgain(t *testing.T) {
	v := &vendor{fails: func(call int) error {
		if call == 2 {
			return errors.New("throttled")
		}
		return nil
	}}
	var rest *durable.RestError[plog.Logs]
	if err := putting(v).ConsumeLogs(context.Background(), records(20, "a")); !errors.As(err, &rest) {
		t.Fatalf("%v", err)
	}
	left := bodies(rest.Rest)
	if len(left) != 19 || left[0] != "1" {
		t.Fatalf("%v", left)
	}
}

func TestAPartIsNotMoreThanOneRequest(t *testing.T) {
	v := &vendor{fails: never}
	ld := records(100, "a")
	for _, resource := range ld.ResourceLogs().All() {
		for _, record := range resource.ScopeLogs().At(0).LogRecords().All() {
			record.Attributes().PutStr("long", strings.Repeat("x", 10_000))
		}
	}
	if err := putting(v).ConsumeLogs(context.Background(), ld); err != nil {
		t.Fatal(err)
	}
	all := map[string]bool{}
	for _, call := range v.calls {
		if len(call)*10_000 > maxPut {
			t.Fatalf("%d records of 10 kB in a part", len(call))
		}
		for _, body := range call {
			all[body] = true
		}
	}
	if len(all) != 100 {
		t.Fatalf("%d of 100", len(all))
	}
}

func TestWhatCloudWatchNeverTakesIsTakenOut(t *testing.T) {
	v := &vendor{fails: never}
	ld := records(10, "a")
	list := ld.ResourceLogs().At(0).ScopeLogs().At(0).LogRecords()
	list.At(3).SetTimestamp(pcommon.NewTimestampFromTime(time.Now().Add(3 * time.Hour)))
	list.At(4).SetTimestamp(pcommon.NewTimestampFromTime(time.Now().Add(-15 * 24 * time.Hour)))
	list.At(5).Attributes().PutEmptySlice("rates").AppendEmpty().SetDouble(math.NaN())
	list.At(6).SetTimestamp(0)

	var partly *durable.PartlyError[plog.Logs]
	if err := putting(v).ConsumeLogs(context.Background(), ld); !errors.As(err, &partly) {
		t.Fatalf("%v", err)
	}
	if out := strings.Join(bodies(partly.Data), " "); out != "3 4 5" {
		t.Fatalf("taken out: %s", out)
	}
	if put := len(v.calls[0]) + len(v.calls[1]); put != 7 {
		t.Fatalf("%d put", put)
	}
}

// Without the fitting each record of such a service is refused: InvalidParameterException.
func TestTheLogsOfAnyServiceReachAStream(t *testing.T) {
	cloudwatch := cloudwatchtest.New(t)
	factory := NewFactory()
	config := factory.CreateDefaultConfig().(*upstream.Config)
	aws := &config.AWSSessionSettings
	aws.Endpoint, aws.Region, aws.MaxRetries = cloudwatch.URL, "eu-west-1", 1
	config.LogGroupName, config.LogStreamName = "cruddur", "{ServiceName}"
	config.QueueSettings = durable.NoQueue()
	ctx := context.Background()
	exporting, err := factory.CreateLogs(ctx, exportertest.NewNopSettings(factory.Type()), config)
	if err != nil {
		t.Fatal(err)
	}
	if err := exporting.Start(ctx, componenttest.NewNopHost()); err != nil {
		t.Fatal(err)
	}

	services := []string{"unknown_service:java", "job-*", "", "backend-flask", "прод"}
	sent := records(len(services)*10, services...)
	before := plog.NewLogs()
	sent.CopyTo(before)
	if err := exporting.ConsumeLogs(ctx, sent); err != nil {
		t.Fatal(err)
	}
	if err := exporting.Shutdown(ctx); err != nil {
		t.Fatal(err)
	}

	originals := map[string]map[any]int{}
	for _, event := range cloudwatch.Events() {
		resource := event.Message["resource"].(map[string]any)
		if resource["service.name"] != event.Stream {
			t.Fatalf("%v in %s", resource, event.Stream)
		}
		if originals[event.Stream] == nil {
			originals[event.Stream] = map[any]int{}
		}
		originals[event.Stream][resource["service.name.original"]]++
	}
	wanted := map[string]map[any]int{
		"unknown_service_java": {"unknown_service:java": 10}, "job-_": {"job-*": 10},
		"unknown_service": {nil: 10}, "backend-flask": {nil: 10}, "_____9126a4f1": {"прод": 10},
	}
	if !reflect.DeepEqual(originals, wanted) {
		t.Fatalf("%v", originals)
	}
	if !reflect.DeepEqual(before, sent) {
		t.Fatal("what other exporters share was changed")
	}
}

func TestWhatTheTranslationPanicsOnIsLeftToTheQueueWithWhatWasNotPut(t *testing.T) {
	v := &vendor{fails: func(call int) error {
		if call == 2 {
			var none []int
			return errors.New(strconv.Itoa(none[len(none)]))
		}
		return nil
	}}
	p := putting(v)
	var rest *durable.RestError[plog.Logs]
	if err := p.ConsumeLogs(context.Background(), records(20, "a", "b", "c")); !errors.As(err, &rest) {
		t.Fatalf("%v", err)
	}
	if put := len(v.calls[0]); !durable.Hopeless(rest) || put == 0 || rest.Rest.LogRecordCount() != 20-put {
		t.Errorf("%v; %d of 20 put, %d left", rest, put, rest.Rest.LogRecordCount())
	}
	p.making.Lock() // A panic let go of it.
	defer p.making.Unlock()
}
