package durable

import (
	"go.opentelemetry.io/collector/consumer/consumererror"
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
}

var (
	traces = kind[ptrace.Traces]{
		"traces", "spans", ptrace.Traces.SpanCount,
		(&ptrace.ProtoMarshaler{}).MarshalTraces, (&ptrace.ProtoUnmarshaler{}).UnmarshalTraces,
		consumererror.NewTraces,
	}
	metrics = kind[pmetric.Metrics]{
		"metrics", "metric_points", pmetric.Metrics.DataPointCount,
		(&pmetric.ProtoMarshaler{}).MarshalMetrics, (&pmetric.ProtoUnmarshaler{}).UnmarshalMetrics,
		consumererror.NewMetrics,
	}
	logs = kind[plog.Logs]{
		"logs", "log_records", plog.Logs.LogRecordCount,
		(&plog.ProtoMarshaler{}).MarshalLogs, (&plog.ProtoUnmarshaler{}).UnmarshalLogs,
		consumererror.NewLogs,
	}
)
