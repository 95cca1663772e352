package admission

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"testing/iotest"
	"time"

	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
)

// What an SDK tries again says when: an exporter takes RESOURCE_EXHAUSTED without it for the end, and
// pauses of its own choice would be a second's load at once.

// usually is the guard as it is shipped.
func usually(t *testing.T) *Guard {
	t.Helper()
	return guard(t, holding{bytes: maxArriving, calls: maxCalls})
}

// posted is what the guard answers to a usual request, with `next` behind it.
func posted(t *testing.T, g *Guard, next http.HandlerFunc, body []byte) *http.Response {
	t.Helper()
	return postedFrom(t, g, next, bytes.NewReader(body))
}

func postedFrom(t *testing.T, g *Guard, next http.HandlerFunc, body io.Reader) *http.Response {
	t.Helper()
	return postedAs(t, g, next, "/v1/traces", typeProtobuf, body)
}

func postedAs(t *testing.T, g *Guard, next http.HandlerFunc, path, kind string, body io.Reader) *http.Response {
	t.Helper()
	wrap, err := g.GetHTTPHandler(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	handler, err := wrap(t.Context(), next)
	if err != nil {
		t.Fatal(err)
	}
	request := httptest.NewRequest(http.MethodPost, path, body)
	request.Header.Set("Content-Type", kind)
	answer := httptest.NewRecorder()
	handler.ServeHTTP(answer, request)
	return answer.Result()
}

func saying(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

func TestEachRefusalOverHTTPThatPassesSaysWhenToComeAgain(t *testing.T) {
	for name, of := range map[string]struct {
		fill   func(*Guard)
		next   int
		status int
		wait   string
	}{
		"too much at work":          {func(g *Guard) { g.atWork.limit = 0 }, 200, 503, "1"},
		"too much on its way":       {func(g *Guard) { g.arriving.limits.bytes = 0 }, 200, 503, "1"},
		"memory_limiter's 503":      {func(*Guard) {}, 503, 503, "1"},
		"memory_limiter's 429":      {func(*Guard) {}, 429, 429, "1"},
		"a refusal for good":        {func(*Guard) {}, 400, 400, ""},
		"what is taken is taken so": {func(*Guard) {}, 200, 200, ""},
	} {
		g := usually(t)
		of.fill(g)
		answer := posted(t, g, saying(of.next), encoded(t, usual(50), false))
		if wait := answer.Header.Get("Retry-After"); answer.StatusCode != of.status || wait != of.wait {
			t.Errorf("%s: %d, Retry-After %q", name, answer.StatusCode, wait)
		}
		if held := g.arriving.held(); g.atWork.taken != 0 || held != (holding{}) {
			t.Errorf("%s: %d bytes and %v are never given back", name, g.atWork.taken, held)
		}
	}
}

func TestABodyThatComesTooLateMayComeAgain(t *testing.T) {
	for name, of := range map[string]struct {
		err    error
		status int
		wait   string
	}{
		"read_timeout is over": {fmt.Errorf("read tcp: %w", os.ErrDeadlineExceeded), 503, "1"},
		"what came is broken":  {errors.New("gzip: invalid header"), 400, ""},
	} {
		answer := postedFrom(t, usually(t), saying(200), iotest.ErrReader(of.err))
		if wait := answer.Header.Get("Retry-After"); answer.StatusCode != of.status || wait != of.wait {
			t.Errorf("%s: %d, Retry-After %q", name, answer.StatusCode, wait)
		}
	}
}

func TestARefusalForGoodSaysNoTime(t *testing.T) {
	answer := posted(t, usually(t), saying(200), encoded(t, nested(maxDepth+1), false))
	if wait := answer.Header.Get("Retry-After"); answer.StatusCode != 400 || wait != "" {
		t.Errorf("%d, Retry-After %q", answer.StatusCode, wait)
	}
}

// server answers with `err` what the guard lets through.
type server struct {
	ptraceotlp.UnimplementedGRPCServer
	err error
}

func (s *server) Export(context.Context, ptraceotlp.ExportRequest) (ptraceotlp.ExportResponse, error) {
	return ptraceotlp.NewExportResponse(), s.err
}

// client is one over the network, of a server that answers with `err`.
func client(t *testing.T, g *Guard, err error) ptraceotlp.GRPCClient {
	t.Helper()
	options, failed := g.GetGRPCServerOptions(t.Context())
	if failed != nil {
		t.Fatal(failed)
	}
	listener, failed := net.Listen("tcp", "127.0.0.1:0")
	if failed != nil {
		t.Fatal(failed)
	}
	serving := grpc.NewServer(options...)
	ptraceotlp.RegisterGRPCServer(serving, &server{err: err})
	go func() { _ = serving.Serve(listener) }()
	t.Cleanup(serving.Stop)
	connection, failed := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if failed != nil {
		t.Fatal(failed)
	}
	t.Cleanup(func() { _ = connection.Close() })
	return ptraceotlp.NewGRPCClient(connection)
}

// called is what such a client is told of these spans.
func called(t *testing.T, to ptraceotlp.GRPCClient, td ptrace.Traces) *status.Status {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	_, err := to.Export(ctx, ptraceotlp.NewExportRequestFromTraces(td))
	return status.Convert(err)
}

// wait is the time of the RetryInfo, 0 without one.
func wait(said *status.Status) time.Duration {
	for _, detail := range said.Details() {
		if info, is := detail.(*errdetails.RetryInfo); is {
			return info.GetRetryDelay().AsDuration()
		}
	}
	return 0
}

func TestEachRefusalOverGRPCThatPassesSaysWhenToComeAgain(t *testing.T) {
	for name, of := range map[string]struct {
		fill func(*Guard)
		next error
		code codes.Code
		wait time.Duration
	}{
		"too much at work":      {func(g *Guard) { g.atWork.limit = 0 }, nil, codes.ResourceExhausted, retryAfter},
		"too many calls":        {func(g *Guard) { g.arriving.limits.calls = 0 }, nil, codes.ResourceExhausted, retryAfter},
		"memory_limiter's":      {func(*Guard) {}, status.Error(codes.Unavailable, "memory"), codes.Unavailable, retryAfter},
		"another's quota":       {func(*Guard) {}, status.Error(codes.ResourceExhausted, "queue"), codes.ResourceExhausted, retryAfter},
		"a refusal for good":    {func(*Guard) {}, status.Error(codes.InvalidArgument, "no"), codes.InvalidArgument, 0},
		"what is taken is fine": {func(*Guard) {}, nil, codes.OK, 0},
	} {
		g := usually(t)
		of.fill(g)
		said := called(t, client(t, g, of.next), usual(50))
		if said.Code() != of.code || wait(said) != of.wait {
			t.Errorf("%s: %v, RetryInfo %v", name, said, wait(said))
		}
		if g.atWork.taken != 0 {
			t.Errorf("%s: %d bytes are never given back", name, g.atWork.taken)
		}
	}
}

func TestABombOverGRPCIsRefusedForGood(t *testing.T) {
	to := client(t, usually(t), nil)
	for depth, want := range map[int]codes.Code{maxDepth - 1: codes.OK, maxDepth + 1: codes.InvalidArgument} {
		if said := called(t, to, nested(depth)); said.Code() != want || wait(said) != 0 {
			t.Errorf("%d deep: %v, RetryInfo %v", depth, said, wait(said))
		}
	}
}

func TestWhoIsAnsweredIsCountedNoMore(t *testing.T) {
	to := client(t, guard(t, holding{bytes: maxArriving, calls: 1}), nil)
	for number := range 500 {
		if said := called(t, to, usual(50)); said.Code() != codes.OK {
			t.Fatalf("call %d: %v", number, said)
		}
	}
}
