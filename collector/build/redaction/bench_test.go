package redaction

import (
	"fmt"
	"testing"

	"go.opentelemetry.io/collector/pdata/pcommon"
)

// What the fifteen attributes of a Flask span cost: `go test -bench . otel-stack/redaction`.
func BenchmarkAttributes(b *testing.B) {
	c := cleanerOf(b, &Config{
		AllowAllKeys:       true,
		BlockedKeyPatterns: []string{"(?i)(password|token)$"},
		// The others are there for the slow way.
		BlockedValues: shapes[:7],
	})
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
