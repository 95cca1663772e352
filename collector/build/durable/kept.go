package durable

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/extension/xextension/storage"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.uber.org/zap"
)

const (
	lookEvery = time.Second
	// A copy that fails may have cost a hundred megabytes of reading and writing.
	lookAgain = 10 * time.Second
	// So much is copied in one write.
	copyBytes = 1 << 20
	renewing  = "renewed"
	saved     = "A queue's file was deleted while the collector ran, and is written again: nothing is lost"
)

// queuePlace is where a queue waits: `name` is the storage's, which is the signal's.
type queuePlace struct{ path, name, exporter string }

// keptClient reads also where it cannot write, and does not lose its file: the database writes on into
// one that was deleted, which nobody finds after a stop.
type keptClient struct {
	// Held by each call; wholly by whoever puts another client in place of this one.
	mu     sync.RWMutex
	client storage.Client
	open   func(name string) (storage.Client, error)
	file   queuePlace
	// The open file; nil where it is not where the shipped config keeps its queues.
	info os.FileInfo

	log        *zap.Logger
	attributes metric.MeasurementOption
	missing    metric.Int64Gauge
	renewed    metric.Int64Counter

	stop  chan struct{}
	ended sync.WaitGroup
	once  sync.Once
}

func newKeptClient(
	client storage.Client, set component.TelemetrySettings, file queuePlace,
	open func(string) (storage.Client, error),
) (*keptClient, error) {
	meter := set.MeterProvider.Meter("otel-stack/durable")
	missing, failed := meter.Int64Gauge("otelcol_exporter_queue_file_missing",
		metric.WithDescription("1 while a queue's file is not where the next start looks for it."))
	renewed, err := meter.Int64Counter("otelcol_exporter_queue_file_renewed",
		metric.WithDescription("How often a queue's file was deleted, and written again."))
	if err = errors.Join(failed, err); err != nil {
		return nil, err
	}
	c := &keptClient{
		client: client, open: open, file: file, log: set.Logger,
		attributes: metric.WithAttributes(
			attribute.String("exporter", file.exporter), attribute.String("data_type", file.name)),
		missing: missing, renewed: renewed,
		stop: make(chan struct{}),
	}
	_, walks := client.(storage.Walker)
	if info, err := os.Stat(file.path); err == nil && walks {
		c.info = info
		c.ended.Add(1)
		go c.watch()
	}
	return c, nil
}

func (c *keptClient) Get(ctx context.Context, key string) ([]byte, error) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.client.Get(ctx, key)
}

func (c *keptClient) Set(ctx context.Context, key string, value []byte) error {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.client.Set(ctx, key, value)
}

func (c *keptClient) Delete(ctx context.Context, key string) error {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.client.Delete(ctx, key)
}

// Batch of the queue's reader notes which item it takes and reads it. On a full disk the note fails
// when the item has been read already; upstream's queue then drops it, with a line at debug level.
// The note is part of each later write, so that its loss costs a repetition after a crash, at most.
func (c *keptClient) Batch(ctx context.Context, operations ...*storage.Operation) error {
	c.mu.RLock()
	defer c.mu.RUnlock()
	err := c.client.Batch(ctx, operations...)
	if err == nil {
		return nil
	}
	reads := 0
	for _, operation := range operations {
		if operation.Type != storage.Get {
			continue
		}
		if operation.Value == nil {
			return err
		}
		reads++
	}
	if reads == 0 {
		return err
	}
	return nil
}

// Close leaves a file behind that the next start finds.
func (c *keptClient) Close(ctx context.Context) error {
	c.once.Do(func() { close(c.stop) })
	c.ended.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	if gone := c.lookAt(); gone != nil {
		c.leave(ctx, gone)
	}
	return c.client.Close(ctx)
}

func (c *keptClient) leave(ctx context.Context, gone error) {
	err := c.copyOut(ctx, gone)
	if err == nil {
		c.log.Warn(saved, zap.String("file", c.file.path))
		return
	}
	if batches, failed := c.waiting(ctx); batches > 0 || failed != nil {
		c.log.Error("Lost: a queue's file was deleted while the collector ran, and cannot be written again",
			zap.String("file", c.file.path), zap.Int("batches", batches), zap.Error(errors.Join(err, failed)))
	}
}

func (c *keptClient) watch() {
	defer c.ended.Done()
	timer := time.NewTimer(lookEvery)
	defer timer.Stop()
	for {
		select {
		case <-c.stop:
			return
		case <-timer.C:
			timer.Reset(c.look(context.Background()))
		}
	}
}

// look puts a file back that is gone; it returns when to look again.
func (c *keptClient) look(ctx context.Context) time.Duration {
	if c.lookAt() == nil {
		c.missing.Record(ctx, 0, c.attributes)
		return lookEvery
	}
	if err := c.renew(ctx); err != nil {
		c.missing.Record(ctx, 1, c.attributes)
		c.log.Error("A queue's file is gone and cannot be written again: what waits in it is lost at the next stop",
			zap.String("file", c.file.path), zap.Error(err))
		return lookAgain
	}
	c.missing.Record(ctx, 0, c.attributes)
	c.renewed.Add(ctx, 1, c.attributes)
	c.log.Warn(saved, zap.String("file", c.file.path))
	return lookEvery
}

var errAnothers = errors.New("another file has its name; move that one away, and this one is written again")

var errDeletedAgain = errors.New("its copy was deleted before it was opened; what was copied is still here")

// lookAt says why the open file is not the one that the next start would find; nil where it is.
func (c *keptClient) lookAt() error {
	if c.info == nil {
		return nil
	}
	now, err := os.Stat(c.file.path)
	if err != nil || os.SameFile(now, c.info) {
		return err
	}
	// Upstream's compaction puts a smaller file in its place.
	if isOpen(now) {
		c.info = now
		return nil
	}
	return errAnothers
}

// isOpen says whether this process has the file open. Where there is no /dev/fd nobody knows.
func isOpen(file os.FileInfo) bool {
	open, _ := filepath.Glob("/dev/fd/*")
	for _, name := range open {
		if one, err := os.Stat(name); err == nil && os.SameFile(one, file) {
			return true
		}
	}
	return false
}

// renew writes what waits into a new file under the old name, and goes on with that.
func (c *keptClient) renew(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	gone := c.lookAt()
	if gone == nil {
		return nil
	}
	if err := c.copyOut(ctx, gone); err != nil {
		return err
	}
	// Open, so that its number is not given to an empty file that c.open makes where it is deleted again.
	copied, err := os.Open(c.file.path)
	if err != nil {
		return err
	}
	defer copied.Close()
	fresh, err := c.open(c.file.name)
	if err == nil {
		info, failed := c.opened(copied)
		if failed == nil {
			old := c.client
			c.client, c.info = fresh, info
			if err := old.Close(ctx); err != nil {
				c.log.Warn("A deleted file of a queue does not close", zap.Error(err))
			}
			return nil
		}
		err = errors.Join(failed, fresh.Close(ctx))
	}
	// Else it would be taken for another's, and never be replaced.
	return errors.Join(err, os.Remove(c.file.path))
}

// opened is about the file that lies where the next start looks; an error where that is not `copied`.
func (c *keptClient) opened(copied *os.File) (os.FileInfo, error) {
	now, err := os.Stat(c.file.path)
	if err != nil {
		return nil, err
	}
	whole, err := copied.Stat()
	if err != nil {
		return nil, err
	}
	if !os.SameFile(now, whole) {
		return nil, errDeletedAgain
	}
	return now, nil
}

// copyOut puts a copy of the open file where the next start looks; whole or not at all. What lies there
// is never replaced: it may be another collector's.
func (c *keptClient) copyOut(ctx context.Context, gone error) (err error) {
	if !errors.Is(gone, os.ErrNotExist) {
		return gone
	}
	folder := filepath.Dir(c.file.path)
	if err := os.MkdirAll(folder, 0o750); err != nil {
		return err
	}
	copied := c.file.path + "_" + renewing
	// A crash may have left one.
	if err := os.Remove(copied); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	into, err := c.open(c.file.name + "_" + renewing)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(copied))
		}
	}()
	var some []*storage.Operation
	size := 0
	err = c.walk(ctx, func(key string, value []byte) error {
		some = append(some, storage.SetOperation(key, bytes.Clone(value)))
		if size += len(value); size < copyBytes {
			return nil
		}
		full := some
		some, size = nil, 0
		return into.Batch(ctx, full...)
	})
	if err == nil {
		err = into.Batch(ctx, some...)
	}
	if err = errors.Join(err, into.Close(ctx)); err != nil {
		return err
	}
	if now, err := os.Stat(c.file.path); now != nil {
		return errors.Join(errAnothers, err)
	}
	return os.Rename(copied, c.file.path)
}

// isBatch tells a batch's key, which is a number, from those of the queue's notes.
func isBatch(key string) bool { return key != "" && '0' <= key[0] && key[0] <= '9' }

// waiting returns how many batches the open file holds.
func (c *keptClient) waiting(ctx context.Context) (batches int, err error) {
	err = c.walk(ctx, func(key string, _ []byte) error {
		if isBatch(key) {
			batches++
		}
		return nil
	})
	return batches, err
}

func (c *keptClient) walk(ctx context.Context, see func(key string, value []byte) error) error {
	return c.client.(storage.Walker).Walk(ctx, func(key string, value []byte) ([]*storage.Operation, error) {
		return nil, see(key, value)
	})
}
