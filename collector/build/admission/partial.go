package admission

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"

	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/encoding/protojson"
)

const (
	whyIDs = "traceId and spanId are 32 and 16 hex digits in OTLP/JSON, not base64 as in protobuf's own JSON"
	// A name that nobody knows is data that nobody gets; OTLP wants it ignored, not refused.
	whyUnknown = "OTLP/JSON has no such member, and what it holds is left out: look at its spelling and at the path, one for each signal"
)

// kinds of a request, one for each signal.
var kinds = map[string]struct {
	unit, before, after string
	decode              func([]byte) error
	partly              func(rejected int64, why string) ([]byte, error)
}{
	"traces": {
		"spans", `{"resourceSpans":[{"scopeSpans":[{"spans":[`, `]}]}]}`,
		func(body []byte) error { return ptraceotlp.NewExportRequest().UnmarshalJSON(body) },
		func(rejected int64, why string) ([]byte, error) {
			response := ptraceotlp.NewExportResponse()
			response.PartialSuccess().SetRejectedSpans(rejected)
			response.PartialSuccess().SetErrorMessage(why)
			return response.MarshalJSON()
		},
	},
	"metrics": {
		"data points", `{"resourceMetrics":[{"scopeMetrics":[{"metrics":[`, `]}]}]}`,
		func(body []byte) error { return pmetricotlp.NewExportRequest().UnmarshalJSON(body) },
		func(rejected int64, why string) ([]byte, error) {
			response := pmetricotlp.NewExportResponse()
			response.PartialSuccess().SetRejectedDataPoints(rejected)
			response.PartialSuccess().SetErrorMessage(why)
			return response.MarshalJSON()
		},
	},
	"logs": {
		"log records", `{"resourceLogs":[{"scopeLogs":[{"logRecords":[`, `]}]}]}`,
		func(body []byte) error { return plogotlp.NewExportRequest().UnmarshalJSON(body) },
		func(rejected int64, why string) ([]byte, error) {
			response := plogotlp.NewExportResponse()
			response.PartialSuccess().SetRejectedLogRecords(rejected)
			response.PartialSuccess().SetErrorMessage(why)
			return response.MarshalJSON()
		},
	},
}

// serveJSON tells what is left out of a request: members that nobody knows, and items that upstream's
// decoder refuses, which would cost all others of the request.
func (g *Guard) serveJSON(next http.Handler, w http.ResponseWriter, r *http.Request, signal string, sent *document) {
	ctx, kind := r.Context(), kinds[signal]
	held := handle(next, r, sent.body)
	rejected, why := 0, ""
	if held.status == http.StatusBadRequest {
		var reason string
		reason, why = reasonOfJSON(held.content.Bytes())
		if kept, without, left := decodable(signal, sent.body); left > 0 && kept > 0 {
			if again := handle(next, r, without); again.status != http.StatusBadRequest {
				held, rejected = again, left
			}
		}
		if held.status == http.StatusBadRequest {
			refuse(ctx, reason, why, "")
			answer(w, typeJSON, held.status, codes.InvalidArgument, errors.New(why))
			return
		}
		if held.status == http.StatusOK {
			refuse(ctx, reason, why, "")
			g.reject(r, signal, reason, rejected)
		}
		why = fmt.Sprintf("%d %s left out: %s", rejected, kind.unit, why)
	}
	if held.status != http.StatusOK || rejected+sent.unknown == 0 {
		held.replay(w)
		return
	}
	if sent.unknown > 0 {
		names := strings.Join(sent.names, ", ")
		refuse(ctx, reasonUnknown, whyUnknown, names)
		if more := sent.unknown - len(sent.names); more > 0 {
			names += fmt.Sprintf(" and %d more", more)
		}
		if why != "" {
			why += "; "
		}
		why += fmt.Sprintf("unknown members are left out: %s", names)
		if sent.lost > 0 {
			g.reject(r, signal, reasonUnknown, sent.lost)
			rejected += sent.lost
		}
	}
	if content, err := kind.partly(int64(rejected), why); err == nil {
		held.content = *bytes.NewBuffer(content)
	}
	held.replay(w)
}

func (g *Guard) reject(r *http.Request, signal, reason string, items int) {
	g.rejected.Add(r.Context(), int64(items), metric.WithAttributes(attribute.String("receiver", g.receiver),
		attribute.String("signal", signal), attribute.String("reason", reason)))
}

// quoted is what may be the sender's own in upstream's messages.
var quoted = regexp.MustCompile(`"[^"]*"?`)

// reasonOfJSON is what upstream's decoder says, without the piece of the body that it repeats.
func reasonOfJSON(content []byte) (reason, why string) {
	var said spb.Status
	if protojson.Unmarshal(content, &said) != nil {
		return reasonMalform, "the body is no OTLP/JSON"
	}
	what, _, _ := strings.Cut(said.Message, ", error found in")
	if strings.HasPrefix(what, "ID.") || strings.Contains(what, "encoding/hex") {
		return reasonIDs, whyIDs
	}
	return reasonMalform, "the body is no OTLP/JSON: " + shown(quoted.ReplaceAllString(what, "…"))
}

// decodable is the body without the items that upstream's decoder refuses: how many are kept, and how
// many left out, data points where they are metrics.
func decodable(signal string, body []byte) (kept int, without []byte, left int) {
	kind := kinds[signal]
	sent, err := readJSON(signal, body, true)
	if err != nil {
		return 0, nil, 0
	}
	from := 0
	var item []byte
	for _, one := range sent.items {
		item = append(append(append(item[:0], kind.before...), body[one.from:one.to]...), kind.after...)
		if kind.decode(item) == nil {
			kept++
			continue
		}
		left += one.points
		without = append(without, body[from:one.from]...)
		from = one.to
		// With it goes one comma: that behind it, or behind the last of a list that before it.
		for from < len(body) && space(body[from]) {
			from++
		}
		if from < len(body) && body[from] == ',' {
			from++
		} else if before := bytes.TrimRight(without, " \t\r\n"); bytes.HasSuffix(before, []byte(",")) {
			without = before[:len(before)-1]
		}
	}
	return kept, append(without, body[from:]...), left
}

// held is an answer that is not given yet.
type held struct {
	header  http.Header
	status  int
	content bytes.Buffer
}

func handle(next http.Handler, r *http.Request, body []byte) *held {
	h := &held{header: http.Header{}}
	r.Body = io.NopCloser(bytes.NewReader(body))
	r.ContentLength = int64(len(body))
	next.ServeHTTP(h, r)
	return h
}

func (h *held) Header() http.Header { return h.header }

func (h *held) WriteHeader(status int) {
	if h.status == 0 {
		h.status = status
	}
}

func (h *held) Write(content []byte) (int, error) {
	h.WriteHeader(http.StatusOK)
	return h.content.Write(content)
}

func (h *held) replay(w http.ResponseWriter) {
	for name, values := range h.header {
		w.Header()[name] = values
	}
	w.WriteHeader(h.status)
	_, _ = w.Write(h.content.Bytes())
}
