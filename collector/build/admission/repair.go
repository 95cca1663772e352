package admission

import (
	"context"
	"fmt"
	"math"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// timeRepaired is the attribute of a span whose times were not possible, with what they were.
const timeRepaired = "otel_stack.time_repaired"

func newWalk() *walk {
	return &walk{arrived: pcommon.NewTimestampFromTime(time.Now())}
}

// unencodable is a number's text where JSON has no number for it, else "": awsxray loses the span that
// has one, awscloudwatchlogs the record.
func unencodable(number float64) string {
	switch {
	case math.IsNaN(number):
		return "NaN"
	case math.IsInf(number, 1):
		return "Infinity"
	case math.IsInf(number, -1):
		return "-Infinity"
	}
	return ""
}

// recordTimes: Rust's SDK sets the observed time alone. awscloudwatchlogs would stamp the record with the
// moment of its delivery, which after an outage is hours later.
func (w *walk) recordTimes(record plog.LogRecord) {
	if record.ObservedTimestamp() == 0 && record.Timestamp() == 0 {
		record.SetObservedTimestamp(w.arrived)
		w.times++
	}
	if record.Timestamp() == 0 {
		record.SetTimestamp(record.ObservedTimestamp())
	}
}

// spanTimes: X-Ray refuses a segment that ends before it starts, and Honeycomb shows a negative duration.
// The time that is there is believed, the start where both are.
func (w *walk) spanTimes(span ptrace.Span) {
	start, end := span.StartTimestamp(), span.EndTimestamp()
	if start > 0 && end >= start {
		return
	}
	w.times++
	was := fmt.Sprintf("start %d, end %d", start, end)
	switch {
	case start == 0 && end == 0:
		start = w.arrived
	case start == 0:
		start = end
	}
	span.SetStartTimestamp(start)
	span.SetEndTimestamp(start)
	span.Attributes().PutStr(timeRepaired, was)
}

// pointTime: a point of 1970 is too old for every vendor.
func (w *walk) pointTime(point point) {
	if point.Timestamp() == 0 {
		point.SetTimestamp(w.arrived)
		w.times++
	}
}

func (g *Guard) repaired(ctx context.Context, w *walk) {
	if w.texts+w.numbers+w.times == 0 {
		return
	}
	for kind, count := range map[string]int64{"text": w.texts, "number": w.numbers, "time": w.times} {
		if count > 0 {
			g.repairs.Add(ctx, count, metric.WithAttributes(
				attribute.String("receiver", g.receiver), attribute.String("kind", kind)))
		}
	}
}
