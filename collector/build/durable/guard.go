package durable

import (
	"fmt"
	"path"
	"runtime"
	"strings"
)

// PanicError is what an exporter's code made of some data. Go ends the process for a panic in a queue's
// consumer, and at the next start the queue hands out the same batch; in an HTTP server's handler it is
// swallowed, the sender sees EOF and tries for ever. Upstream has no guard:
// open-telemetry/opentelemetry-collector#7366, #3955.
type PanicError struct{ said, place string }

func (p *PanicError) Error() string {
	return fmt.Sprintf("the exporter panicked on it: %s, in %s", p.said, p.place)
}

// Guard returns a panic of `work` as a PanicError.
func Guard(work func() error) (err error) {
	defer func() {
		if said := recover(); said != nil {
			err = &PanicError{fmt.Sprint(said), panicking()}
		}
	}()
	return work()
}

// panicking is the function that panics, as `translator.fillDotnetStacktrace (cause.go:421)`.
func panicking() string {
	callers := make([]uintptr, 64)
	frames := runtime.CallersFrames(callers[:runtime.Callers(1, callers)])
	inRuntime := false
	for {
		frame, more := frames.Next()
		switch {
		case strings.HasPrefix(frame.Function, "runtime."):
			inRuntime = true
		case inRuntime:
			return fmt.Sprintf("%s (%s:%d)", path.Base(frame.Function), path.Base(frame.File), frame.Line)
		}
		if !more {
			return "an unknown place"
		}
	}
}
