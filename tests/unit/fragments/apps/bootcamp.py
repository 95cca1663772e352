"""A Flask app with all that Cruddur's bootcamp team had in its code: OpenTelemetry's SDK, the X-Ray
SDK, watchtower and Rollbar. What docs/migrate.md shows of it stands here as it stands there.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path

import rollbar
import rollbar.contrib.flask
import watchtower
from aws_xray_sdk.core import xray_recorder  # type: ignore[import-untyped]
from aws_xray_sdk.ext.flask.middleware import XRayMiddleware  # type: ignore[import-untyped]
from flask import Flask, Response, got_request_exception, request
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.flask import FlaskInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
trace.set_tracer_provider(provider)
tracer = trace.get_tracer("home.activities")

logger = logging.getLogger(__name__)
logger.setLevel(logging.DEBUG)
logger.addHandler(watchtower.CloudWatchLogHandler(log_group="cruddur", send_interval=1))

app = Flask(__name__)
xray_recorder.configure(service="backend-flask")
XRayMiddleware(app, xray_recorder)
FlaskInstrumentor().instrument_app(app)  # type: ignore[no-untyped-call]


def init_rollbar() -> None:
    rollbar.init(
        os.environ["ROLLBAR_ACCESS_TOKEN"],
        "production",
        endpoint=os.environ.get("ROLLBAR_ENDPOINT", "https://api.rollbar.com/api/1/"),
        root=str(Path(__file__).parent),
        allow_logging_basic_config=False,
    )
    got_request_exception.connect(rollbar.contrib.flask.report_exception, app)


with app.app_context():
    init_rollbar()


@app.after_request
def after_request(response: Response) -> Response:
    logger.info("%s %s %s", request.method, request.full_path, response.status)
    return response


@app.get("/api/activities/home")
def home() -> list[dict[str, str]]:
    with tracer.start_as_current_span("home-activities-mock-data") as span:
        span.set_attribute("app.result_length", 1)
        return [{"handle": "Andrew Brown", "message": "Cloud is very fun!"}]


@app.get("/api/broken")
def broken() -> str:
    raise RuntimeError(f"broken by {request.args['by']}")
