"""What both Flask services do alike: log, report errors, answer health checks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from serving import access_log, errors, health
from serving.json_logging import configure_logging

if TYPE_CHECKING:
    from flask import Flask

__all__ = ["configure_logging", "serve"]


def serve(app: Flask) -> None:
    """Give `app` its access log, its JSON error bodies and `/api/health-check`."""
    access_log.init_app(app)
    errors.init_app(app)
    app.register_blueprint(health.blueprint)
