"""Errors as JSON: `{"error", "message", "status"}`; `fields` in a 422, `trace_id` in a 500."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Flask, Response, jsonify
from opentelemetry import trace
from werkzeug.exceptions import HTTPException, InternalServerError, UnprocessableEntity


class InvalidFields(UnprocessableEntity):
    """422. `fields`: what is wrong with each, by its name."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        super().__init__(description="; ".join(f"{name} {text}" for name, text in fields.items()))
        self.fields = dict(fields)


def init_app(app: Flask) -> None:
    app.register_error_handler(HTTPException, _as_json)


def _as_json(error: HTTPException) -> tuple[Response, int, dict[str, str]]:
    status = error.code or 500
    body: dict[str, Any] = {
        "error": error.name,
        "message": error.description or error.name,
        "status": status,
    }
    if isinstance(error, InvalidFields):
        body["fields"] = error.fields
    context = trace.get_current_span().get_span_context()
    if isinstance(error, InternalServerError) and context.is_valid:
        body["trace_id"] = trace.format_trace_id(context.trace_id)
    kept = {k: v for k, v in error.get_headers() if k in {"Allow", "Retry-After", "Location"}}
    return jsonify(body), status, kept
