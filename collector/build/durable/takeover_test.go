package durable

import (
	"context"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/open-telemetry/opentelemetry-collector-contrib/extension/storage/filestorage"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/config/configretry"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/exporter/exporterhelper"
	"go.opentelemetry.io/collector/extension"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

// disk is a host with upstream's storage in the folder of the queues.
type disk struct {
	component.Host
	extensions map[component.ID]component.Component
}

func (d disk) GetExtensions() map[component.ID]component.Component { return d.extensions }

var onDisk = component.MustNewID("file_storage")

func newDisk(t *testing.T) disk {
	t.Helper()
	t.Setenv("QUEUE_DIR", t.TempDir())
	factory := filestorage.NewFactory()
	config := factory.CreateDefaultConfig().(*filestorage.Config)
	config.Directory = QueueFolder()
	made, err := factory.Create(t.Context(), extension.Settings{
		ID: onDisk, TelemetrySettings: componenttest.NewNopTelemetrySettings(),
	}, config)
	if err != nil {
		t.Fatal(err)
	}
	return disk{componenttest.NewNopHost(), map[component.ID]component.Component{onDisk: made}}
}

// on starts an exporter with its queue on this disk.
func (d disk) on(t *testing.T, id component.ID, hop string, v exporter.Traces) exporter.Traces {
	t.Helper()
	queue := exporterhelper.NewDefaultQueueConfig()
	queue.StorageID = &onDisk
	retry := configretry.NewDefaultBackOffConfig()
	retry.InitialInterval = 10 * time.Millisecond
	made, err := Traces(t.Context(), Settings{
		Settings: exporter.Settings{ID: id, TelemetrySettings: componenttest.NewNopTelemetrySettings()},
		Config:   &struct{}{}, Queue: configoptional.Some(queue), Retry: retry, Hop: hop,
	}, v)
	if err != nil {
		t.Fatal(err)
	}
	if err := made.Start(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	return made
}

var (
	hopID = component.MustNewIDWithName("otlp_http", "to_xray")
	ownID = component.MustNewID("awsxray")
	away  = func() error { return context.Canceled }
)

// leave has so many spans wait under a name.
func (d disk) leave(t *testing.T, id component.ID, number int) {
	t.Helper()
	made := d.on(t, id, "", &vendor{say: away})
	if err := made.ConsumeTraces(t.Context(), spans(number)); err != nil {
		t.Fatal(err)
	}
	if err := made.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// counting takes everything.
type counting struct {
	vendor
	spans atomic.Int64
}

func (c *counting) ConsumeTraces(_ context.Context, td ptrace.Traces) error {
	c.spans.Add(int64(td.SpanCount()))
	return nil
}

// delivers starts an exporter whose vendor is well, and stops it when that has so many spans.
func (d disk) delivers(t *testing.T, id component.ID, hop string, want int64) {
	t.Helper()
	v := &counting{}
	made := d.on(t, id, hop, v)
	awaited(t, "what waits is not delivered", func() bool { return v.spans.Load() >= want })
	if err := made.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := v.spans.Load(); got != want {
		t.Errorf("%d spans, not %d", got, want)
	}
}

func TestWhatWaitsBeforeAHopIsDeliveredWithoutIt(t *testing.T) {
	d := newDisk(t)
	d.leave(t, hopID, 3)
	d.delivers(t, ownID, "to_xray", 3)
	// A collector of upstream's ran in between; the exporter has a file of its own by now.
	d.leave(t, hopID, 5)
	d.delivers(t, ownID, "to_xray", 5)
}

func TestWhatWaitsUnderBothNamesIsDeliveredInTwoStarts(t *testing.T) {
	d := newDisk(t)
	d.leave(t, hopID, 3)
	d.leave(t, ownID, 5)
	d.delivers(t, ownID, "to_xray", 5)
	d.delivers(t, ownID, "to_xray", 3)
}

func TestAHopThatIsInTheConfigKeepsWhatWaits(t *testing.T) {
	d := newDisk(t)
	d.leave(t, hopID, 3)
	hop := d.on(t, hopID, "", &vendor{say: away})
	d.delivers(t, ownID, "to_xray", 0)
	if err := hop.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	d.delivers(t, hopID, "", 3)
}

func TestAnotherExporterOfTheTypeTakesNothing(t *testing.T) {
	d := newDisk(t)
	d.leave(t, hopID, 3)
	d.delivers(t, component.MustNewIDWithName("awsxray", "another_region"), "to_xray", 0)
	d.delivers(t, hopID, "", 3)
}

func TestDeadLettersOfAHopAreTakenOver(t *testing.T) {
	d := newDisk(t)
	old := newLetters(hopID.String(), "traces")
	for _, subfolder := range []string{"", outbox} {
		if err := store(filepath.Join(old.folder, subfolder), letter{"1-1-traces.letter", []byte("{}\n")}); err != nil {
			t.Fatal(err)
		}
	}
	v := &counting{}
	if err := d.on(t, ownID, "to_xray", v).Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	own := newLetters(ownID.String(), "traces")
	if found := own.waiting("."); len(found) != 1 || len(old.waiting(".")) != 0 {
		t.Errorf("%v", found)
	}
	if left, _ := os.ReadDir(filepath.Join(old.folder, outbox)); len(left) != 0 {
		t.Errorf("%d wait where nobody looks", len(left))
	}
}
