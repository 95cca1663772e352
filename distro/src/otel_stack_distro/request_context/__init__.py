"""What OpenTelemetry's instrumentations leave out of a request's trace, or let an app pay for.

Two instrumentors, which OTEL_PYTHON_DISABLED_INSTRUMENTATIONS knows as `flask_streaming` and
`failing_log_calls`. The service itself imports nothing of this.
"""
