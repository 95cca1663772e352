package durable

import (
	"context"
	"errors"
	"testing"
	"time"
)

func TestAnUnhurriedContextOutlivesATimeoutOfTheWrapped(t *testing.T) {
	ctx, cancel := Unhurried(context.Background(), 50*time.Millisecond)
	defer cancel()
	inner, done := context.WithTimeout(ctx, upstreamTimeout)
	defer done()
	<-inner.Done()
	if !errors.Is(inner.Err(), context.DeadlineExceeded) {
		t.Fatalf("ended by %v", inner.Err())
	}

	parent, end := context.WithCancel(context.Background())
	ctx, cancel = Unhurried(parent, time.Minute)
	defer cancel()
	ctx = unhurried{ctx, time.Now().Add(-time.Second)}
	inner, done = context.WithTimeout(ctx, time.Millisecond)
	defer done()
	select {
	case <-inner.Done():
		t.Fatal("ended by the timeout of the wrapped")
	case <-time.After(20 * time.Millisecond):
	}
	end()
	<-inner.Done()
}
