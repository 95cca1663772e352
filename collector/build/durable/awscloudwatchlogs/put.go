package awscloudwatchlogs

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"math"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"

	"otel-stack/durable"
)

const (
	// CloudWatch's limits for a record's time. Upstream fails the whole batch for one record beyond
	// them, when it has put all others: 90 of 370 records stamped three hours ahead brought 480
	// copies of the others.
	oldest = 14 * 24 * time.Hour
	newest = 2 * time.Hour
	// Where upstream ends a request. A batch of several fails as a whole when one of them does.
	maxPut     = 256 << 10
	putTimeout = 15 * time.Second
	// JSON beside protobuf: names in quotes, escapes, "severity_number" and the like.
	jsonGrows, jsonAdds = 1.5, 256
)

// putter hands a batch to upstream's exporter in parts that are put whole or not at all, so that
// what CloudWatch has is not put again with what it has not.
type putter struct {
	exporter.Logs
	fit     func(pcommon.Resource)
	streams func(pcommon.Resource) string

	// Upstream notes a stream as made also when that failed, tells the failure to one record, and
	// puts the others. So the first record of a stream goes alone. Upstream also reads that note
	// while another goroutine may write it, which Go ends the process for: hence one at a time.
	making sync.RWMutex
	known  map[string]bool

	// What CloudWatch has of the batches whose rest, the key, waits for its next try. The queue has
	// these batches whole: a stop notes it in `taken`, and the next run leaves it out. Without that
	// a stop beside a CloudWatch that fails brought 120 of 4,000 records twice.
	mu      sync.Mutex
	waiting map[plog.Logs][]string
	taken   *durable.Taken
}

func (p *putter) Start(ctx context.Context, host component.Host) error {
	p.taken.Load()
	return p.Logs.Start(ctx, host)
}

func (p *putter) Shutdown(ctx context.Context) error {
	for _, ids := range p.waiting {
		p.taken.Add(ids...)
	}
	p.taken.Save()
	return p.Logs.Shutdown(ctx)
}

type part struct {
	stream string
	logs   plog.Logs
	bytes  int
}

func (p *putter) ConsumeLogs(ctx context.Context, ld plog.Logs) error {
	parts, refused, had := p.split(ld, time.Now())
	had = append(had, p.resumed(ld)...)
	var reasons []string
	if refused.LogRecordCount() > 0 {
		reasons = append(reasons, "older than 14 days, more than 2 hours in the future, or not to be written as JSON")
	}
	for number, one := range parts {
		limited, cancel := durable.Unhurried(ctx, putTimeout)
		err := durable.Guard(func() error { return p.put(limited, one) })
		cancel()
		switch {
		case err == nil:
		case durable.Hopeless(err) && one.logs.LogRecordCount() == 1:
			one.logs.ResourceLogs().MoveAndAppendTo(refused.ResourceLogs())
			reasons = append(reasons, err.Error())
		// Of several the queue finds the one that is refused.
		default:
			rest := refused
			for _, left := range parts[number:] {
				left.logs.ResourceLogs().MoveAndAppendTo(rest.ResourceLogs())
			}
			return &durable.RestError[plog.Logs]{Rest: rest, Err: err, Waits: func() {
				for _, put := range parts[:number] {
					had = append(had, idsOf(put.logs)...)
				}
				p.waits(rest, had)
			}}
		}
	}
	if len(reasons) == 0 {
		return nil
	}
	return &durable.PartlyError[plog.Logs]{Data: refused, Reason: strings.Join(reasons, "; ")}
}

// resumed is what CloudWatch has of the batch that this is the rest of.
func (p *putter) resumed(rest plog.Logs) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	had := p.waiting[rest]
	delete(p.waiting, rest)
	return had
}

func (p *putter) waits(rest plog.Logs, had []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waiting[rest] = had
}

func idsOf(ld plog.Logs) (ids []string) {
	for _, resource := range ld.ResourceLogs().All() {
		for _, scope := range resource.ScopeLogs().All() {
			for _, record := range scope.LogRecords().All() {
				ids = append(ids, idOf(resource.Resource(), scope, record))
			}
		}
	}
	return ids
}

// idOf is the same for the same record that comes again: after a restart it comes in a batch with
// others than before. Equal records have equal ids, and one of them is as good as the other.
func idOf(resource pcommon.Resource, scope plog.ScopeLogs, record plog.LogRecord) string {
	alone := plog.NewLogs()
	record.CopyTo(place(alone, resource, scope).AppendEmpty())
	var to plog.ProtoMarshaler
	content, err := to.MarshalLogs(alone)
	if err != nil {
		return "" // of which none is noted
	}
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

func (p *putter) put(ctx context.Context, one part) error {
	p.making.RLock()
	if p.known[one.stream] {
		defer p.making.RUnlock()
		return p.Logs.ConsumeLogs(ctx, one.logs)
	}
	p.making.RUnlock()
	p.making.Lock()
	defer p.making.Unlock()
	err := p.Logs.ConsumeLogs(ctx, one.logs)
	if err == nil {
		p.known[one.stream] = true
	}
	return err
}

// split makes parts of one request each, and takes out what CloudWatch will never take, and what it
// had before a stop.
func (p *putter) split(ld plog.Logs, now time.Time) (parts []part, refused plog.Logs, had []string) {
	refused = plog.NewLogs()
	resuming := p.taken.Any()
	open := map[string]int{}
	var sizes plog.ProtoMarshaler
	for _, resource := range ld.ResourceLogs().All() {
		bare := plog.NewLogs()
		fitted := bare.ResourceLogs().AppendEmpty().Resource()
		resource.Resource().CopyTo(fitted)
		p.fit(fitted)
		stream := p.streams(fitted)
		resourceFits := writable(fitted.Attributes())
		shared := sizes.LogsSize(bare)
		for _, scope := range resource.ScopeLogs().All() {
			fits := resourceFits && writable(scope.Scope().Attributes())
			// The part that this scope's records are put into at present, and the place in it.
			at, here := -1, plog.LogRecordSlice{}
			refusing := plog.LogRecordSlice{}
			hasRefused := false
			for _, record := range scope.LogRecords().All() {
				if !fits || !inTime(record, now) || !writable(record.Attributes()) || !writableValue(record.Body()) {
					if !hasRefused {
						refusing, hasRefused = place(refused, resource.Resource(), scope), true
					}
					record.CopyTo(refusing.AppendEmpty())
					continue
				}
				if resuming {
					if id := idOf(fitted, scope, record); p.taken.Claim(id) {
						had = append(had, id)
						continue
					}
				}
				bytes := jsonAdds + int(jsonGrows*float64(shared+sizes.LogRecordSize(record)))
				number, found := open[stream]
				if !found || parts[number].bytes+bytes > maxPut {
					number = len(parts)
					parts = append(parts, part{stream: stream, logs: plog.NewLogs()})
					open[stream] = number
				}
				if number != at {
					at, here = number, place(parts[number].logs, fitted, scope)
				}
				parts[number].bytes += bytes
				record.CopyTo(here.AppendEmpty())
				if !found && !p.knows(stream) {
					// The first of its stream goes alone.
					parts[number].bytes = maxPut
				}
			}
		}
	}
	return parts, refused, had
}

func (p *putter) knows(stream string) bool {
	p.making.RLock()
	defer p.making.RUnlock()
	return p.known[stream]
}

func place(in plog.Logs, resource pcommon.Resource, scope plog.ScopeLogs) plog.LogRecordSlice {
	copied := in.ResourceLogs().AppendEmpty()
	resource.CopyTo(copied.Resource())
	within := copied.ScopeLogs().AppendEmpty()
	scope.Scope().CopyTo(within.Scope())
	return within.LogRecords()
}

func inTime(record plog.LogRecord, now time.Time) bool {
	if record.Timestamp() == 0 {
		return true // upstream takes the moment of the export
	}
	age := now.Sub(record.Timestamp().AsTime())
	// Upstream looks at it a little later.
	return age < oldest-time.Minute && age > -newest
}

// writable: JSON has no NaN and no infinity, and upstream leaves out a record that holds one, with a
// line at debug level.
func writable(values pcommon.Map) bool {
	for _, value := range values.All() {
		if !writableValue(value) {
			return false
		}
	}
	return true
}

func writableValue(value pcommon.Value) bool {
	switch value.Type() {
	case pcommon.ValueTypeDouble:
		return !math.IsNaN(value.Double()) && !math.IsInf(value.Double(), 0)
	case pcommon.ValueTypeMap:
		return writable(value.Map())
	case pcommon.ValueTypeSlice:
		for _, one := range value.Slice().All() {
			if !writableValue(one) {
				return false
			}
		}
	}
	return true
}
