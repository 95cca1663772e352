package redaction

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

// What is masked in which words is tested with the real config, in tests/unit/collector. Here: that
// every place is looked at, and that the fast way finds what the slow way finds.

const known = "XSECRETX"

func cleanerOf(t testing.TB, config *Config) *cleaner {
	t.Helper()
	if err := config.Validate(); err != nil {
		t.Fatal(err)
	}
	c, err := newCleaner(config)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func knowing(t testing.TB) *cleaner {
	return cleanerOf(t, &Config{AllowAllKeys: true, BlockedValues: []string{known}})
}

func fill(attributes pcommon.Map) {
	attributes.PutStr("plain", known)
	attributes.PutStr("kept", "value")
	attributes.PutEmptyBytes("bytes").FromRaw([]byte(known))
	list := attributes.PutEmptySlice("list")
	list.AppendEmpty().SetStr(known)
	list.AppendEmpty().SetEmptyMap().PutEmptySlice("deeper").AppendEmpty().SetStr(known)
}

func TestNoPlaceOfATraceIsForgotten(t *testing.T) {
	data := ptrace.NewTraces()
	resource := data.ResourceSpans().AppendEmpty()
	resource.SetSchemaUrl(known)
	fill(resource.Resource().Attributes())
	scope := resource.ScopeSpans().AppendEmpty()
	scope.SetSchemaUrl(known)
	scope.Scope().SetName(known)
	scope.Scope().SetVersion(known)
	fill(scope.Scope().Attributes())
	span := scope.Spans().AppendEmpty()
	span.SetName("a " + known)
	span.TraceState().FromRaw("vendor=" + known)
	span.Status().SetMessage(known)
	fill(span.Attributes())
	event := span.Events().AppendEmpty()
	event.SetName(known)
	fill(event.Attributes())
	link := span.Links().AppendEmpty()
	link.TraceState().FromRaw("vendor=" + known)
	fill(link.Attributes())

	if _, err := knowing(t).traces(context.Background(), data); err != nil {
		t.Fatal(err)
	}

	whole, err := (&ptrace.ProtoMarshaler{}).MarshalTraces(data)
	if err != nil {
		t.Fatal(err)
	}
	// 5 places of attributes with 4 each, and 9 of their own.
	holdsNone(t, whole, 29, 5)
	if span.Name() != "a "+mask {
		t.Error(span.Name())
	}
}

func TestNoPlaceOfALogIsForgotten(t *testing.T) {
	data := plog.NewLogs()
	resource := data.ResourceLogs().AppendEmpty()
	resource.SetSchemaUrl(known)
	fill(resource.Resource().Attributes())
	scope := resource.ScopeLogs().AppendEmpty()
	scope.SetSchemaUrl(known)
	fill(scope.Scope().Attributes())
	for range 2 {
		record := scope.LogRecords().AppendEmpty()
		record.SetEventName(known)
		record.SetSeverityText(known)
		fill(record.Attributes())
	}
	scope.LogRecords().At(0).Body().SetStr(known)
	fill(scope.LogRecords().At(1).Body().SetEmptyMap())

	if _, err := knowing(t).logs(context.Background(), data); err != nil {
		t.Fatal(err)
	}

	whole, err := (&plog.ProtoMarshaler{}).MarshalLogs(data)
	if err != nil {
		t.Fatal(err)
	}
	holdsNone(t, whole, 27, 5)
}

func TestNoPlaceOfAMetricIsForgotten(t *testing.T) {
	data := pmetric.NewMetrics()
	resource := data.ResourceMetrics().AppendEmpty()
	resource.SetSchemaUrl(known)
	fill(resource.Resource().Attributes())
	scope := resource.ScopeMetrics().AppendEmpty()
	scope.SetSchemaUrl(known)
	fill(scope.Scope().Attributes())
	named := scope.Metrics().AppendEmpty()
	named.SetName(known)
	named.SetDescription(known)
	named.SetUnit(known)
	fill(named.Metadata())
	gauge := named.SetEmptyGauge().DataPoints().AppendEmpty()
	sum := scope.Metrics().AppendEmpty().SetEmptySum().DataPoints().AppendEmpty()
	histogram := scope.Metrics().AppendEmpty().SetEmptyHistogram().DataPoints().AppendEmpty()
	exponential := scope.Metrics().AppendEmpty().SetEmptyExponentialHistogram().DataPoints().AppendEmpty()
	fill(scope.Metrics().AppendEmpty().SetEmptySummary().DataPoints().AppendEmpty().Attributes())
	for _, point := range []interface {
		Attributes() pcommon.Map
		Exemplars() pmetric.ExemplarSlice
	}{gauge, sum, histogram, exponential} {
		fill(point.Attributes())
		fill(point.Exemplars().AppendEmpty().FilteredAttributes())
	}

	if _, err := knowing(t).metrics(context.Background(), data); err != nil {
		t.Fatal(err)
	}

	whole, err := (&pmetric.ProtoMarshaler{}).MarshalMetrics(data)
	if err != nil {
		t.Fatal(err)
	}
	holdsNone(t, whole, 53, 12)
}

func holdsNone(t *testing.T, whole []byte, masks, kept int) {
	t.Helper()
	if left := bytes.Count(whole, []byte(known)); left > 0 {
		t.Errorf("%d are left", left)
	}
	if found := bytes.Count(whole, []byte(mask)); found != masks {
		t.Errorf("%d masks, not %d", found, masks)
	}
	if found := bytes.Count(whole, []byte("value")); found != kept {
		t.Errorf("%d others kept, not %d", found, kept)
	}
}

func TestNamesDecide(t *testing.T) {
	c := cleanerOf(t, &Config{
		AllowedKeys:        []string{"allowed", "password", "map", "list"},
		IgnoredKeys:        []string{"ignored"},
		BlockedKeyPatterns: []string{"(?i)password$"},
		BlockedValues:      []string{known},
	})
	attributes := pcommon.NewMap()
	attributes.PutStr("allowed", known)
	attributes.PutStr("ignored", known)
	attributes.PutStr("other", "goes")
	attributes.PutInt("password", 7)
	attributes.PutEmptyMap("map").PutStr("Password", "nested")
	attributes.PutEmptySlice("list").AppendEmpty().SetEmptyMap().PutStr("other", "stays")

	c.attributes(attributes)

	want := map[string]any{
		"allowed": mask, "ignored": known, "password": mask,
		"map": map[string]any{"Password": mask}, "list": []any{map[string]any{"other": "stays"}},
	}
	if got := attributes.AsRaw(); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%v", got)
	}
}

func TestACardThatCameAsANumber(t *testing.T) {
	c := cleanerOf(t, &Config{AllowAllKeys: true, BlockedValues: []string{`(?:^|\D)(?P<card>\d{16})\b`}})
	attributes := pcommon.NewMap()
	attributes.PutInt("card", 4111111111111111)
	attributes.PutInt("no card", 4111111111111112)

	c.attributes(attributes)

	if got := fmt.Sprint(attributes.AsRaw()); got != "map[card:**** no card:4111111111111112]" {
		t.Error(got)
	}
}

func TestTheSummaryIsRefused(t *testing.T) {
	if (&Config{BlockedValues: []string{"a"}, Summary: "debug"}).Validate() == nil ||
		(&Config{AllowAllKeys: true}).Validate() == nil || (&Config{BlockedValues: []string{"("}}).Validate() == nil {
		t.Error("taken")
	}
}

// Patterns of every shape that the automaton treats in a way of its own.
var shapes = []string{
	`(?i)(?:pass(?:word)?|\bpin|api[-_]?key)\s*[=:]+\s*(?P<secret>"[^"]*"?|[^\s"]+)`,
	`(?:^|[?&])key=(?P<secret>[^&\s]+)`,
	`eyJ[a-z]+\.[a-z]*`,
	`\bAK[0-9A-Z]{4}`,
	`://[^/\s:@]*:(?P<secret>[^/\s]+)@`,
	`[a-z.]{1,8}(?:@|%40)(?:[a-z]+\.)+[a-z]{2,5}`,
	`(?:^|[^0-9a-z.])(?P<card>\d{4}(?:[ -]?\d{4}){3})\b`,
	`\b(?P<iban>[A-Z]{2}\d\d(?: ?\d{4}){4}\d\d)\b`,
	`[xyz]+[0-9]q`,
	`é+[=:]a`,
}

// Every shape alone finds in random texts what its regular expression finds.
func TestTheFastWayFindsWhatTheSlowWayFinds(t *testing.T) {
	pieces := []string{
		"password", "PASS", "pin", "api-key", "key=", "?", "&", "=", ":", `"`, " ", "eyJ", "a", "z", ".",
		"AK", "0AB9", "://", "@", "%40", "4111111111111111", "4111 ", "DE89370400440532013000", "@z.pin", "1", "-", "q", "x", "é", "/", "\n",
	}
	random := rand.New(rand.NewPCG(7, 7))
	for _, shape := range shapes {
		fast := cleanerOf(t, &Config{BlockedValues: []string{shape}}).values
		p, _, err := compile(shape)
		if err != nil {
			t.Fatal(err)
		}
		masks := 0
		for range 20000 {
			var text strings.Builder
			for range 1 + random.IntN(12) {
				text.WriteString(pieces[random.IntN(len(pieces))])
			}
			want := text.String()
			if found := p.search(want, nil); found != nil {
				masks++
				want = masked(want, found)
			}
			if got, _ := fast.clean(text.String()); got != want && !overlapping(text.String(), p) {
				t.Fatalf("%s in %q: %q, not %q", shape, text.String(), got, want)
			}
		}
		if masks < 5 {
			t.Errorf("%s was found %d times: this tests nothing", shape, masks)
		}
	}
}

// A search goes on behind a match; the automaton also sees what begins within one, and masks more.
func overlapping(text string, p *pattern) bool {
	for _, at := range p.anywhere().FindAllStringIndex(text, -1) {
		for i := at[0] + 1; i < at[1]; i++ {
			if p.behindOne().MatchString(text[i-1:]) {
				return true
			}
		}
	}
	return false
}

func TestALongSecretIsMaskedToItsEnd(t *testing.T) {
	c := cleanerOf(t, &Config{BlockedValues: shapes})
	text := `password="` + strings.Repeat("long ", 1000) + `" and more`
	if got, _ := c.text(text); got != `password="****" and more` {
		t.Error(got)
	}
}

func TestALongPasswordOfAUrlIsMasked(t *testing.T) {
	c := cleanerOf(t, &Config{BlockedValues: shapes})
	text := "postgresql://user:" + strings.Repeat("X-Amz%2D", 200) + "@db" + strings.Repeat(" and more", 1000)
	if got, _ := c.text(text); !strings.HasPrefix(got, "postgresql://user:****@db and") {
		t.Errorf("%.100s", got)
	}
}

// Whatever the text, the automaton masks what the regular expressions find, and says so.
func FuzzClean(f *testing.F) {
	c := cleanerOf(f, &Config{BlockedValues: shapes})
	alone := make(map[*pattern]*matcher, len(shapes))
	for _, shape := range shapes {
		p, _, err := compile(shape)
		if err != nil {
			f.Fatal(err)
		}
		if alone[p], err = newMatcher([]string{shape}); err != nil {
			f.Fatal(err)
		}
	}
	f.Add(`a://b:c@d password="e\" f" bob@mail.example 4111-1111-1111-1111`)
	f.Add("x?api-key=1&KEY=é=a eyJab.c AK0AB9 xyz7q")
	f.Fuzz(func(t *testing.T, text string) {
		once, changed := c.text(text)
		if changed != (once != text) && !strings.Contains(text, mask) {
			t.Errorf("%q: changed %v", text, changed)
		}
		for p, fast := range alone {
			want := text
			if found := p.search(text, nil); found != nil {
				want = masked(text, found)
			}
			// In longer ones it looks so far at a few places only.
			if got, _ := fast.clean(text); got != want && len(text) <= window && !overlapping(text, p) {
				t.Errorf("%s in %q: %q, not %q", p.anywhere(), text, got, want)
			}
		}
	})
}

// The receiver keeps 64 KiB: half a token that is left at the end is as good as gone, nothing finds it.
func TestASecretThatTheReceiverCutIsMasked(t *testing.T) {
	c := cleanerOf(t, &Config{BlockedValues: shapes})
	token := "A3-AAAAA1-AAAAAAAAAAA-AAAAA-AAAAA-AAAAA"
	for seen := range len(token) + 1 {
		for _, lost := range []int{0, 3} {
			text := strings.Repeat("w", receivedText-lost-seen-1) + " " + token[:seen]
			got, changed := c.text(text)
			if !changed || strings.Contains(got, " A") || len(got) < receivedText-2*lastOfCut {
				t.Fatalf("%d bytes of a token are left: %q", seen, got[len(got)-50:])
			}
		}
	}
	for _, length := range []int{receivedText - 4, receivedText + 1} {
		text := strings.Repeat("w", length)
		if got, changed := c.text(text); changed || got != text {
			t.Errorf("%d bytes were not cut by the receiver", length)
		}
	}
}

// Work grows as the text does, whatever the rules look for is in it.
func TestTheRulesTakeAsLongAsTheTextIs(t *testing.T) {
	c := cleanerOf(t, &Config{BlockedValues: shapes})
	all, err := rules()
	if err != nil {
		t.Fatal(err)
	}
	var keywords strings.Builder
	for _, one := range all {
		for _, keyword := range one.Keywords {
			keywords.WriteString(keyword + "_token = ")
		}
	}
	tried := func(text string) time.Duration {
		best := time.Hour
		for range 3 {
			began := processorTime(t)
			c.text(text)
			best = min(best, processorTime(t)-began)
		}
		return best
	}
	tried(keywords.String())
	for _, piece := range []string{keywords.String(), "adafruit ", "EAAM", "xapp-1-a-1-", "|", "f('token", "mysql -h ", "sntrys_eyJpYXQiO"} {
		short := strings.Repeat(piece, 1+100_000/len(piece))
		one, eight := tried(short), tried(strings.Repeat(short, 8))
		if eight > 20*one+50*time.Millisecond || eight > 5*time.Second {
			t.Errorf("%.20q: %v for %d bytes, %v for eight times as many", piece, one, len(short), eight)
		}
	}
}

func processorTime(t *testing.T) time.Duration {
	t.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		t.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
