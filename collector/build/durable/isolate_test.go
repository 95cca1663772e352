package durable

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/exporter/exporterhelper"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

// choking takes every span but those that are called "poison…", on which it fails as it is told.
type choking struct {
	component.StartFunc
	component.ShutdownFunc
	choke func(context.Context) error
	mu    sync.Mutex
	down  bool
	asked int
	got   []string
}

func (*choking) Capabilities() consumer.Capabilities { return consumer.Capabilities{} }

func (c *choking) ConsumeTraces(ctx context.Context, td ptrace.Traces) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked++
	if c.down {
		return answered(ctx, http.StatusServiceUnavailable)
	}
	names := namesOf(td)
	for _, name := range names {
		if strings.HasPrefix(name, "poison") {
			return c.choke(ctx)
		}
	}
	c.got = append(c.got, names...)
	return nil
}

func (c *choking) state() (asked int, got []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.asked, slices.Sorted(slices.Values(c.got))
}

func (c *choking) set(down bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.down = down
}

func answered(ctx context.Context, code int) error {
	ctx.Value(answerKey{}).(*answer).status = code
	return consumererror.NewPermanent(fmt.Errorf("answered with %d", code))
}

var chokes = map[string]func(context.Context) error{
	"panics": func(context.Context) error {
		var none []int
		return fmt.Errorf("never %d", none[len(none)])
	},
	"400":      func(ctx context.Context) error { return answered(ctx, http.StatusBadRequest) },
	"500":      func(ctx context.Context) error { return answered(ctx, http.StatusInternalServerError) },
	"hangs up": func(context.Context) error { return &url.Error{Op: "Post", Err: io.EOF} },
	"timeout": func(context.Context) error {
		return &url.Error{Op: "Post", Err: context.DeadlineExceeded}
	},
	"an error that never ends": func(context.Context) error { return errors.New("cannot be translated") },
}

// letter is what a dead letter says, and the names of its spans.
type said struct {
	header
	names []string
}

func lettersIn(t *testing.T, folder string) (all []said) {
	t.Helper()
	found, _ := filepath.Glob(filepath.Join(folder, "*", "*"+suffix))
	for _, path := range found {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		first, data, _ := bytes.Cut(content, []byte{'\n'})
		one := said{}
		if err := json.Unmarshal(first, &one.header); err != nil {
			t.Fatal(err)
		}
		td, err := traces.unmarshal(data)
		if err != nil {
			t.Fatal(err)
		}
		one.names = namesOf(td)
		all = append(all, one)
	}
	return all
}

func until(t *testing.T, what string, happened func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !happened(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("never:", what)
		}
	}
}

func TestWhatAnExporterCannotDeliverIsRefusedAloneAndAllElsePasses(t *testing.T) {
	for how, choke := range chokes {
		t.Run(how, func(t *testing.T) {
			folder := t.TempDir()
			t.Setenv("DEAD_LETTER_DIR", folder)
			c := &choking{choke: choke}
			made := wrapped(t, c, small(1000))
			var want []string
			names := []string{"poison first"}
			for number := range 40 {
				names = append(names, fmt.Sprintf("span %02d", number))
				want = append(want, names[len(names)-1])
				if number == 25 {
					names = append(names, "poison between")
				}
			}
			sent := named(names...)
			sent.ResourceSpans().At(0).Resource().Attributes().PutStr("service.name", "shop")
			if err := made.ConsumeTraces(context.Background(), sent); err != nil {
				t.Fatal(err)
			}
			until(t, "two letters", func() bool { return len(lettersIn(t, folder)) >= 2 })
			if err := made.Shutdown(context.Background()); err != nil {
				t.Fatal(err)
			}

			if _, got := c.state(); !slices.Equal(got, want) {
				t.Errorf("delivered: %v", got)
			}
			all := lettersIn(t, folder)
			if len(all) != 2 {
				t.Fatalf("%d letters: %+v", len(all), all)
			}
			for _, one := range all {
				if len(one.names) != 1 || one.Refused != 1 || one.Reason == "" {
					t.Errorf("%+v", one)
				}
				if one.names[0] == "poison first" && one.Service != "shop" {
					t.Errorf("whose it is: %q", one.Service)
				}
				if how == "panics" && !strings.Contains(one.Reason, "index out of range [0] with length 0, in durable.init.func") {
					t.Errorf("the reason: %s", one.Reason)
				}
			}
		})
	}
}

func TestPoisonInEveryConsumersHandsDoesNotStopTheQueue(t *testing.T) {
	for how, choke := range chokes {
		t.Run(how, func(t *testing.T) {
			folder := t.TempDir()
			t.Setenv("DEAD_LETTER_DIR", folder)
			c := &choking{choke: choke}
			queue := exporterhelper.NewDefaultQueueConfig()
			queue.QueueSize, queue.NumConsumers = 100, 2
			made := wrapped(t, c, configoptional.Some(queue))
			for number := range 4 {
				if err := made.ConsumeTraces(context.Background(), named(fmt.Sprint("poison ", number))); err != nil {
					t.Fatal(err)
				}
			}
			if err := made.ConsumeTraces(context.Background(), named("ordinary")); err != nil {
				t.Fatal(err)
			}
			until(t, "the ordinary span", func() bool { _, got := c.state(); return len(got) == 1 })
			// While the others are tried something has to pass, else nobody can tell.
			until(t, "four letters", func() bool {
				_ = made.ConsumeTraces(context.Background(), named("more"))
				return len(lettersIn(t, folder)) >= 4
			})
			if err := made.Shutdown(context.Background()); err != nil {
				t.Fatal(err)
			}
			if all := lettersIn(t, folder); len(all) != 4 {
				t.Errorf("%d letters: %+v", len(all), all)
			}
		})
	}
}

func TestAVendorThatIsDownForLongRefusesNothing(t *testing.T) {
	folder := t.TempDir()
	t.Setenv("DEAD_LETTER_DIR", folder)
	c := &choking{down: true}
	queue := exporterhelper.NewDefaultQueueConfig()
	queue.QueueSize, queue.NumConsumers = 100, 2
	made := wrapped(t, c, configoptional.Some(queue))
	var want []string
	for number := range 6 {
		one, two := fmt.Sprint("span ", number, " a"), fmt.Sprint("span ", number, " b")
		want = append(want, one, two)
		if err := made.ConsumeTraces(context.Background(), named(one, two)); err != nil {
			t.Fatal(err)
		}
	}
	until(t, "five rounds of all that waits", func() bool { asked, _ := c.state(); return asked > 2*5*suspectAttempts })
	c.set(false)
	until(t, "all of it", func() bool { _, got := c.state(); return len(got) >= len(want) })
	if err := made.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
	if _, got := c.state(); !slices.Equal(got, want) {
		t.Errorf("%v", got)
	}
	if all := lettersIn(t, folder); len(all) != 0 {
		t.Errorf("%+v", all)
	}
}

func TestAWrongPathIsNotTriedWithEachItem(t *testing.T) {
	folder := t.TempDir()
	t.Setenv("DEAD_LETTER_DIR", folder)
	c := &choking{choke: func(ctx context.Context) error { return answered(ctx, http.StatusNotFound) }}
	made := wrapped(t, c, small(100))
	if err := made.ConsumeTraces(context.Background(), named("poison", "b", "c", "d")); err != nil {
		t.Fatal(err)
	}
	until(t, "a letter", func() bool { return len(lettersIn(t, folder)) > 0 })
	if err := made.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
	if asked, _ := c.state(); asked != 1 {
		t.Errorf("asked %d times", asked)
	}
	if all := lettersIn(t, folder); len(all) != 1 || len(all[0].names) != 4 {
		t.Errorf("%+v", all)
	}
}

func TestBehindAHopAPanicIsTheSendersToKeep(t *testing.T) {
	folder := t.TempDir()
	t.Setenv("DEAD_LETTER_DIR", folder)
	made := wrapped(t, &choking{choke: chokes["panics"]}, NoQueue())
	err := made.ConsumeTraces(context.Background(), named("poison", "b"))
	if !consumererror.IsPermanent(err) || !strings.Contains(err.Error(), "panicked") {
		t.Errorf("%v", err)
	}
	if all := lettersIn(t, folder); len(all) != 0 {
		t.Errorf("kept twice: %+v", all)
	}
}

func TestEachRefusedPartHasItsOwnReason(t *testing.T) {
	folder := t.TempDir()
	t.Setenv("DEAD_LETTER_DIR", folder)
	v := &vendor{say: func() error {
		return errors.Join(
			&PartlyError[ptrace.Traces]{Data: named("a"), Reason: "too old"},
			&PartlyError[ptrace.Traces]{Data: named("b"), Reason: "too large"})
	}}
	made := wrapped(t, v, NoQueue())
	if err := made.ConsumeTraces(context.Background(), named("a", "b", "c")); err != nil {
		t.Fatal(err)
	}
	reasons := map[string]string{}
	for _, one := range lettersIn(t, folder) {
		reasons[one.names[0]] = one.Reason
	}
	if len(reasons) != 2 || reasons["a"] != "too old" || reasons["b"] != "too large" {
		t.Errorf("%v", reasons)
	}
}
