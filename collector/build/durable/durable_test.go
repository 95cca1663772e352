package durable

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/config/configretry"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/exporter/exporterhelper"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

type coded struct {
	code   string
	status int
}

func (c coded) Error() string       { return c.code }
func (c coded) ErrorCode() string   { return c.code }
func (c coded) HTTPStatusCode() int { return c.status }

func TestJudge(t *testing.T) {
	plain := consumererror.NewPermanent(errors.New("said no"))
	for _, test := range []struct {
		name   string
		err    error
		status int
		want   verdict
	}{
		{"a wrong key is put right some day", plain, 401, again},
		{"so is a right that is missing", plain, 403, again},
		{"a limit ends", plain, 429, again},
		{"bad data stays bad", plain, 400, hopeless},
		{"too large stays too large", plain, 413, hopeless},
		{"an internal error may be the data's", plain, 500, suspect},
		{"what cannot be written as a request", plain, 0, hopeless},
		{"who computes for ever may choke on the data", context.DeadlineExceeded, 0, suspect},
		{"so may who hangs up", &url.Error{Op: "Post", Err: io.EOF}, 0, suspect},
		{"or resets the connection", &url.Error{Op: "Post", Err: &net.OpError{Op: "read", Err: syscall.ECONNRESET}}, 0, suspect},
		{"nobody listens", &url.Error{Op: "Post", Err: &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}}, 0, again},
		{"nobody has that name", &url.Error{Op: "Post", Err: &net.OpError{Op: "dial", Err: &net.DNSError{}}}, 0, again},
		{"a stranger's certificate", &url.Error{Op: "Post", Err: &tls.CertificateVerificationError{Err: io.EOF}}, 0, again},
		{"a stranger's answer", &url.Error{Op: "Post", Err: strangeAnswerError{errors.New("a page")}}, 0, again},
		{"a stop", &url.Error{Op: "Post", Err: context.Canceled}, 0, again},
		{"the exporter panicked", Guard(func() error { panic("on it") }), 0, hopeless},
		{"AWS throttles with 400", coded{"ThrottlingException", 400}, 400, again},
		{"AWS says 400 to a key", coded{"UnrecognizedClientException", 400}, 400, again},
		{"AWS says 400 to bad data", coded{"InvalidParameterException", 400}, 400, hopeless},
		{"AWS is broken", coded{"InternalFailure", 500}, 500, suspect},
	} {
		if got := judge(test.err, test.status); got != test.want {
			t.Errorf("%s: %v, not %v", test.name, got, test.want)
		}
	}
}

func TestASenderWithoutAQueueSees400WhereTheDataIsToBlame(t *testing.T) {
	t.Setenv("DEAD_LETTER_DIR", t.TempDir())
	v := &vendor{say: func() error { return coded{"InvalidRequestException", 400} }}
	made := wrapped(t, v, NoQueue())
	err := made.ConsumeTraces(context.Background(), spans(1))
	if !consumererror.IsPermanent(err) || status.Code(err) != codes.InvalidArgument {
		t.Fatalf("%v, %v", status.Code(err), err)
	}
}

func TestABatchIsGuiltyOnlyWhileOthersPass(t *testing.T) {
	var s suspects
	tries := func(passing int) (often, others bool) {
		for attempt := range suspectAttempts {
			if often {
				t.Fatalf("judged after %d attempts", attempt)
			}
			if attempt == passing {
				s.pass()
			}
			often, others = s.failed([]byte("batch"))
		}
		return often, others
	}
	for name, of := range map[string]struct {
		passing int
		guilty  bool
	}{
		"the vendor takes nothing":                  {suspectAttempts, false},
		"another passed while the vendor went down": {1, false},
		"another passes":                            {suspectAttempts - 2, true},
		"another passed before":                     {suspectAttempts, false},
	} {
		if often, others := tries(of.passing); !often || others != of.guilty {
			t.Errorf("%s: often %v, others %v", name, often, others)
		}
	}
}

func TestLettersAreBounded(t *testing.T) {
	t.Setenv("DEAD_LETTER_DIR", t.TempDir())
	l := newLetters("otlp_http/a", "traces")
	half := make([]byte, maxLetterBytes/2)
	if err := l.write(header{At: time.Now()}, half); err != nil {
		t.Fatal(err)
	}
	if err := l.write(header{At: time.Now()}, half); !errors.Is(err, errFull) {
		t.Fatalf("%v", err)
	}
	again := newLetters("otlp_http/a", "traces")
	if again.bytes != l.bytes {
		t.Fatalf("after a restart %d bytes are known, not %d", again.bytes, l.bytes)
	}
	if err := os.RemoveAll(l.folder); err != nil {
		t.Fatal(err)
	}
	if err := l.write(header{At: time.Now()}, half); err != nil {
		t.Fatalf("what was deleted takes room: %v", err)
	}
}

func TestALetterThatCannotBeWrittenWaits(t *testing.T) {
	base := filepath.Join(t.TempDir(), "disk")
	t.Setenv("DEAD_LETTER_DIR", base)
	if err := os.WriteFile(base, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	l := newLetters("otlp_http/a", "traces")
	half := make([]byte, maxUnwritten/2)
	if err := l.write(header{Reason: "first", At: time.Now()}, half); !errors.Is(err, errUnwritten) {
		t.Fatalf("%v", err)
	}
	if err := l.write(header{At: time.Now()}, half); err == nil || errors.Is(err, errUnwritten) {
		t.Fatalf("more than memory may hold: %v", err)
	}
	if left := l.rewrite(); left != 1 {
		t.Fatalf("%d left, and nothing can be written", left)
	}

	if err := os.Remove(base); err != nil {
		t.Fatal(err)
	}
	if left := l.rewrite(); left != 0 {
		t.Fatalf("%d left", left)
	}
	found := l.waiting(".")
	if len(found) != 1 || l.bytes < int64(len(half)) || l.unbytes != 0 {
		t.Fatalf("%v, %d bytes, %d in memory", found, l.bytes, l.unbytes)
	}
	if data, err := l.read(found[0]); err != nil || len(data) != len(half) {
		t.Fatalf("%d bytes, %v", len(data), err)
	}
}

// vendor fails as it is told.
type vendor struct {
	component.StartFunc
	component.ShutdownFunc
	say func() error
	got int
}

func (*vendor) Capabilities() consumer.Capabilities { return consumer.Capabilities{} }

func (v *vendor) ConsumeTraces(_ context.Context, td ptrace.Traces) error {
	if err := v.say(); err != nil {
		return err
	}
	v.got += td.SpanCount()
	return nil
}

func spans(number int) ptrace.Traces {
	td := ptrace.NewTraces()
	scope := td.ResourceSpans().AppendEmpty().ScopeSpans().AppendEmpty()
	for range number {
		scope.Spans().AppendEmpty().SetName("span")
	}
	return td
}

func wrapped(t *testing.T, v exporter.Traces, queue Queue) exporter.Traces {
	t.Helper()
	set := exporter.Settings{
		ID:                component.MustNewIDWithName("otlp_http", "vendor"),
		TelemetrySettings: componenttest.NewNopTelemetrySettings(),
	}
	retry := configretry.NewDefaultBackOffConfig()
	retry.InitialInterval = 10 * time.Millisecond
	made, err := Traces(context.Background(), Settings{Settings: set, Config: &struct{}{}, Queue: queue, Retry: retry}, v)
	if err != nil {
		t.Fatal(err)
	}
	if err := made.Start(context.Background(), componenttest.NewNopHost()); err != nil {
		t.Fatal(err)
	}
	return made
}

func small(size int64) Queue {
	queue := exporterhelper.NewDefaultQueueConfig()
	queue.QueueSize, queue.NumConsumers = size, 1
	return configoptional.Some(queue)
}

func TestAFullQueueIsNoErrorForTheApp(t *testing.T) {
	t.Setenv("DEAD_LETTER_DIR", t.TempDir())
	hang := make(chan struct{})
	v := &vendor{say: func() error { <-hang; return nil }}
	made := wrapped(t, v, small(1))
	for range 5 {
		if err := made.ConsumeTraces(context.Background(), spans(1)); err != nil {
			t.Fatal(err)
		}
	}
	close(hang)
	if err := made.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
	if v.got >= 5 {
		t.Fatal("the queue was not full")
	}
}

func TestARefusedBatchIsKeptAndSentAgain(t *testing.T) {
	folder := t.TempDir()
	t.Setenv("DEAD_LETTER_DIR", folder)
	refuse := true
	v := &vendor{say: func() error {
		if refuse {
			return consumererror.NewPermanent(coded{"InvalidRequestException", 400})
		}
		return nil
	}}
	made := wrapped(t, v, small(100))
	if err := made.ConsumeTraces(context.Background(), spans(3)); err != nil {
		t.Fatal(err)
	}
	if err := made.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
	found, _ := filepath.Glob(filepath.Join(folder, "*", "*.letter"))
	if len(found) != 1 {
		t.Fatalf("letters: %v", found)
	}
	content, _ := os.ReadFile(found[0])
	if !strings.Contains(string(content), `"refused":3`) {
		t.Fatalf("%s", content)
	}

	refuse = false
	outbox := filepath.Join(filepath.Dir(found[0]), "replay")
	_ = os.Mkdir(outbox, 0o700)
	_ = os.Rename(found[0], filepath.Join(outbox, filepath.Base(found[0])))
	made = wrapped(t, v, small(100))
	deadline := time.Now().Add(time.Minute)
	for left := 1; left > 0 && time.Now().Before(deadline); {
		files, _ := filepath.Glob(filepath.Join(outbox, "*"))
		left = len(files)
		time.Sleep(10 * time.Millisecond)
	}
	if err := made.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
	if v.got != 3 {
		t.Fatalf("%d of 3 spans came again", v.got)
	}
}

func TestOnlyTheRestIsTriedAgain(t *testing.T) {
	t.Setenv("DEAD_LETTER_DIR", t.TempDir())
	v := &vendor{}
	var tries, waited atomic.Int32
	v.say = func() error {
		if tries.Add(1) == 1 {
			return &RestError[ptrace.Traces]{
				Rest: spans(2), Err: coded{"ThrottlingException", 400}, Waits: func() { waited.Add(1) },
			}
		}
		return nil
	}
	made := wrapped(t, v, small(100))
	if err := made.ConsumeTraces(context.Background(), spans(5)); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); tries.Load() < 2 && time.Now().Before(deadline); {
		time.Sleep(10 * time.Millisecond)
	}
	if err := made.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
	if v.got != 2 {
		t.Fatalf("%d spans came at the second try, not 2", v.got)
	}
	if waited.Load() != 1 {
		t.Fatalf("told %d times that the rest waits", waited.Load())
	}
}

// The queue has nothing of it any more: what the vendor has of it need not be known after a stop.
func TestTheRestThatIsRefusedForGoodDoesNotWait(t *testing.T) {
	t.Setenv("DEAD_LETTER_DIR", t.TempDir())
	v := &vendor{}
	var waited atomic.Int32
	v.say = func() error {
		return &RestError[ptrace.Traces]{
			Rest: spans(1), Err: coded{"InvalidParameterException", 400}, Waits: func() { waited.Add(1) },
		}
	}
	made := wrapped(t, v, small(100))
	if err := made.ConsumeTraces(context.Background(), spans(5)); err != nil {
		t.Fatal(err)
	}
	if err := made.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
	if waited.Load() != 0 {
		t.Fatalf("told %d times that the rest waits", waited.Load())
	}
}
