"""A Flask app with the X-Ray SDK set up in code, as Cruddur's first version had it."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import Any

from aws_xray_sdk.core import xray_recorder  # type: ignore[import-untyped]
from aws_xray_sdk.ext.flask.middleware import XRayMiddleware  # type: ignore[import-untyped]
from flask import Flask

app = Flask(__name__)

# With a host that fits the pattern, a segment is called as the host and no longer as the service.
xray_recorder.configure(service="backend-flask", dynamic_naming=os.environ.get("AWS_XRAY_URL"))
XRayMiddleware(app, xray_recorder)


@app.get("/api/activities/@<string:handle>")
@xray_recorder.capture("user_activities")  # type: ignore[untyped-decorator]
def user_activities(handle: str) -> list[dict[str, Any]]:
    found = [{"handle": handle, "message": "Cloud is fun!"}]
    subsegment = xray_recorder.begin_subsegment("mock-data")
    subsegment.put_annotation("handle", handle)
    subsegment.put_metadata(
        "results", {"size": len(found), "now": datetime.now(UTC).isoformat()}, "cruddur"
    )
    xray_recorder.end_subsegment()
    return found


@app.get("/api/broken")
def broken() -> str:
    raise RuntimeError("it broke")
