"""Reading, searching and writing activities."""

from __future__ import annotations

from uuid import UUID, uuid4

from flask import Blueprint, Response, abort, jsonify, request
from werkzeug.exceptions import BadRequest, UnsupportedMediaType

from cruddur.feed import store, with_profiles
from cruddur.models import Activity, utc_now
from cruddur.validation import HANDLE, new_activity, search_term
from cruddur.viewer import viewer_id

blueprint = Blueprint("activities", __name__)


@blueprint.get("/api/activities/@<handle>")
def by_handle(handle: str) -> Response:
    viewer_id()
    if not HANDLE.fullmatch(handle):
        abort(404, "no such handle")
    return jsonify(with_profiles(store().by_handle(handle)))


@blueprint.get("/api/activities/<uuid:uuid>")
def show(uuid: UUID) -> Response:
    viewer_id()
    activity = store().get(uuid)
    if activity is None:
        abort(404, "no such activity, or it has expired")
    return jsonify(with_profiles([activity])[0])


@blueprint.get("/api/activities/search")
def search() -> Response:
    viewer_id()
    return jsonify(with_profiles(store().search(search_term(request.args.getlist("term")))))


@blueprint.post("/api/activities")
def create() -> tuple[Response, int, dict[str, str]]:
    viewer_id()
    try:
        body = request.get_json()
    except (BadRequest, UnsupportedMediaType, RecursionError):
        abort(400, "the body has to be JSON, sent as Content-Type: application/json")
    new = new_activity(body)
    now = utc_now()
    activity = Activity(
        uuid=uuid4(),
        handle=new.handle,
        message=new.message,
        created_at=now,
        expires_at=now + new.lifetime,
        likes_count=0,
        reposts_count=0,
        replies=[],
    )
    store().add(activity)
    location = {"Location": f"/api/activities/{activity.uuid}"}
    return jsonify(with_profiles([activity])[0]), 201, location
