package admission

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/confighttp"
	"go.opentelemetry.io/collector/extension/extensionmiddleware"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	tracenoop "go.opentelemetry.io/otel/trace/noop"
	"go.uber.org/zap"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

var _ extensionmiddleware.HTTPServer = (*Guard)(nil)

// GetHTTPHandler is called for the server's own handler. Upstream puts middlewares behind authentication,
// CORS and decompression, which refuse too. So these are taken out of the server's config and made here
// (Config.Inner), where each answer can be seen.
func (g *Guard) GetHTTPHandler(context.Context) (extensionmiddleware.WrapHTTPHandlerFunc, error) {
	return func(ctx context.Context, next http.Handler) (http.Handler, error) {
		weighed := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { g.serve(next, w, r) })
		// The outer server measures requests already.
		silent := component.TelemetrySettings{
			Logger: g.logger, TracerProvider: tracenoop.NewTracerProvider(), MeterProvider: metricnoop.NewMeterProvider(),
		}
		server, err := g.config.Inner.ToServer(ctx, g.Extensions, silent, weighed, confighttp.WithErrorHandler(refusedBefore))
		if err != nil {
			return nil, err
		}
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { g.front(server.Handler, w, r) }), nil
	}, nil
}

// front sees each request first and its answer last.
func (g *Guard) front(next http.Handler, w http.ResponseWriter, r *http.Request) {
	n := &note{protocol: overHTTP, agent: r.UserAgent()}
	r = r.WithContext(context.WithValue(r.Context(), noteKey{}, n))
	if tidy := tidied(r.URL.Path); tidy != r.URL.Path && g.config.Signals[tidy] != "" {
		url := *r.URL
		url.Path, url.RawPath = tidy, ""
		r.URL = &url
	}
	if n.path = r.URL.Path; g.config.Signals[n.path] == "" {
		n.path, _ = slip(n.path)
	}
	seen := &answered{ResponseWriter: w}
	if r.Method == "PRI" { // HTTP/2's greeting
		refuse(r.Context(), reasonProtocol, whyGRPC, "")
		answer(seen, typeJSON, http.StatusHTTPVersionNotSupported, codes.InvalidArgument, errors.New(whyGRPC))
	} else {
		next.ServeHTTP(seen, r)
	}
	preflight := r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != ""
	switch {
	case preflight && seen.status < 300 && w.Header().Get("Access-Control-Allow-Origin") == "":
		refuse(r.Context(), reasonOrigin, whyOrigin,
			r.Header.Get("Origin")+" "+r.Header.Get("Access-Control-Request-Headers"))
	case seen.status < 400:
	case seen.status == http.StatusUnauthorized, seen.status == http.StatusForbidden:
		refuse(r.Context(), reasonAuth, whyAuth, "")
	case seen.status == http.StatusServiceUnavailable, seen.status == http.StatusTooManyRequests:
		refuse(r.Context(), reasonBusy, "the pipeline has no room: memory_limiter, or a queue that is full", "")
	case seen.status >= 500:
		refuse(r.Context(), reasonFailed, "the pipeline refused it: see `make logs SERVICE=collector`", "")
	default:
		refuse(r.Context(), reasonMalform, errMalformed.Error(), "")
	}
	if n.reason != "" {
		g.refusals.add(r.Context(), n)
	}
}

const (
	whyGRPC   = "this is gRPC on HTTP's port: gRPC goes to 4317; or set OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf"
	whyAuth   = "no token or certificate that is accepted: OTEL_EXPORTER_OTLP_HEADERS carries the token (docs/security.md)"
	whyOrigin = "a page of this origin may not send, or not with these headers: cors.allowed_origins and " +
		"cors.allowed_headers of the receiver"
	whyType = "Content-Type is application/json or application/x-protobuf. Others are not taken: a browser sends text/plain " +
		"and forms from any page without asking, so send a Blob of type application/json with sendBeacon, or fetch with keepalive"
	whyEncoding = "the body is not compressed as Content-Encoding says, or that is not among compression_algorithms"
	whyBroken   = "the body ended early, or is not compressed as Content-Encoding says"
	whyMethod   = "OTLP is sent with POST"
	whySlow     = "it was not there in time, and others needed its room: come again"
)

// refusedBefore is for what authentication and decompression refuse.
func refusedBefore(w http.ResponseWriter, r *http.Request, why string, status int) {
	code := codes.InvalidArgument
	switch status {
	case http.StatusUnauthorized:
		code = codes.Unauthenticated
	case http.StatusBadRequest:
		refuse(r.Context(), reasonEncoding, whyEncoding, r.Header.Get("Content-Encoding"))
		why = whyEncoding + ": " + why
	}
	answer(w, kindOf(r), status, code, errors.New(why))
}

// kindOf is the type that an answer has: the request's, or JSON, which people can read.
func kindOf(r *http.Request) string {
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind == typeProtobuf {
		return kind
	}
	return typeJSON
}

// wrong refuses what is no OTLP request at all, unread.
func (g *Guard) wrong(w http.ResponseWriter, r *http.Request, status int, code codes.Code, reason, why, detail string) {
	refuse(r.Context(), reason, why, detail)
	answer(w, kindOf(r), status, code, errors.New(why))
}

func (g *Guard) serve(next http.Handler, w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	signal := g.config.Signals[r.URL.Path]
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case signal == "":
		_, why := slip(r.URL.Path)
		g.wrong(w, r, http.StatusNotFound, codes.Unimplemented, reasonPath, why, r.URL.Path)
		return
	case !g.takes(signal):
		why := "no pipeline takes " + signal + " from this receiver: name it in one of that signal"
		g.wrong(w, r, http.StatusNotFound, codes.Unimplemented, reasonPath, why, "")
		return
	case r.Method != http.MethodPost:
		w.Header().Set("Allow", http.MethodPost)
		g.wrong(w, r, http.StatusMethodNotAllowed, codes.Unimplemented, reasonMethod, whyMethod, r.Method)
		return
	case kind != typeProtobuf && kind != typeJSON:
		g.wrong(w, r, http.StatusUnsupportedMediaType, codes.InvalidArgument, reasonType, whyType, r.Header.Get("Content-Type"))
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
		case errors.Is(err, errBusy), errors.Is(err, errGaveWay):
			refuse(ctx, map[bool]string{true: reasonBusy, false: reasonSlow}[errors.Is(err, errBusy)], err.Error(), "")
			busy(w, kind, err)
		case errors.As(err, &large):
			err = fmt.Errorf("the body is larger than %d MiB: send it in parts", large.Limit>>20)
			refuse(ctx, reasonHeavy, err.Error(), "")
			answer(w, kind, http.StatusBadRequest, codes.InvalidArgument, err)
		case errors.Is(err, os.ErrDeadlineExceeded):
			// Whose delay it was cannot be seen from here: a server without a core reads late, and an SDK
			// throws away what is refused with 400.
			refuse(ctx, reasonSlow, "it was not there within read_timeout", "")
			busy(w, kind, err)
		default:
			refuse(ctx, reasonEncoding, whyBroken, "")
			err = fmt.Errorf("%s: %w", whyBroken, err)
			answer(w, kind, http.StatusBadRequest, codes.InvalidArgument, err)
		}
		// The rest of the body is not waited for.
		return
	}
	var sent *document
	var weight int
	if kind == typeJSON {
		sent, err = readJSON(signal, body, false)
		weight, body = sent.weight, sent.body
	} else {
		weight, err = weigh(signal, body)
	}
	if err != nil {
		refuse(ctx, reasonOf(err), err.Error(), "")
		answer(w, kind, http.StatusBadRequest, codes.InvalidArgument, err)
		return
	}
	weight += copies * len(body)
	if !g.atWork.take(weight) {
		refuse(ctx, reasonBusy, errBusy.Error(), "")
		busy(w, kind, errBusy)
		return
	}
	defer g.atWork.leave(weight)
	if sent != nil {
		g.serveJSON(next, &later{ResponseWriter: w}, r, signal, sent)
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	next.ServeHTTP(&later{ResponseWriter: w}, r)
}

func reasonOf(err error) string {
	if errors.Is(err, errDeep) || errors.Is(err, errHeavy) {
		return reasonHeavy
	}
	return reasonMalform
}

const (
	typeProtobuf = "application/x-protobuf"
	typeJSON     = "application/json"
)

var (
	errBusy    = errors.New("too much is being worked on: come again")
	errGaveWay = errors.New(whySlow)
)

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
				return body, c.noRoom()
			}
			body = append(make([]byte, 0, more), body...)
		}
		n, err := from.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		if err == nil {
			continue
		}
		if c.arrival != nil && !c.guard.arriving.whole(c.arrival) {
			return body, c.noRoom()
		}
		if errors.Is(err, io.EOF) {
			return body, nil
		}
		return body, err
	}
}

func (c *coming) noRoom() error {
	if c.arrival != nil && c.guard.arriving.gaveWay(c.arrival) {
		return errGaveWay
	}
	return errBusy
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
	// protobuf writes no text that is no UTF-8, and a sender's header may be in it.
	said := &spb.Status{Code: int32(code), Message: strings.ToValidUTF8(err.Error(), replacement)}
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

// answered notes an answer's status.
type answered struct {
	http.ResponseWriter
	status int
}

// Unwrap is for http.ResponseController.
func (a *answered) Unwrap() http.ResponseWriter { return a.ResponseWriter }

func (a *answered) WriteHeader(status int) {
	if a.status == 0 && status >= 200 {
		a.status = status
	}
	a.ResponseWriter.WriteHeader(status)
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
