package durable

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"sync"

	"go.opentelemetry.io/collector/consumer/consumererror"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// What a failed export deserves.
type verdict int

const (
	// again: the vendor's state, not the data, is at fault, or nobody can tell.
	again verdict = iota
	// hopeless: the same data would be refused for ever.
	hopeless
	// suspect: it may be the data; seen in time (see suspects).
	suspect
)

// judge reads an error. `status` is the HTTP status, 0 where there was no answer.
//
// 401, 403 and 429 end when a key or a limit is put right, so the data waits in the queue. AWS's
// JSON protocol says nearly everything with 400: there the code decides.
func judge(err error, status int) verdict {
	var panicked *PanicError
	if errors.As(err, &panicked) {
		return hopeless
	}
	var coded interface{ ErrorCode() string }
	if errors.As(err, &coded) {
		switch coded.ErrorCode() {
		case "InvalidParameterException", "InvalidRequestException", "ValidationException",
			"SerializationException", "DataAlreadyAcceptedException":
			return hopeless
		}
		if status >= http.StatusInternalServerError {
			return suspect
		}
		return again
	}
	var network net.Error
	switch {
	case status == 0 && (errors.Is(err, context.Canceled) || unreachable(err)):
		return again
	// Whoever was reached and says nothing may have choked on the data: a server's handler that
	// panics is an EOF here, one that computes for ever a timeout.
	case status == 0 && (errors.As(err, &network) || errors.Is(err, context.DeadlineExceeded)):
		return suspect
	case status == 0 && consumererror.IsPermanent(err):
		return hopeless
	case status == 0:
		return suspect
	case status == http.StatusUnauthorized, status == http.StatusForbidden,
		status == http.StatusRequestTimeout, status == http.StatusTooEarly,
		status == http.StatusTooManyRequests, status == http.StatusProxyAuthRequired:
		return again
	case status >= http.StatusInternalServerError:
		return suspect
	}
	return hopeless
}

// unreachable tells whether the data was never sent: it cannot be at fault.
func unreachable(err error) bool {
	var connecting *net.OpError
	var name *net.DNSError
	var certificate *tls.CertificateVerificationError
	var notTLS tls.RecordHeaderError
	var strange strangeAnswerError
	return errors.As(err, &name) || errors.As(err, &certificate) || errors.As(err, &notTLS) ||
		errors.As(err, &strange) || errors.As(err, &connecting) && connecting.Op != "read" && connecting.Op != "write"
}

// Hopeless tells whether an AWS error says that the same data would be refused for ever.
func Hopeless(err error) bool { return judge(err, statusOf(err)) == hopeless }

// hopelessError is answered with 400 by an OTLP receiver, where no queue stands between. Without a status
// of its own a permanent error becomes 500 there, which says that the receiver is at fault.
type hopelessError struct{ error }

func (h hopelessError) Unwrap() error { return h.error }

func (h hopelessError) GRPCStatus() *status.Status {
	return status.New(codes.InvalidArgument, h.Error())
}

// statusOf is the HTTP status that an AWS error carries.
func statusOf(err error) int {
	var answered interface{ HTTPStatusCode() int }
	if errors.As(err, &answered) {
		return answered.HTTPStatusCode()
	}
	return 0
}

const (
	// With pauses that grow from 1 to 30 s these are about a minute and a half.
	suspectAttempts = 10
	maxSuspects     = 1000
)

// suspects counts the attempts at each batch that fails in a way that may be its own fault.
// While nothing passes, the vendor is down and no batch is to blame.
type suspects struct {
	mu     sync.Mutex
	passed int
	seen   map[[sha256.Size]byte]*record
}

type record struct{ attempts, passedBefore int }

func (s *suspects) pass() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.passed++
}

// failed notes one more attempt. `often`: it is time to find out whether the data is at fault; the
// count begins again then. `others`: what was not this batch has passed lately.
func (s *suspects) failed(data []byte) (often, others bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := sha256.Sum256(data)
	known, found := s.seen[key]
	if !found {
		if s.seen == nil || len(s.seen) >= maxSuspects {
			s.seen = map[[sha256.Size]byte]*record{}
		}
		known = &record{passedBefore: s.passed}
		s.seen[key] = known
	}
	known.attempts++
	if known.attempts == suspectAttempts/2 {
		// What passed while a vendor went down says nothing about what it refuses since.
		known.passedBefore = s.passed
	}
	if known.attempts < suspectAttempts {
		return false, false
	}
	delete(s.seen, key)
	return true, s.passed > known.passedBefore
}
