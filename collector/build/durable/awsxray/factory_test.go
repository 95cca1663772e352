package awsxray

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	upstream "github.com/open-telemetry/opentelemetry-collector-contrib/exporter/awsxrayexporter"
	"github.com/open-telemetry/opentelemetry-collector-contrib/extension/storage/filestorage"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/exporter/exporterhelper"
	"go.opentelemetry.io/collector/exporter/exportertest"
	"go.opentelemetry.io/collector/extension"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"otel-stack/durable"
)

func configured(t *testing.T, keys map[string]any) *durable.Queued[upstream.Config] {
	t.Helper()
	config := NewFactory().CreateDefaultConfig()
	if err := confmap.NewFromStringMap(keys).Unmarshal(config); err != nil {
		t.Fatal(err)
	}
	if err := confmap.Validate(config); err != nil {
		t.Fatal(err)
	}
	return config.(*durable.Queued[upstream.Config])
}

func TestUpstreamsKeysAreTakenAsTheyAre(t *testing.T) {
	config := configured(t, map[string]any{"region": "eu-west-1", "indexed_attributes": []string{"a"}})
	if config.Upstream.AWSSessionSettings.Region != "eu-west-1" || len(config.Upstream.IndexedAttributes) != 1 {
		t.Errorf("%+v", config.Upstream)
	}
	if config.Queue.HasValue() {
		t.Error("a queue in memory that nobody asked for forgets what its sender takes for delivered")
	}
}

func TestAQueueHasTheKeysAndDefaultsOfTheOTLPExporters(t *testing.T) {
	config := configured(t, map[string]any{
		"sending_queue":    map[string]any{"queue_size": 7},
		"retry_on_failure": map[string]any{"max_elapsed_time": 0},
	})
	want := exporterhelper.NewDefaultQueueConfig()
	if queue := config.Queue.Get(); queue == nil || queue.QueueSize != 7 || queue.NumConsumers != want.NumConsumers {
		t.Errorf("%+v", queue)
	}
	if !config.Retry.Enabled || config.Retry.MaxElapsedTime != 0 || config.Retry.InitialInterval != 5*time.Second {
		t.Errorf("%+v", config.Retry)
	}
	if configured(t, map[string]any{"sending_queue": map[string]any{"enabled": false}}).Queue.HasValue() {
		t.Error("a queue that is switched off")
	}
}

// leavingHalf is X-Ray, which leaves every second segment until it is `well`.
type leavingHalf struct {
	mu    sync.Mutex
	well  bool
	puts  int
	most  int
	taken map[string]int
}

func (x *leavingHalf) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var put struct{ TraceSegmentDocuments []string }
	if json.NewDecoder(r.Body).Decode(&put) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.puts++
	x.most = max(x.most, len(put.TraceSegmentDocuments))
	type unprocessed struct{ Id, ErrorCode string } //nolint:revive // X-Ray's spelling
	var left []unprocessed
	for number, document := range put.TraceSegmentDocuments {
		if !x.well && number%2 == 0 {
			left = append(left, unprocessed{idOf(document), "ThrottledException"})
			continue
		}
		x.taken[idOf(document)]++
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"UnprocessedTraceSegments": left})
}

type host struct {
	component.Host
	extensions map[component.ID]component.Component
}

func (h host) GetExtensions() map[component.ID]component.Component { return h.extensions }

func TestWhatXRayHasOfABatchInTheQueueIsNotPutAgainAfterAStop(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "nobody")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "nothing")
	folder := t.TempDir()
	t.Setenv("QUEUE_DIR", folder)
	x := &leavingHalf{taken: map[string]int{}}
	server := httptest.NewServer(x)
	defer server.Close()
	files := filestorage.NewFactory()
	config := files.CreateDefaultConfig().(*filestorage.Config)
	config.Directory = folder
	id := component.NewID(files.Type())
	storage, err := files.Create(t.Context(), extension.Settings{
		ID: id, TelemetrySettings: componenttest.NewNopTelemetrySettings(),
	}, config)
	if err != nil {
		t.Fatal(err)
	}
	started := func() exporter.Traces {
		set := exportertest.NewNopSettings(NewFactory().Type())
		set.ID = component.NewID(NewFactory().Type())
		made, err := NewFactory().CreateTraces(t.Context(), set, configured(t, map[string]any{
			"region": "eu-west-1", "endpoint": server.URL,
			"sending_queue": map[string]any{
				"storage": id.String(), "sizer": "items",
				"batch": map[string]any{"flush_timeout": "10ms", "min_size": 50, "max_size": 50},
			},
			"retry_on_failure": map[string]any{"max_elapsed_time": 0, "initial_interval": "100ms"},
		}))
		if err != nil {
			t.Fatal(err)
		}
		if err := made.Start(t.Context(), host{componenttest.NewNopHost(), map[component.ID]component.Component{id: storage}}); err != nil {
			t.Fatal(err)
		}
		return made
	}

	made := started()
	td := ptrace.NewTraces()
	const spans = 120
	for range spans {
		localRoot(td)
	}
	if err := made.ConsumeTraces(t.Context(), td); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		x.mu.Lock()
		puts, taken := x.puts, len(x.taken)
		x.mu.Unlock()
		if puts > 5 && taken > 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal(fmt.Sprint(puts, " puts"))
		}
	}
	if err := made.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	x.mu.Lock()
	before := len(x.taken)
	x.well = true
	x.mu.Unlock()

	made = started()
	if err := made.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	for id, often := range x.taken {
		if often != 1 {
			t.Errorf("segment %s was taken %d times", id, often)
		}
	}
	if len(x.taken) != 2*spans || before == len(x.taken) {
		t.Errorf("%d segments, %d before the stop, not %d", len(x.taken), before, 2*spans)
	}
	if x.most > maxPut {
		t.Errorf("%d segments in a request", x.most)
	}
}
