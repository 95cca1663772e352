package awsemf

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	upstream "github.com/open-telemetry/opentelemetry-collector-contrib/exporter/awsemfexporter"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/exporter/exportertest"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.uber.org/zap"

	"otel-stack/durable"
	"otel-stack/durable/cloudwatchtest"
)

// vendor takes what `fails` does not refuse, and remembers the points of each call.
type vendor struct {
	component.StartFunc
	component.ShutdownFunc
	fails func(services []string) error
	calls [][]string
}

func (*vendor) Capabilities() consumer.Capabilities { return consumer.Capabilities{MutatesData: true} }

func (v *vendor) ConsumeMetrics(_ context.Context, md pmetric.Metrics) error {
	services, names := contents(md)
	if err := v.fails(services); err != nil {
		return err
	}
	v.calls = append(v.calls, names)
	return nil
}

// contents: each service once, and each point as service/name/value.
func contents(md pmetric.Metrics) (services, points []string) {
	for _, resource := range md.ResourceMetrics().All() {
		service, _ := resource.Resource().Attributes().Get("service.name")
		if !slices.Contains(services, service.Str()) {
			services = append(services, service.Str())
		}
		for _, scope := range resource.ScopeMetrics().All() {
			for _, metric := range scope.Metrics().All() {
				for _, point := range metric.Sum().DataPoints().All() {
					points = append(points, fmt.Sprintf("%s/%s/%d", service.Str(), metric.Name(), point.IntValue()))
				}
			}
		}
	}
	return services, points
}

func never([]string) error { return nil }

func putting(v *vendor) *putter {
	config := &upstream.Config{LogGroupName: "/metrics", LogStreamName: "{ServiceName}"}
	return &putter{
		Metrics: v, make: func(context.Context) (exporter.Metrics, error) { return v, nil }, naming: newNaming(config),
		taken: durable.NewTaken(component.MustNewID("awsemf"), zap.NewNop()), turn: make(chan struct{}, 1),
	}
}

// counts has a delta sum of that many points for each service.
func counts(number int, at time.Time, services ...string) pmetric.Metrics {
	md := pmetric.NewMetrics()
	for _, service := range services {
		resource := md.ResourceMetrics().AppendEmpty()
		resource.Resource().Attributes().PutStr("service.name", service)
		metric := resource.ScopeMetrics().AppendEmpty().Metrics().AppendEmpty()
		metric.SetName("requests")
		sum := metric.SetEmptySum()
		sum.SetAggregationTemporality(pmetric.AggregationTemporalityDelta)
		for i := range number {
			point := sum.DataPoints().AppendEmpty()
			point.SetTimestamp(pcommon.NewTimestampFromTime(at))
			point.SetIntValue(int64(i))
			point.Attributes().PutInt("number", int64(i))
		}
	}
	return md
}

func TestOnlyWhatWasNotPutComesAgain(t *testing.T) {
	sick := true
	v := &vendor{fails: func(services []string) error {
		if sick && slices.Contains(services, "b") {
			return apiError{"ThrottlingException"}
		}
		return nil
	}}
	p, md := putting(v), counts(1, time.Now(), "a", "b", "c")
	for range 3 {
		if err := p.ConsumeMetrics(context.Background(), md); err == nil {
			t.Fatal("a part was refused, and nobody is told")
		}
	}
	sick = false
	if err := p.ConsumeMetrics(context.Background(), md); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(v.calls); got != "[[a/requests/0] [b/requests/0] [c/requests/0]]" {
		t.Fatal(got)
	}
	if err := p.ConsumeMetrics(context.Background(), md); err != nil || len(v.calls) != 6 {
		t.Fatalf("a batch that is whole is remembered for ever: %v", v.calls)
	}
}

// The queue knows requests, and makes other batches of them after a restart.
func TestWhatWasPutDoesNotComeAgainInAnotherBatch(t *testing.T) {
	t.Setenv("QUEUE_DIR", t.TempDir())
	now := time.Now()
	before := putting(&vendor{fails: func(services []string) error {
		if slices.Contains(services, "b") {
			return apiError{"ThrottlingException"}
		}
		return nil
	}})
	if err := before.ConsumeMetrics(context.Background(), counts(3, now, "a", "b")); err == nil {
		t.Fatal("a part was refused, and nobody is told")
	}
	if err := before.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}

	v := &vendor{fails: never}
	after := putting(v)
	if err := after.Start(context.Background(), componenttest.NewNopHost()); err != nil {
		t.Fatal(err)
	}
	next := counts(1, now.Add(time.Second), "a", "b")
	counts(3, now, "a", "b").ResourceMetrics().MoveAndAppendTo(next.ResourceMetrics())
	if err := after.ConsumeMetrics(context.Background(), next); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(v.calls); got != "[[a/requests/0] [b/requests/0 b/requests/0 b/requests/1 b/requests/2]]" {
		t.Fatal(got)
	}
	if after.taken.Any() {
		t.Fatal("what is whole is remembered for ever")
	}
}

func TestADataPointOfEachKindHasItsOwnId(t *testing.T) {
	md := pmetric.NewMetrics()
	metrics := md.ResourceMetrics().AppendEmpty().ScopeMetrics().AppendEmpty().Metrics()
	for kind, add := range []func(pmetric.Metric, uint64){
		func(m pmetric.Metric, n uint64) { m.Gauge().DataPoints().AppendEmpty().SetIntValue(int64(n)) },
		func(m pmetric.Metric, n uint64) { m.Sum().DataPoints().AppendEmpty().SetIntValue(int64(n)) },
		func(m pmetric.Metric, n uint64) { m.Histogram().DataPoints().AppendEmpty().SetCount(n) },
		func(m pmetric.Metric, n uint64) { m.ExponentialHistogram().DataPoints().AppendEmpty().SetCount(n) },
		func(m pmetric.Metric, n uint64) { m.Summary().DataPoints().AppendEmpty().SetCount(n) },
	} {
		metric := metrics.AppendEmpty()
		[]func(){
			func() { metric.SetEmptyGauge() }, func() { metric.SetEmptySum() }, func() { metric.SetEmptyHistogram() },
			func() { metric.SetEmptyExponentialHistogram() }, func() { metric.SetEmptySummary() },
		}[kind]()
		add(metric, 1)
		add(metric, 2)
	}
	ids, err := idsOf(md)
	if err != nil || len(ids) != md.DataPointCount() {
		t.Fatalf("%d ids of %d points, %v", len(ids), md.DataPointCount(), err)
	}
	slices.Sort(ids)
	if len(slices.Compact(ids)) != md.DataPointCount() {
		t.Fatal("two have the same")
	}
}

func TestAPartIsOneRequestToOneStream(t *testing.T) {
	v := &vendor{fails: never}
	md := counts(2000, time.Now(), "a", "b", "a")
	for _, resource := range md.ResourceMetrics().All() {
		resource.Resource().Attributes().PutStr("process.command_args", strings.Repeat("x", 1000))
	}
	if err := putting(v).ConsumeMetrics(context.Background(), md); err != nil {
		t.Fatal(err)
	}
	all := 0
	for _, points := range v.calls {
		all += len(points)
		// What upstream writes of such a point is 1.7 kB.
		if len(points)*1700 > 1<<20 {
			t.Fatalf("%d points in a part", len(points))
		}
		for _, point := range points {
			if point[0] != points[0][0] {
				t.Fatalf("%s beside %s", point, points[0])
			}
		}
	}
	if all != 6000 {
		t.Fatalf("%d of 6000", all)
	}
}

func TestEventsOfOneRequestAreOfOneDay(t *testing.T) {
	v := &vendor{fails: never}
	md := counts(1, time.Now(), "a")
	counts(1, time.Now().Add(-30*time.Hour), "a").ResourceMetrics().MoveAndAppendTo(md.ResourceMetrics())
	if err := putting(v).ConsumeMetrics(context.Background(), md); err != nil || len(v.calls) != 2 {
		t.Fatalf("%v, %v", err, v.calls)
	}
}

func TestWhatCloudWatchNeverTakesIsTakenOut(t *testing.T) {
	v := &vendor{fails: func(services []string) error {
		if slices.Contains(services, "refused") {
			return apiError{"InvalidParameterException"}
		}
		return nil
	}}
	md := counts(1, time.Now(), "refused", "well")
	counts(1, time.Now().Add(3*time.Hour), "ahead").ResourceMetrics().MoveAndAppendTo(md.ResourceMetrics())
	counts(1, time.Now().Add(-15*24*time.Hour), "old").ResourceMetrics().MoveAndAppendTo(md.ResourceMetrics())
	counts(1, time.Unix(0, 0), "unstamped").ResourceMetrics().MoveAndAppendTo(md.ResourceMetrics())

	several, is := putting(v).ConsumeMetrics(context.Background(), md).(interface{ Unwrap() []error })
	if !is {
		t.Fatal("nothing is refused")
	}
	var out []string
	for _, err := range several.Unwrap() {
		var partly *durable.PartlyError[pmetric.Metrics]
		if !errors.As(err, &partly) {
			t.Fatalf("%v", err)
		}
		services, _ := contents(partly.Data)
		out = append(out, services...)
	}
	if slices.Sort(out); fmt.Sprint(out) != "[ahead old refused]" {
		t.Fatalf("taken out: %v", out)
	}
	if got := fmt.Sprint(v.calls); got != "[[well/requests/0] [unstamped/requests/0]]" {
		t.Fatalf("put: %v", got)
	}
}

// Upstream's buffers are shared by all that is on its way.
func TestWhoComesMeanwhileWaits(t *testing.T) {
	ctx := context.Background()
	var p *putter
	v := &vendor{}
	v.fails = func(services []string) error {
		if services[0] != "first" {
			return nil
		}
		limited, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
		defer cancel()
		if err := p.ConsumeMetrics(limited, counts(1, time.Now(), "meanwhile")); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("let in meanwhile: %v", err)
		}
		return nil
	}
	p = putting(v)
	for _, service := range []string{"first", "then"} {
		if err := p.ConsumeMetrics(ctx, counts(1, time.Now(), service)); err != nil {
			t.Fatal(err)
		}
	}
	if got := fmt.Sprint(v.calls); got != "[[first/requests/0] [then/requests/0]]" {
		t.Fatal(got)
	}
}

type apiError struct{ code string }

func (a apiError) Error() string     { return a.code }
func (a apiError) ErrorCode() string { return a.code }

func started(t *testing.T, cloudwatch *cloudwatchtest.Server) *putter {
	t.Helper()
	set := exportertest.NewNopSettings(NewFactory().Type())
	p, err := newPutter(context.Background(), upstream.NewFactory(), set, cloudwatchtest.Config(cloudwatch.URL))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Start(context.Background(), componenttest.NewNopHost()); err != nil {
		t.Fatal(err)
	}
	return p
}

// Batches of two services, several at once, come again and again until they are taken.
func TestWithUpstreamsExporterEachEventIsPutOnce(t *testing.T) {
	var sick atomic.Bool
	sick.Store(true)
	cloudwatch := cloudwatchtest.New(t)
	cloudwatch.Fails = func(string) bool { return sick.Load() }

	ctx := context.Background()
	emf := started(t, cloudwatch)
	const batches, points = 4, 5
	var sending sync.WaitGroup
	deadline := time.Now().Add(time.Minute)
	for batch := range batches {
		md := counts(points, time.Now().Add(-time.Duration(batch)*time.Second), "a", "b")
		sending.Go(func() {
			for tries := 0; ; tries++ {
				err := emf.ConsumeMetrics(ctx, md)
				if err == nil {
					return
				}
				if tries == 2 {
					sick.Store(false)
				}
				if time.Now().After(deadline) {
					t.Errorf("batch %d: %v", batch, err)
					return
				}
			}
		})
	}
	sending.Wait()
	if err := emf.Shutdown(ctx); err != nil {
		t.Fatal(err)
	}
	events := map[string]int{}
	for _, event := range cloudwatch.Events() {
		events[event.Stream]++
	}
	for _, service := range []string{"a", "b"} {
		if got := events[service]; got != batches*points {
			t.Errorf("%s: %d events of %d", service, got, batches*points)
		}
	}
}

// What upstream panics on is found by halves, and refused alone.
func TestAPointOnWhichTheTranslationPanicsIsRefusedAlone(t *testing.T) {
	v := &vendor{fails: func(services []string) error {
		if slices.Contains(services, "poison") {
			var none []int
			return fmt.Errorf("never %d", none[len(none)])
		}
		return nil
	}}
	p := putting(v)
	p.make = func(context.Context) (exporter.Metrics, error) { return v, nil }
	md := counts(1, time.Now(), "a", "poison", "b")

	names, why := refusals(t, p.ConsumeMetrics(context.Background(), md))
	if len(names) != 1 || !strings.HasPrefix(why, "1: the exporter panicked on it: runtime error: index out of range [0]") {
		t.Errorf("%v, %s", names, why)
	}
	if got := fmt.Sprint(v.calls); got != "[[a/requests/0] [b/requests/0]]" {
		t.Errorf("put: %v", got)
	}
}

// choosy refuses requests with such a point, as AWS does: 400 for all that is in one.
type choosy struct {
	vendor
	refuses  func(point string) bool
	requests int
}

func (c *choosy) ConsumeMetrics(ctx context.Context, md pmetric.Metrics) error {
	c.requests++
	if _, points := contents(md); slices.ContainsFunc(points, c.refuses) {
		return apiError{"InvalidParameterException"}
	}
	return c.vendor.ConsumeMetrics(ctx, md)
}

func TestOfSeveralThatAreRefusedTheOneIsFoundAndTheOthersArePutOnce(t *testing.T) {
	c := &choosy{vendor: vendor{fails: never}, refuses: func(point string) bool { return point == "a/requests/3" }}
	p := putting(&c.vendor)
	p.Metrics = c

	if _, why := refusals(t, p.ConsumeMetrics(context.Background(), counts(100, time.Now(), "a"))); why != "1: InvalidParameterException\n" {
		t.Error(why)
	}
	put := slices.Concat(c.calls...)
	if slices.Sort(put); len(put) != 99 || len(slices.Compact(put)) != 99 || slices.Contains(put, "a/requests/3") {
		t.Errorf("%d put: %v", len(put), put)
	}
	if p.taken.Any() {
		t.Error("a batch that is whole is remembered")
	}
}

func TestOfABatchThatIsRefusedWholeNotEachPointIsAskedFor(t *testing.T) {
	c := &choosy{vendor: vendor{fails: never}, refuses: func(string) bool { return true }}
	p := putting(&c.vendor)
	p.Metrics = c

	_, why := refusals(t, p.ConsumeMetrics(context.Background(), counts(2000, time.Now(), "a")))
	if why != "2000: InvalidParameterException\n" || c.requests > 2*mostTurnedDown {
		t.Errorf("%s in %d requests", why, c.requests)
	}
}
