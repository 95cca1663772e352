"""A Flask app with OpenTelemetry set up in code and sent straight to Honeycomb, as Cruddur had it.

OTEL_SERVICE_NAME, OTEL_EXPORTER_OTLP_ENDPOINT and OTEL_EXPORTER_OTLP_HEADERS say who and where.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from flask import Flask
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.flask import FlaskInstrumentor
from opentelemetry.instrumentation.requests import RequestsInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
trace.set_tracer_provider(provider)
tracer = trace.get_tracer("home.activities")

app = Flask(__name__)
FlaskInstrumentor().instrument_app(app)  # type: ignore[no-untyped-call]
RequestsInstrumentor().instrument()


@app.get("/api/activities/home")
def home() -> list[dict[str, Any]]:
    with tracer.start_as_current_span("home-activities-mock-data") as span:
        found = [{"handle": "Andrew Brown", "message": "Cloud is very fun!"}]
        span.set_attribute("app.now", datetime.now(UTC).isoformat())
        span.set_attribute("app.result_length", len(found))
        return found
