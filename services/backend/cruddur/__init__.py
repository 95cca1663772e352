"""Cruddur's backend: short messages that expire."""

from __future__ import annotations

from dataclasses import asdict

from flask import Flask
from flask_cors import CORS
from otel_stack_distro.flask import init_app
from otel_stack_distro.json_logging import configure_logging
from otel_stack_distro.rollbar import report_errors

from cruddur.config import Config
from cruddur.profiles_client import ProfilesClient
from cruddur.routes import activities, debug, home, rollbar_test
from cruddur.store import open_store
from cruddur.viewer import named_viewer

__all__ = ["Config", "create_app"]


def create_app(config: Config | None = None) -> Flask:
    """The WSGI application. Makes and seeds the store where there is none yet.

    `config`: read from the environment where not given; a wrong one raises ValueError.
    """
    config = config or Config.from_environ()
    configure_logging()
    if config.cloudwatch:
        # boto3 costs 20 MB a worker: only those pay who take this route.
        from otel_stack_distro.watchtower import log_to_cloudwatch  # noqa: PLC0415

        log_to_cloudwatch(config.service, **asdict(config.cloudwatch))
    app = Flask(__name__)
    init_app(app)
    CORS(
        app,
        origins=list(config.frontend_origins),
        # The browser's trace continues in ours by these; Rollbar and X-Ray users read the answer.
        allow_headers=["Content-Type", "X-Cruddur-User", "traceparent", "tracestate", "baggage"],
        methods=["GET", "POST", "OPTIONS"],
        max_age=600,
    )
    app.extensions["cruddur.store"] = open_store(config.database_url)
    app.extensions["cruddur.profiles"] = ProfilesClient(
        config.profiles_url, config.profiles_timeout
    )
    app.register_blueprint(home.blueprint)
    app.register_blueprint(activities.blueprint)
    if config.debug_routes:
        app.register_blueprint(debug.blueprint)
        app.register_blueprint(rollbar_test.blueprint)
    app.extensions["cruddur.rollbar"] = config.rollbar is not None
    if config.rollbar:
        report_errors(app, config.rollbar, named_viewer)
    return app
