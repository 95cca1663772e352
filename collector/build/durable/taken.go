package durable

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"go.opentelemetry.io/collector/component"
	"go.uber.org/zap"
)

// 50,000 × about 100 bytes.
const maxTaken = 50_000

// Taken is what a vendor has of batches that it has in part: a queue knows whole batches alone, and
// what is noted here is not sent again with the rest. Ids are words without a space; one that is
// added twice is there twice.
type Taken struct {
	mu   sync.Mutex
	ids  map[string]int
	file string
	log  *zap.Logger
}

// NewTaken notes in a file beside the queues what a stop leaves behind.
func NewTaken(id component.ID, log *zap.Logger) *Taken {
	name := strings.ReplaceAll(id.String(), "/", "_") + ".taken"
	return &Taken{ids: map[string]int{}, file: filepath.Join(QueueFolder(), name), log: log}
}

// Load reads what the last run of this collector noted: the rest of a batch waits in the queue on
// disk as the whole batch.
func (t *Taken) Load() {
	content, err := os.ReadFile(t.file)
	if errors.Is(err, os.ErrNotExist) {
		return
	}
	if err == nil {
		t.Add(strings.Fields(string(content))...)
		err = os.Remove(t.file)
	}
	t.warn(err)
}

// Save notes it for the next run.
func (t *Taken) Save() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.ids) > 0 {
		var lines strings.Builder
		for id, often := range t.ids {
			lines.WriteString(strings.Repeat(id+"\n", often))
		}
		t.warn(os.WriteFile(t.file, []byte(lines.String()), 0o600))
	}
}

func (t *Taken) warn(err error) {
	if err != nil {
		t.log.Warn("What the vendor has of batches in part may come twice", zap.Error(err))
	}
}

// Any says whether anything is noted.
func (t *Taken) Any() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.ids) > 0
}

func (t *Taken) Has(id string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.ids[id] > 0
}

// Claim says whether an id is there, and takes it away once.
func (t *Taken) Claim(id string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	found := t.ids[id] > 0
	t.remove(id)
	return found
}

func (t *Taken) Add(ids ...string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.ids) > maxTaken {
		clear(t.ids)
	}
	for _, id := range ids {
		t.ids[id]++
	}
}

func (t *Taken) Remove(ids ...string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, id := range ids {
		t.remove(id)
	}
}

func (t *Taken) remove(id string) {
	if t.ids[id] > 1 {
		t.ids[id]--
	} else {
		delete(t.ids, id)
	}
}
