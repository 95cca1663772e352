package durable

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/extension/xextension/storage"
	"go.uber.org/zap"
)

// keptStorage is a storage extension whose files may be spoiled or deleted, and whose disk may be full.
type keptStorage struct {
	storage.Extension
	set component.TelemetrySettings
}

// special is what upstream's storage spells as ~ and four hex digits in a file's name.
var special = regexp.MustCompile(`[^A-Za-z0-9._-]`)

func (s keptStorage) GetClient(ctx context.Context, kind component.Kind, id component.ID, name string) (storage.Client, error) {
	if kind != component.KindExporter {
		return s.Extension.GetClient(ctx, kind, id, name)
	}
	file := queuePath(id, name)
	if err := sound(file); err != nil {
		backup := file + "." + time.Now().UTC().Format("20060102T150405.000Z") + ".backup"
		s.set.Logger.Error("A queue's file is spoiled and set aside; what waited in it is lost",
			zap.String("backup", backup), zap.Error(err))
		if err := os.Rename(file, backup); err != nil {
			return nil, err
		}
	}
	open := func(name string) (storage.Client, error) { return s.Extension.GetClient(ctx, kind, id, name) }
	client, err := open(name)
	if err != nil {
		return nil, err
	}
	return newKeptClient(client, s.set, queuePlace{file, name, id.String()}, open)
}

// queuePath is where upstream's storage keeps an exporter's queue; `name` is the signal.
func queuePath(id component.ID, name string) string {
	return filepath.Join(QueueFolder(), special.ReplaceAllStringFunc(
		fmt.Sprintf("exporter_%s_%s_%s", id.Type(), id.Name(), name),
		func(one string) string { return fmt.Sprintf("~%04X", []rune(one)[0]) }))
}

// touched keeps the compiler from leaving out what is read for its faults alone.
var touched atomic.Int32

// sound reads a queue's file from end to end. Upstream's `recreate` sees only what panics while the
// file is opened; the rest ends the collector, at each start.
func sound(file string) (err error) {
	info, failed := os.Stat(file)
	if failed != nil || info.Size() == 0 {
		return nil
	}
	// A page that the file no longer has is a fault of memory, not a Go panic.
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if seen := recover(); seen != nil {
			// The file stays open: closing could hang, and it is about to be renamed.
			err = fmt.Errorf("%v", seen)
		}
	}()
	db, err := bbolt.Open(file, 0o600, &bbolt.Options{
		// Without the free list: it is read by another goroutine, whose panic nobody can catch.
		ReadOnly: true, Timeout: time.Second,
	})
	if err != nil {
		if errors.Is(err, bbolt.ErrTimeout) || errors.Is(err, os.ErrPermission) {
			return nil // somebody else's trouble, which upstream names
		}
		return err
	}
	err = db.View(func(tx *bbolt.Tx) error {
		if info.Size() < tx.Size() {
			return fmt.Errorf("it has %d of %d bytes", info.Size(), tx.Size())
		}
		return tx.ForEach(func(_ []byte, bucket *bbolt.Bucket) error {
			return bucket.ForEach(func(_, value []byte) error {
				for i := 0; i < len(value); i += os.Getpagesize() {
					touched.Add(int32(value[i]))
				}
				return nil
			})
		})
	})
	return errors.Join(err, db.Close())
}
