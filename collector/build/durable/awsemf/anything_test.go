package awsemf

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/pmetric"

	"otel-stack/durable/anything"
	"otel-stack/durable/cloudwatchtest"
)

const slow = 10 * time.Second

// some is so many metrics of several resources, each with a point and a name of its own.
func some(r *rand.Rand, from, many int) pmetric.Metrics {
	md := pmetric.NewMetrics()
	var metrics pmetric.MetricSlice
	for number := range many {
		if number%5 == 0 {
			resource := md.ResourceMetrics().AppendEmpty()
			anything.Resource(r, resource.Resource())
			metrics = resource.ScopeMetrics().AppendEmpty().Metrics()
		}
		anything.Metric(r, fmt.Sprint("m", from+number), metrics.AppendEmpty())
	}
	return md
}

// owes puts metrics, and tells of each that is neither a metric at CloudWatch nor refused.
func owes(t *testing.T, p *putter, cloudwatch *cloudwatchtest.Server, md pmetric.Metrics) (refused int) {
	t.Helper()
	sent := pmetric.NewMetrics()
	md.CopyTo(sent)
	began := time.Now()
	err := p.ConsumeMetrics(context.Background(), md)
	if took := time.Since(began); took > slow {
		t.Errorf("%v for %d points", took, md.DataPointCount())
	}
	names, _ := refusals(t, err)
	accounted := map[string]bool{}
	for _, name := range names {
		accounted[name] = true
	}
	for _, event := range cloudwatch.Events() {
		for name := range event.Message {
			accounted[name] = true
		}
	}
	for _, resource := range sent.ResourceMetrics().All() {
		for _, metric := range resource.ScopeMetrics().At(0).Metrics().All() {
			if !accounted[metric.Name()] {
				t.Errorf("%s, of %s: neither put nor refused", metric.Name(), metric.Type())
			}
		}
	}
	return len(names)
}

func TestAnyMetric(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 11))
	points, refused := 0, 0
	for points < 5000 {
		cloudwatch := cloudwatchtest.New(t)
		p := started(t, cloudwatch)
		for range 5 {
			refused += owes(t, p, cloudwatch, some(r, points, 50))
			points += 50
		}
		if _, invalid := cloudwatch.Metrics(); len(invalid) > 0 {
			t.Errorf("CloudWatch makes no metric of: %v", invalid)
		}
	}
	t.Logf("%d points, %d refused", points, refused)
}

func FuzzMetric(f *testing.F) {
	for seed := range uint64(20) {
		f.Add(seed, seed, fmt.Sprint("service:", seed))
	}
	f.Fuzz(func(t *testing.T, one, two uint64, service string) {
		cloudwatch := cloudwatchtest.New(t)
		md := some(rand.New(rand.NewPCG(one, two)), 0, 5)
		md.ResourceMetrics().At(0).Resource().Attributes().PutStr("service.name", service)
		owes(t, started(t, cloudwatch), cloudwatch, md)
	})
}
