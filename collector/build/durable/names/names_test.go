package names

import (
	"math/rand/v2"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"go.opentelemetry.io/collector/pdata/pcommon"
)

var (
	// botocore 1.43, logs: LogStreamName {min: 1, max: 512, pattern: "[^:*]*"}.
	stream = regexp.MustCompile(`^[^:*]{1,512}$`)
	// botocore, cloudwatch: DimensionValue {min: 1, max: 1024}; "must contain only ASCII characters and
	// must include at least one non-whitespace character. ASCII control characters are not supported".
	dimension = regexp.MustCompile(`^[ -~]*[!-~][ -~]*$`)
	// X-Ray's developer guide, segment documents: "Unicode letters, numbers, and whitespace, and the
	// following symbols: _, ., :, /, %, &, #, =, +, \, -, @", up to 200 characters; upstream's
	// reInvalidSpanCharacters (awsxrayexporter) has the same but for the backslash.
	segment = regexp.MustCompile(`^[ \p{L}\p{Nd}_.:/%&#=+\\\-@]{1,200}$`)
)

func TestNamesThatSendersChoose(t *testing.T) {
	for name, wanted := range map[string]string{
		"unknown_service:java":       "unknown_service_java",
		"unknown_service:node":       "unknown_service_node",
		"job-*":                      "job-_",
		"":                           Unknown,
		"  \t":                       Unknown,
		"backend-flask":              "backend-flask",
		"Order Service":              "Order Service",
		`team/shop@eu-1 +a=b&c%d#e\`: `team/shop@eu-1 +a=b&c%d#e\`,
		"***":                        "___",
		"a\nb":                       "a_b",
		`["a","b"]`:                  "__a___b__",
		"café":                       "caf__850f7dc4",
	} {
		if got := ForService(name); got != wanted {
			t.Errorf("%q: %q, not %q", name, got, wanted)
		}
	}
	if a, b := ForService("прод"), ForService("тест"); a == b {
		t.Errorf("two services became one: %q", a)
	}
	long := strings.Repeat("x", 300)
	if a, b := ForService(long+"a"), ForService(long+"b"); a == b || len(a) != maxSegment {
		t.Errorf("%q, %q", a, b)
	}
	if got := ForSegment("GET /größe:* <1>"); got != "GET /größe:_ _1_" {
		t.Errorf("%q", got)
	}
	if got := ForStream("pod:1*"); got != "pod_1_" {
		t.Errorf("%q", got)
	}
}

// characters of every kind, those that somebody forbids more often.
func random(source *rand.Rand) string {
	var name strings.Builder
	for range source.IntN(40) << source.IntN(6) {
		switch source.IntN(6) {
		case 0:
			name.WriteByte(":*<>\"'{}[]|\x00\n\t \x7f"[source.IntN(16)])
		case 1:
			name.WriteRune(rune(source.IntN(utf8.MaxRune + 1)))
		case 2:
			name.WriteByte(byte(source.IntN(256))) // not always UTF-8
		default:
			name.WriteByte("abcxyzABC019_-./ "[source.IntN(17)])
		}
	}
	return name.String()
}

func TestEveryNameFitsEverywhere(t *testing.T) {
	const inputs = 20_000
	source, tried := rand.New(rand.NewPCG(11, 4)), 0
	for range inputs {
		name := random(source)
		service := ForService(name)
		for _, rule := range []*regexp.Regexp{stream, dimension, segment} {
			if !rule.MatchString(service) {
				t.Fatalf("%q became %q, which %s forbids", name, service, rule)
			}
		}
		if again := ForService(service); again != service {
			t.Fatalf("%q became %q, then %q", name, service, again)
		}
		if stream.MatchString(name) && dimension.MatchString(name) && segment.MatchString(name) && service != name {
			t.Fatalf("%q is allowed everywhere and became %q", name, service)
		}
		if got := ForSegment(name); !segment.MatchString(got) {
			t.Fatalf("%q became %q", name, got)
		}
		if got := ForStream(name); name != "" && (!stream.MatchString(got) || !utf8.ValidString(got)) {
			t.Fatalf("%q became %q", name, got)
		}
		if got := ForDimension(name); got != "" && (!dimension.MatchString(got) || len(got) > maxDimension) {
			t.Fatalf("%q became %q", name, got)
		}
		tried++
	}
	t.Logf("%d names", tried)
	if tried != inputs {
		t.Fatalf("%d of %d names", tried, inputs)
	}
}

func TestTheOriginalIsKeptWhereItWasChanged(t *testing.T) {
	set := func(with func(pcommon.Map)) map[string]any {
		attributes := pcommon.NewMap()
		with(attributes)
		FitService(attributes)
		FitService(attributes)
		return attributes.AsRaw()
	}
	list := func(a pcommon.Map) {
		if err := a.PutEmptySlice(Service).FromRaw([]any{"a", "b"}); err != nil {
			t.Fatal(err)
		}
	}
	for label, one := range map[string]struct {
		with             func(pcommon.Map)
		wanted, original any
	}{
		"colon":   {func(a pcommon.Map) { a.PutStr(Service, "unknown_service:java") }, "unknown_service_java", "unknown_service:java"},
		"allowed": {func(a pcommon.Map) { a.PutStr(Service, "backend-flask") }, "backend-flask", nil},
		"empty":   {func(a pcommon.Map) { a.PutStr(Service, "") }, Unknown, nil},
		"number":  {func(a pcommon.Map) { a.PutInt(Service, 42) }, "42", nil},
		"absent":  {func(pcommon.Map) {}, Unknown, nil},
		"list":    {list, "__a___b__", []any{"a", "b"}},
	} {
		got := set(one.with)
		if got[Service] != one.wanted || !reflect.DeepEqual(got[Service+Original], one.original) {
			t.Errorf("%s: %v", label, got)
		}
	}
}
