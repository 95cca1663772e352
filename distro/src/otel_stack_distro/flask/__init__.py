"""For a Flask app: its access log, JSON errors, health check, and the client's address."""

from __future__ import annotations

from flask import Flask

from otel_stack_distro.client_address import ClientAddress
from otel_stack_distro.flask import access_log, errors, health

MOST_BYTES = 64 * 1024
"""Of a request's body: the longest message is far below."""


def init_app(app: Flask) -> None:
    """Give `app` its access log, JSON error bodies, limit of a body and `/api/health-check`.

    Raises ValueError when `TRUSTED_PROXIES` or `CLIENT_ADDRESS` cannot be right.
    """
    app.config["MAX_CONTENT_LENGTH"] = MOST_BYTES
    app.wsgi_app = ClientAddress.from_environ().around(app.wsgi_app)  # type: ignore[method-assign, assignment]
    access_log.init_app(app)
    errors.init_app(app)
    app.register_blueprint(health.blueprint)
