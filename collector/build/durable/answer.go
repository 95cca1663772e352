package durable

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"mime"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/extension/extensionmiddleware"
	"go.opentelemetry.io/collector/extension/xextension/storage"
	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
)

// Answer is what an HTTP client saw of the vendor's answer. Upstream's exporter hides the status in
// a text and only logs a partial success.
type answer struct {
	status  int
	refused int
	message string
}

type answerKey struct{}

// WitnessID names the middleware that fills in an export's answer. It is in no config: the host
// that the wrapped exporter sees has it.
var WitnessID = component.MustNewIDWithName("durable", "witness")

type witness struct {
	component.StartFunc
	component.ShutdownFunc
}

var _ extensionmiddleware.HTTPClient = witness{}

func (witness) GetHTTPRoundTripper(context.Context) (extensionmiddleware.WrapHTTPRoundTripperFunc, error) {
	return func(_ context.Context, base http.RoundTripper) (http.RoundTripper, error) {
		return roundTripper{base}, nil
	}, nil
}

type roundTripper struct{ base http.RoundTripper }

const maxAnswer = 64 << 10

func (r roundTripper) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := r.base.RoundTrip(request)
	seen, asked := request.Context().Value(answerKey{}).(*answer)
	if err != nil || !asked {
		return response, err
	}
	if strange := stranger(response); strange != nil {
		response.Body.Close()
		return nil, strangeAnswerError{strange}
	}
	sooner(response.Header)
	seen.status = response.StatusCode
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	hideKeys(body, request.Header)
	response.Body = readCloser{io.MultiReader(bytes.NewReader(body), response.Body), response.Body}
	if err == nil && response.StatusCode < http.StatusMultipleChoices {
		seen.refused, seen.message = partial(request.URL.Path, response.Header.Get("Content-Type"), body)
	}
	return response, nil
}

// strangeAnswerError is another's answer than the vendor's: it says nothing about the data.
type strangeAnswerError struct{ error }

// stranger is what is wrong with an answer that is nobody's who takes OTLP, and that upstream counts as
// a delivery: Go's client follows a redirect, with the key, to whatever host it names, and asks there
// without the data if it is a 301 or 302; a page with status 200 is a sign-in or a vendor's console. As
// an error of the network it leaves the data in the queue until the address is put right.
func stranger(response *http.Response) error {
	switch kind, _, _ := mime.ParseMediaType(response.Header.Get("Content-Type")); {
	case response.StatusCode/100 == 3:
		where := "nowhere"
		if to, err := response.Location(); err == nil {
			where = to.Scheme + "://" + to.Host
		}
		return fmt.Errorf("answered with %d, to %s: not followed, it would take the key there; "+
			"is the endpoint right?", response.StatusCode, where)
	case response.StatusCode/100 == 2 && kind == "text/html":
		return fmt.Errorf("answered with %d and a web page: nobody takes OTLP there; "+
			"is the endpoint right?", response.StatusCode)
	}
	return nil
}

// Of a vendor that is well again, nobody should wait longer: the queue is full after half an hour.
const longestRetryAfter = time.Minute

// sooner bounds Retry-After. Upstream waits as long as it says, a day by a proxy's mistake, an hour by a
// clock's, and with each batch one of the queue's ten consumers.
func sooner(header http.Header) {
	asked := header.Get("Retry-After")
	seconds, _ := strconv.Atoi(asked)
	if when, err := http.ParseTime(asked); err == nil {
		seconds = int(time.Until(when).Seconds())
	}
	if seconds > int(longestRetryAfter.Seconds()) {
		header.Set("Retry-After", strconv.Itoa(int(longestRetryAfter.Seconds())))
	}
}

var (
	keyHeader = regexp.MustCompile(`(?i)(authorization|cookie|key|token|team|secret|password)$`)
	// Shorter words would hide words of the sentences themselves.
	shortestKey = 8
)

// hideKeys writes over the keys that a vendor repeats of the request it refuses: upstream logs what
// it says. The length stays, since the answer is protobuf.
func hideKeys(answer []byte, sent http.Header) {
	for name, values := range sent {
		if !keyHeader.MatchString(name) {
			continue
		}
		for _, key := range keysOf(strings.Join(values, " ")) {
			hidden := bytes.Repeat([]byte{'*'}, len(key))
			copy(answer, bytes.ReplaceAll(answer, []byte(key), hidden))
		}
	}
}

// keysOf a header: `Bearer <key>`, `Basic <base64 of user:key>`, `<key>`.
func keysOf(header string) []string {
	var found []string
	for _, word := range strings.FieldsFunc(header, func(r rune) bool { return r == ' ' || r == ',' }) {
		found = append(found, word)
		plain, err := base64.StdEncoding.DecodeString(word)
		if _, password, is := strings.Cut(string(plain), ":"); is && err == nil {
			found = append(found, password)
		}
	}
	return slices.DeleteFunc(found, func(word string) bool { return len(word) < shortestKey })
}

type readCloser struct {
	io.Reader
	io.Closer
}

func partial(path, contentType string, body []byte) (int, string) {
	type response interface {
		UnmarshalProto([]byte) error
		UnmarshalJSON([]byte) error
	}
	read := func(into response) bool {
		if strings.HasPrefix(contentType, "application/json") {
			return into.UnmarshalJSON(body) == nil
		}
		return into.UnmarshalProto(body) == nil
	}
	switch {
	case len(body) == 0:
	case strings.HasSuffix(path, "traces"):
		if said := ptraceotlp.NewExportResponse(); read(said) {
			return int(said.PartialSuccess().RejectedSpans()), said.PartialSuccess().ErrorMessage()
		}
	case strings.HasSuffix(path, "metrics"):
		if said := pmetricotlp.NewExportResponse(); read(said) {
			return int(said.PartialSuccess().RejectedDataPoints()), said.PartialSuccess().ErrorMessage()
		}
	case strings.HasSuffix(path, "logs"):
		if said := plogotlp.NewExportResponse(); read(said) {
			return int(said.PartialSuccess().RejectedLogRecords()), said.PartialSuccess().ErrorMessage()
		}
	}
	return 0, ""
}

// Host has the witness besides the collector's own extensions, and storage that is kept.
func Host(own component.Host, set component.TelemetrySettings) component.Host { return host{own, set} }

type host struct {
	component.Host
	set component.TelemetrySettings
}

func (h host) GetExtensions() map[component.ID]component.Component {
	own := h.Host.GetExtensions()
	all := make(map[component.ID]component.Component, len(own)+1)
	for id, extension := range own {
		if files, is := extension.(storage.Extension); is {
			extension = keptStorage{files, h.set}
		}
		all[id] = extension
	}
	all[WitnessID] = witness{}
	return all
}
