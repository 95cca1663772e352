"""Display names and pictures for Cruddur's handles."""

from __future__ import annotations

from flask import Flask
from serving import configure_logging, serve

from profiles import routes

__all__ = ["create_app"]


def create_app() -> Flask:
    """The WSGI application."""
    configure_logging()
    app = Flask(__name__)
    serve(app)
    app.register_blueprint(routes.blueprint)
    return app
