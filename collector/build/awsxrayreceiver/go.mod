module otel-stack/awsxrayreceiver

go 1.25.0

require (
	github.com/open-telemetry/opentelemetry-collector-contrib/receiver/awsxrayreceiver v0.156.0
	github.com/open-telemetry/opentelemetry-collector-contrib/receiver/awsxrayreceiver/segments v0.0.0
	go.opentelemetry.io/collector/component v1.65.0
	go.opentelemetry.io/collector/consumer v1.65.0
	go.opentelemetry.io/collector/pdata v1.65.0
	go.opentelemetry.io/collector/receiver v1.65.0
	go.opentelemetry.io/collector/receiver/receiverhelper v0.159.0
	go.opentelemetry.io/otel v1.45.0
	go.opentelemetry.io/otel/metric v1.45.0
	go.uber.org/zap v1.28.0
)
