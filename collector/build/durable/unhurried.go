package durable

import (
	"context"
	"time"
)

// Unhurried gives a wrapped exporter as long as `limit`, whatever its own timeout is. Upstream's
// exporters for CloudWatch give up after five seconds, and their config has no key for it: what
// CloudWatch takes five seconds for it has, and it comes twice.
//
// A context that is made with a timeout starts no timer where its parent says that it ends before.
// So this one says so, and ends later. It says a time that dialing may well take.
func Unhurried(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	limited, cancel := context.WithTimeout(ctx, limit)
	return unhurried{limited, time.Now().Add(upstreamTimeout - time.Second)}, cancel
}

// exporterhelper's default.
const upstreamTimeout = 5 * time.Second

type unhurried struct {
	context.Context
	says time.Time
}

func (u unhurried) Deadline() (time.Time, bool) { return u.says, true }
