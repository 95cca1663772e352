module github.com/open-telemetry/opentelemetry-collector-contrib/receiver/awsxrayreceiver/segments

go 1.25.0

require (
	github.com/open-telemetry/opentelemetry-collector-contrib/internal/aws/proxy v0.156.0
	github.com/open-telemetry/opentelemetry-collector-contrib/internal/aws/xray v0.159.0
	github.com/open-telemetry/opentelemetry-collector-contrib/receiver/awsxrayreceiver v0.156.0
	go.opentelemetry.io/collector/component v1.65.0
	go.opentelemetry.io/collector/pdata v1.65.0
)
