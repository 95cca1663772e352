package admission

import (
	"bytes"
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"os"
	"path"
	"strconv"
	"time"

	"go.opentelemetry.io/collector/extension/extensionmiddleware"
	"go.uber.org/zap"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

var _ extensionmiddleware.HTTPServer = (*Guard)(nil)

// GetHTTPHandler is called for the server's own handler; what reaches it is decompressed.
func (g *Guard) GetHTTPHandler(context.Context) (extensionmiddleware.WrapHTTPHandlerFunc, error) {
	return func(_ context.Context, next http.Handler) (http.Handler, error) {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { g.serve(next, w, r) }), nil
	}, nil
}

func (g *Guard) serve(next http.Handler, w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if r.Method != http.MethodPost || (kind != typeProtobuf && kind != typeJSON) {
		next.ServeHTTP(w, r) // upstream refuses it unread
		return
	}
	coming := &coming{guard: g, line: line{from: hostOf(r.RemoteAddr)}, stop: func() {
		// Its reader may wait for the sender: it is to wake.
		if err := http.NewResponseController(w).SetReadDeadline(time.Unix(1, 0)); err != nil {
			g.logger.Error("A body that stalls cannot be ended", zap.Error(err))
		}
	}}
	defer coming.leave()
	body, err := coming.read(r.Body)
	if err != nil {
		var large *http.MaxBytesError
		switch {
		case errors.Is(err, errBusy):
			g.turnAway(ctx, reasonBusy, err.Error())
			busy(w, kind, err)
		case errors.As(err, &large):
			g.turnAway(ctx, reasonBad, err.Error())
			answer(w, kind, http.StatusBadRequest, codes.InvalidArgument, err)
		case errors.Is(err, os.ErrDeadlineExceeded):
			// Whose delay it was cannot be seen from here: a server without a core reads late, and an SDK
			// throws away what is refused with 400.
			g.turnAway(ctx, reasonSlow, err.Error())
			busy(w, kind, err)
		default:
			g.turnAway(ctx, reasonSlow, err.Error())
			answer(w, kind, http.StatusBadRequest, codes.InvalidArgument, err)
		}
		// The rest of the body is not waited for.
		return
	}
	var weight int
	if kind == typeJSON {
		weight, err = weighJSON(body)
	} else {
		weight, err = weigh(path.Base(r.URL.Path), body)
	}
	if err != nil {
		g.turnAway(ctx, reasonBad, err.Error())
		answer(w, kind, http.StatusBadRequest, codes.InvalidArgument, err)
		return
	}
	weight += copies * len(body)
	if !g.atWork.take(weight) {
		g.turnAway(ctx, reasonBusy, errBusy.Error())
		busy(w, kind, errBusy)
		return
	}
	defer g.atWork.leave(weight)
	r.Body = io.NopCloser(bytes.NewReader(body))
	next.ServeHTTP(&later{ResponseWriter: w}, r)
}

const (
	typeProtobuf = "application/x-protobuf"
	typeJSON     = "application/json"
)

var errBusy = errors.New("too much is being worked on: come again")

// coming is one body. It is counted once it is more than what each may have for nothing.
type coming struct {
	guard   *Guard
	line    line
	stop    func()
	arrival *arrival
}

// read is the whole body, each piece of memory asked for before it is taken.
func (c *coming) read(from io.Reader) ([]byte, error) {
	body := make([]byte, 0, freeOfCharge)
	for {
		if len(body) == cap(body) {
			more := 2 * cap(body)
			if !c.mayHave(more - cap(body)) {
				return body, errBusy
			}
			body = append(make([]byte, 0, more), body...)
		}
		n, err := from.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		if err == nil {
			continue
		}
		if c.arrival != nil && !c.guard.arriving.whole(c.arrival) {
			return body, errBusy
		}
		if errors.Is(err, io.EOF) {
			return body, nil
		}
		return body, err
	}
}

func (c *coming) mayHave(bytes int) bool {
	if c.arrival == nil {
		c.arrival = c.guard.arriving.begin(&c.line, 0, c.stop)
	}
	// Its reader ends by itself, with an answer.
	return c.arrival != nil && c.guard.arriving.bring(&c.line, int64(bytes), c.guard.arriving.end)
}

func (c *coming) leave() {
	if c.arrival != nil {
		c.guard.arriving.leave(c.arrival)
	}
}

func busy(w http.ResponseWriter, kind string, err error) {
	w.Header().Set("Retry-After", strconv.Itoa(int(retryAfter.Seconds())))
	answer(w, kind, http.StatusServiceUnavailable, codes.Unavailable, err)
}

func answer(w http.ResponseWriter, kind string, status int, code codes.Code, err error) {
	said := &spb.Status{Code: int32(code), Message: err.Error()}
	content, failed := proto.Marshal(said)
	if kind == typeJSON {
		content, failed = protojson.Marshal(said)
	}
	if failed != nil {
		content = nil
	}
	w.Header().Set("Content-Type", kind)
	w.WriteHeader(status)
	_, _ = w.Write(content)
}

// later gives upstream's own 429 and 503 (memory_limiter) the Retry-After that they lack.
type later struct{ http.ResponseWriter }

func (l *later) WriteHeader(status int) {
	if status == http.StatusServiceUnavailable || status == http.StatusTooManyRequests {
		if l.Header().Get("Retry-After") == "" {
			l.Header().Set("Retry-After", strconv.Itoa(int(retryAfter.Seconds())))
		}
	}
	l.ResponseWriter.WriteHeader(status)
}
