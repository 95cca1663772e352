"""Cruddur's backend with a route that refuses: it has no log-in of its own yet."""

from __future__ import annotations

from typing import NoReturn

from cruddur import create_app
from werkzeug.exceptions import abort

app = create_app()


@app.get("/api/test/refused/<int:status>")
def refused(status: int) -> NoReturn:
    abort(status)
