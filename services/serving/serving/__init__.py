"""What both Flask services do alike: log, report errors, answer health checks, know the client."""

from __future__ import annotations

from typing import TYPE_CHECKING

from serving import access_log, errors, health
from serving.client_address import ClientAddress
from serving.json_logging import configure_logging

if TYPE_CHECKING:
    from flask import Flask

__all__ = ["configure_logging", "serve"]


MOST_BYTES = 64 * 1024
"""Of a request's body: the longest message is far below."""


def serve(app: Flask) -> None:
    """Give `app` its access log, JSON error bodies, limit of a body and `/api/health-check`.

    Raises ValueError when `TRUSTED_PROXIES` or `CLIENT_ADDRESS` cannot be right.
    """
    app.config["MAX_CONTENT_LENGTH"] = MOST_BYTES
    ClientAddress.from_environ().init_app(app)
    access_log.init_app(app)
    errors.init_app(app)
    app.register_blueprint(health.blueprint)
