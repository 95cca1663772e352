package awsemf

import (
	"slices"

	upstream "github.com/open-telemetry/opentelemetry-collector-contrib/exporter/awsemfexporter"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"otel-stack/durable"
	"otel-stack/durable/names"
)

// naming is what a config makes of names: which attributes name a stream, and which are dimensions.
type naming struct {
	fit        func(pcommon.Resource)
	streams    func(pcommon.Resource) string
	dimensions []string
}

func newNaming(config *upstream.Config) naming {
	n := naming{fit: durable.Fitting(streamPattern(config)), streams: durable.Streams(streamPattern(config))}
	for _, declared := range config.MetricDeclarations {
		for _, dimension := range slices.Concat(declared.Dimensions...) {
			if dimension != names.Service && !slices.Contains(n.dimensions, dimension) {
				n.dimensions = append(n.dimensions, dimension)
			}
		}
	}
	return n
}

func streamPattern(config *upstream.Config) string {
	pattern := config.LogGroupName + "\n" + config.LogStreamName
	if config.LogGroupName == "" && config.Namespace == "" {
		pattern += "{ServiceNamespace}{ServiceName}"
	}
	return pattern
}

// fitted makes of metrics what CloudWatch takes, in place. All points of a resource without a service
// have the same `ownName`.
func (n naming) fitted(md pmetric.Metrics) pmetric.Metrics {
	for _, resource := range md.ResourceMetrics().All() {
		attributes := resource.Resource().Attributes()
		if _, named := attributes.Get(names.Service); !named {
			if own, found := firstName(resource); found {
				own.CopyTo(attributes.PutEmpty(names.Service))
			}
		}
		n.fit(resource.Resource())
		n.fitDimensions(attributes)
		for _, scope := range resource.ScopeMetrics().All() {
			for _, metric := range scope.Metrics().All() {
				metric.SetUnit(names.ForUnit(metric.Unit()))
				level(metric)
				extremes(metric)
				for one := range points(metric) {
					n.fitDimensions(one.attributes)
				}
			}
		}
	}
	return md
}

// ownName is the service that a data point names, where its resource names none: upstream then takes
// the stream's name from there.
func (naming) ownName(resource pcommon.Resource, point pcommon.Map) string {
	if _, named := resource.Attributes().Get(names.Service); named {
		return ""
	}
	own, found := point.Get(names.Service)
	if !found {
		return ""
	}
	return names.ForService(own.AsString())
}

func firstName(resource pmetric.ResourceMetrics) (own pcommon.Value, found bool) {
	for _, scope := range resource.ScopeMetrics().All() {
		for _, metric := range scope.Metrics().All() {
			for one := range points(metric) {
				return one.attributes.Get(names.Service)
			}
		}
	}
	return own, false
}

// fitDimensions: for one value that CloudWatch forbids it makes no metric of the whole event. Without a
// dimension it makes those that are declared without it.
func (n naming) fitDimensions(attributes pcommon.Map) {
	for _, dimension := range n.dimensions {
		names.Fit(attributes, dimension, names.ForDimension)
		if value, found := attributes.Get(dimension); found && value.Str() == "" {
			attributes.Remove(dimension)
		}
	}
}

// isLevel: the sum of an up-down counter is how much there is now. Upstream takes differences of it,
// and where it falls the value itself: 3, 5, 2 became 3, 2, 2 (opentelemetry-collector-contrib#18408).
func isLevel(metric pmetric.Metric) bool {
	return metric.Type() == pmetric.MetricTypeSum && !metric.Sum().IsMonotonic() &&
		metric.Sum().AggregationTemporality() == pmetric.AggregationTemporalityCumulative
}

func level(metric pmetric.Metric) {
	if isLevel(metric) {
		points := pmetric.NewNumberDataPointSlice()
		metric.Sum().DataPoints().MoveAndAppendTo(points)
		points.MoveAndAppendTo(metric.SetEmptyGauge().DataPoints())
	}
}
