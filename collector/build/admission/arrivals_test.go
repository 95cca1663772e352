package admission

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/config/confighttp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

func small(bytes, calls int64) *arrivals {
	return newArrivals(holding{bytes: bytes, calls: calls})
}

func from(address string) *line { return &line{from: hostOf(address)} }

// asked begins a request of so many bytes, and notes whether it has had to give way.
func asked(a *arrivals, on *line, bytes int64) (one *arrival, gone *bool) {
	gone = new(bool)
	one = a.begin(on, 1, func() { *gone = true })
	if one != nil && bytes > 0 {
		a.bring(on, bytes, a.giveWay)
	}
	return one, gone
}

// long is a request that began so long ago.
func long(one *arrival) *arrival {
	one.began = one.began.Add(-time.Minute)
	return one
}

// fresh is a request that has just begun, however long this machine pauses here.
func fresh(one *arrival) *arrival {
	one.began = one.began.Add(time.Minute)
	return one
}

func TestOneHostIsTheSame(t *testing.T) {
	for address, same := range map[string]string{
		"10.0.0.1:5": "10.0.0.1:6", "[::ffff:10.0.0.1]:5": "10.0.0.1:5", "[2001:db8::1]:5": "[2001:db8::ffff:1]:5",
	} {
		if hostOf(address) != hostOf(same) {
			t.Errorf("%s is not %s", address, same)
		}
	}
	for address, other := range map[string]string{"10.0.0.1:5": "10.0.0.2:5", "[2001:db8::1]:5": "[2001:db8:0:1::1]:5"} {
		if hostOf(address) == hostOf(other) {
			t.Errorf("%s is %s", address, other)
		}
	}
}

func TestWhoHoldsMostGivesWayToAnotherHost(t *testing.T) {
	a := small(1000, 4)
	_, first := asked(a, from("10.0.0.1:1"), 0)
	_, second := asked(a, from("10.0.0.1:2"), 0)
	asked(a, from("10.0.0.1:3"), 0)
	_, lone := asked(a, from("10.0.0.2:1"), 0)
	if one, _ := asked(a, from("10.0.0.3:1"), 0); one == nil || !*first || *second || *lone {
		t.Errorf("let in: %t; gone: %t, %t, %t", one != nil, *first, *second, *lone)
	}
}

func TestWhoHoldsMostBytesGivesWayToAnotherHost(t *testing.T) {
	a := small(1000, 4)
	_, heavy := asked(a, from("10.0.0.4:1"), 900)
	_, light := asked(a, from("10.0.0.5:1"), 200)
	if !*heavy || *light {
		t.Errorf("gone: %t, %t", *heavy, *light)
	}
}

func TestOfOneHostOnlyWhatStallsGivesWay(t *testing.T) {
	a := small(1<<20, 2)
	one, first := asked(a, from("10.0.0.1:1"), 0)
	other, _ := asked(a, from("10.0.0.1:2"), 0)
	fresh(one)
	fresh(other)
	if third, _ := asked(a, from("10.0.0.1:3"), 0); third != nil || *first {
		t.Error("a request gives way that has just begun")
	}
	one.began = time.Now()
	long(one)
	if third, _ := asked(a, from("10.0.0.1:3"), 0); third == nil || !*first {
		t.Error("one waits for a request that stalls")
	}
}

func TestWhatCameLongAgoIsNoCredit(t *testing.T) {
	a := small(100<<20, 10)
	on := from("10.0.0.1:1")
	began := time.Now()
	one, _ := asked(a, on, 8<<20)
	// Not `stalls` now: this machine may have paused for longer than the credit.
	if left := on.enough.Sub(began); left < creditTime {
		t.Errorf("8 MiB have just come, and are enough for %v", left)
	}
	if left := time.Until(on.enough); left > creditTime {
		t.Errorf("8 MiB are enough for %v", left)
	}
	on.enough = time.Now().Add(time.Minute)
	if long(one).stalls() {
		t.Error("enough has come, and it stalls")
	}
}

func TestAFastRequestMakesNoOtherFast(t *testing.T) {
	a := small(100<<20, 10)
	on := from("10.0.0.1:1")
	one, _ := asked(a, on, 0)
	asked(a, on, 0)
	a.bring(on, bytesASecond/10, a.giveWay)
	if left := time.Until(on.enough); left > 50*time.Millisecond {
		t.Errorf("what is enough for one in 100 ms is enough for two in %v", left)
	}
	on.enough = on.enough.Add(-time.Second)
	if !long(one).stalls() {
		t.Error("it does not come, and does not stall")
	}
}

func TestWhatIsThereDoesNotGiveWay(t *testing.T) {
	a := small(1000, 2)
	one, gone := asked(a, from("10.0.0.1:1"), 0)
	other, alsoGone := asked(a, from("10.0.0.1:2"), 0)
	if !a.whole(long(one)) || !a.whole(long(other)) {
		t.Fatal("gone at once")
	}
	for _, address := range []string{"10.0.0.1:3", "10.0.0.2:1"} {
		if next, _ := asked(a, from(address), 0); next != nil || *gone || *alsoGone {
			t.Errorf("to %s a request gives way that is being worked on", address)
		}
	}
	a.leave(one)
	if next, _ := asked(a, from("10.0.0.2:1"), 0); next == nil {
		t.Error("its room stays taken")
	}
}

func TestWhatALineBringsCountsUntilNoRequestCanHaveIt(t *testing.T) {
	a := small(1000, 10)
	on := from("10.0.0.1:1")
	first, _ := asked(a, on, 10)
	second, _ := asked(a, on, 400)
	a.leave(first)
	if a.all.bytes != 400 {
		t.Errorf("%d bytes, and 400 may be the second's", a.all.bytes)
	}
	a.leave(second)
	a.leave(second)
	if a.all != (holding{}) || len(a.hosts) != 0 {
		t.Errorf("%v and %d hosts stay", a.all, len(a.hosts))
	}
}

func TestALineThatFindsNoRoomGivesUpItsOwn(t *testing.T) {
	a := small(1000, 10)
	on := from("10.0.0.1:1")
	one, gone := asked(a, on, 900)
	fresh(one)
	if a.bring(on, 200, a.giveWay) {
		t.Fatal("there is room for more than there is")
	}
	if !*gone || a.all != (holding{}) {
		t.Errorf("gone: %t; %v", *gone, a.all)
	}
}

func TestWhatFindsNoRoomIsInNobodysWay(t *testing.T) {
	a := small(1000, 10)
	for _, refuse := range []func(*arrival){a.giveWay, a.end} {
		on, beside := from("10.0.0.1:1"), from("10.0.0.1:2")
		one, _ := asked(a, on, 900)
		fresh(one)
		lone, gone := asked(a, beside, 50)
		fresh(lone)
		a.bring(on, 200, refuse)
		if !a.bring(beside, 50, a.giveWay) || *gone {
			t.Error("who holds little is refused for bytes that nobody keeps")
		}
		a.leave(one)
		a.leave(lone)
		if a.all != (holding{}) {
			t.Errorf("%v stays", a.all)
		}
	}
}

func guard(t testing.TB, limits holding) *Guard {
	t.Helper()
	g, err := NewGuard("otlp", Config{
		Inner:   confighttp.NewDefaultServerConfig(),
		Signals: map[string]string{"/v1/traces": "traces", "/v1/metrics": "metrics", "/v1/logs": "logs"},
	}, componenttest.NewNopTelemetrySettings())
	if err != nil {
		t.Fatal(err)
	}
	g.Take("traces")
	g.arriving.limits = limits
	return g
}

func TestReadingAsksBeforeItTakes(t *testing.T) {
	g := guard(t, holding{bytes: 1 << 20})
	first := coming{guard: g, line: *from("10.0.0.1:1")}
	body, err := first.read(bytes.NewReader(make([]byte, 1<<19)))
	if err != nil || len(body) != 1<<19 {
		t.Fatal(len(body), err)
	}
	// The first one still holds its share.
	second := coming{guard: g, line: *from("10.0.0.1:2")}
	if _, err = second.read(bytes.NewReader(make([]byte, 1<<20))); !errors.Is(err, errBusy) {
		t.Error(err)
	}
	first.leave()
	second.leave()
	if g.arriving.all != (holding{}) {
		t.Errorf("%v is never given back", g.arriving.all)
	}
}

func TestABodyThatStallsIsAnsweredWhenOthersNeedItsRoom(t *testing.T) {
	g := guard(t, holding{bytes: 1 << 20})
	wrap, err := g.GetHTTPHandler(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	handler, err := wrap(context.Background(), http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(handler)
	defer server.Close()
	stalled, sender := io.Pipe()
	defer sender.Close()
	answer := make(chan *http.Response)
	go func() {
		response, err := http.Post(server.URL+"/v1/traces", typeProtobuf, stalled)
		if err != nil {
			t.Error(err)
		}
		answer <- response
	}()
	if _, err := sender.Write(make([]byte, 900<<10)); err != nil {
		t.Fatal(err)
	}
	// On its way is not there: a busy server reads it later.
	for deadline := time.Now().Add(20 * time.Second); g.arriving.held().bytes < 900<<10; {
		if time.Now().After(deadline) {
			t.Fatalf("%v of it has come", g.arriving.held())
		}
		time.Sleep(time.Millisecond)
	}
	time.Sleep(2 * creditTime) // how long it has stalled is what is tested

	healthy, err := http.Post(server.URL+"/v1/traces", typeProtobuf, bytes.NewReader(encoded(t, usual(500), false)))
	if err != nil || healthy.StatusCode != http.StatusOK {
		t.Fatalf("%v, %v", healthy, err)
	}
	if told := <-answer; told == nil || told.StatusCode != http.StatusServiceUnavailable || told.Header.Get("Retry-After") == "" {
		t.Errorf("the one that stalls is told %v", told)
	}
}

func TestFramesAreCountedHoweverTheyAreCut(t *testing.T) {
	frame := append([]byte{0, 0, 3, 0, 0, 0, 0, 0, 1}, "abc"...)
	sent := append(make([]byte, prefaceBytes), bytes.Repeat(frame, 5)...)
	for piece := 1; piece <= len(sent); piece++ {
		c, found := connection{skip: prefaceBytes}, 0
		for at := 0; at < len(sent); at += piece {
			found += c.frames(sent[at:min(at+piece, len(sent))])
		}
		if found != 5 {
			t.Errorf("%d frames in pieces of %d", found, piece)
		}
	}
}

// anything is a service that takes every message.
func anything(into *grpc.Server) {
	into.RegisterService(&grpc.ServiceDesc{
		ServiceName: "any", HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{{
			MethodName: "thing",
			Handler: func(_ any, ctx context.Context, decode func(any) error, intercept grpc.UnaryServerInterceptor) (any, error) {
				message := &emptypb.Empty{}
				if err := decode(message); err != nil {
					return nil, err
				}
				return intercept(ctx, message, &grpc.UnaryServerInfo{}, func(context.Context, any) (any, error) { return message, nil })
			},
		}},
	}, nil)
}

func TestACallIsCountedByWhatItsConnectionBrings(t *testing.T) {
	g := guard(t, holding{bytes: 64 << 10, calls: 10})
	options, err := g.GetGRPCServerOptions(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(options...)
	anything(server)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = server.Serve(listener) }()
	defer server.Stop()
	client, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()

	for size, want := range map[int]codes.Code{10: codes.OK, 200 << 10: codes.Canceled} {
		err := client.Invoke(context.Background(), "/any/thing", wrapperspb.Bytes(make([]byte, size)), &emptypb.Empty{})
		if status.Code(err) != want {
			t.Errorf("%d bytes: %v, not %v", size, err, want)
		}
	}
	deadline := time.Now().Add(30 * time.Second)
	for held := g.arriving.held(); held != (holding{}); held = g.arriving.held() {
		if time.Now().After(deadline) {
			t.Fatalf("%v is never given back", held)
		}
		time.Sleep(time.Millisecond)
	}
}

func (a *arrivals) held() holding {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.all
}
