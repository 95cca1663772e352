"""`/api/activities/home`, the route with the span of its own."""

from __future__ import annotations

from datetime import UTC, datetime

from flask import Blueprint, Response, jsonify
from opentelemetry import trace

from cruddur.feed import store, with_profiles
from cruddur.viewer import viewer_id

blueprint = Blueprint("home", __name__)
tracer = trace.get_tracer("home.activities")


@blueprint.get("/api/activities/home")
def home() -> Response:
    viewer = viewer_id()
    with tracer.start_as_current_span("home-activities-mock-data") as span:
        span.set_attribute("app.now", datetime.now(UTC).isoformat())
        span.set_attribute("enduser.id", viewer)
        activities = with_profiles(store().home())
        span.set_attribute("app.result_length", len(activities))
    return jsonify(activities)
