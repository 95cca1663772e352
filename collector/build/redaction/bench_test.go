package redaction

import (
	"cmp"
	"fmt"
	"os"
	"strings"
	"testing"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.yaml.in/yaml/v3"
)

// shipped is the processor with the patterns that the stack runs with, or those of the file that CONFIG
// names: two files are compared by running one after the other, a few times.
func shipped(b testing.TB) *cleaner {
	b.Helper()
	content, err := os.ReadFile(cmp.Or(os.Getenv("CONFIG"), "../../redaction.yaml"))
	if err != nil {
		b.Fatal(err)
	}
	var config struct {
		Processors struct {
			Redaction struct {
				Names  []string `yaml:"blocked_key_patterns"`
				Values []string `yaml:"blocked_values"`
			}
		}
	}
	if err := yaml.Unmarshal(content, &config); err != nil {
		b.Fatal(err)
	}
	own := config.Processors.Redaction
	for _, patterns := range [][]string{own.Names, own.Values} {
		for i := range patterns {
			patterns[i] = strings.ReplaceAll(patterns[i], "$$", "$")
		}
	}
	return cleanerOf(b, &Config{AllowAllKeys: true, BlockedKeyPatterns: own.Names, BlockedValues: own.Values})
}

// What the fifteen attributes of a Flask span cost: `go test -bench . otel-stack/redaction`.
func BenchmarkAttributes(b *testing.B) {
	c := shipped(b)
	attributes := pcommon.NewMap()
	for i, text := range []string{
		"GET", "http", "1.1", "127.0.0.1:4567", "/api/activities/@worf", "term=coffee&page=2",
		"/api/activities/@<handle>", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36", "andrewbrown",
		"2026-11-21T11:11:11.123456+00:00", "SELECT handle, message FROM activities WHERE uuid = ?",
		"68c1f07c-5d1f-4f2e-9a3b-1e8f0c7a9d2b", "backend-flask", "200", "",
	} {
		attributes.PutStr(fmt.Sprintf("app.attribute.%d", i), text)
	}
	b.ReportAllocs()
	for b.Loop() {
		c.attributes(attributes)
	}
}

// A traceback, as an exception's event has it.
func BenchmarkTraceback(b *testing.B) {
	c := shipped(b)
	frame := `  File "/srv/cruddur/.venv/lib/python3.11/site-packages/flask/app.py", line 1484, in full_dispatch_request
    rv = self.dispatch_request() # passes the key=value pairs of the view's arguments on
`
	text := "Traceback (most recent call last):\n" + strings.Repeat(frame, 12) + "KeyError: 'no such handle: worf'"
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		c.text(text)
	}
}

// Once at the start, for all pipelines.
func BenchmarkMaking(b *testing.B) {
	for b.Loop() {
		shipped(b)
	}
}

// A pattern without letters would be searched for in every text.
func TestNoPatternOfOursHasToBeTriedEverywhere(t *testing.T) {
	for _, p := range shipped(t).values.slow {
		t.Errorf("it has no letters of its own: %v", p.anywhere())
	}
}
