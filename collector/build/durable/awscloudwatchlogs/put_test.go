package awscloudwatchlogs

import (
	"context"
	"errors"
	"math"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"

	"otel-stack/durable"
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
	return &putter{Logs: v, streams: durable.Streams("cruddur\n{ServiceName}"), known: map[string]bool{}}
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
