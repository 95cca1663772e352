"""`make env`: the variables that put a service running elsewhere under the stack."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape

from stack.applied_config import check_access
from stack.console import console
from stack.runtimes.chosen import plan_of_running, plan_to_start
from stack.services.added import SECRETS_INSIDE
from stack.services.external import Format, Place, ServiceEnv, service_env, written
from stack.settings import ROOT


def run(
    service: Annotated[str, typer.Argument(help="What its telemetry is to call it.")],
    form: Annotated[Format, typer.Option("--format", help="How to write them.")] = Format.EXPORT,
    place: Annotated[
        Place | None,
        typer.Option("--for", help="Where it runs; for compose and docker a container."),
    ] = None,
    sdk: Annotated[str, typer.Option(help="rollbar, watchtower: vendors' SDKs in its code.")] = "",
) -> None:
    """Print a service's variables, a token among them where OTLP_ACCESS asks for one."""
    plan = plan_of_running() or plan_to_start()
    check_access(plan)
    env = service_env(plan, service, place or form.usual_place, sdk.replace(",", " ").split())
    print(written(env, form), end="")
    _tell(env, form, inside=(place or form.usual_place) is Place.CONTAINER)


def _tell(env: ServiceEnv, form: Format, *, inside: bool) -> None:
    """On standard error: standard output is for `eval` and for files."""
    for left_out in env.left_out:
        console.print(f"not among them: {escape(left_out)}", soft_wrap=True)
    if inside and form is not Format.COMPOSE:
        mount = f" --volume={env.secrets}:{SECRETS_INSIDE}:ro" if env.secrets else ""
        console.print(f"the container needs --network={env.network}{mount}", soft_wrap=True)
    install = f"install: pip install '{ROOT / 'distro'}'"
    console.print(escape(install), soft_wrap=True)
    console.print(
        "start:   opentelemetry-instrument followed by its usual command, for example "
        "`opentelemetry-instrument flask run`",
        soft_wrap=True,
    )
    console.print("see it:  make verify URL=http://…, make status", soft_wrap=True)
