package deltas

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	upstream "github.com/open-telemetry/opentelemetry-collector-contrib/processor/cumulativetodeltaprocessor"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/exporter/exportertest"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/processor/processortest"

	"otel-stack/durable"
	"otel-stack/durable/awsemf"
	"otel-stack/durable/cloudwatchtest"
)

const senders, steps = 300, 12

// What CloudWatch sums is what was owed, and what it is owed no more is refused by count: of series of all
// kinds, with and without start times, that begin anew, come late and twice, hold NaN, infinity and
// buckets that end there, while CloudWatch refuses every fifth request.
func TestCloudWatchSumsWhatIsOwed(t *testing.T) {
	cloudwatch := cloudwatchtest.New(t)
	var put atomic.Int64
	cloudwatch.Fails = func(string) bool { return put.Add(1)%5 == 0 }
	ctx := context.Background()
	factory := awsemf.NewFactory()
	exporting, err := factory.CreateMetrics(ctx, exportertest.NewNopSettings(factory.Type()), durable.NewQueued(*cloudwatchtest.Config(cloudwatch.URL)))
	if err != nil {
		t.Fatal(err)
	}
	if err := exporting.Start(ctx, componenttest.NewNopHost()); err != nil {
		t.Fatal(err)
	}
	c, err := newConverter(upstream.NewFactory().CreateDefaultConfig().(*upstream.Config), processortest.NewNopSettings(NewFactory().Type()).Logger)
	if err != nil {
		t.Fatal(err)
	}

	// A minute ago, so that what is stamped is in the past.
	begin := time.Now().Add(-time.Minute)
	c.started = pcommon.NewTimestampFromTime(begin.Add(-time.Second))
	owed := &ledger{source: rand.New(rand.NewPCG(11, 2)), sums: map[string]float64{}}
	var all []*source
	for i := range senders {
		all = append(all, owed.newSource(i, begin))
	}
	deadline := time.Now().Add(time.Minute)
	for step := range steps {
		md := pmetric.NewMetrics()
		for _, one := range all {
			one.step(md, pcommon.NewTimestampFromTime(begin.Add(time.Duration(step)*time.Second)))
		}
		owed.points += md.DataPointCount()
		converted, err := c.convert(ctx, md)
		if err != nil {
			t.Fatal(err)
		}
		converted.MarkReadOnly()
		for exporting.ConsumeMetrics(ctx, converted) != nil {
			if time.Now().After(deadline) {
				t.Fatal("never taken")
			}
		}
	}
	if err := exporting.Shutdown(ctx); err != nil {
		t.Fatal(err)
	}

	made, invalid := cloudwatch.Metrics()
	if len(invalid) > 0 {
		t.Errorf("CloudWatch makes no metric of %d events: %s", len(invalid), invalid[0])
	}
	held := map[string]float64{}
	for _, one := range made {
		held[one.Name] += one.Total()
	}
	for _, one := range all {
		if math.Abs(held[one.name]-owed.sums[one.name]) > 1e-9 {
			t.Errorf("%s (%s): %g, owed %g", one.name, one.said(), held[one.name], owed.sums[one.name])
		}
	}
	t.Logf("%d points, %d of them to be refused, %d begun anew, %d late, %d requests", owed.points, owed.refused, owed.restarts, owed.late, put.Load())
	if got := refusedOf(t); got != owed.refused {
		t.Errorf("%d refused, not %d", got, owed.refused)
	}
	if owed.points < senders*steps || owed.refused < 100 || owed.restarts < 100 || owed.late < 100 {
		t.Errorf("the generator makes too little of something")
	}
}

// refusedOf is what the dead letters say.
func refusedOf(t *testing.T) (all int) {
	t.Helper()
	letters, err := filepath.Glob(filepath.Join(os.Getenv("QUEUE_DIR"), "dead-letters", "awsemf*", "*.letter"))
	if err != nil {
		t.Fatal(err)
	}
	for _, letter := range letters {
		content, err := os.ReadFile(letter)
		if err != nil {
			t.Fatal(err)
		}
		first, _, _ := strings.Cut(string(content), "\n")
		var about struct {
			Refused int
			Reason  string
		}
		if err := json.Unmarshal([]byte(first), &about); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(about.Reason, "CloudWatch takes no metric of") {
			t.Errorf("refused without its reason: %s", about.Reason)
		}
		all += about.Refused
	}
	return all
}

type ledger struct {
	source                          *rand.Rand
	sums                            map[string]float64
	points, refused, restarts, late int
}

// source is a series of one kind: a cumulative or delta sum or histogram, a gauge or a summary.
type source struct {
	*ledger
	name, service    string
	unit             string
	kind             pmetric.MetricType
	cumulative       bool
	whole, unstarted bool
	start            pcommon.Timestamp
	total, last      int64
	seen             bool
	before           pmetric.Metrics
}

var kinds = []pmetric.MetricType{
	pmetric.MetricTypeSum, pmetric.MetricTypeHistogram, pmetric.MetricTypeExponentialHistogram,
	pmetric.MetricTypeGauge, pmetric.MetricTypeSummary,
}

func (l *ledger) newSource(number int, begin time.Time) *source {
	s := &source{
		ledger: l, name: fmt.Sprintf("series.%d", number), kind: kinds[number%len(kinds)],
		unit:       []string{"1", "{request}", "ms", "Cel"}[l.source.IntN(4)],
		service:    []string{"a", "unknown_service:java", "", "job-*"}[l.source.IntN(4)],
		cumulative: l.source.IntN(3) > 0, whole: l.source.IntN(2) == 0, unstarted: l.source.IntN(2) == 0,
	}
	s.begin(pcommon.NewTimestampFromTime(begin))
	return s
}

func (s *source) begin(at pcommon.Timestamp) {
	s.total, s.last = 0, 0
	if !s.unstarted {
		s.start = at - 1
	}
}

func (s *source) said() string {
	return fmt.Sprintf("%s, cumulative %t, whole %t, without a start time %t", s.kind, s.cumulative, s.whole, s.unstarted)
}

func (s *source) step(into pmetric.Metrics, at pcommon.Timestamp) {
	counts := s.kind != pmetric.MetricTypeGauge && s.kind != pmetric.MetricTypeSummary
	begunAnew := s.cumulative && counts && s.last >= 10 && s.source.IntN(4) == 0
	if begunAnew {
		s.restarts++
		s.begin(at)
	}
	change := int64(1 + s.source.IntN(5))
	s.total += change
	// The first value after a restart is less than the last before it, or nobody could tell.
	spoilt := !begunAnew && s.source.IntN(8) == 0
	if spoilt && s.kind == pmetric.MetricTypeSum && s.whole {
		spoilt = false
	}
	metric := s.write(into, at, change, spoilt)
	if begunAnew && s.unstarted && s.total >= 10 {
		panic("the generator cannot tell either")
	}
	switch {
	case spoilt:
		s.refused++
		return
	case !s.cumulative || !counts:
		s.sums[s.name] += float64(change)
	case !s.seen && s.unstarted:
		s.seen = true
	default:
		s.seen = true
		s.sums[s.name] += float64(s.total - s.last)
	}
	s.last = s.total
	if s.cumulative && counts && s.before != (pmetric.Metrics{}) && s.source.IntN(6) == 0 {
		// What was sent before comes again, after what was sent since.
		s.late++
		s.before.ResourceMetrics().At(0).CopyTo(into.ResourceMetrics().AppendEmpty())
	}
	s.before = pmetric.NewMetrics()
	metric.CopyTo(s.in(s.before))
}

func (s *source) in(md pmetric.Metrics) pmetric.Metric {
	resource := md.ResourceMetrics().AppendEmpty()
	if s.service != "" {
		resource.Resource().Attributes().PutStr("service.name", s.service)
	}
	return resource.ScopeMetrics().AppendEmpty().Metrics().AppendEmpty()
}

func (s *source) write(md pmetric.Metrics, at pcommon.Timestamp, change int64, spoilt bool) pmetric.Metric {
	value, temporality := change, pmetric.AggregationTemporalityDelta
	if s.cumulative {
		value, temporality = s.total, pmetric.AggregationTemporalityCumulative
	}
	bad := []float64{math.NaN(), math.Inf(1), math.Inf(-1), 0x1p361}
	if s.cumulative {
		bad = bad[:3] // a total may grow beyond, and what it grew by is none
	}
	real := float64(value)
	if spoilt {
		real = bad[s.source.IntN(len(bad))]
	}
	metric := s.in(md)
	metric.SetName(s.name)
	metric.SetUnit(s.unit)
	switch s.kind {
	case pmetric.MetricTypeSum:
		metric.SetEmptySum().SetIsMonotonic(true)
		metric.Sum().SetAggregationTemporality(temporality)
		s.number(metric.Sum().DataPoints().AppendEmpty(), at, value, real)
	case pmetric.MetricTypeGauge:
		point := metric.SetEmptyGauge().DataPoints().AppendEmpty()
		point.SetTimestamp(at)
		if !spoilt {
			real = float64(change)
		}
		point.SetDoubleValue(real)
	case pmetric.MetricTypeHistogram:
		metric.SetEmptyHistogram().SetAggregationTemporality(temporality)
		point := metric.Histogram().DataPoints().AppendEmpty()
		point.SetStartTimestamp(s.start)
		point.SetTimestamp(at)
		point.SetCount(uint64(value))
		point.SetSum(real)
		point.ExplicitBounds().FromRaw([]float64{10})
		point.BucketCounts().FromRaw([]uint64{uint64(value), 0})
	case pmetric.MetricTypeExponentialHistogram:
		metric.SetEmptyExponentialHistogram().SetAggregationTemporality(temporality)
		point := metric.ExponentialHistogram().DataPoints().AppendEmpty()
		point.SetStartTimestamp(s.start)
		point.SetTimestamp(at)
		point.SetCount(uint64(value))
		point.SetSum(real)
		point.Positive().BucketCounts().FromRaw([]uint64{uint64(value)})
		if spoilt && !s.cumulative {
			point.SetSum(1)
			point.Positive().SetOffset(1023)
		}
	case pmetric.MetricTypeSummary:
		point := metric.SetEmptySummary().DataPoints().AppendEmpty()
		point.SetTimestamp(at)
		point.SetCount(uint64(change))
		point.SetSum(1)
		if spoilt {
			point.QuantileValues().AppendEmpty().SetValue(real)
		}
	}
	return metric
}

func (s *source) number(point pmetric.NumberDataPoint, at pcommon.Timestamp, whole int64, real float64) {
	point.SetStartTimestamp(s.start)
	point.SetTimestamp(at)
	if s.whole {
		point.SetIntValue(whole)
	} else {
		point.SetDoubleValue(real)
	}
}
