package admission

import (
	"context"
	"testing"

	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.uber.org/zap"
)

// A config has a receiver for senders and one behind the way to AWS, made in any order.
func TestEachReceiverTellsItsLastSender(t *testing.T) {
	telemetry := componenttest.NewTelemetry()
	t.Cleanup(func() { _ = telemetry.Shutdown(context.Background()) })
	meter := telemetry.NewTelemetrySettings().MeterProvider.Meter("otel-stack/admission")
	names := []string{"otlp/aws", "otlp"}
	for _, name := range names {
		refused, err := newRefusals(name, zap.NewNop(), meter)
		if err != nil {
			t.Fatal(err)
		}
		refused.add(t.Context(), &note{protocol: overHTTP, reason: reasonPath, path: "/", agent: "of " + name})
	}

	read, err := telemetry.GetMetric("otelcol_receiver_refused_requests_last")
	if err != nil {
		t.Fatal(err)
	}
	told := map[string]string{}
	for _, point := range read.Data.(metricdata.Gauge[int64]).DataPoints {
		receiver, _ := point.Attributes.Value(attribute.Key("receiver"))
		agent, _ := point.Attributes.Value(attribute.Key("user_agent"))
		told[receiver.AsString()] = agent.AsString()
	}
	for _, name := range names {
		if told[name] != "of "+name {
			t.Errorf("%s: %q of %v", name, told[name], told)
		}
	}
}
