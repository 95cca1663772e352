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
	// Of letters that wait in memory for a full disk, for each exporter and signal.
	maxUnwritten = 8 << 20
	maxReason    = 300
	suffix       = ".letter"
	// What `stack replay` moves into this folder is sent again.
	outbox = "replay"
)

// header is the first line of a letter; the data follows as OTLP protobuf.
type header struct {
	Exporter string    `json:"exporter"`
	Signal   string    `json:"signal"`
	Items    int       `json:"items"`
	Refused  int       `json:"refused"`
	Status   int       `json:"status"`
	Reason   string    `json:"reason"`
	Service  string    `json:"service,omitempty"`
	At       time.Time `json:"at"`
}

// letters keeps what a vendor refused for good, a file a batch, in a folder for each exporter.
type letters struct {
	folder, signal string
	mu             sync.Mutex
	bytes          int64
	sequence       atomic.Int64
	// What could not be written, the oldest first.
	unwritten []letter
	unbytes   int64
}

type letter struct {
	name    string
	content []byte
}

// QueueFolder is where the shipped config keeps its queues.
func QueueFolder() string {
	if folder := os.Getenv("QUEUE_DIR"); folder != "" {
		return folder
	}
	return ".run/queues"
}

var (
	errFull      = errors.New("the dead letters take all the space that they may")
	errUnwritten = errors.New("held in memory until it can be written")
)

func newLetters(exporter, signal string) *letters {
	base := os.Getenv(folderVariable)
	if base == "" {
		base = filepath.Join(QueueFolder(), "dead-letters")
	}
	l := &letters{
		folder: filepath.Join(base, strings.ReplaceAll(exporter, "/", "_")),
		signal: signal,
	}
	l.bytes = l.onDisk()
	return l
}

func (l *letters) onDisk() int64 { return bytesOf(l.waiting(".")) }

func bytesOf(paths []string) (bytes int64) {
	for _, path := range paths {
		if info, err := os.Stat(path); err == nil {
			bytes += info.Size()
		}
	}
	return bytes
}

// park keeps what is to be sent again as soon as the queue has room.
func (l *letters) park(about header, data []byte) error {
	one, err := l.letter(about, data)
	if err != nil {
		return err
	}
	if bytesOf(l.waiting(outbox))+int64(len(one.content)) > maxLetterBytes {
		return errFull
	}
	if err := store(filepath.Join(l.folder, outbox), one); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.bytes += int64(len(one.content)) // remove takes it off again
	return nil
}

func (l *letters) letter(about header, data []byte) (letter, error) {
	first, err := json.Marshal(about)
	return letter{
		name:    fmt.Sprintf("%d-%d-%s%s", about.At.UnixNano(), l.sequence.Add(1), l.signal, suffix),
		content: append(append(first, '\n'), data...),
	}, err
}

// write keeps a letter. With errUnwritten it waits in memory for `rewrite`.
func (l *letters) write(about header, data []byte) error {
	one, err := l.letter(about, data)
	if err != nil {
		return err
	}
	size := int64(len(one.content))
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.bytes+l.unbytes+size > maxLetterBytes {
		// Somebody may have deleted some, or moved them to `replay`.
		if l.bytes = l.onDisk(); l.bytes+l.unbytes+size > maxLetterBytes {
			return errFull
		}
	}
	err = l.put(one)
	if err == nil || l.unbytes+size > maxUnwritten {
		return err
	}
	l.unwritten, l.unbytes = append(l.unwritten, one), l.unbytes+size
	return fmt.Errorf("%w: %w", errUnwritten, err)
}

// rewrite writes what could not be written; it returns how many letters still cannot.
func (l *letters) rewrite() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.unwritten) > 0 && l.put(l.unwritten[0]) == nil {
		l.unbytes -= int64(len(l.unwritten[0].content))
		l.unwritten = l.unwritten[1:]
	}
	return len(l.unwritten)
}

func (l *letters) put(one letter) error {
	if err := store(l.folder, one); err != nil {
		return err
	}
	l.bytes += int64(len(one.content))
	return nil
}

func store(folder string, one letter) error {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	path := filepath.Join(folder, one.name)
	if err := os.WriteFile(path+".new", one.content, 0o600); err != nil {
		_ = os.Remove(path + ".new")
		return err
	}
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
