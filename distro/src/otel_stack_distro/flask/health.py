"""`/api/health-check`: the process serves. Kept out of the traces by the services' otel.env."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify

blueprint = Blueprint("health", __name__)


@blueprint.get("/api/health-check")
def health_check() -> Response:
    return jsonify(success=True)
