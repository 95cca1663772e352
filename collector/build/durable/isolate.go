package durable

import (
	"context"
	"net/http"
)

// separable tells whether less of the same data may be taken: where the vendor spoke of the data, or the
// exporter failed on it. A wrong path (404) is wrong for all.
func (f *failure[T]) separable() bool {
	switch f.status {
	case 0, http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity:
		return true
	}
	return f.status >= http.StatusInternalServerError
}

// isolate sends a batch in ever smaller parts, so that what cannot be delivered is refused alone and all
// else passes. First it tries three single items: while none of them passes, the vendor is down or all
// of the batch is refused, and nothing is done. What failed in a way that may be the vendor's, beside
// items that passed, has one more try.
//
// Batches are bounded by items and vendors by bytes: what is too large (413) is only halved.
func (k *keeper[T]) isolate(ctx context.Context, left *failure[T]) (done bool, err error) {
	if k.kind.items(left.data) < 2 || !left.separable() {
		return false, nil
	}
	var culprits []*failure[T]
	singles, todo := k.probes(left.data)
	passed := left.status == http.StatusRequestEntityTooLarge
	if passed {
		singles, todo = nil, k.halve(left.data)
	}
	for number, one := range singles {
		switch failed := k.attempt(ctx, one); {
		case failed == nil:
			passed = true
		case failed.verdict == again:
			todo = append(append(todo, singles[number+1:]...), failed.data)
			return true, k.later(ctx, failed.err, passed, todo, culprits)
		default:
			culprits = append(culprits, failed)
		}
	}
	if !passed {
		return false, nil
	}
	for len(todo) > 0 {
		part := todo[0]
		todo = todo[1:]
		switch failed := k.attempt(ctx, part); {
		case failed == nil:
		case failed.verdict == again:
			return true, k.later(ctx, failed.err, true, append(todo, failed.data), culprits)
		case k.kind.items(failed.data) > 1 && failed.separable():
			todo = append(k.halve(failed.data), todo...)
		default:
			culprits = append(culprits, failed)
		}
	}
	for number, one := range culprits {
		if one.verdict == suspect {
			if one = k.attempt(ctx, one.data); one == nil {
				continue
			}
			if one.verdict == again {
				return true, k.later(ctx, one.err, true, []T{one.data}, culprits[number+1:])
			}
		}
		k.refuse(ctx, one.data, k.kind.items(one.data), one.status, one.err.Error())
	}
	return true, nil
}

// later leaves to the retry what could not be sent now, without what is delivered. What is refused for
// good beside items that passed is kept here.
func (k *keeper[T]) later(ctx context.Context, err error, passed bool, parts []T, culprits []*failure[T]) error {
	for _, one := range culprits {
		if passed && one.verdict == hopeless {
			k.refuse(ctx, one.data, k.kind.items(one.data), one.status, one.err.Error())
		} else {
			parts = append(parts, one.data)
		}
	}
	rest := k.kind.empty()
	for _, part := range parts {
		k.kind.move(part, rest)
	}
	return k.retry(err, rest)
}

// probes is the first item, the one in the middle and the last, and what lies between.
func (k *keeper[T]) probes(data T) (singles, between []T) {
	last := k.kind.items(data) - 1
	at := -1
	for _, probe := range []int{0, last / 2, last} {
		if probe == at {
			continue
		}
		if probe > at+1 {
			after := at
			between = append(between, k.part(data, func(item int) bool { return after < item && item < probe }))
		}
		singles = append(singles, k.part(data, func(item int) bool { return item == probe }))
		at = probe
	}
	return singles, between
}
