package durable

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

func named(names ...string) ptrace.Traces {
	td := ptrace.NewTraces()
	for _, name := range names {
		// A resource each: what is left of one must not come along empty.
		td.ResourceSpans().AppendEmpty().ScopeSpans().AppendEmpty().Spans().AppendEmpty().SetName(name)
	}
	return td
}

func namesOf(td ptrace.Traces) []string {
	var found []string
	for _, resource := range td.ResourceSpans().All() {
		for _, scope := range resource.ScopeSpans().All() {
			for _, span := range scope.Spans().All() {
				found = append(found, span.Name())
			}
		}
	}
	return found
}

// narrow takes two spans at once, none that is called "fat", and fails once for each name in fails.
type narrow struct {
	component.StartFunc
	component.ShutdownFunc
	mu    sync.Mutex
	fails map[string]bool
	got   []string
	empty int
}

func (*narrow) Capabilities() consumer.Capabilities { return consumer.Capabilities{} }

func (n *narrow) ConsumeTraces(ctx context.Context, td ptrace.Traces) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	names := namesOf(td)
	if len(names) > 2 || slices.Contains(names, "fat") {
		ctx.Value(answerKey{}).(*answer).status = http.StatusRequestEntityTooLarge
		return consumererror.NewPermanent(errors.New("too large"))
	}
	for _, name := range names {
		if n.fails[name] {
			delete(n.fails, name)
			return errors.New("busy")
		}
	}
	n.empty += td.ResourceSpans().Len() - len(names)
	n.got = append(n.got, names...)
	return nil
}

func (n *narrow) has() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Sorted(slices.Values(n.got))
}

func sentTo(t *testing.T, n *narrow, names []string, want int) []string {
	t.Helper()
	made := wrapped(t, n, small(100))
	sent := named(names...)
	if err := made.ConsumeTraces(context.Background(), sent); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); len(n.has()) < want && time.Now().Before(deadline); {
		time.Sleep(10 * time.Millisecond)
	}
	if err := made.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
	if left := namesOf(sent); !slices.Equal(left, names) {
		t.Fatalf("what other exporters may hold became %v", left)
	}
	if n.empty != 0 {
		t.Fatalf("%d resources without a span", n.empty)
	}
	return n.has()
}

func TestWhatIsTooLargeIsSentInSeveral(t *testing.T) {
	folder := t.TempDir()
	t.Setenv("DEAD_LETTER_DIR", folder)
	names := []string{"a", "b", "c", "d", "e", "f", "g"}
	if got := sentTo(t, &narrow{}, names, len(names)); !slices.Equal(got, names) {
		t.Fatalf("%v", got)
	}
	if found, _ := filepath.Glob(filepath.Join(folder, "*", "*.letter")); len(found) != 0 {
		t.Fatalf("letters: %v", found)
	}
}

func TestOneThatIsTooLargeAloneTakesNoOtherWithIt(t *testing.T) {
	folder := t.TempDir()
	t.Setenv("DEAD_LETTER_DIR", folder)
	got := sentTo(t, &narrow{}, []string{"a", "fat", "b", "c", "d", "e"}, 5)
	if !slices.Equal(got, []string{"a", "b", "c", "d", "e"}) {
		t.Fatalf("%v", got)
	}
	found, _ := filepath.Glob(filepath.Join(folder, "*", "*.letter"))
	if len(found) != 1 {
		t.Fatalf("letters: %v", found)
	}
	content, err := newLetters("otlp_http/vendor", "traces").read(found[0])
	if err != nil {
		t.Fatal(err)
	}
	kept, err := traces.unmarshal(content)
	if err != nil || !slices.Equal(namesOf(kept), []string{"fat"}) {
		t.Fatalf("%v, %v", namesOf(kept), err)
	}
}

func TestAPartThatFailsIsTriedAgainWithoutTheOthers(t *testing.T) {
	names := []string{"a", "b", "c", "d", "e", "f", "g", "h"}
	for _, fails := range names {
		t.Run(fails, func(t *testing.T) {
			t.Setenv("DEAD_LETTER_DIR", t.TempDir())
			n := &narrow{fails: map[string]bool{fails: true}}
			if got := sentTo(t, n, names, len(names)); !slices.Equal(got, names) {
				t.Fatalf("%v", got)
			}
		})
	}
}

func TestHalvesOfEverySignal(t *testing.T) {
	md := pmetric.NewMetrics()
	scope := md.ResourceMetrics().AppendEmpty().ScopeMetrics().AppendEmpty()
	for range 2 {
		gauge := scope.Metrics().AppendEmpty().SetEmptyGauge()
		sum := scope.Metrics().AppendEmpty().SetEmptySum()
		histogram := scope.Metrics().AppendEmpty().SetEmptyHistogram()
		exponential := scope.Metrics().AppendEmpty().SetEmptyExponentialHistogram()
		summary := scope.Metrics().AppendEmpty().SetEmptySummary()
		for range 3 {
			gauge.DataPoints().AppendEmpty().SetIntValue(1)
			sum.DataPoints().AppendEmpty().SetIntValue(1)
			histogram.DataPoints().AppendEmpty().SetCount(1)
			exponential.DataPoints().AppendEmpty().SetCount(1)
			summary.DataPoints().AppendEmpty().SetCount(1)
		}
	}
	checkHalves(t, &keeper[pmetric.Metrics]{kind: metrics}, md)

	ld := plog.NewLogs()
	records := ld.ResourceLogs().AppendEmpty().ScopeLogs().AppendEmpty().LogRecords()
	for number := range 7 {
		records.AppendEmpty().Body().SetInt(int64(number))
	}
	checkHalves(t, &keeper[plog.Logs]{kind: logs}, ld)

	checkHalves(t, &keeper[ptrace.Traces]{kind: traces}, named(strings.Split("abcdefg", "")...))
}

func checkHalves[T any](t *testing.T, k *keeper[T], data T) {
	t.Helper()
	all := k.kind.items(data)
	before := content(t, k, data)
	halves := k.halve(data)
	first, second := halves[0], halves[1]
	if k.kind.items(first) != all/2 || k.kind.items(second) != all-all/2 {
		t.Fatalf("%s: %d and %d of %d", k.kind.signal, k.kind.items(first), k.kind.items(second), all)
	}
	if content(t, k, data) != before {
		t.Fatalf("%s: the data itself has changed", k.kind.signal)
	}
}

func content[T any](t *testing.T, k *keeper[T], data T) string {
	t.Helper()
	marshalled, err := k.kind.marshal(data)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%x", marshalled)
}
