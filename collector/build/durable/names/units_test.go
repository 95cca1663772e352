package names

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// The left side is what OpenTelemetry's semantic conventions, SDKs' runtime metrics and Prometheus' users
// write; the right side is in botocore's StandardUnit or "", which CloudWatch reads as None.
func TestUnits(t *testing.T) {
	for unit, wanted := range map[string]string{
		"": "", "1": "", "s": "Seconds", "ms": "Milliseconds", "us": "Microseconds", "ns": "", "min": "", "h": "",
		"By": "Bytes", "MBy": "Megabytes", "MiBy": "", "KiBy": "", "bit": "Bits", "%": "Percent",
		"{request}": "Count", "{connection}": "Count", "{}": "Count", "By{used}": "Bytes", "{a}{b}": "",
		"By/s": "Bytes/Second", "bit/s": "Bits/Second", "kBy/s": "Kilobytes/Second", "{request}/s": "Count/Second",
		"1/s": "Count/Second", "s/s": "", "%/s": "", "Cel": "", "Hz": "", "requests": "",
		"Count": "Count", "seconds": "Seconds", "bytes": "Bytes", "None": "None", "bytes/second": "Bytes/Second",
	} {
		if got := ForUnit(unit); got != wanted {
			t.Errorf("%q: %q, not %q", unit, got, wanted)
		}
	}
}

func TestEveryUnitIsOneOfCloudWatchs(t *testing.T) {
	const inputs = 20_000
	source := rand.New(rand.NewPCG(11, 4))
	words := []string{"By", "bit", "s", "{", "}", "k", "M", "Ki", "/", "1", "%", "m", "µ", ".", "request", "*", " "}
	found := map[string]int{}
	for range inputs {
		var unit strings.Builder
		for range source.IntN(6) {
			unit.WriteString(words[source.IntN(len(words))])
		}
		got := ForUnit(unit.String())
		if got != "" && !slices.Contains(units, got) {
			t.Fatalf("%q became %q", unit.String(), got)
		}
		found[got]++
	}
	t.Logf("%d units became %v", inputs, found)
	if len(found) < 10 {
		t.Fatalf("only %v were made", found)
	}
}
