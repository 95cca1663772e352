"""Who asks: the `X-Cruddur-User` header. It names a user, it does not prove one."""

from __future__ import annotations

import re

from flask import has_request_context, request
from opentelemetry import trace
from werkzeug.exceptions import BadRequest

HEADER = "X-Cruddur-User"
ANONYMOUS = "anonymous"
_VALID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")


def viewer_id() -> str:
    """The user's id, `anonymous` without the header; 400 for one that cannot be an id.

    It goes on the server span too: X-Ray takes a segment's user from there.
    """
    viewer = request.headers.get(HEADER, ANONYMOUS)
    if not _VALID.fullmatch(viewer):
        raise BadRequest(
            f"{HEADER} has to be 1 to 64 letters, digits or . _ @ - and begin with one of the "
            "first two"
        )
    trace.get_current_span().set_attribute("enduser.id", viewer)
    return viewer


def named_viewer() -> str | None:
    """For the report of an error, whatever the header holds; None where it names nobody."""
    viewer = request.headers.get(HEADER) if has_request_context() else None
    return None if viewer == ANONYMOUS else viewer
