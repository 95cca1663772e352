"""What OpenTelemetry's instrumentations leave out of a request's trace, or let an app pay for.

Two instrumentors, which `opentelemetry-instrument` finds by the `*.dist-info` beside this package
once the folder that holds both is on PYTHONPATH; OTEL_PYTHON_DISABLED_INSTRUMENTATIONS knows them
as `flask_streaming` and `failing_log_calls`. The service itself imports nothing of this.
"""
