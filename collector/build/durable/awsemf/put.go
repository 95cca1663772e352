package awsemf

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"maps"
	"net"
	"slices"
	"sync"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"otel-stack/durable"
)

const putTimeout = 10 * time.Second

// putter hands a batch to upstream's exporter in parts of one request to one log stream.
//
// Upstream keeps the events of all streams, and of all batches that are on their way at once, in the
// same buffers, and leaves them there when the request to one stream fails. When the batch comes
// again they are added once more: with CloudWatch away for 12 s, 80 requests of the app counted as
// 400. And who finds its events taken along by another's failed request is told that all went well.
// So one part at a time, which the buffers hold whole or not at all.
//
// An event that cannot be written leaves those before it in the buffers too: 40 counters beside an
// exponential histogram with a bucket that ends at infinity were summed to 184. What is known to be
// so is refused before (see `unfit`); for the rest upstream's exporter is made again, with empty
// buffers, and the part comes in halves until the point is alone.
type putter struct {
	exporter.Metrics
	make func(context.Context) (exporter.Metrics, error)
	host component.Host

	naming
	taken *durable.Taken
	turn  chan struct{}
}

func (p *putter) Start(ctx context.Context, host component.Host) error {
	p.host = host
	p.taken.Load()
	return p.Metrics.Start(ctx, host)
}

func (p *putter) Shutdown(ctx context.Context) error {
	p.taken.Save()
	return p.Metrics.Shutdown(ctx)
}

// Capabilities: upstream changes what it is given, which here are copies.
func (*putter) Capabilities() consumer.Capabilities { return consumer.Capabilities{MutatesData: false} }

func (p *putter) ConsumeMetrics(ctx context.Context, md pmetric.Metrics) error {
	select {
	case p.turn <- struct{}{}:
		defer func() { <-p.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	ids := sync.OnceValues(func() ([]string, error) { return idsOf(md) })
	had, err := p.had(ids)
	if err != nil {
		return err
	}
	parts, refused := p.split(md, had, time.Now())
	if err := p.put(ctx, md, parts, refused, ids); err != nil {
		return err
	}
	p.taken.Remove(named(had, ids)...)
	if len(refused) == 0 {
		return nil
	}
	return partlyRefused(md, refused)
}

// partlyRefused is an error for each reason.
func partlyRefused(md pmetric.Metrics, refused map[int]string) error {
	numbers := map[string]map[int]bool{}
	for number, why := range refused {
		if numbers[why] == nil {
			numbers[why] = map[int]bool{}
		}
		numbers[why][number] = true
	}
	var all []error
	for _, why := range slices.Sorted(maps.Keys(numbers)) {
		all = append(all, &durable.PartlyError[pmetric.Metrics]{Data: only(md, numbers[why]), Reason: why})
	}
	return errors.Join(all...)
}

// Requests that CloudWatch refuses in a row until it is taken to refuse all of a batch: 2,000 points are
// halved eleven times until one is alone.
const mostTurnedDown = 16

// put puts parts until none is left, and adds to `refused` what cannot be put. What it puts before it
// fails is noted as taken; what it noted is taken off again when all is put.
func (p *putter) put(ctx context.Context, md pmetric.Metrics, parts []map[int]bool, refused map[int]string, ids func() ([]string, error)) error {
	var noted []string
	turnedDown := 0
	for len(parts) > 0 {
		part := parts[0]
		parts = parts[1:]
		limited, cancel := durable.Unhurried(ctx, putTimeout)
		err := durable.Guard(func() error { return p.Metrics.ConsumeMetrics(limited, p.fitted(only(md, part))) })
		cancel()
		switch {
		case err == nil && len(parts) == 0:
		case err == nil:
			turnedDown = 0
			if _, failed := ids(); failed != nil {
				return failed
			}
			put := named(part, ids)
			p.taken.Add(put...)
			noted = append(noted, put...)
		case unwritten(err):
			if failed := p.renew(ctx); failed != nil {
				return failed
			}
			if len(part) == 1 {
				refuse(refused, part, err.Error())
			} else {
				parts = append(halves(part), parts...)
			}
		case durable.Hopeless(err):
			// Found here and not by the wrapper's isolate, which would forget over a stop what of its batch
			// CloudWatch has: 74 values counted twice.
			if turnedDown++; len(part) == 1 || turnedDown > mostTurnedDown {
				refuse(refused, part, err.Error())
			} else {
				parts = append(halves(part), parts...)
			}
		default:
			return err
		}
	}
	p.taken.Remove(noted...)
	return nil
}

func refuse(refused map[int]string, numbers map[int]bool, why string) {
	for number := range numbers {
		refused[number] = why
	}
}

func halves(part map[int]bool) []map[int]bool {
	numbers := slices.Sorted(maps.Keys(part))
	first, second := map[int]bool{}, map[int]bool{}
	for i, number := range numbers {
		if i < len(numbers)/2 {
			first[number] = true
		} else {
			second[number] = true
		}
	}
	return []map[int]bool{first, second}
}

// unwritten tells whether upstream failed before it asked AWS for anything: AWS's SDK names the
// operation in each of its errors.
func unwritten(err error) bool {
	var operation interface{ Operation() string }
	var coded interface{ ErrorCode() string }
	var network net.Error
	return !errors.As(err, &operation) && !errors.As(err, &coded) && !errors.As(err, &network) &&
		!errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded)
}

// renew takes another of upstream's exporters. The present one would send what it has buffered when it
// is shut down; with a context that has ended it sends nothing.
func (p *putter) renew(ctx context.Context) error {
	fresh, err := p.make(ctx)
	if err != nil {
		return err
	}
	if err := fresh.Start(ctx, p.host); err != nil {
		return err
	}
	ended, end := context.WithCancel(ctx)
	end()
	_ = p.Metrics.Shutdown(ended)
	p.Metrics = fresh
	return nil
}

// had is what CloudWatch has of a batch that was put in part: the data points' numbers.
func (p *putter) had(ids func() ([]string, error)) (map[int]bool, error) {
	had := map[int]bool{}
	if !p.taken.Any() {
		return had, nil
	}
	all, err := ids()
	for number, id := range all {
		if p.taken.Has(id) {
			had[number] = true
		}
	}
	return had, err
}

func named(numbers map[int]bool, ids func() ([]string, error)) (found []string) {
	if len(numbers) == 0 {
		return nil
	}
	all, _ := ids()
	for number := range numbers {
		found = append(found, all[number])
	}
	return found
}

// idsOf is by the data point's number, and the same for the same point that comes again: after a
// restart it comes in a batch with others than before.
func idsOf(md pmetric.Metrics) (ids []string, err error) {
	var to pmetric.ProtoMarshaler
	for _, resource := range md.ResourceMetrics().All() {
		bare := pmetric.NewMetrics()
		alone := bare.ResourceMetrics().AppendEmpty()
		resource.Resource().CopyTo(alone.Resource())
		one := alone.ScopeMetrics().AppendEmpty().Metrics().AppendEmpty()
		for _, scope := range resource.ScopeMetrics().All() {
			for _, metric := range scope.Metrics().All() {
				one.SetName(metric.Name())
				one.SetUnit(metric.Unit())
				for range copies(metric, one) {
					content, err := to.MarshalMetrics(bare)
					if err != nil {
						return nil, err
					}
					sum := sha256.Sum256(content)
					ids = append(ids, hex.EncodeToString(sum[:]))
				}
			}
		}
	}
	return ids, nil
}
