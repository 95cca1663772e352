module github.com/open-telemetry/opentelemetry-collector-contrib/exporter/awsxrayexporter/documents

go 1.25.0

require (
	github.com/aws/aws-sdk-go-v2 v1.43.4
	github.com/aws/aws-sdk-go-v2/service/xray v1.39.4
	github.com/open-telemetry/opentelemetry-collector-contrib/exporter/awsxrayexporter v0.159.0
	github.com/open-telemetry/opentelemetry-collector-contrib/internal/aws/awsutil v0.159.0
	github.com/open-telemetry/opentelemetry-collector-contrib/internal/aws/xray v0.159.0
	go.opentelemetry.io/collector/exporter v1.65.0
	go.opentelemetry.io/collector/pdata v1.65.0
	go.uber.org/zap v1.28.0
)
