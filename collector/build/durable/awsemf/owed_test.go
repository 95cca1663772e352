package awsemf

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"otel-stack/durable"
	"otel-stack/durable/cloudwatchtest"
)

// of is a resource of that service, without a name where it is nil.
func of(md pmetric.Metrics, service any) pmetric.MetricSlice {
	resource := md.ResourceMetrics().AppendEmpty()
	if service != nil {
		if err := resource.Resource().Attributes().PutEmpty("service.name").FromRaw(service); err != nil {
			panic(err)
		}
	}
	return resource.ScopeMetrics().AppendEmpty().Metrics()
}

func counter(in pmetric.MetricSlice, name string, value int64) pmetric.NumberDataPoint {
	metric := in.AppendEmpty()
	metric.SetName(name)
	sum := metric.SetEmptySum()
	sum.SetIsMonotonic(true)
	sum.SetAggregationTemporality(pmetric.AggregationTemporalityDelta)
	point := sum.DataPoints().AppendEmpty()
	point.SetTimestamp(pcommon.NewTimestampFromTime(time.Now()))
	point.SetIntValue(value)
	return point
}

func gauge(in pmetric.MetricSlice, name string, value float64) pmetric.NumberDataPoint {
	metric := in.AppendEmpty()
	metric.SetName(name)
	point := metric.SetEmptyGauge().DataPoints().AppendEmpty()
	point.SetTimestamp(pcommon.NewTimestampFromTime(time.Now()))
	point.SetDoubleValue(value)
	return point
}

// toInfinity is a delta exponential histogram whose last bucket ends at infinity (cases/07-exp-histogram).
func toInfinity(in pmetric.MetricSlice, name string) {
	metric := in.AppendEmpty()
	metric.SetName(name)
	histogram := metric.SetEmptyExponentialHistogram()
	histogram.SetAggregationTemporality(pmetric.AggregationTemporalityDelta)
	point := histogram.DataPoints().AppendEmpty()
	point.SetTimestamp(pcommon.NewTimestampFromTime(time.Now()))
	point.SetCount(3)
	point.SetSum(5.1)
	point.Positive().SetOffset(1023)
	point.Positive().BucketCounts().FromRaw([]uint64{3})
}

// sums by service and name, of what CloudWatch makes metrics of.
func sums(t *testing.T, cloudwatch *cloudwatchtest.Server) map[string]float64 {
	t.Helper()
	found := map[string]float64{}
	made, invalid := cloudwatch.Metrics()
	if len(invalid) > 0 {
		t.Fatalf("CloudWatch makes no metric of %d events: %v", len(invalid), invalid)
	}
	for _, one := range made {
		found[one.Service+"/"+one.Name] += one.Total()
	}
	return found
}

// refusals by the metric's name, and every reason; none where all was put.
func refusals(t *testing.T, err error) (names []string, why string) {
	t.Helper()
	if err == nil {
		return nil, ""
	}
	several, is := err.(interface{ Unwrap() []error })
	if !is {
		t.Fatal(err)
	}
	for _, one := range several.Unwrap() {
		var partly *durable.PartlyError[pmetric.Metrics]
		if !errors.As(one, &partly) {
			t.Fatal(one)
		}
		for _, resource := range partly.Data.ResourceMetrics().All() {
			for _, metric := range resource.ScopeMetrics().At(0).Metrics().All() {
				names = append(names, metric.Name())
			}
		}
		why += fmt.Sprintf("%d: %s\n", partly.Data.DataPointCount(), partly.Reason)
	}
	slices.Sort(names)
	return names, why
}

// Upstream keeps what it had buffered when it comes to that point, and is given all again: 184 for 40.
func TestWhatCannotBeWrittenCostsNobodyElse(t *testing.T) {
	for name, known := range map[string]bool{"known to be so": true, "found out": false} {
		t.Run(name, func(t *testing.T) {
			cloudwatch := cloudwatchtest.New(t)
			p, ctx := started(t, cloudwatch), context.Background()
			md := pmetric.NewMetrics()
			metrics := of(md, "c07inf")
			for i := range 40 {
				counter(metrics, fmt.Sprintf("c%d", i), 1).Attributes().PutInt("number", int64(i))
				if i == 20 {
					toInfinity(metrics, "inf")
				}
			}
			var err error
			if known {
				err = p.ConsumeMetrics(ctx, md)
			} else {
				all, refused := map[int]bool{}, map[int]string{}
				for number := range md.DataPointCount() {
					all[number] = true
				}
				ids := func() ([]string, error) { return idsOf(md) }
				if failed := p.put(ctx, md, []map[int]bool{all}, refused, ids); failed != nil {
					t.Fatal(failed)
				}
				if len(refused) != 1 || !strings.Contains(refused[21], "unsupported value: +Inf") {
					t.Fatalf("%v", refused)
				}
				if p.taken.Any() {
					t.Fatal("what is whole is remembered for ever")
				}
			}
			if names, why := refusals(t, err); known && (!slices.Equal(names, []string{"inf"}) || !strings.Contains(why, "infinite")) {
				t.Fatalf("%v: %s", names, why)
			}
			found := sums(t, cloudwatch)
			for i := range 40 {
				if got := found[fmt.Sprintf("c07inf/c%d", i)]; got != 1 {
					t.Errorf("c%d: %g", i, got)
				}
			}
			if len(found) != 40 {
				t.Errorf("%v", found)
			}
			if err := p.Shutdown(ctx); err != nil {
				t.Fatal(err)
			}
			if again := sums(t, cloudwatch); !maps.Equal(again, found) {
				t.Errorf("when it stopped it sent more: %v", again)
			}
		})
	}
}

func TestWhatIsNoNumberAtCloudWatchIsRefusedByName(t *testing.T) {
	cloudwatch := cloudwatchtest.New(t)
	md := pmetric.NewMetrics()
	metrics := of(md, "c08")
	gauge(metrics, "good", 1.5)
	gauge(metrics, "NaN", math.NaN())
	gauge(metrics, "Inf", math.Inf(1))
	gauge(metrics, "-Inf", math.Inf(-1))
	gauge(metrics, "beyond", 0x1p361)
	gauge(metrics, "no value", math.NaN()).SetFlags(pmetric.DefaultDataPointFlags.WithNoRecordedValue(true))
	gauge(metrics, "", 1)
	gauge(metrics, "_aws", 1)
	gauge(metrics, "service.name", 1)
	gauge(metrics, "of its label", 1).Attributes().PutStr("of its label", "x")
	gauge(metrics, "large", 1).Attributes().PutStr("text", strings.Repeat("x", 300<<10))
	for _, name := range []string{"histogram", "histogram NaN"} {
		metric := metrics.AppendEmpty()
		metric.SetName(name)
		metric.SetEmptyHistogram().SetAggregationTemporality(pmetric.AggregationTemporalityDelta)
		point := metric.Histogram().DataPoints().AppendEmpty()
		point.SetCount(2)
		point.SetSum(map[bool]float64{true: math.NaN(), false: 3}[strings.Contains(name, "NaN")])
	}
	summary := metrics.AppendEmpty()
	summary.SetName("summary NaN")
	summary.SetEmptySummary().DataPoints().AppendEmpty().QuantileValues().AppendEmpty().SetValue(math.NaN())

	names, why := refusals(t, started(t, cloudwatch).ConsumeMetrics(context.Background(), md))
	wanted := []string{"", "-Inf", "Inf", "NaN", "_aws", "beyond", "histogram NaN", "large", "of its label", "service.name", "summary NaN"}
	if !slices.Equal(names, wanted) {
		t.Fatalf("refused: %q", names)
	}
	if !strings.Contains(why, "5: NaN or infinite, which CloudWatch takes no metric of") {
		t.Error(why)
	}
	if got := sums(t, cloudwatch); !maps.Equal(got, map[string]float64{"c08/good": 1.5, "c08/histogram": 2}) {
		t.Errorf("%v", got)
	}
}

// Upstream makes one event of what has the same labels and time: of two metrics with one name in it the
// second is dropped with a warning, and of more than 100 CloudWatch takes none
// (opentelemetry-collector-contrib#26073).
func TestAnEventHoldsWhatCloudWatchTakes(t *testing.T) {
	for _, number := range []int{20, 250} {
		cloudwatch := cloudwatchtest.New(t)
		md := pmetric.NewMetrics()
		metrics := of(md, "many")
		at := pcommon.NewTimestampFromTime(time.Now())
		for range 3 {
			for i := range number {
				counter(metrics, fmt.Sprintf("c%d", i), 1).SetTimestamp(at)
			}
		}
		if err := started(t, cloudwatch).ConsumeMetrics(context.Background(), md); err != nil {
			t.Fatal(err)
		}
		found := sums(t, cloudwatch)
		for i := range number {
			if got := found[fmt.Sprintf("many/c%d", i)]; got != 3 {
				t.Fatalf("c%d of %d: %g of 3", i, number, got)
			}
		}
		if puts := cloudwatch.Puts(); puts > 10 {
			t.Errorf("%d requests", puts)
		}
	}
}

// The counts of what is on its way fall too: upstream made 3, 2, 2 of it.
func TestAnUpDownCounterIsWhatItSays(t *testing.T) {
	cloudwatch := cloudwatchtest.New(t)
	p := started(t, cloudwatch)
	for _, value := range []int64{3, 5, 2} {
		md := pmetric.NewMetrics()
		counter(of(md, "levels"), "active", value)
		sum := md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0).Sum()
		sum.SetIsMonotonic(false)
		sum.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
		if err := p.ConsumeMetrics(context.Background(), md); err != nil {
			t.Fatal(err)
		}
	}
	made, _ := cloudwatch.Metrics()
	var values []float64
	for _, one := range made {
		values = append(values, one.Values...)
	}
	if !slices.Equal(values, []float64{3, 5, 2}) {
		t.Fatalf("%v", values)
	}
}

func TestTheMetricsOfAnyServiceAreMetrics(t *testing.T) {
	cloudwatch := cloudwatchtest.New(t)
	md := pmetric.NewMetrics()
	for service, name := range map[any]string{
		"unknown_service:java": "colon", "job-*": "star", "": "empty", 42: "number", nil: "absent", "backend": "plain",
	} {
		counter(of(md, service), name, 6)
	}
	counter(of(md, []any{"a", "b"}), "list", 6)
	// Some senders have it at the point alone, as the span metrics connector does.
	points := of(md, nil)
	counter(points, "of the point", 6).Attributes().PutStr("service.name", "a:b")
	counter(points, "of another point", 6).Attributes().PutStr("service.name", "c")
	counter(points, "of no point", 6)
	md.MarkReadOnly()
	if err := started(t, cloudwatch).ConsumeMetrics(context.Background(), md); err != nil {
		t.Fatal(err)
	}
	wanted := map[string]float64{
		"unknown_service_java/colon": 6, "job-_/star": 6, "unknown_service/empty": 6, "42/number": 6,
		"unknown_service/absent": 6, "backend/plain": 6, "__a___b__/list": 6, "a_b/of the point": 6,
		"c/of another point": 6, "unknown_service/of no point": 6,
	}
	if got := sums(t, cloudwatch); !maps.Equal(got, wanted) {
		t.Fatalf("%v", got)
	}
	originals := map[string]any{}
	for _, event := range cloudwatch.Events() {
		if event.Stream != event.Message["service.name"] {
			t.Errorf("%v in %s", event.Message["service.name"], event.Stream)
		}
		if original, found := event.Message["service.name.original"]; found {
			originals[event.Stream] = original
		}
	}
	if !reflect.DeepEqual(originals, map[string]any{
		"unknown_service_java": "unknown_service:java", "job-_": "job-*", "a_b": "a:b", "__a___b__": `["a","b"]`,
	}) {
		t.Fatalf("%v", originals)
	}
}

// For one dimension that it forbids CloudWatch makes no metric of the whole event, nor for a unit.
func TestDimensionsAndUnitsAreThoseThatCloudWatchTakes(t *testing.T) {
	cloudwatch := cloudwatchtest.New(t)
	md := pmetric.NewMetrics()
	metrics := of(md, "routes")
	for i, route := range []string{"/a/<id>", "", "/größe", strings.Repeat("/x", 2000), "\n"} {
		counter(metrics, fmt.Sprintf("http.%d", i), 6).Attributes().PutStr("http.route", route)
		metrics.At(metrics.Len() - 1).SetUnit([]string{"{request}", "1", "Cel", "ms", "By/s"}[i])
	}
	if err := started(t, cloudwatch).ConsumeMetrics(context.Background(), md); err != nil {
		t.Fatal(err)
	}
	units := map[string]string{}
	made, invalid := cloudwatch.Metrics()
	for _, one := range made {
		units[one.Name] = one.Unit
	}
	if len(invalid) > 0 || !maps.Equal(units, map[string]string{
		"http.0": "Count", "http.1": "", "http.2": "", "http.3": "Milliseconds", "http.4": "Bytes/Second",
	}) {
		t.Fatalf("%v, %v", units, invalid)
	}
}

func TestAHistogramWithoutExtremesHasThoseOfItsBuckets(t *testing.T) {
	cloudwatch := cloudwatchtest.New(t)
	md := pmetric.NewMetrics()
	metrics := of(md, "extremes")
	shapes := []struct {
		counts         []uint64
		last           float64
		least, largest float64
	}{
		{[]uint64{0, 3, 1, 0}, 30, 10, 30}, {[]uint64{2, 0, 0, 0}, 30, 0, 10}, {[]uint64{0, 0, 0, 5}, 30, 30, 30},
		{[]uint64{0, 0, 0, 0}, 30, 0, 0}, {nil, 30, 0, 0}, {[]uint64{0, 0, 1, 0}, math.Inf(1), 0, 0},
		{[]uint64{0, 0, 1, 0}, math.NaN(), 0, 0}, {[]uint64{1, 1, 1, 1}, 30, 4, 5},
	}
	for i, shape := range shapes {
		metric := metrics.AppendEmpty()
		metric.SetName(fmt.Sprint(i))
		metric.SetEmptyHistogram().SetAggregationTemporality(pmetric.AggregationTemporalityDelta)
		point := metric.Histogram().DataPoints().AppendEmpty()
		point.SetCount(1)
		if shape.counts != nil {
			point.ExplicitBounds().FromRaw([]float64{10, 20, shape.last})
			point.BucketCounts().FromRaw(shape.counts)
		}
		if i == len(shapes)-1 {
			point.SetMin(4)
			point.SetMax(5)
		}
	}
	if err := started(t, cloudwatch).ConsumeMetrics(context.Background(), md); err != nil {
		t.Fatal(err)
	}
	made, _ := cloudwatch.Metrics()
	if len(made) != len(shapes) {
		t.Fatalf("%d metrics", len(made))
	}
	for _, one := range made {
		shape := shapes[one.Name[0]-'0']
		if one.Min != shape.least || one.Max != shape.largest {
			t.Errorf("%s: from %g to %g, not from %g to %g", one.Name, one.Min, one.Max, shape.least, shape.largest)
		}
	}
}
