package deltas

import (
	"context"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/pdatautil"
	upstream "github.com/open-telemetry/opentelemetry-collector-contrib/processor/cumulativetodeltaprocessor"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/processor/processorhelper"
	"go.uber.org/zap"
)

const (
	// Of series: 100 to 400 bytes each, 1.5 kB with 160 buckets. Beyond that what has been silent for ten
	// minutes is forgotten too: a service that restarts every ten seconds with 50 series, each time with
	// a new start time, would be 430,000 in a day. Whoever is not silent is never forgotten.
	manySeries = 50_000
	crowded    = 10 * time.Minute
	// What has ended is kept for a tenth of the time more.
	sweeps = 10
)

type identity [16]byte

// series is what a cumulative series had counted when it was last seen.
type series struct {
	seen  time.Time
	at    pcommon.Timestamp
	total total
}

type converter struct {
	logger    *zap.Logger
	selects   func(pmetric.Metric) bool
	initial   string
	staleness time.Duration
	started   pcommon.Timestamp
	now       func() time.Time

	mu    sync.Mutex
	known map[identity]*series
	swept time.Time
}

func newConverter(config *upstream.Config, logger *zap.Logger) (*converter, error) {
	include, err := matcher(config.Include, true)
	if err != nil {
		return nil, err
	}
	exclude, err := matcher(config.Exclude, false)
	if err != nil {
		return nil, err
	}
	return &converter{
		logger:    logger,
		selects:   func(metric pmetric.Metric) bool { return include(metric) && !exclude(metric) },
		initial:   config.InitialValue.String(),
		staleness: config.MaxStaleness,
		started:   pcommon.NewTimestampFromTime(time.Now()),
		now:       time.Now,
		known:     map[identity]*series{},
	}, nil
}

// matcher reads upstream's `include` and `exclude`: names and types, each where it is given. Of an
// `exclude` one of them is enough, of an `include` both are needed.
func matcher(which upstream.MatchMetrics, both bool) (func(pmetric.Metric) bool, error) {
	var patterns []*regexp.Regexp
	if which.Config.MatchType == "regexp" {
		for _, one := range which.Metrics {
			pattern, err := regexp.Compile(one)
			if err != nil {
				return nil, err
			}
			patterns = append(patterns, pattern)
		}
	}
	return func(metric pmetric.Metric) bool {
		named := slices.ContainsFunc(patterns, func(one *regexp.Regexp) bool { return one.MatchString(metric.Name()) }) ||
			len(patterns) == 0 && slices.Contains(which.Metrics, metric.Name())
		typed := slices.ContainsFunc(which.MetricTypes, func(one string) bool {
			return strings.EqualFold(one, metric.Type().String())
		})
		if both {
			return (named || len(which.Metrics) == 0) && (typed || len(which.MetricTypes) == 0)
		}
		return named || typed
	}, nil
}

func (c *converter) convert(_ context.Context, md pmetric.Metrics) (pmetric.Metrics, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	c.sweep(now)
	md.ResourceMetrics().RemoveIf(func(resource pmetric.ResourceMetrics) bool {
		of := pdatautil.MapHash(resource.Resource().Attributes())
		resource.ScopeMetrics().RemoveIf(func(scope pmetric.ScopeMetrics) bool {
			in := pdatautil.Hash(
				pdatautil.WithString(string(of[:])), pdatautil.WithString(scope.Scope().Name()),
				pdatautil.WithString(scope.Scope().Version()), pdatautil.WithMap(scope.Scope().Attributes()))
			scope.Metrics().RemoveIf(func(metric pmetric.Metric) bool {
				return c.selects(metric) && c.metric(in, metric, now)
			})
			return scope.Metrics().Len() == 0
		})
		return resource.ScopeMetrics().Len() == 0
	})
	if md.ResourceMetrics().Len() == 0 {
		return md, processorhelper.ErrSkipProcessingData
	}
	return md, nil
}

// metric converts one, and tells whether nothing is left of it.
func (c *converter) metric(in identity, metric pmetric.Metric, now time.Time) (empty bool) {
	id := func(attributes pcommon.Map, start pcommon.Timestamp, kind pmetric.NumberDataPointValueType) identity {
		return pdatautil.Hash(
			pdatautil.WithString(string(in[:])), pdatautil.WithString(metric.Name()), pdatautil.WithString(metric.Unit()),
			pdatautil.WithString(strconv.Itoa(int(metric.Type()))+strconv.Itoa(int(kind))),
			pdatautil.WithString(strconv.FormatUint(uint64(start), 36)), pdatautil.WithMap(attributes))
	}
	const cumulative, delta = pmetric.AggregationTemporalityCumulative, pmetric.AggregationTemporalityDelta
	switch metric.Type() {
	case pmetric.MetricTypeSum:
		if sum := metric.Sum(); sum.AggregationTemporality() == cumulative && sum.IsMonotonic() {
			sum.SetAggregationTemporality(delta)
			sum.DataPoints().RemoveIf(func(p pmetric.NumberDataPoint) bool {
				return c.point(p, id(p.Attributes(), p.StartTimestamp(), p.ValueType()), numberOf(p), now)
			})
			return sum.DataPoints().Len() == 0
		}
	case pmetric.MetricTypeHistogram:
		if histogram := metric.Histogram(); histogram.AggregationTemporality() == cumulative {
			histogram.SetAggregationTemporality(delta)
			histogram.DataPoints().RemoveIf(func(p pmetric.HistogramDataPoint) bool {
				return c.point(p, id(p.Attributes(), p.StartTimestamp(), 0), histogramOf(p), now)
			})
			return histogram.DataPoints().Len() == 0
		}
	case pmetric.MetricTypeExponentialHistogram:
		if histogram := metric.ExponentialHistogram(); histogram.AggregationTemporality() == cumulative {
			histogram.SetAggregationTemporality(delta)
			histogram.DataPoints().RemoveIf(func(p pmetric.ExponentialHistogramDataPoint) bool {
				return c.point(p, id(p.Attributes(), p.StartTimestamp(), 0), exponentialOf(p), now)
			})
			return histogram.DataPoints().Len() == 0
		}
	}
	return false
}

// dataPoint is what the kinds have in common.
type dataPoint interface {
	Timestamp() pcommon.Timestamp
	SetTimestamp(pcommon.Timestamp)
	StartTimestamp() pcommon.Timestamp
	SetStartTimestamp(pcommon.Timestamp)
	Flags() pmetric.DataPointFlags
}

// point makes one the difference to what was seen before; true takes it out.
func (c *converter) point(p dataPoint, id identity, present total, now time.Time) (out bool) {
	if p.Flags().NoRecordedValue() {
		return true
	}
	if p.Timestamp() == 0 {
		p.SetTimestamp(pcommon.NewTimestampFromTime(now))
	}
	if !finite(present.sum()) {
		return false // the exporter refuses it by name; the next one has what it counted
	}
	// A clock that was ahead does not make late what comes when it is right again.
	at := min(p.Timestamp(), pcommon.NewTimestampFromTime(now))
	before, found := c.known[id]
	if !found {
		c.known[id] = &series{now, at, present}
		// Older than this collector: what it counts has counted before.
		old := p.StartTimestamp() < c.started || p.StartTimestamp() == p.Timestamp()
		return c.initial == "drop" || c.initial == "auto" && old
	}
	before.seen = now
	fell := present.fell(before.total)
	if at < before.at || fell && at == before.at {
		return true // late: what came before it has counted it
	}
	p.SetStartTimestamp(before.at)
	if !fell { // else its sender has begun anew, and all of it is new
		present.minus(before.total).write(p)
	}
	before.at, before.total = at, present
	return false
}

func finite(value float64) bool { return !math.IsNaN(value) && !math.IsInf(value, 0) }

// sweep forgets what has been silent for too long.
func (c *converter) sweep(now time.Time) {
	staleness := c.staleness
	if len(c.known) > manySeries && (staleness <= 0 || staleness > crowded) {
		staleness = crowded
	}
	if staleness <= 0 || now.Sub(c.swept) < staleness/sweeps {
		return
	}
	c.swept = now
	before := len(c.known)
	for id, one := range c.known {
		if now.Sub(one.seen) > staleness {
			delete(c.known, id)
		}
	}
	if staleness != c.staleness {
		c.logger.Warn("Many cumulative series: those silent for ten minutes are forgotten",
			zap.Int("known", before), zap.Int("forgotten", before-len(c.known)))
	}
}
