"""Display names and pictures for Cruddur's handles."""

from __future__ import annotations

from flask import Flask
from otel_stack_distro.flask import init_app
from otel_stack_distro.json_logging import configure_logging

from profiles import routes

__all__ = ["create_app"]


def create_app() -> Flask:
    """The WSGI application."""
    configure_logging()
    app = Flask(__name__)
    init_app(app)
    app.register_blueprint(routes.blueprint)
    return app
