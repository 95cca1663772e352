// Package durable wraps upstream's exporters so that accepted data is delivered or accounted for.
//
// The config keys are upstream's; a config runs unchanged where this package is not built in. What
// it adds, for each exporter:
//
//   - a full queue loses that vendor's newest data, counted, and is not told to the app, whose
//     second attempt would be a duplicate for all other vendors;
//   - a queue that cannot be written (disk full) holds data in memory until it can;
//   - a queue whose file is deleted is written again under its name;
//   - 401, 403, 429 and 5xx are tried again, whatever upstream thinks of them;
//   - what is too large for one request is sent in several;
//   - what a vendor refuses for good is counted, named, and kept as a dead letter;
//   - an item that makes the exporter panic, or fail for ever, is refused alone, and in bounded tries.
package durable

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/config/configretry"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/exporter/exporterhelper"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
	"go.uber.org/zap"
)

// Queue is upstream's `sending_queue`.
type Queue = configoptional.Optional[exporterhelper.QueueBatchConfig]

// Settings of one exporter, under upstream's keys.
type Settings struct {
	exporter.Settings
	Config component.Config
	Queue  Queue
	Retry  configretry.BackOffConfig
	// Hop names the exporter whose queue and dead letters are taken over, see takeOver.
	Hop string
}

// NoQueue is for the copy of the config that the wrapped exporter gets.
func NoQueue() Queue { return configoptional.None[exporterhelper.QueueBatchConfig]() }

// Quiet is the settings for the wrapped exporter: counting is done once, outside.
func Quiet(set exporter.Settings) exporter.Settings {
	set.MeterProvider = noop.NewMeterProvider()
	return set
}

// PartlyError says that a vendor took a batch but for `Data`, and will never take that.
type PartlyError[T any] struct {
	Data   T
	Reason string
}

func (p *PartlyError[T]) Error() string { return p.Reason }

// RestError says that a vendor has a batch but for `Rest`, which may be sent again. `Waits`, where
// there is one, is called when `Rest` waits for the next try in memory, and the whole batch on disk.
type RestError[T any] struct {
	Rest  T
	Err   error
	Waits func()
}

func (r *RestError[T]) Error() string { return r.Err.Error() }
func (r *RestError[T]) Unwrap() error { return r.Err }

// Traces, Metrics and Logs wrap an exporter that has neither queue nor retry of its own.

func Traces(ctx context.Context, set Settings, inner exporter.Traces) (exporter.Traces, error) {
	k, err := newKeeper(set, traces, inner, inner.ConsumeTraces)
	if err != nil {
		return nil, err
	}
	outer, err := exporterhelper.NewTraces(ctx, set.Settings, set.Config, k.push, k.options()...)
	if err != nil {
		return nil, err
	}
	k.queue(outer, outer.ConsumeTraces)
	return tracesShell{shell[ptrace.Traces]{k}}, nil
}

func Metrics(ctx context.Context, set Settings, inner exporter.Metrics) (exporter.Metrics, error) {
	k, err := newKeeper(set, metrics, inner, inner.ConsumeMetrics)
	if err != nil {
		return nil, err
	}
	outer, err := exporterhelper.NewMetrics(ctx, set.Settings, set.Config, k.push, k.options()...)
	if err != nil {
		return nil, err
	}
	k.queue(outer, outer.ConsumeMetrics)
	return metricsShell{shell[pmetric.Metrics]{k}}, nil
}

func Logs(ctx context.Context, set Settings, inner exporter.Logs) (exporter.Logs, error) {
	k, err := newKeeper(set, logs, inner, inner.ConsumeLogs)
	if err != nil {
		return nil, err
	}
	outer, err := exporterhelper.NewLogs(ctx, set.Settings, set.Config, k.push, k.options()...)
	if err != nil {
		return nil, err
	}
	k.queue(outer, outer.ConsumeLogs)
	return logsShell{shell[plog.Logs]{k}}, nil
}

// consuming is what every exporter is. One that changes what it is given (awsemf with
// resource_to_telemetry_conversion) has to say so through the wrapper too: else it panics on data
// that another exporter of the pipeline shares.
type consuming interface {
	component.Component
	Capabilities() consumer.Capabilities
}

type keeper[T any] struct {
	set     Settings
	kind    kind[T]
	inner   consuming
	export  func(context.Context, T) error
	outer   consuming
	enqueue func(context.Context, T) error
	letters *letters
	seen    suspects

	attributes metric.MeasurementOption
	refused    metric.Int64Counter
	rescued    metric.Int64Counter
	requeued   metric.Int64Counter

	mu      sync.Mutex
	held    []T
	holding int
	said    time.Time
	stop    chan struct{}
	ended   sync.WaitGroup
	// life ends when a stop has waited long enough for the vendor's answer.
	life context.Context
	die  context.CancelFunc
}

func newKeeper[T any](set Settings, kind kind[T], inner consuming, export func(context.Context, T) error) (*keeper[T], error) {
	meter := set.MeterProvider.Meter("otel-stack/durable")
	refused, err := meter.Int64Counter("otelcol_exporter_refused_"+kind.unit,
		metric.WithDescription("Taken out of a batch by the vendor, which took the rest."))
	if err != nil {
		return nil, err
	}
	rescued, err := meter.Int64Counter("otelcol_exporter_rescued_"+kind.unit,
		metric.WithDescription("Counted as enqueue_failed, but held in memory and tried again."))
	if err != nil {
		return nil, err
	}
	requeued, err := meter.Int64Counter("otelcol_exporter_requeued_"+kind.unit,
		metric.WithDescription("Counted as sent, but put at the end of the queue."))
	if err != nil {
		return nil, err
	}
	life, die := context.WithCancel(context.Background())
	return &keeper[T]{
		life: life, die: die,
		set: set, kind: kind, inner: inner, export: export,
		letters:    newLetters(set.ID.String(), kind.signal),
		attributes: metric.WithAttributes(attribute.String("exporter", set.ID.String())),
		refused:    refused, rescued: rescued, requeued: requeued,
		stop: make(chan struct{}),
	}, nil
}

func (k *keeper[T]) options() []exporterhelper.Option {
	return []exporterhelper.Option{
		exporterhelper.WithStart(func(ctx context.Context, h component.Host) error {
			return k.inner.Start(ctx, h)
		}),
		exporterhelper.WithShutdown(k.inner.Shutdown),
		exporterhelper.WithCapabilities(k.inner.Capabilities()),
		// The wrapped exporter has its own.
		exporterhelper.WithTimeout(exporterhelper.TimeoutConfig{Timeout: 0}),
		exporterhelper.WithRetry(k.set.Retry),
		exporterhelper.WithQueue(k.set.Queue),
	}
}

func (k *keeper[T]) queue(outer consuming, enqueue func(context.Context, T) error) {
	k.outer, k.enqueue = outer, enqueue
}

// failure is what an attempt left undelivered.
type failure[T any] struct {
	data    T
	err     error
	status  int
	verdict verdict
	waits   func()
}

// push is behind the queue: one attempt at one batch, and more where the batch may be at fault.
func (k *keeper[T]) push(ctx context.Context, data T) error {
	left := k.attempt(ctx, data)
	if left == nil {
		return nil
	}
	// The sender is told, and has it still; here it would be kept twice.
	if !k.set.Queue.HasValue() {
		if left.verdict == hopeless {
			return consumererror.NewPermanent(hopelessError{left.err})
		}
		return k.retry(left.err, left.data)
	}
	switch left.verdict {
	case hopeless:
		if done, err := k.isolate(ctx, left); done {
			return err
		}
		return k.give(left)
	case suspect:
		content, err := k.kind.marshal(left.data)
		if err != nil {
			break
		}
		often, others := k.seen.failed(content)
		if !often {
			break
		}
		if done, err := k.isolate(ctx, left); done {
			return err
		}
		if others {
			return k.give(left)
		}
		// Ten such batches would hold all the queue's consumers, and nothing would pass that could
		// tell a vendor that is down from data that it chokes on.
		items := k.kind.items(left.data)
		if k.enqueue(ctx, left.data) == nil ||
			k.letters.park(k.header(left.data, items, left.status, left.err.Error()), content) == nil {
			k.requeued.Add(ctx, int64(items), k.attributes)
			return nil
		}
	}
	if left.waits != nil {
		left.waits()
	}
	return k.retry(left.err, left.data)
}

// attempt returns nil when nothing is left to be delivered.
func (k *keeper[T]) attempt(ctx context.Context, data T) *failure[T] {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(k.life, cancel)()
	var seen answer
	err := Guard(func() error { return k.export(context.WithValue(ctx, answerKey{}, &seen), data) })
	if refusals := partly[T](err); len(refusals) > 0 {
		for _, one := range refusals {
			k.refuse(ctx, one.Data, k.kind.items(one.Data), seen.status, one.Reason)
		}
		err = nil
	}
	if err == nil {
		k.seen.pass()
		if seen.refused > 0 {
			k.refuse(ctx, data, seen.refused, seen.status, seen.message)
		}
		return nil
	}
	var rest *RestError[T]
	var waits func()
	if errors.As(err, &rest) {
		data, err, waits = rest.Rest, rest.Err, rest.Waits
	}
	status := seen.status
	if status == 0 {
		status = statusOf(err)
	}
	return &failure[T]{data, err, status, judge(err, status), waits}
}

// retry makes the queue's next attempt be about `data`.
func (k *keeper[T]) retry(err error, data T) error {
	if consumererror.IsPermanent(err) {
		// Without %w: upstream's mark of permanence would shine through.
		err = errors.New(err.Error())
	}
	return k.kind.only(err, data)
}

// give keeps all that is left as one dead letter.
func (k *keeper[T]) give(left *failure[T]) error {
	k.keep(left.data, k.kind.items(left.data), left.status, left.err.Error())
	return consumererror.NewPermanent(hopelessError{left.err})
}

// partly is what of a batch was refused for good, by reason: one PartlyError, or several joined.
func partly[T any](err error) []*PartlyError[T] {
	if several, is := err.(interface{ Unwrap() []error }); is {
		var all []*PartlyError[T]
		for _, one := range several.Unwrap() {
			all = append(all, partly[T](one)...)
		}
		return all
	}
	var one *PartlyError[T]
	if errors.As(err, &one) {
		return []*PartlyError[T]{one}
	}
	return nil
}

// refuse counts what a vendor took out of a batch and keeps it, or all where it does not say which.
func (k *keeper[T]) refuse(ctx context.Context, data T, refused, status int, reason string) {
	k.refused.Add(ctx, int64(refused), k.attributes)
	k.keep(data, refused, status, reason)
}

func (k *keeper[T]) header(data T, refused, status int, reason string) header {
	return header{
		Exporter: k.set.ID.String(), Signal: k.kind.signal, Items: k.kind.items(data),
		Refused: refused, Status: status, Reason: shortened(reason), Service: k.kind.service(data),
		At: time.Now().UTC(),
	}
}

func (k *keeper[T]) keep(data T, refused, status int, reason string) {
	content, err := k.kind.marshal(data)
	if err == nil {
		err = k.letters.write(k.header(data, refused, status, reason), content)
	}
	about := []zap.Field{zap.Int("refused", refused), zap.Int("status", status), zap.String("reason", shortened(reason))}
	switch {
	case err == nil:
		k.set.Logger.Warn("Refused for good, kept as a dead letter", about...)
	case errors.Is(err, errUnwritten):
		k.set.Logger.Warn("Refused for good, a dead letter once the disk can be written", append(about, zap.Error(err))...)
	default:
		k.set.Logger.Error("Refused for good and not kept", append(about, zap.Error(err))...)
	}
}

const (
	// About 7 MB of spans at 670 bytes: a minute of 100 spans a second.
	maxHeld = 10_000
	every   = 500 * time.Millisecond
	// For all exporters together, which are stopped one after the other: Docker grants ten seconds.
	// An answer that takes five seconds comes in time: else what it is about would come twice.
	patience = 5500 * time.Millisecond
	atLeast  = 500 * time.Millisecond
	// From the signal on: receivers are stopped first, and may wait for a slow sender.
	allInAll = 8500 * time.Millisecond
	// However many hang: with half a second for each that comes after, eight exporters took 9.5 s.
	lastCall = 9200 * time.Millisecond
	// Of a stop that may take ten seconds in all.
	farewell = 2 * time.Second
)

// take is before the queue: what the pipeline hands over.
func (k *keeper[T]) take(ctx context.Context, data T) error {
	err := k.enqueue(ctx, data)
	if err == nil || !k.set.Queue.HasValue() {
		return err
	}
	if errors.Is(err, exporterhelper.ErrQueueIsFull) {
		k.warn("The queue is full: what comes now is lost for this vendor", err)
		return nil
	}
	items := k.kind.items(data)
	k.mu.Lock()
	defer k.mu.Unlock()
	select {
	case <-k.stop:
		return err
	default:
	}
	if k.holding+items > maxHeld {
		return err
	}
	k.held = append(k.held, data)
	k.holding += items
	k.rescued.Add(ctx, int64(items), k.attributes)
	go k.warn("The queue cannot be written: holding data in memory until it can", err)
	return nil
}

func (k *keeper[T]) warn(message string, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if time.Since(k.said) > 10*time.Second {
		k.said = time.Now()
		k.set.Logger.Error(message, zap.Error(err))
	}
}

// retake gives what is held to the queue; false while that fails.
func (k *keeper[T]) retake(ctx context.Context) bool {
	for {
		k.mu.Lock()
		if len(k.held) == 0 {
			k.mu.Unlock()
			return true
		}
		first := k.held[0]
		k.mu.Unlock()
		items := k.kind.items(first)
		if err := k.enqueue(ctx, first); err != nil && !errors.Is(err, exporterhelper.ErrQueueIsFull) {
			k.rescued.Add(ctx, int64(items), k.attributes)
			return false
		}
		k.mu.Lock()
		k.held = k.held[1:]
		k.holding -= items
		k.mu.Unlock()
	}
}

// replay sends the letters again that were put into the `replay` folder.
func (k *keeper[T]) replay(ctx context.Context) {
	for _, path := range k.letters.waiting(outbox) {
		content, err := k.letters.read(path)
		if err == nil {
			var data T
			if data, err = k.kind.unmarshal(content); err == nil {
				err = k.enqueue(ctx, data)
			}
		}
		if err == nil {
			err = k.letters.remove(path)
		}
		if err != nil {
			k.warn("A dead letter cannot be sent again now", err)
			return
		}
	}
}

func (k *keeper[T]) watch() {
	defer k.ended.Done()
	ctx := context.Background()
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-k.stop:
			k.retake(ctx)
			return
		case <-tick.C:
			k.retake(ctx)
			k.letters.rewrite()
			k.replay(ctx)
		}
	}
}

var stopping struct {
	sync.Mutex
	since, told time.Time
}

var listening sync.Once

// listen notes when the process is told to end: exporters are stopped after the receivers.
func listen() {
	told := make(chan os.Signal, 1)
	signal.Notify(told, syscall.SIGTERM, os.Interrupt)
	go func() {
		<-told
		stopping.Lock()
		defer stopping.Unlock()
		stopping.told = time.Now()
	}()
}

// grace is how long this exporter may wait for its vendor's last answers.
func grace() time.Duration {
	stopping.Lock()
	defer stopping.Unlock()
	// A reload stops exporters, and the collector lives.
	if time.Since(stopping.since) > time.Minute/2 {
		stopping.since = time.Now()
	}
	left := patience - time.Since(stopping.since)
	if stopping.told.IsZero() {
		return max(atLeast, left)
	}
	since := time.Since(stopping.told)
	// Who comes late has half of what is left, and whoever is well needs no more than a moment.
	moment := max(0, min(atLeast, (lastCall-since)/2))
	return max(moment, min(left, allInAll-since))
}

// shell is what the pipeline sees.
type shell[T any] struct{ *keeper[T] }

func (s shell[T]) Start(ctx context.Context, h component.Host) error {
	listening.Do(listen)
	s.takeOver()
	if err := s.outer.Start(ctx, Host(h, s.set.TelemetrySettings)); err != nil {
		return err
	}
	s.ended.Add(1)
	go s.watch()
	return nil
}

func (s shell[T]) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	select {
	case <-s.stop:
	default:
		close(s.stop)
	}
	s.mu.Unlock()
	s.ended.Wait()
	// What no disk takes is offered to the vendor itself: it may well be there.
	for number, data := range s.held {
		limited, cancel := context.WithTimeout(ctx, farewell)
		err := s.push(limited, data)
		cancel()
		if err != nil {
			s.set.Logger.Error("Lost: held in memory, and neither queue nor vendor takes it",
				zap.Int("batches", len(s.held)-number), zap.Error(err))
			break
		}
	}
	// Upstream waits for an answer as long as the exporter's timeout, 30 s, and is killed meanwhile.
	// What is on its way stays in the queue on disk.
	defer time.AfterFunc(grace(), s.die).Stop()
	err := s.outer.Shutdown(ctx)
	if left := s.letters.rewrite(); left > 0 {
		s.set.Logger.Error("Lost: dead letters that no disk takes", zap.Int("letters", left))
	}
	return err
}

func (s shell[T]) Capabilities() consumer.Capabilities {
	return s.outer.Capabilities()
}

type (
	tracesShell  struct{ shell[ptrace.Traces] }
	metricsShell struct{ shell[pmetric.Metrics] }
	logsShell    struct{ shell[plog.Logs] }
)

func (s tracesShell) ConsumeTraces(ctx context.Context, td ptrace.Traces) error {
	return s.take(ctx, td)
}

func (s metricsShell) ConsumeMetrics(ctx context.Context, md pmetric.Metrics) error {
	return s.take(ctx, md)
}

func (s logsShell) ConsumeLogs(ctx context.Context, ld plog.Logs) error {
	return s.take(ctx, ld)
}
