package redaction

import (
	"context"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

func (c *cleaner) traces(_ context.Context, data ptrace.Traces) (ptrace.Traces, error) {
	for _, resource := range data.ResourceSpans().All() {
		c.attributes(resource.Resource().Attributes())
		c.in(resource.SchemaUrl(), resource.SetSchemaUrl)
		for _, scope := range resource.ScopeSpans().All() {
			c.scope(scope.Scope())
			c.in(scope.SchemaUrl(), scope.SetSchemaUrl)
			for _, span := range scope.Spans().All() {
				c.span(span)
			}
		}
	}
	return data, nil
}

func (c *cleaner) span(span ptrace.Span) {
	c.in(span.Name(), span.SetName)
	c.in(span.TraceState().AsRaw(), span.TraceState().FromRaw)
	c.in(span.Status().Message(), span.Status().SetMessage)
	c.attributes(span.Attributes())
	for _, event := range span.Events().All() {
		c.in(event.Name(), event.SetName)
		c.attributes(event.Attributes())
	}
	for _, link := range span.Links().All() {
		c.in(link.TraceState().AsRaw(), link.TraceState().FromRaw)
		c.attributes(link.Attributes())
	}
}

func (c *cleaner) scope(scope pcommon.InstrumentationScope) {
	c.in(scope.Name(), scope.SetName)
	c.in(scope.Version(), scope.SetVersion)
	c.attributes(scope.Attributes())
}

func (c *cleaner) logs(_ context.Context, data plog.Logs) (plog.Logs, error) {
	for _, resource := range data.ResourceLogs().All() {
		c.attributes(resource.Resource().Attributes())
		c.in(resource.SchemaUrl(), resource.SetSchemaUrl)
		for _, scope := range resource.ScopeLogs().All() {
			c.scope(scope.Scope())
			c.in(scope.SchemaUrl(), scope.SetSchemaUrl)
			for _, record := range scope.LogRecords().All() {
				c.in(record.EventName(), record.SetEventName)
				c.in(record.SeverityText(), record.SetSeverityText)
				c.attributes(record.Attributes())
				c.value(record.Body())
			}
		}
	}
	return data, nil
}

func (c *cleaner) metrics(_ context.Context, data pmetric.Metrics) (pmetric.Metrics, error) {
	for _, resource := range data.ResourceMetrics().All() {
		c.attributes(resource.Resource().Attributes())
		c.in(resource.SchemaUrl(), resource.SetSchemaUrl)
		for _, scope := range resource.ScopeMetrics().All() {
			c.scope(scope.Scope())
			c.in(scope.SchemaUrl(), scope.SetSchemaUrl)
			for _, metric := range scope.Metrics().All() {
				c.metric(metric)
			}
		}
	}
	return data, nil
}

func (c *cleaner) metric(metric pmetric.Metric) {
	c.in(metric.Name(), metric.SetName)
	c.in(metric.Description(), metric.SetDescription)
	c.in(metric.Unit(), metric.SetUnit)
	c.attributes(metric.Metadata())
	switch metric.Type() {
	case pmetric.MetricTypeGauge:
		for _, point := range metric.Gauge().DataPoints().All() {
			c.point(point.Attributes(), point.Exemplars())
		}
	case pmetric.MetricTypeSum:
		for _, point := range metric.Sum().DataPoints().All() {
			c.point(point.Attributes(), point.Exemplars())
		}
	case pmetric.MetricTypeHistogram:
		for _, point := range metric.Histogram().DataPoints().All() {
			c.point(point.Attributes(), point.Exemplars())
		}
	case pmetric.MetricTypeExponentialHistogram:
		for _, point := range metric.ExponentialHistogram().DataPoints().All() {
			c.point(point.Attributes(), point.Exemplars())
		}
	case pmetric.MetricTypeSummary:
		for _, point := range metric.Summary().DataPoints().All() {
			c.attributes(point.Attributes())
		}
	}
}

func (c *cleaner) point(attributes pcommon.Map, exemplars pmetric.ExemplarSlice) {
	c.attributes(attributes)
	for _, exemplar := range exemplars.All() {
		c.attributes(exemplar.FilteredAttributes())
	}
}
