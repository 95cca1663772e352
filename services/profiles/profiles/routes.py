"""`/api/profiles?handles=a,b`."""

from __future__ import annotations

from dataclasses import asdict

from flask import Blueprint, Response, jsonify, request
from otel_stack_distro.flask.errors import InvalidFields

from profiles.people import load_people

MOST_HANDLES = 200

blueprint = Blueprint("profiles", __name__)
people = load_people()


@blueprint.get("/api/profiles")
def find() -> Response:
    """Profiles by handle; a handle that nobody has is left out."""
    handles = [handle for handle in request.args.get("handles", "").split(",") if handle]
    if not handles:
        raise InvalidFields({"handles": "has to be a list like a,b"})
    if len(handles) > MOST_HANDLES:
        raise InvalidFields({"handles": f"has to hold {MOST_HANDLES} at most"})
    found = {handle: asdict(people[handle]) for handle in handles if handle in people}
    return jsonify(profiles=found)
