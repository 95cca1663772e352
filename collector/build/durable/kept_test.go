package durable

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/open-telemetry/opentelemetry-collector-contrib/extension/storage/filestorage"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/extension"
	"go.opentelemetry.io/collector/extension/xextension/storage"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

// batches are more than one write of a copy holds.
const batches = 40

// waitingQueue is a queue's client on upstream's storage, its file, and what is logged.
func waitingQueue(t *testing.T, exporter string) (*keptClient, string, *observer.ObservedLogs) {
	t.Helper()
	folder := filepath.Join(t.TempDir(), "queues")
	t.Setenv("QUEUE_DIR", folder)
	seen, logged := observer.New(zapcore.WarnLevel)
	set := componenttest.NewNopTelemetrySettings()
	set.Logger = zap.New(seen)
	factory := filestorage.NewFactory()
	config := factory.CreateDefaultConfig().(*filestorage.Config)
	config.Directory, config.CreateDirectory = folder, true
	made, err := factory.Create(t.Context(), extension.Settings{
		ID: component.NewID(factory.Type()), TelemetrySettings: set,
	}, config)
	if err != nil {
		t.Fatal(err)
	}
	kept := keptStorage{made.(storage.Extension), set}
	id := component.MustNewIDWithName("otlp_http", exporter)
	client, err := kept.GetClient(t.Context(), component.KindExporter, id, "traces")
	if err != nil {
		t.Fatal(err)
	}
	for i := range batches {
		if err := client.Set(t.Context(), fmt.Sprint(i), batch(i)); err != nil {
			t.Fatal(err)
		}
	}
	found, err := filepath.Glob(filepath.Join(folder, "*"))
	if err != nil || len(found) != 1 {
		t.Fatal(found, err)
	}
	return client.(*keptClient), found[0], logged
}

func batch(number int) []byte { return []byte(strings.Repeat(fmt.Sprintf("%06d ", number), 10_000)) }

// holds says what of the batches another start would find in the file.
func holds(t *testing.T, client *keptClient) int {
	t.Helper()
	file := client.file
	again, err := client.open(file.name)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close(context.Background())
	found := 0
	for i := range batches {
		if value, err := again.Get(t.Context(), fmt.Sprint(i)); err == nil && string(value) == string(batch(i)) {
			found++
		}
	}
	return found
}

func awaited(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !is(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal(what)
		}
	}
}

var removals = map[string]func(file string) error{
	"the file":   os.Remove,
	"its folder": func(file string) error { return os.RemoveAll(filepath.Dir(file)) },
}

func TestADeletedQueueIsWrittenAgain(t *testing.T) {
	for name, remove := range removals {
		t.Run(name, func(t *testing.T) {
			client, file, logged := waitingQueue(t, "vendor/of the tests")
			for times := range 2 {
				if err := remove(file); err != nil {
					t.Fatal(err)
				}
				// It is there before it is in use; who deletes it in between has a test of their own.
				awaited(t, "nothing is said", func() bool { return logged.FilterMessage(saved).Len() == times+1 })
				if !there(file) {
					t.Fatal("the file is not there again")
				}
			}
			// What comes now goes into the new file.
			if err := client.Set(t.Context(), "0", batch(0)); err != nil {
				t.Fatal(err)
			}
			if err := client.Delete(t.Context(), "1"); err != nil {
				t.Fatal(err)
			}
			if err := client.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
			if found := holds(t, client); found != batches-1 {
				t.Fatalf("%d of %d batches", found, batches-1)
			}
			if left, _ := filepath.Glob(file + "?*"); len(left) > 0 {
				t.Fatal(left)
			}
		})
	}
}

func TestACopyThatIsDeletedBeforeItIsInUseLosesNothing(t *testing.T) {
	for name, remove := range removals {
		t.Run(name, func(t *testing.T) {
			client, file, _ := waitingQueue(t, "vendor")
			client.once.Do(func() { close(client.stop) }) // nobody else looks
			client.ended.Wait()
			open := client.open
			client.open = func(name string) (storage.Client, error) {
				if name == client.file.name {
					if err := remove(file); err != nil {
						t.Fatal(err)
					}
				}
				return open(name)
			}
			if err := remove(file); err != nil {
				t.Fatal(err)
			}
			if err := client.renew(t.Context()); err == nil {
				t.Fatal("an empty queue took its place")
			}
			client.open = open
			if err := client.renew(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := client.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
			if found := holds(t, client); found != batches {
				t.Fatalf("%d of %d batches", found, batches)
			}
		})
	}
}

func TestAQueueThatIsDeletedJustBeforeAStopIsWrittenAgain(t *testing.T) {
	client, file, logged := waitingQueue(t, "vendor")
	client.once.Do(func() { close(client.stop) }) // nobody looks any more
	client.ended.Wait()
	if err := os.RemoveAll(filepath.Dir(file)); err != nil {
		t.Fatal(err)
	}
	if err := client.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if found := holds(t, client); found != batches || logged.FilterMessage(saved).Len() != 1 {
		t.Fatalf("%d of %d batches, %v", found, batches, logged.All())
	}
}

func TestAQueueThatCannotBeWrittenAgainIsTold(t *testing.T) {
	for name, block := range map[string]func(file string) error{
		"a file has the folder's name": func(file string) error {
			return os.WriteFile(filepath.Dir(file), nil, 0o600)
		},
		// It may be another collector's, and is left alone.
		"another file has its name": func(file string) error {
			return errors.Join(os.Mkdir(filepath.Dir(file), 0o700), os.WriteFile(file, []byte("another's"), 0o600))
		},
	} {
		t.Run(name, func(t *testing.T) {
			client, file, logged := waitingQueue(t, "vendor")
			folder := filepath.Dir(file)
			// Nobody can write it again meanwhile.
			client.mu.RLock()
			err := errors.Join(os.Rename(folder, folder+".away"), block(file))
			client.mu.RUnlock()
			if err != nil {
				t.Fatal(err)
			}
			awaited(t, "nothing is said", func() bool {
				return logged.FilterMessageSnippet("cannot be written again").Len() > 0
			})
			if err := client.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
			lost := logged.FilterMessageSnippet("Lost: ").All()
			if len(lost) != 1 || lost[0].ContextMap()["batches"] != int64(batches) {
				t.Fatal(logged.All())
			}
			if content, _ := os.ReadFile(file); strings.HasPrefix(name, "another") && string(content) != "another's" {
				t.Fatalf("it was replaced: %q", content)
			}
		})
	}
}

func TestUpstreamsCompactionIsNoLoss(t *testing.T) {
	client, file, logged := waitingQueue(t, "vendor")
	compacting := client.client.(interface {
		Compact(string, time.Duration, int64) error
	})
	for i := range batches - 1 {
		if err := client.Delete(t.Context(), fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
	}
	client.once.Do(func() { close(client.stop) }) // whoever looks in the middle of it sees another file
	client.ended.Wait()
	if err := compacting.Compact(t.TempDir(), time.Second, 1<<20); err != nil {
		t.Fatal(err)
	}
	if err := client.lookAt(); err != nil || logged.Len() > 0 {
		t.Fatal(err, logged.All())
	}
	if now, err := os.Stat(file); err != nil || !os.SameFile(now, client.info) {
		t.Fatal(err)
	}
	if err := client.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}
