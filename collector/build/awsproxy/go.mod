module otel-stack/awsproxy

go 1.25.0

require (
	github.com/aws/aws-sdk-go-v2 v1.43.4
	github.com/aws/aws-sdk-go-v2/service/xray v1.39.4
	github.com/open-telemetry/opentelemetry-collector-contrib/exporter/awsxrayexporter/documents v0.0.0
	github.com/open-telemetry/opentelemetry-collector-contrib/extension/awsproxy v0.156.0
	go.opentelemetry.io/collector/component v1.65.0
	go.opentelemetry.io/collector/extension v1.65.0
	go.uber.org/zap v1.28.0
)
