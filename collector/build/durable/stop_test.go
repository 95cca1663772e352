package durable

import (
	"context"
	"testing"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

// stopped sets since when exporters are stopped and when the process was told; 0 for not at all.
func stopped(t *testing.T, since, told time.Duration) {
	t.Helper()
	ago := func(age time.Duration) time.Time {
		if age == 0 {
			return time.Time{}
		}
		return time.Now().Add(-age)
	}
	set := func(since, told time.Time) {
		stopping.Lock()
		defer stopping.Unlock()
		stopping.since, stopping.told = since, told
	}
	set(ago(since), ago(told))
	t.Cleanup(func() { set(time.Time{}, time.Time{}) })
}

func TestTheTimeOfAStopIsSharedByAllWhoWait(t *testing.T) {
	for name, of := range map[string]struct{ since, told, want time.Duration }{
		"the first has all of it":                  {0, 0, patience},
		"who comes two seconds later has the rest": {2 * time.Second, 2 * time.Second, patience - 2*time.Second},
		"who comes late has a moment":              {8 * time.Second, 8 * time.Second, atLeast},
		"receivers took a part before the first":   {0, 5500 * time.Millisecond, allInAll - 5500*time.Millisecond},
		"receivers took all of it":                 {0, 20 * time.Second, 0},
		"a reload that takes long":                 {9 * time.Second, 0, atLeast},
		"a reload of before is over":               {time.Minute, 0, patience},
	} {
		began := time.Now()
		stopped(t, of.since, of.told)
		left := grace()
		if passed := time.Since(began); left > of.want || left < of.want-passed {
			t.Errorf("%s: %v, not %v, %v later", name, left, of.want, passed)
		}
	}
}

func TestHoweverManyHangTheEndComesInTime(t *testing.T) {
	taken := allInAll - 100*time.Millisecond
	for range 50 {
		stopped(t, patience, taken)
		taken += grace()
	}
	if taken > lastCall {
		t.Errorf("fifty that hang take %v", taken)
	}
}

// hanging answers when it is given up, and says when it was asked.
type hanging struct {
	component.StartFunc
	component.ShutdownFunc
	asked chan struct{}
}

func (*hanging) Capabilities() consumer.Capabilities { return consumer.Capabilities{} }

func (h *hanging) ConsumeTraces(ctx context.Context, _ ptrace.Traces) error {
	select {
	case h.asked <- struct{}{}:
	default:
	}
	<-ctx.Done()
	return ctx.Err()
}

func hung(t *testing.T, queue Queue) (exporter.Traces, *hanging) {
	t.Helper()
	v := &hanging{asked: make(chan struct{}, 1)}
	set := exporter.Settings{
		ID:                component.MustNewIDWithName("awsxray", "hanging"),
		TelemetrySettings: componenttest.NewNopTelemetrySettings(),
	}
	made, err := Traces(t.Context(), Settings{Settings: set, Config: &struct{}{}, Queue: queue}, v)
	if err != nil {
		t.Fatal(err)
	}
	if err := made.Start(t.Context(), componenttest.NewNopHost()); err != nil {
		t.Fatal(err)
	}
	return made, v
}

// inTime is for what would last for ever.
func inTime(t *testing.T, what string, done <-chan error) error {
	t.Helper()
	select {
	case err := <-done:
		return err
	case <-time.After(20 * time.Second):
		t.Fatalf("%s: nobody ended it", what)
		return nil
	}
}

func TestAVendorThatHangsIsNotWaitedForLonger(t *testing.T) {
	t.Setenv("DEAD_LETTER_DIR", t.TempDir())
	made, v := hung(t, small(10))
	if err := made.ConsumeTraces(context.Background(), spans(1)); err != nil {
		t.Fatal(err)
	}
	<-v.asked
	stopped(t, 9*time.Second, 0)
	ended := make(chan error, 1)
	began := time.Now()
	go func() { ended <- made.Shutdown(context.Background()) }()
	_ = inTime(t, "a stop beside a vendor that hangs", ended)
	if took := time.Since(began); took < atLeast {
		t.Errorf("given up after %v", took)
	}
}
