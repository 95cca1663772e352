"""Routes that fail on purpose, to see an error arrive. There with DEBUG_ROUTES=true only."""

from __future__ import annotations

from typing import NoReturn

from flask import Blueprint, request

blueprint = Blueprint("debug", __name__)


class ProvokedError(RuntimeError):
    """Raised by `/api/debug/error`, handled by nobody; its `message` may be chosen."""


@blueprint.get("/api/debug/error")
def error() -> NoReturn:
    raise ProvokedError(request.args.get("message", "provoked by /api/debug/error"))
