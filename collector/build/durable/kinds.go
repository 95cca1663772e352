package durable

import (
	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

// kind is what differs between the signals.
type kind[T any] struct {
	signal, unit string
	items        func(T) int
	marshal      func(T) ([]byte, error)
	unmarshal    func([]byte) (T, error)
	// only makes the retry be about this data, in place of the whole batch.
	only func(error, T) error

	empty func() T
	copy  func(from, to T)
	// move appends; `from` is empty then.
	move func(from, to T)
	// thin asks for each item, in order, and takes it out.
	thin func(data T, drop func() bool)
	// service is the first resource's `service.name`: for a single item its sender's.
	service func(T) string
}

var (
	traces = kind[ptrace.Traces]{
		"traces", "spans", ptrace.Traces.SpanCount,
		(&ptrace.ProtoMarshaler{}).MarshalTraces, (&ptrace.ProtoUnmarshaler{}).UnmarshalTraces,
		consumererror.NewTraces,
		ptrace.NewTraces, ptrace.Traces.CopyTo,
		func(from, to ptrace.Traces) { from.ResourceSpans().MoveAndAppendTo(to.ResourceSpans()) },
		thinTraces,
		func(data ptrace.Traces) string {
			for _, one := range data.ResourceSpans().All() {
				return serviceOf(one.Resource())
			}
			return ""
		},
	}
	metrics = kind[pmetric.Metrics]{
		"metrics", "metric_points", pmetric.Metrics.DataPointCount,
		(&pmetric.ProtoMarshaler{}).MarshalMetrics, (&pmetric.ProtoUnmarshaler{}).UnmarshalMetrics,
		consumererror.NewMetrics,
		pmetric.NewMetrics, pmetric.Metrics.CopyTo,
		func(from, to pmetric.Metrics) { from.ResourceMetrics().MoveAndAppendTo(to.ResourceMetrics()) },
		thinMetrics,
		func(data pmetric.Metrics) string {
			for _, one := range data.ResourceMetrics().All() {
				return serviceOf(one.Resource())
			}
			return ""
		},
	}
	logs = kind[plog.Logs]{
		"logs", "log_records", plog.Logs.LogRecordCount,
		(&plog.ProtoMarshaler{}).MarshalLogs, (&plog.ProtoUnmarshaler{}).UnmarshalLogs,
		consumererror.NewLogs,
		plog.NewLogs, plog.Logs.CopyTo,
		func(from, to plog.Logs) { from.ResourceLogs().MoveAndAppendTo(to.ResourceLogs()) },
		thinLogs,
		func(data plog.Logs) string {
			for _, one := range data.ResourceLogs().All() {
				return serviceOf(one.Resource())
			}
			return ""
		},
	}
)

func serviceOf(resource pcommon.Resource) string {
	name, found := resource.Attributes().Get("service.name")
	if !found {
		return ""
	}
	return shortened(name.AsString())
}
