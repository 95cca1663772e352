// Package cloudwatchtest is CloudWatch Logs for the exporters' tests: it refuses the names that
// botocore's model forbids, and holds the events of what it takes.
package cloudwatchtest

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// botocore 1.43, logs: the patterns of LogGroupName and LogStreamName.
var (
	group  = regexp.MustCompile(`^[.\-_/#A-Za-z0-9]{1,512}$`)
	stream = regexp.MustCompile(`^[^:*]{1,512}$`)
)

// Event is one log event, the message as JSON.
type Event struct {
	Stream  string
	Message map[string]any
}

// Server holds what was put. Fails, if any, decides whether a put to a stream is answered with 503.
type Server struct {
	URL   string
	Fails func(stream string) bool

	mu     sync.Mutex
	events []Event
	puts   int
}

// New starts a server, and gives the test credentials and a folder of its own.
func New(t *testing.T) *Server {
	t.Helper()
	t.Setenv("AWS_ACCESS_KEY_ID", "nobody")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "nothing")
	t.Setenv("QUEUE_DIR", t.TempDir())
	s := &Server{}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	s.URL = server.URL
	return s
}

// Events that were put, in order.
func (s *Server) Events() []Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Event(nil), s.events...)
}

// Puts is how many requests were taken.
func (s *Server) Puts() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.puts
}

func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var put struct {
		Group     string `json:"logGroupName"`
		Stream    string `json:"logStreamName"`
		LogEvents []struct {
			Message string `json:"message"`
		} `json:"logEvents"`
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	content, err := io.ReadAll(r.Body)
	if err != nil || json.Unmarshal(content, &put) != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	if !group.MatchString(put.Group) || strings.HasSuffix(operation, "LogStream") && !stream.MatchString(put.Stream) ||
		operation == "PutLogEvents" && !stream.MatchString(put.Stream) {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = w.Write([]byte(`{"__type": "InvalidParameterException", "message": "a name does not satisfy its pattern"}`))
		return
	}
	if operation == "PutLogEvents" {
		if s.Fails != nil && s.Fails(put.Stream) {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		s.mu.Lock()
		s.puts++
		for _, one := range put.LogEvents {
			event := Event{Stream: put.Stream}
			_ = json.Unmarshal([]byte(one.Message), &event.Message)
			s.events = append(s.events, event)
		}
		s.mu.Unlock()
	}
	// Without a token upstream puts the same again.
	_, _ = w.Write([]byte(`{"nextSequenceToken": "1"}`))
}
