package deltas

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	upstream "github.com/open-telemetry/opentelemetry-collector-contrib/processor/cumulativetodeltaprocessor"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/processor"
	"go.opentelemetry.io/collector/processor/processortest"
)

const begun = 24 * time.Hour // a start time that is after the collector's, whenever that is

func at(seconds int) pcommon.Timestamp {
	return pcommon.NewTimestampFromTime(time.Now().Add(-time.Hour + time.Duration(seconds)*time.Second))
}

// made is this processor, or upstream's, into a sink.
func made(t *testing.T, factory processor.Factory, edit func(*upstream.Config)) (processor.Metrics, *consumertest.MetricsSink) {
	t.Helper()
	config := factory.CreateDefaultConfig().(*upstream.Config)
	if edit != nil {
		edit(config)
	}
	sink := &consumertest.MetricsSink{}
	p, err := factory.CreateMetrics(context.Background(), processortest.NewNopSettings(factory.Type()), config, sink)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Shutdown(context.Background()) })
	return p, sink
}

func one(fill func(pmetric.Metric)) pmetric.Metrics {
	md := pmetric.NewMetrics()
	metric := md.ResourceMetrics().AppendEmpty().ScopeMetrics().AppendEmpty().Metrics().AppendEmpty()
	metric.SetName("m")
	fill(metric)
	return md
}

func sumOf(value float64, start, at pcommon.Timestamp) pmetric.Metrics {
	return one(func(m pmetric.Metric) {
		m.SetEmptySum().SetIsMonotonic(true)
		m.Sum().SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
		p := m.Sum().DataPoints().AppendEmpty()
		p.SetDoubleValue(value)
		p.SetStartTimestamp(start)
		p.SetTimestamp(at)
	})
}

func histogramWith(count uint64, start, at pcommon.Timestamp, bounds ...float64) pmetric.Metrics {
	return one(func(m pmetric.Metric) {
		m.SetEmptyHistogram().SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
		p := m.Histogram().DataPoints().AppendEmpty()
		p.SetCount(count)
		p.SetSum(float64(count))
		p.ExplicitBounds().FromRaw(bounds)
		p.BucketCounts().FromRaw(append([]uint64{count}, make([]uint64, len(bounds))...))
		p.SetStartTimestamp(start)
		p.SetTimestamp(at)
	})
}

func exponentialWith(count uint64, start, at pcommon.Timestamp) pmetric.Metrics {
	return one(func(m pmetric.Metric) {
		m.SetEmptyExponentialHistogram().SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
		p := m.ExponentialHistogram().DataPoints().AppendEmpty()
		p.SetCount(count)
		p.SetSum(float64(count))
		p.Positive().BucketCounts().FromRaw([]uint64{count})
		p.SetStartTimestamp(start)
		p.SetTimestamp(at)
	})
}

// counts of what came out, a number's value.
func counts(t *testing.T, sink *consumertest.MetricsSink) (all []float64) {
	t.Helper()
	for _, md := range sink.AllMetrics() {
		metric := md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0)
		switch metric.Type() {
		case pmetric.MetricTypeSum:
			all = append(all, metric.Sum().DataPoints().At(0).DoubleValue())
		case pmetric.MetricTypeHistogram:
			all = append(all, float64(metric.Histogram().DataPoints().At(0).Count()))
		case pmetric.MetricTypeExponentialHistogram:
			all = append(all, float64(metric.ExponentialHistogram().DataPoints().At(0).Count()))
		}
	}
	return all
}

// cases/07-exp-histogram, and the sequences of upstream's TestMetricTracker_ConvertHistogramResetRecovery and
// TestMetricTracker_ConvertExponentialHistogramResetRecovery (v0.165.1), whose first value after a restart
// is dropped.
func TestASenderThatBeginsAnewCountsOn(t *testing.T) {
	kinds := map[string]func(uint64, pcommon.Timestamp, pcommon.Timestamp) pmetric.Metrics{
		"sum": func(count uint64, start, at pcommon.Timestamp) pmetric.Metrics {
			return sumOf(float64(count), start, at)
		},
		"histogram": func(count uint64, start, at pcommon.Timestamp) pmetric.Metrics {
			return histogramWith(count, start, at, 10)
		},
		"exponential histogram": exponentialWith,
	}
	later := pcommon.NewTimestampFromTime(time.Now().Add(begun))
	for kind, of := range kinds {
		for label, one := range map[string]struct {
			starts         []pcommon.Timestamp
			totals, wanted []float64
		}{
			"no start time": {nil, []float64{100, 110, 3, 5, 9, 20, 40, 200}, []float64{10, 3, 2, 4, 11, 20, 160}},
			"a start time":  {[]pcommon.Timestamp{later, later, later + 1}, []float64{10, 15, 4, 9, 20}, []float64{10, 5, 4, 5, 11}},
			"the same start time": {
				[]pcommon.Timestamp{later}, []float64{10, 15, 4, 9, 20}, []float64{10, 5, 4, 5, 11},
			},
			"older than the collector": {[]pcommon.Timestamp{1}, []float64{10, 15, 4}, []float64{5, 4}},
			"late":                     {[]pcommon.Timestamp{later}, []float64{10, 15, -12, 20}, []float64{10, 5, 5}},
			"sent twice":               {[]pcommon.Timestamp{later}, []float64{10, 10, 15}, []float64{10, 0, 5}},
		} {
			t.Run(kind+", "+label, func(t *testing.T) {
				p, sink := made(t, NewFactory(), nil)
				for i, total := range one.totals {
					start, when := pcommon.Timestamp(0), at(10*i)
					if len(one.starts) > 0 {
						start = one.starts[min(i, len(one.starts)-1)]
					}
					if total < 0 {
						total, when = -total, at(10*i-15)
					}
					if err := p.ConsumeMetrics(context.Background(), of(uint64(total), start, when)); err != nil {
						t.Fatal(err)
					}
				}
				if got := counts(t, sink); !slices.Equal(got, one.wanted) {
					t.Fatalf("%v of %v, not %v", got, one.totals, one.wanted)
				}
			})
		}
	}
}

// A sender makes its buckets coarser and its zero bucket wider, never the other way.
func TestFinerBucketsAreThoseOfASenderThatBeganAnew(t *testing.T) {
	type shape struct {
		scale     int32
		threshold float64
		offset    int32
	}
	for label, one := range map[string]struct {
		shapes [2]shape
		wanted float64
	}{
		"the same":           {[2]shape{}, 1},
		"coarser":            {[2]shape{{scale: 2, offset: 3}, {scale: 0}}, 1},
		"finer":              {[2]shape{{scale: 0}, {scale: 2}}, 6},
		"a wider zero":       {[2]shape{{}, {threshold: 1}}, 1},
		"a narrower zero":    {[2]shape{{threshold: 1}, {}}, 6},
		"a bucket less":      {[2]shape{{offset: 3}, {offset: 4}}, 6},
		"beyond all indexes": {[2]shape{{scale: 20, offset: math.MaxInt32}, {scale: -10, offset: 1}}, 1},
	} {
		p, sink := made(t, NewFactory(), nil)
		for i, shape := range one.shapes {
			md := exponentialWith(uint64(5+i), 0, at(i))
			point := md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0).ExponentialHistogram().DataPoints().At(0)
			point.SetScale(shape.scale)
			point.SetZeroThreshold(shape.threshold)
			point.Positive().SetOffset(shape.offset)
			if err := p.ConsumeMetrics(context.Background(), md); err != nil {
				t.Fatal(err)
			}
		}
		if got := counts(t, sink); !slices.Equal(got, []float64{one.wanted}) {
			t.Errorf("%s: %v, not %g", label, got, one.wanted)
		}
	}
}

func TestWhatIsNoNumberIsLeftToTheExporter(t *testing.T) {
	later := pcommon.NewTimestampFromTime(time.Now().Add(begun))
	p, sink := made(t, NewFactory(), nil)
	for i, total := range []float64{10, math.NaN(), math.Inf(1), 15} {
		if err := p.ConsumeMetrics(context.Background(), sumOf(total, later, at(i))); err != nil {
			t.Fatal(err)
		}
	}
	if got := fmt.Sprint(counts(t, sink)); got != "[10 NaN +Inf 5]" {
		t.Fatal(got)
	}
}

func TestOtherBoundsCostTheBucketsAlone(t *testing.T) {
	p, sink := made(t, NewFactory(), nil)
	for i, bounds := range [][]float64{{10}, {20}, {20, 30}} {
		if err := p.ConsumeMetrics(context.Background(), histogramWith(uint64(10*(i+1)), 0, at(i), bounds...)); err != nil {
			t.Fatal(err)
		}
	}
	if got := counts(t, sink); !slices.Equal(got, []float64{10, 10}) {
		t.Fatal(got)
	}
}

// Upstream forgets a series after an hour, and when it is there again counts it from its start.
func TestASenderThatWasSilentIsRememberedForMaxStaleness(t *testing.T) {
	later := pcommon.NewTimestampFromTime(time.Now().Add(begun))
	config := NewFactory().CreateDefaultConfig().(*upstream.Config)
	c, err := newConverter(config, processortest.NewNopSettings(NewFactory().Type()).Logger)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	c.now = func() time.Time { return now }
	for i, gap := range []time.Duration{0, 23 * time.Hour, 23 * time.Hour, 30 * time.Hour} {
		now = now.Add(gap)
		md, err := c.convert(context.Background(), sumOf(float64(10*(i+1)), later, pcommon.NewTimestampFromTime(now)))
		if err != nil {
			t.Fatal(err)
		}
		got := md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0).Sum().DataPoints().At(0).DoubleValue()
		if wanted := []float64{10, 10, 10, 40}[i]; got != wanted {
			t.Errorf("after %s: %g, not %g", gap, got, wanted)
		}
	}
	// One sender lives on among many that end.
	for i := range manySeries + 1000 {
		now = now.Add(20 * time.Millisecond)
		start := later + pcommon.Timestamp(i)
		if i%1000 == 0 {
			start = later
		}
		_, _ = c.convert(context.Background(), sumOf(100, start, pcommon.NewTimestampFromTime(now)))
	}
	if len(c.known) > 40_000 {
		t.Errorf("%d series are remembered", len(c.known))
	}
	md, err := c.convert(context.Background(), sumOf(110, later, pcommon.NewTimestampFromTime(now)))
	if got := md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0).Sum().DataPoints().At(0).DoubleValue(); err != nil || got != 10 {
		t.Errorf("who is not silent was forgotten: %g, %v", got, err)
	}
	now = now.Add(48 * time.Hour)
	c.sweep(now)
	if len(c.known) != 0 {
		t.Errorf("%d series are remembered for ever", len(c.known))
	}
}

func TestOnlyWhatIsSelectedIsConverted(t *testing.T) {
	for label, edit := range map[string]func(*upstream.Config){
		"strict": func(c *upstream.Config) {
			c.Include.Metrics, c.Include.Config.MatchType = []string{"m"}, "strict"
		},
		"regexp":        func(c *upstream.Config) { c.Include.Metrics, c.Include.Config.MatchType = []string{"^m$"}, "regexp" },
		"type":          func(c *upstream.Config) { c.Include.MetricTypes = []string{"SUM"} },
		"not the name":  func(c *upstream.Config) { c.Exclude.Metrics, c.Exclude.Config.MatchType = []string{"m"}, "strict" },
		"not the type":  func(c *upstream.Config) { c.Exclude.MetricTypes = []string{"sum"} },
		"another's":     func(c *upstream.Config) { c.Include.Metrics, c.Include.Config.MatchType = []string{"n"}, "strict" },
		"another type":  func(c *upstream.Config) { c.Include.MetricTypes = []string{"histogram"} },
		"not another's": func(c *upstream.Config) { c.Exclude.Metrics, c.Exclude.Config.MatchType = []string{"n"}, "strict" },
	} {
		results := map[string]string{}
		for name, factory := range map[string]processor.Factory{"ours": NewFactory(), "upstream's": upstream.NewFactory()} {
			p, sink := made(t, factory, edit)
			for i := range 3 {
				if err := p.ConsumeMetrics(context.Background(), sumOf(float64(10*i), 0, at(i))); err != nil {
					t.Fatal(err)
				}
			}
			results[name] = fmt.Sprint(counts(t, withPoints(sink)))
		}
		if results["ours"] != results["upstream's"] {
			t.Errorf("%s: %v", label, results)
		}
	}
}

// withPoints leaves out the batches in which nothing is left, which upstream hands on.
func withPoints(sink *consumertest.MetricsSink) *consumertest.MetricsSink {
	kept := &consumertest.MetricsSink{}
	for _, md := range sink.AllMetrics() {
		if md.DataPointCount() > 0 {
			_ = kept.ConsumeMetrics(context.Background(), md)
		}
	}
	return kept
}

// Where nobody begins anew, upstream is right, and this is the same: bucket by bucket, with scales that grow
// coarser and initial values of all three kinds.
func TestWithoutRestartsItIsWhatUpstreamMakes(t *testing.T) {
	const sequences, exports = 300, 8
	points := 0
	for seed := range uint64(sequences) {
		source := rand.New(rand.NewPCG(seed, 2))
		edit := func(c *upstream.Config) {
			if err := c.InitialValue.UnmarshalText([]byte([]string{"auto", "keep", "drop"}[seed%3])); err != nil {
				t.Fatal(err)
			}
		}
		ours, sink := made(t, NewFactory(), edit)
		theirs, theirSink := made(t, upstream.NewFactory(), edit)
		sender := newSender(source)
		for range exports {
			md := sender.export()
			points += md.DataPointCount()
			copied := pmetric.NewMetrics()
			md.CopyTo(copied)
			if err := ours.ConsumeMetrics(context.Background(), md); err != nil {
				t.Fatal(err)
			}
			if err := theirs.ConsumeMetrics(context.Background(), copied); err != nil {
				t.Fatal(err)
			}
		}
		got, wanted := withPoints(sink).AllMetrics(), withPoints(theirSink).AllMetrics()
		if len(got) != len(wanted) {
			t.Fatalf("seed %d: %d batches, upstream %d", seed, len(got), len(wanted))
		}
		for i := range got {
			if ours, theirs := text(got[i], i > 0), text(wanted[i], i > 0); ours != theirs {
				t.Fatalf("seed %d, batch %d:\n%s\nupstream:\n%s", seed, i, ours, theirs)
			}
		}
	}
	t.Logf("%d points", points)
	if points != sequences*exports*3 {
		t.Fatalf("%d points", points)
	}
}

// text has what counts: where the first value is kept, upstream loses its start time, and its least and
// greatest value.
func text(md pmetric.Metrics, later bool) (all string) {
	since := func(start pcommon.Timestamp) any {
		if later {
			return start
		}
		return "?"
	}
	for _, metric := range md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().All() {
		switch metric.Type() {
		case pmetric.MetricTypeSum:
			p := metric.Sum().DataPoints().At(0)
			all += fmt.Sprintln(since(p.StartTimestamp()), p.Timestamp(), p.IntValue(), p.DoubleValue())
		case pmetric.MetricTypeHistogram:
			p := metric.Histogram().DataPoints().At(0)
			all += fmt.Sprintln(since(p.StartTimestamp()), p.Timestamp(), p.Count(), p.Sum(), p.BucketCounts().AsRaw())
		case pmetric.MetricTypeExponentialHistogram:
			p := metric.ExponentialHistogram().DataPoints().At(0)
			all += fmt.Sprintln(since(p.StartTimestamp()), p.Timestamp(), p.Count(), p.Sum(), p.Scale(), p.ZeroCount(),
				filled(p.Positive()), filled(p.Negative()))
		}
	}
	return all
}

func filled(buckets pmetric.ExponentialHistogramDataPointBuckets) (all string) {
	for i, count := range buckets.BucketCounts().All() {
		if count > 0 {
			all += fmt.Sprintf(" %d:%d", int(buckets.Offset())+i, count)
		}
	}
	return all
}

// sender counts on in a sum, a histogram and an exponential histogram.
type sender struct {
	source    *rand.Rand
	start     pcommon.Timestamp
	time      int
	whole     bool
	sum       int64
	buckets   []uint64
	positions map[int]uint64
	zero      uint64
	scale     int32
}

func newSender(source *rand.Rand) *sender {
	s := &sender{source: source, whole: source.IntN(2) == 0, buckets: make([]uint64, 4), positions: map[int]uint64{}, scale: 5}
	s.start = []pcommon.Timestamp{0, 1, pcommon.NewTimestampFromTime(time.Now().Add(begun))}[source.IntN(3)]
	return s
}

func (s *sender) export() pmetric.Metrics {
	s.time += 10
	for range s.source.IntN(20) {
		s.sum += int64(s.source.IntN(5))
		s.buckets[s.source.IntN(4)]++
		s.positions[s.source.IntN(60)-30]++
		s.zero += uint64(s.source.IntN(2))
	}
	if s.source.IntN(4) == 0 {
		s.scale--
		coarser := map[int]uint64{}
		for position, count := range s.positions {
			coarser[position>>1] += count
		}
		s.positions = coarser
	}
	md := pmetric.NewMetrics()
	metrics := md.ResourceMetrics().AppendEmpty().ScopeMetrics().AppendEmpty().Metrics()
	metric := metrics.AppendEmpty()
	metric.SetEmptySum().SetIsMonotonic(true)
	metric.Sum().SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
	p := metric.Sum().DataPoints().AppendEmpty()
	p.SetTimestamp(at(s.time))
	p.SetStartTimestamp(s.start)
	if s.whole {
		p.SetIntValue(s.sum)
	} else {
		p.SetDoubleValue(float64(s.sum) / 2)
	}
	s.histogram(metrics.AppendEmpty())
	s.exponential(metrics.AppendEmpty())
	for i, one := range metrics.All() {
		one.SetName(fmt.Sprint("m", i))
	}
	return md
}

func (s *sender) histogram(metric pmetric.Metric) {
	metric.SetEmptyHistogram().SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
	p := metric.Histogram().DataPoints().AppendEmpty()
	p.SetTimestamp(at(s.time))
	p.SetStartTimestamp(s.start)
	p.ExplicitBounds().FromRaw([]float64{1, 2, 3})
	p.BucketCounts().FromRaw(s.buckets)
	count := uint64(0)
	for _, one := range s.buckets {
		count += one
	}
	p.SetCount(count)
	p.SetSum(float64(count) * 1.5)
}

func (s *sender) exponential(metric pmetric.Metric) {
	metric.SetEmptyExponentialHistogram().SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
	p := metric.ExponentialHistogram().DataPoints().AppendEmpty()
	p.SetTimestamp(at(s.time))
	p.SetStartTimestamp(s.start)
	p.SetScale(s.scale)
	p.SetZeroCount(s.zero)
	count := s.zero
	if len(s.positions) > 0 {
		first, last := math.MaxInt, math.MinInt
		for position := range s.positions {
			first, last = min(first, position), max(last, position)
		}
		p.Positive().SetOffset(int32(first))
		counts := make([]uint64, last-first+1)
		for position, one := range s.positions {
			counts[position-first] = one
			count += one
		}
		p.Positive().BucketCounts().FromRaw(counts)
	}
	p.SetCount(count)
	p.SetSum(float64(count) * 1.5)
}
