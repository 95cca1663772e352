package durable

import (
	"errors"
	"os"
	"path/filepath"

	"go.etcd.io/bbolt"
	"go.opentelemetry.io/collector/component"
	"go.uber.org/zap"
)

// takeOver gives an exporter what waits for the same vendor under the name of a hop: older versions of
// the shipped config led to AWS through one, and its form for upstream's collectors does.
func (k *keeper[T]) takeOver() {
	if k.set.Hop == "" || k.set.ID.Name() != "" || !k.set.Queue.HasValue() {
		return
	}
	hop := component.MustNewIDWithName("otlp_http", k.set.Hop)
	err := takeQueue(queuePath(hop, k.kind.signal), queuePath(k.set.ID, k.kind.signal))
	if err = errors.Join(err, k.letters.takeFrom(newLetters(hop.String(), k.kind.signal))); err != nil {
		k.set.Logger.Error("What waits under the name of "+hop.String()+" stays there", zap.Error(err))
	}
}

func takeQueue(from, to string) error {
	info, err := os.Stat(from)
	if errors.Is(err, os.ErrNotExist) || err == nil && isOpen(info) {
		return nil // its exporter is in this config, too
	}
	if err == nil && there(to) {
		err = idle(to)
	}
	if err != nil {
		return err
	}
	return os.Rename(from, to)
}

func there(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}

// idle is an error where something waits in a queue's file.
func idle(file string) error {
	if err := sound(file); err != nil {
		return err
	}
	db, err := bbolt.Open(file, 0o600, &bbolt.Options{ReadOnly: true})
	if err != nil {
		return err
	}
	err = db.View(func(tx *bbolt.Tx) error {
		return tx.ForEach(func(_ []byte, bucket *bbolt.Bucket) error {
			return bucket.ForEach(func(key, _ []byte) error {
				if isBatch(string(key)) {
					return errors.New("something waits under both names; it is taken over at a start after " + file + " is empty")
				}
				return nil
			})
		})
	})
	return errors.Join(err, db.Close())
}

// takeFrom moves another's letters here, and what is to be sent again to what is to be sent again.
func (l *letters) takeFrom(other *letters) error {
	var failed error
	for _, subfolder := range []string{".", outbox} {
		for _, path := range other.waiting(subfolder) {
			folder := filepath.Join(l.folder, subfolder)
			err := os.MkdirAll(folder, 0o700)
			if err == nil {
				err = os.Rename(path, filepath.Join(folder, filepath.Base(path)))
			}
			failed = errors.Join(failed, err)
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.bytes = l.onDisk()
	return failed
}
