module otel-stack/probe

go 1.25.0
