"""`/api/health-check`: the process serves. No trace is made of it."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify

blueprint = Blueprint("health", __name__)


@blueprint.get("/api/health-check")
def health_check() -> Response:
    return jsonify(success=True)
