package cloudwatchtest

import (
	upstream "github.com/open-telemetry/opentelemetry-collector-contrib/exporter/awsemfexporter"
)

// Config is what collector/otel-config.yaml says of awsemf.
func Config(url string) *upstream.Config {
	config := upstream.NewFactory().CreateDefaultConfig().(*upstream.Config)
	aws := &config.AWSSessionSettings
	aws.Endpoint, aws.Region, aws.MaxRetries = url, "eu-west-1", 1
	config.Namespace, config.LogGroupName, config.LogStreamName = "cruddur", "/metrics/cruddur", "{ServiceName}"
	config.ResourceToTelemetrySettings.Enabled = true
	config.RetainInitialValueOfDeltaMetric = true
	config.DimensionRollupOption = "NoDimensionRollup"
	config.MetricDeclarations = []*upstream.MetricDeclaration{
		{Dimensions: [][]string{{"service.name"}, {"service.name", "http.route"}}, MetricNameSelectors: []string{"^http"}},
		{Dimensions: [][]string{{"service.name"}}, MetricNameSelectors: []string{".*"}},
	}
	if err := config.Validate(); err != nil {
		panic(err)
	}
	return config
}
