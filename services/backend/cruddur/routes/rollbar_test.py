"""`/rollbar/test`, Cruddur's own way to see an item arrive. There with DEBUG_ROUTES=true only."""

from __future__ import annotations

import rollbar
from flask import Blueprint, current_app
from werkzeug.exceptions import ServiceUnavailable

blueprint = Blueprint("rollbar_test", __name__)


@blueprint.get("/rollbar/test")
def rollbar_test() -> str:
    if not current_app.extensions["cruddur.rollbar"]:
        raise ServiceUnavailable("ROLLBAR_ACCESS_TOKEN is not set, nothing is sent to Rollbar")
    rollbar.report_message("Hello World!", "warning")
    return "Hello World!"
