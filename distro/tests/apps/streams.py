"""An app that knows of OpenTelemetry only what it needs to make spans of its own."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from flask import Flask, Response, request, stream_with_context
from opentelemetry import trace

app = Flask(__name__)
log = logging.getLogger("app")
tracer = trace.get_tracer("app")
pool = ThreadPoolExecutor(2)


def work(name: str) -> None:
    with tracer.start_as_current_span(name):
        log.warning("log of %s", name)


@app.get("/threads")
def threads() -> str:
    list(pool.map(work, ["pool 1", "pool 2", "pool 3"]))
    for thread in (
        threading.Thread(target=work, args=("thread",)),
        threading.Timer(0, work, ("timer",)),
    ):
        thread.start()
        thread.join()
    return "done"


@app.get("/stream")
def stream() -> Response:
    def rows() -> Iterator[str]:
        for number in range(int(request_rows)):
            with tracer.start_as_current_span(f"row {number}"):
                log.warning("log before row %d", number)
                yield f"{number}\n"
                log.warning("log after row %d", number)
        if fails:
            raise ValueError("no more rows")

    request_rows, fails = request.args["rows"], "fails" in request.args
    kept = stream_with_context(rows()) if "context" in request.args else rows()
    response = Response(kept, mimetype="text/plain")
    response.call_on_close(lambda: log.warning("log at the close"))
    return response


@app.get("/log")
def failing_logs() -> str:
    loop: list[object] = []
    loop.append(loop)
    log.warning("%d", "no number")
    log.warning("a loop", extra={"loop": loop})
    log.warning("caf\udce9 %s", "x", extra={"ratio": float("nan")})
    return "logged"


@app.get("/nothing")
def nothing() -> str:
    log.warning("log of nothing")
    return "nothing"
