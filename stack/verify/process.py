"""What the process behind a URL shows of its telemetry, where it is one of this machine's."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

import psutil

from stack.routes import LOOPBACK
from stack.services import Plan
from stack.services.added import ENDPOINT
from stack.services.external import DISTRO, HEALTH_CHECKS
from stack.verify.reason import Reason, other_propagator, unsampled

AUTO = "opentelemetry/instrumentation/auto_instrumentation"
"""The folder that opentelemetry-instrument puts on PYTHONPATH of what it starts."""

ASK_ANOTHER = "ask for another path"
DEFAULT_PORTS = {"grpc": 4317, "http/protobuf": 4318}


def find_fault(plan: Plan, url: str) -> Reason | None:
    """What is wrong with the variables of the process that listens there; None where nothing is,
    or where it cannot be looked at: another user's, a container's, another machine's.
    """
    process = _listening(urlsplit(url))
    if process is None:
        return None
    try:
        called = f"process {process.pid} ({_command(process)})"
        environment = process.environ()
        python = "python" in Path(process.exe()).name
    except (psutil.Error, OSError):
        return None
    fault = next(_faults(plan, called, environment, url), None)
    if fault or not python or AUTO in environment.get("PYTHONPATH", ""):
        return fault
    return Reason(
        "not_instrumented",
        f"{called} was not started by opentelemetry-instrument",
        "start it so, without a reloader, with what `make env` prints; a set-up in its own code "
        "has to be there instead",
    )


def _listening(url: SplitResult) -> psutil.Process | None:
    """The youngest of the processes that share the port: a reloader's child, a server's worker."""
    port = url.port or {"http": 80, "https": 443}[url.scheme]
    if url.hostname not in LOOPBACK:
        return None
    found = []
    try:
        for connection in psutil.net_connections(kind="tcp"):
            here = connection.laddr and connection.laddr.port == port
            if here and connection.status == psutil.CONN_LISTEN and connection.pid:
                found.append(psutil.Process(connection.pid))
        return max(found, key=lambda process: process.create_time(), default=None)
    except psutil.Error:
        return None  # macOS tells root alone


def _command(process: psutil.Process) -> str:
    # What follows may hold a key.
    words = [Path(word).name for word in process.cmdline()[:3] if not word.startswith("-")]
    return " ".join(words) or process.name()


def _faults(plan: Plan, called: str, environment: Mapping[str, str], url: str) -> Iterator[Reason]:
    given = {name: value.strip() for name, value in environment.items() if value.strip()}
    exporter = given.get("OTEL_TRACES_EXPORTER", "")
    if given.get("OTEL_SDK_DISABLED", "").lower() == "true":
        yield _left_out(f"{called} has OTEL_SDK_DISABLED=true", "take it out")
    if exporter in {"none", "console"}:
        yield _left_out(f"{called} has OTEL_TRACES_EXPORTER={exporter}", "take it out")
    if given.get("OTEL_PYTHON_DISTRO") == DISTRO and re.search(HEALTH_CHECKS, url):
        yield _left_out(f"the stack's distro in {called} leaves health checks out", ASK_ANOTHER)
    for name, value in given.items():
        # Commas part the patterns, each is searched for in the whole URL.
        excludes = name.startswith("OTEL_PYTHON_") and name.endswith("EXCLUDED_URLS")
        if excludes and any(_finds(pattern, url) for pattern in value.split(",")):
            yield _left_out(f"{called} has {name}={value}", ASK_ANOTHER)
    yield from _endpoint(plan, called, given)
    sampler = given.get("OTEL_TRACES_SAMPLER", "")
    share = given.get("OTEL_TRACES_SAMPLER_ARG", "1")
    if sampler == "always_off" or (sampler == "traceidratio" and share != "1"):
        argument = f" and OTEL_TRACES_SAMPLER_ARG={share}" if sampler == "traceidratio" else ""
        yield unsampled(f"{called} has OTEL_TRACES_SAMPLER={sampler}{argument}")
    propagators = given.get("OTEL_PROPAGATORS", "tracecontext")
    if "tracecontext" not in propagators.split(","):
        reads = "" if propagators == "none" else propagators
        yield other_propagator(f"{called} has OTEL_PROPAGATORS={propagators}", reads)


def _left_out(what: str, todo: str) -> Reason:
    return Reason("left_out", f"{what}: it records no span of this request", todo)


def _finds(pattern: str, url: str) -> bool:
    try:
        return bool(pattern.strip() and re.search(pattern.strip(), url))
    except re.error:
        return False


def _endpoint(plan: Plan, called: str, given: Mapping[str, str]) -> Iterator[Reason]:
    """Where its spans go, as OpenTelemetry's SDK for Python makes it out."""
    name = next(
        (one for one in ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", ENDPOINT) if one in given), None
    )
    protocol = given.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL") or given.get(
        "OTEL_EXPORTER_OTLP_PROTOCOL", ""
    )
    http = plan.settings.port("OTLP_HTTP_PORT")
    grpc = int(plan.settings.collector.get("OTLP_GRPC_PORT", 0))
    takes = {grpc} if protocol == "grpc" else {http} if protocol else {http, grpc}
    todo = f"`make env` prints the right one, {ENDPOINT}={plan.otlp_url}"
    if name is None:
        guessed = {DEFAULT_PORTS.get(protocol)} if protocol else {*DEFAULT_PORTS.values()}
        if not guessed & takes:
            what = f"{called} has no {ENDPOINT}, and this stack does not listen on the default one"
            yield Reason("wrong_endpoint", what, todo)
        return
    address = urlsplit(given[name] if "://" in given[name] else f"http://{given[name]}")
    what = (
        f"{called} has {name}={address.scheme}://{address.netloc.rpartition('@')[2]}{address.path}"
    )
    try:
        port = address.port or {"http": 80, "https": 443}.get(address.scheme)
    except ValueError:
        port = None
    if address.hostname not in LOOPBACK or port not in {http, grpc}:
        yield Reason("wrong_endpoint", f"{what}, which is not this stack's collector", todo)
    elif port not in takes:
        what += f", which does not take OTEL_EXPORTER_OTLP_PROTOCOL={protocol}"
        yield Reason("wrong_endpoint", what, todo)
    elif address.scheme != plan.access.scheme:
        yield Reason("wrong_endpoint", f"{what}; this collector takes {plan.access.scheme}", todo)
