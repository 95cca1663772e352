package awsemf

import (
	"encoding/json"
	"fmt"
	"math"
	"time"

	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/pdatautil"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

const (
	// CloudWatch's limits for an event's time.
	oldest = 14 * 24 * time.Hour
	newest = 2 * time.Hour
	// Nor may the events of one request be further apart.
	apart = 24 * time.Hour
	// Upstream ends a request there, and cuts an event: what is cut is no JSON, and no metric.
	maxPut = 256 << 10
	// An event holds the labels of its resource and point, and what CloudWatch is to make of them.
	jsonGrows, jsonAdds = 2, 1024
	// A bucket of an exponential histogram is one byte or two; as JSON a mean and a count.
	bucketGrows = 24
	// Of one event: CloudWatch takes no metric of an event that has more.
	maxMetrics = 100
	// Of a metric's name in an event.
	maxName = 1024
	// "Values must be in the range of -2^360 to 2^360" (MetricDatum, CloudWatch's API).
	largest = 0x1p360
)

// part is what goes to upstream's exporter at once: numbers of data points.
type part struct {
	numbers map[int]bool
	bytes   int
	// What is in it by event: upstream makes one event of what has the same labels and time, and of
	// two metrics with the same name in one it drops the second.
	events map[event]map[string]bool
}

type event struct {
	kind            pmetric.MetricType
	scope           string
	millisecond     pcommon.Timestamp
	resource, point [16]byte
}

func (p *part) takes(in event, name string, bytes int) bool {
	present := p.events[in]
	return p.bytes+bytes <= maxPut && len(present) < maxMetrics && !present[name]
}

func (p *part) add(number int, in event, name string, bytes int) {
	p.numbers[number] = true
	p.bytes += bytes
	if p.events[in] == nil {
		p.events[in] = map[string]bool{}
	}
	p.events[in][name] = true
}

// split makes parts of one request each of what CloudWatch has not had, and takes out what it will
// never take, by the data points' numbers.
func (p *putter) split(md pmetric.Metrics, had map[int]bool, now time.Time) (parts []map[int]bool, refused map[int]string) {
	refused = map[int]string{}
	open := map[string][]*part{}
	number := -1
	for _, resource := range md.ResourceMetrics().All() {
		bare := pmetric.NewMetrics()
		fitted := bare.ResourceMetrics().AppendEmpty().Resource()
		resource.Resource().CopyTo(fitted)
		p.fit(fitted)
		var sizes pmetric.ProtoMarshaler
		shared := sizes.MetricsSize(bare)
		stream, labels := p.streams(fitted), pdatautil.MapHash(fitted.Attributes())
		scopeName := ""
		for _, scope := range resource.ScopeMetrics().All() {
			// Upstream's label of a scope without a name is the one before.
			if scope.Scope().Name() != "" {
				scopeName = scope.Scope().Name()
			}
			for _, metric := range scope.Metrics().All() {
				for one := range points(metric) {
					number++
					if had[number] || one.missing {
						continue
					}
					when := now // upstream takes the moment of the export
					if one.at != 0 {
						when = one.at.AsTime()
					}
					bytes := jsonAdds + jsonGrows*shared + one.size
					if why := unfit(metric.Name(), one, fitted.Attributes(), bytes, now.Sub(when)); why != "" {
						refused[number] = why
						continue
					}
					key := fmt.Sprintf("%s\n%s\n%d", stream, p.ownName(resource.Resource(), one.attributes), when.UnixNano()/int64(apart))
					in := event{kind(metric), scopeName, one.at / 1e6, labels, pdatautil.MapHash(one.attributes)}
					into := place(open[key], in, metric.Name(), bytes)
					if into == nil {
						into = &part{numbers: map[int]bool{}, events: map[event]map[string]bool{}}
						open[key] = append(open[key], into)
						parts = append(parts, into.numbers)
					}
					into.add(number, in, metric.Name(), bytes)
				}
			}
		}
	}
	return parts, refused
}

func place(open []*part, in event, name string, bytes int) *part {
	for _, one := range open {
		if one.takes(in, name, bytes) {
			return one
		}
	}
	return nil
}

// unfit says why CloudWatch never takes a data point, "" where it does. Upstream drops some of these with a
// line at debug level, and sends others: CloudWatch answers 200, and makes no metric of the event.
func unfit(name string, one point, resource pcommon.Map, bytes int, age time.Duration) string {
	// Upstream looks at it a little later.
	if age > oldest-time.Minute || age < -newest {
		return "older than 14 days, or more than 2 hours in the future"
	}
	for _, value := range one.values {
		switch {
		case math.IsNaN(value) || math.IsInf(value, 0):
			return "NaN or infinite, which CloudWatch takes no metric of"
		case math.Abs(value) > largest:
			return "beyond 2^360, which CloudWatch takes no metric of"
		}
	}
	_, isLabel := one.attributes.Get(name)
	_, isResource := resource.Get(name)
	switch {
	case name == "" || len(name) > maxName:
		return "a metric's name has 1 to 1024 characters at CloudWatch"
	case isLabel, isResource, name == "_aws", name == "Version", name == "OTelLib":
		return "the metric is called as something else in the same event is: " + name
	case bytes > maxPut && labelBytes(resource, one.attributes) > maxPut-bytesOf(one, name):
		return "larger than 256 kB, which CloudWatch takes no event of"
	}
	return ""
}

func labelBytes(attributes ...pcommon.Map) int {
	labels := map[string]string{}
	for _, some := range attributes {
		for key, value := range some.All() {
			labels[key] = value.AsString()
		}
	}
	content, _ := json.Marshal(labels)
	return len(content)
}

// bytesOf is what an event holds beside its labels: values at 40 bytes each, the name twice.
func bytesOf(one point, name string) int { return jsonAdds + 2*len(name) + 40*len(one.values) }

// furthest is the end of the last bucket that holds anything, as upstream computes it.
func furthest(scale int32, buckets pmetric.ExponentialHistogramDataPointBuckets) float64 {
	counts := buckets.BucketCounts()
	for i := counts.Len() - 1; i >= 0; i-- {
		if counts.At(i) > 0 {
			base := math.Pow(2, math.Pow(2, float64(-scale)))
			return math.Pow(base, float64(i+int(buckets.Offset())+1))
		}
	}
	return 0
}

// kind of metric that upstream gets: see `fitted`.
func kind(metric pmetric.Metric) pmetric.MetricType {
	if isLevel(metric) {
		return pmetric.MetricTypeGauge
	}
	return metric.Type()
}
