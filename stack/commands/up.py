"""`make up`: everything runs, and a trace has shown that it works."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

from rich.markup import escape
from rich.table import Table

from stack import jaeger
from stack.accounts import honeycomb
from stack.announce import addresses, announce
from stack.config_check import lint
from stack.console import console, count, step
from stack.errors import StackError
from stack.last_lines import show_last_lines
from stack.page_build import NoNodeError, build_without_node, can_serve_page
from stack.prove import Proof, prove
from stack.runtimes.chosen import RUNTIMES, plan_of_running, plan_to_start
from stack.services import COLLECTOR, Plan, service_version
from stack.traces import trace_command
from stack.vendors.honeycomb.api import permissions, send_marker


def run() -> None:
    """Start everything; ready when a trace of a request is in the local record."""
    plan = plan_to_start()
    running = plan_of_running()
    if running and running.runtime != plan.runtime:
        raise StackError(
            f"the stack runs on the {running.runtime} runtime, {plan.runtime} was asked for",
            "`make down` first",
        )
    announce(plan, running=False)
    # Printed, not refused: one vendor that gets nothing must not keep the app down.
    lint(plan, refuse=False)
    if _build_page_without_node(plan):
        plan = plan_to_start()
    runtime = RUNTIMES[plan.runtime]
    runtime.up(plan)
    try:
        with step("waiting for the trace of a first request"):
            proofs = prove(plan)
    except BaseException as failed:
        if isinstance(failed, StackError):
            for name in (*(one.name for one in plan.instrumented), COLLECTOR):
                show_last_lines(plan, name, runtime.output(plan, name))
        if not running:
            runtime.down(plan)
        raise
    _mark_deploy(plan)
    _look_for_jaeger(plan)
    _show(plan, proofs)


def _build_page_without_node(plan: Plan) -> bool:
    """Whether the page was built by an engine, where there is no Node: it is part of the plan then.

    Where that cannot be done the stack comes up without it, unless it was asked for.
    """
    settings = plan.settings
    if "off" in (settings.page, settings.sample_app) or can_serve_page(plan.root):
        return False
    try:
        build_without_node(plan.root, settings.node_image)
    except NoNodeError as missing:
        if settings.page == "on":
            raise
        console.print(f"  the page is left out: {escape(str(missing))}", soft_wrap=True)
        return False
    return True


def _mark_deploy(plan: Plan) -> None:
    """Draw the deploy into Honeycomb's graphs, where the key may. What runs does not need it."""
    account = honeycomb(plan.settings)
    try:
        if not permissions(account).get("markers"):
            return
        send_marker(account, f"up: {service_version(plan.root)}")
    except StackError as refused:
        console.print(f"  no deploy marker at Honeycomb: {escape(str(refused))}", soft_wrap=True)


def outside(plan: Plan, url: str) -> str:
    """An address of this machine as a browser reaches it."""
    parts = urlsplit(url)
    known = plan.settings.outside(parts.port or 0)
    return f"{known}{parts.path}" if known else url


def _look_for_jaeger(plan: Plan) -> None:
    endpoint = plan.settings.config_values.get(jaeger.ENDPOINT)
    if endpoint and "jaeger" in plan.settings.fragments:
        absent = jaeger.absent(endpoint, plan.runtime, plan.project)
        if absent:
            console.print(f"[yellow]warning:[/] {escape(absent)}", soft_wrap=True)


def _show(plan: Plan, proofs: Sequence[Proof]) -> None:
    for proof in proofs:
        console.print(
            f"  {escape(proof.asked)}: a request's trace ({count(len(proof.spans), 'span')}) was "
            f"on disk {proof.seconds:.1f} s after its answer: {trace_command(proof.trace_id)}",
            soft_wrap=True,
        )
    table = Table(box=None, show_header=False, pad_edge=True)
    for name, url in addresses(plan):
        table.add_row(name, outside(plan, url))
    grpc = plan.settings.collector.get("OTLP_GRPC_PORT")
    table.add_row(
        "OTLP", f"{plan.otlp_url} (HTTP)" + (f", 127.0.0.1:{grpc} (gRPC)" if grpc else "")
    )
    if plan.settings.public_url:
        table.add_row("", f"{outside(plan, plan.otlp_url)} from elsewhere, if that port is public")
    table.add_row("traces", str(plan.telemetry_dir / "traces.jsonl"))
    first = "" if plan.instrumented else "make add-service · "
    table.add_row("next", f"{first}make status · make traces · make logs · make down · make help")
    console.print(table, soft_wrap=True)
