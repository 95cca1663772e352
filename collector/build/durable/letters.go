package durable

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	folderVariable = "DEAD_LETTER_DIR"
	// For each exporter and signal: enough to see what is refused and to send a day's slips again,
	// too little to fill a disk.
	maxLetterBytes = 64 << 20
	maxReason      = 300
	suffix         = ".letter"
)

// header is the first line of a letter; the data follows as OTLP protobuf.
type header struct {
	Exporter string    `json:"exporter"`
	Signal   string    `json:"signal"`
	Items    int       `json:"items"`
	Refused  int       `json:"refused"`
	Status   int       `json:"status"`
	Reason   string    `json:"reason"`
	At       time.Time `json:"at"`
}

// letters keeps what a vendor refused for good, a file a batch, in a folder for each exporter.
// What `stack replay` moves into its `replay` folder is sent again.
type letters struct {
	folder, signal string
	mu             sync.Mutex
	bytes          int64
	sequence       atomic.Int64
}

// QueueFolder is where the shipped config keeps its queues.
func QueueFolder() string {
	if folder := os.Getenv("QUEUE_DIR"); folder != "" {
		return folder
	}
	return ".run/queues"
}

var errFull = errors.New("the dead letters take all the space that they may")

func newLetters(exporter, signal string) *letters {
	base := os.Getenv(folderVariable)
	if base == "" {
		base = filepath.Join(QueueFolder(), "dead-letters")
	}
	l := &letters{
		folder: filepath.Join(base, strings.ReplaceAll(exporter, "/", "_")),
		signal: signal,
	}
	for _, path := range l.waiting(".") {
		if info, err := os.Stat(path); err == nil {
			l.bytes += info.Size()
		}
	}
	return l
}

func (l *letters) write(about header, data []byte) error {
	first, err := json.Marshal(about)
	if err != nil {
		return err
	}
	content := append(append(first, '\n'), data...)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.bytes+int64(len(content)) > maxLetterBytes {
		return errFull
	}
	if err := os.MkdirAll(l.folder, 0o700); err != nil {
		return err
	}
	name := fmt.Sprintf("%d-%d-%s%s", about.At.UnixNano(), l.sequence.Add(1), l.signal, suffix)
	path := filepath.Join(l.folder, name)
	if err := os.WriteFile(path+".new", content, 0o600); err != nil {
		_ = os.Remove(path + ".new")
		return err
	}
	l.bytes += int64(len(content))
	return os.Rename(path+".new", path)
}

// waiting is this signal's letters in a subfolder, the oldest first.
func (l *letters) waiting(subfolder string) []string {
	found, _ := filepath.Glob(filepath.Join(l.folder, subfolder, "*-"+l.signal+suffix))
	return found
}

func (l *letters) read(path string) ([]byte, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	_, data, found := bytes.Cut(content, []byte{'\n'})
	if !found {
		return nil, errors.New("no header")
	}
	return data, nil
}

func (l *letters) remove(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if err := os.Remove(path); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.bytes = max(0, l.bytes-info.Size())
	return nil
}

func shortened(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > maxReason {
		return strings.ToValidUTF8(text[:maxReason], "") + "…"
	}
	return text
}
