package awscloudwatchlogs

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	upstream "github.com/open-telemetry/opentelemetry-collector-contrib/exporter/awscloudwatchlogsexporter"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/exporter/exportertest"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.uber.org/zap"

	"otel-stack/durable"
	"otel-stack/durable/anything"
	"otel-stack/durable/cloudwatchtest"
)

const slow = 10 * time.Second

// started is upstream's exporter behind our putter.
func started(t *testing.T, cloudwatch *cloudwatchtest.Server) *putter {
	t.Helper()
	factory := upstream.NewFactory()
	config := factory.CreateDefaultConfig().(*upstream.Config)
	aws := &config.AWSSessionSettings
	aws.Endpoint, aws.Region, aws.MaxRetries = cloudwatch.URL, "eu-west-1", 1
	config.LogGroupName, config.LogStreamName = "cruddur", "{ServiceName}"
	config.QueueSettings = durable.NoQueue()
	config.BackOffConfig.Enabled = false
	exporting, err := factory.CreateLogs(t.Context(), exportertest.NewNopSettings(factory.Type()), config)
	if err != nil {
		t.Fatal(err)
	}
	if err := exporting.Start(t.Context(), componenttest.NewNopHost()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = exporting.Shutdown(context.Background()) })
	pattern := config.LogGroupName + "\n" + config.LogStreamName
	return &putter{
		Logs: exporting, fit: durable.Fitting(pattern), streams: durable.Streams(pattern), known: map[string]bool{},
		taken: durable.NewTaken(component.MustNewID("awscloudwatchlogs"), zap.NewNop()), waiting: map[plog.Logs][]string{},
	}
}

func some(r *rand.Rand, from, many int) plog.Logs {
	ld := plog.NewLogs()
	var records plog.LogRecordSlice
	for number := range many {
		if number%5 == 0 {
			resource := ld.ResourceLogs().AppendEmpty()
			anything.Resource(r, resource.Resource())
			scope := resource.ScopeLogs().AppendEmpty()
			anything.Attributes(r, scope.Scope().Attributes(), 1)
			records = scope.LogRecords()
		}
		anything.Record(r, from+number, records.AppendEmpty())
	}
	return ld
}

func numbers(ld plog.Logs, note func(int64)) {
	for _, resource := range ld.ResourceLogs().All() {
		for _, scope := range resource.ScopeLogs().All() {
			for _, record := range scope.LogRecords().All() {
				number, _ := record.Attributes().Get(anything.Number)
				note(number.Int())
			}
		}
	}
}

// owes puts records, and tells of each that is not either an event at CloudWatch or refused.
func owes(t *testing.T, p *putter, cloudwatch *cloudwatchtest.Server, ld plog.Logs) (refused int) {
	t.Helper()
	began := time.Now()
	err := p.ConsumeLogs(context.Background(), ld)
	if took := time.Since(began); took > slow {
		t.Errorf("%v for %d records", took, ld.LogRecordCount())
	}
	accounted := map[int64]int{}
	var partly *durable.PartlyError[plog.Logs]
	if errors.As(err, &partly) {
		if partly.Reason == "" {
			t.Error("refused without a reason")
		}
		refused = partly.Data.LogRecordCount()
		numbers(partly.Data, func(number int64) { accounted[number]++ })
	} else if err != nil {
		t.Fatal(err)
	}
	for _, event := range cloudwatch.Events() {
		attributes, _ := event.Message["attributes"].(map[string]any)
		number, is := attributes[anything.Number].(float64)
		if !is {
			t.Errorf("an event without its number: %v", event)
		}
		accounted[int64(number)]++
	}
	numbers(ld, func(number int64) {
		if accounted[number] != 1 {
			t.Errorf("record %d: %d times put or refused", number, accounted[number])
		}
	})
	return refused
}

func TestAnyLogRecord(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 11))
	records, refused := 0, 0
	for records < 5000 {
		cloudwatch := cloudwatchtest.New(t)
		p := started(t, cloudwatch)
		for range 5 {
			refused += owes(t, p, cloudwatch, some(r, records, 50))
			records += 50
		}
	}
	t.Logf("%d records, %d refused", records, refused)
}

func FuzzLogRecord(f *testing.F) {
	for seed := range uint64(20) {
		f.Add(seed, seed, fmt.Sprint("service:", seed))
	}
	f.Fuzz(func(t *testing.T, one, two uint64, service string) {
		cloudwatch := cloudwatchtest.New(t)
		ld := some(rand.New(rand.NewPCG(one, two)), 0, 5)
		ld.ResourceLogs().At(0).Resource().Attributes().PutStr("service.name", service)
		owes(t, started(t, cloudwatch), cloudwatch, ld)
	})
}
