"""`make verify URL=…`: a service that runs elsewhere, and why its trace does not come."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

from stack.services import make_plan
from stack.services.external import Place, service_env
from stack.settings import load_settings
from stack.waiting import wait_for
from tests.integration.harness.checkout import Checkout, running_checkout
from tests.ports import free_ports

pytestmark = pytest.mark.only_native

APP = """\
import logging

from flask import Flask
{more}
app = Flask("orders")


@app.get("/orders/<int:number>")
def order(number):
    logging.getLogger("orders").{level}("order %s", number)
    return {{"order": number}}
"""

B3_ALONE = """
from opentelemetry import trace
from opentelemetry.propagate import set_global_textmap
from opentelemetry.propagators.textmap import TextMapPropagator, default_getter


class B3(TextMapPropagator):
    fields = {"b3"}

    def inject(self, carrier, context=None, setter=None):
        pass

    def extract(self, carrier, context=None, getter=default_getter):
        for given in getter.get(carrier, "b3") or ():
            trace_id, span_id, _ = given.split("-")
            flags = trace.TraceFlags(1)
            span = trace.SpanContext(int(trace_id, 16), int(span_id, 16), True, flags)
            return trace.set_span_in_context(trace.NonRecordingSpan(span), context)
        return context


set_global_textmap(B3())
"""

NEVER = """
from opentelemetry import trace
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

trace.get_tracer_provider().sampler = ALWAYS_OFF
"""

INSTRUMENT = ("opentelemetry-instrument",)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    with running_checkout(tmp_path_factory.mktemp("verify") / "project", "native") as made:
        yield made


@contextmanager
def service(
    checkout: Checkout,
    folder: Path,
    *,
    under: tuple[str, ...] = INSTRUMENT,
    more: str = "",
    level: str = "warning",
    path: str = "/orders/7",
    **variables: str,
) -> Iterator[str]:
    """A service in a folder of its own; gives the URL to ask."""
    (folder / "orders.py").write_text(APP.format(more=more, level=level))
    plan = make_plan(load_settings(checkout.folder, {}), checkout.folder, "native")
    python = plan.process("backend-flask").python
    assert python
    environment = {
        "PATH": f"{python.bin}{os.pathsep}{os.defpath}",
        **service_env(plan, "orders", Place.HOST).variables,
        **variables,
    }
    [port] = free_ports(1)
    words = [*under, "flask", "--app", "orders", "run", f"--port={port}"]
    console = folder / "console.log"
    with console.open("w") as output:
        process = subprocess.Popen(
            ["env", *words], cwd=folder, env=environment, stdout=output, stderr=output
        )
    try:
        answers = f"http://127.0.0.1:{port}/nothing-here"
        wait_for("the service", lambda: requests.get(answers, timeout=2).status_code, seconds=60)
        yield f"http://127.0.0.1:{port}{path}"
    finally:
        process.terminate()
        process.wait(timeout=60)


def verify(checkout: Checkout, url: str) -> tuple[int, dict[str, Any]]:
    ended = checkout.run("verify", f"--url={url}", "--json", "--deadline=12")
    found: dict[str, Any] = json.loads(ended.output.strip().splitlines()[-1])
    return ended.code, found


def test_an_instrumented_services_trace_is_at_every_vendor(
    checkout: Checkout, tmp_path: Path
) -> None:
    with service(checkout, tmp_path) as url:
        code, told = verify(checkout, url)
    assert code == 0, told
    assert {one["vendor"] for one in told["deliveries"]} == {"local record", "honeycomb", "xray"}
    assert [(one["service"], one["depth"]) for one in told["steps"]] == [
        ("otel-stack-verify", 0),
        ("orders", 1),
    ]


@pytest.mark.parametrize(
    ("how", "code", "said"),
    [
        ({"under": ()}, "not_instrumented", "was not started by opentelemetry-instrument"),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"},
            "wrong_endpoint",
            "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:9",
        ),
        ({"OTEL_TRACES_SAMPLER": "always_off"}, "unsampled", "OTEL_TRACES_SAMPLER=always_off"),
        ({"more": NEVER}, "unsampled", "a log record of the trace"),
        ({"more": NEVER, "level": "debug"}, "unsampled", "orders counted a request"),
        ({"more": B3_ALONE}, "other_propagator", "orders reads the headers of b3"),
        ({"path": "/health"}, "left_out", "the stack's distro"),
        ({"OTEL_SDK_DISABLED": "true"}, "left_out", "OTEL_SDK_DISABLED=true"),
        (
            {"OTEL_PYTHON_FLASK_EXCLUDED_URLS": "health,orders/"},
            "left_out",
            "OTEL_PYTHON_FLASK_EXCLUDED_URLS=health,orders/",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_keeps_the_trace_away_is_named(
    checkout: Checkout, tmp_path: Path, how: Mapping[str, Any], code: str, said: str
) -> None:
    with service(checkout, tmp_path, **how) as url:
        ended, told = verify(checkout, url)
    assert (ended, told["reason"]["code"]) == (1, code), told
    assert said in told["reason"]["what"]


def test_a_set_up_in_the_code_that_reaches_nothing_is_told_as_unknown(
    checkout: Checkout, tmp_path: Path
) -> None:
    # given an exporter that nothing outside of the process shows
    away = "from opentelemetry import trace\ntrace.get_tracer_provider().shutdown()\n"
    with service(checkout, tmp_path, more=away, OTEL_METRICS_EXPORTER="none") as url:
        # when
        ended, told = verify(checkout, url)
    # then
    assert (ended, told["reason"]["code"]) == (1, "nothing_came"), told


@pytest.mark.parametrize("url", ["127.0.0.1:8000/", "ftp://localhost/", "http://127.0.0.1:9/"])
def test_what_cannot_be_asked_is_one_line(checkout: Checkout, url: str) -> None:
    assert checkout.run("verify", f"--url={url}").error
