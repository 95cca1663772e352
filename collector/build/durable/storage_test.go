package durable

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"go.etcd.io/bbolt"
	"go.opentelemetry.io/collector/extension/xextension/storage"
)

func queueFile(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "queue")
	db, err := bbolt.Open(file, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		bucket, err := tx.CreateBucket([]byte("default"))
		for i := range 50 {
			err = errors.Join(err, bucket.Put([]byte{byte(i)}, make([]byte, 9000)))
		}
		return err
	})
	if err = errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestASoundFileIsSound(t *testing.T) {
	if err := sound(queueFile(t)); err != nil {
		t.Fatal(err)
	}
	if err := sound(filepath.Join(t.TempDir(), "none")); err != nil {
		t.Fatal(err)
	}
}

func TestSpoiledFilesAreSeen(t *testing.T) {
	for name, spoil := range map[string]func([]byte) []byte{
		"cut off":     func(content []byte) []byte { return content[:len(content)/3] },
		"overwritten": func(content []byte) []byte { return make([]byte, len(content)) },
		"half of it": func(content []byte) []byte {
			for i := 2 * os.Getpagesize(); i < len(content); i++ {
				content[i] = 0xff
			}
			return content
		},
	} {
		file := queueFile(t)
		content, _ := os.ReadFile(file)
		if err := os.WriteFile(file, spoil(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if sound(file) == nil {
			t.Errorf("%s: nothing was seen", name)
		}
	}
}

// full reads and cannot write.
type full struct{ storage.Client }

func (full) Batch(_ context.Context, operations ...*storage.Operation) error {
	for _, operation := range operations {
		if operation.Type == storage.Get {
			operation.Value = []byte("item")
		}
	}
	return errors.New("no space left on device")
}

func TestAFullDiskIsReadFrom(t *testing.T) {
	client := &keptClient{client: full{}}
	read := storage.GetOperation("item")
	if err := client.Batch(context.Background(), storage.SetOperation("note", nil), read); err != nil {
		t.Fatal(err)
	}
	if string(read.Value) != "item" {
		t.Fatal("not read")
	}
	if client.Batch(context.Background(), storage.SetOperation("item", nil)) == nil {
		t.Fatal("a write that failed passes for one")
	}
}
