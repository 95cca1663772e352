"""`make add-service`: a folder with a service becomes part of the stack."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from stack.collector_config.text import env_defaults, read
from stack.compose_file import COMPOSE_FILE
from stack.services.entry import add_entry, port_name
from stack.services.source import Source, look_at
from stack.settings import ROOT, Settings, load_settings


def run(
    name: Annotated[str, typer.Argument(help="What it is called, in its telemetry too.")],
    source: Annotated[Path, typer.Argument(help="Its folder.")],
    *,
    app: Annotated[str, typer.Option(help="module:attribute, where there are several.")] = "",
    health: Annotated[str, typer.Option(help="The path of its health check.")] = "",
    verify: Annotated[str, typer.Option(help="The path that is asked for a proof.")] = "",
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="On this machine; a free one without it.")
    ] = None,
) -> None:
    """Write its entry into the compose file, and nothing into its folder."""
    settings = load_settings(ROOT)
    found = look_at(source.resolve(), app, health, verify)
    defaults = env_defaults(read(ROOT / settings.collector_config))
    taken = {int(value) for key, value in defaults.items() if key.endswith("_PORT")}
    chosen = add_entry(ROOT, name, found, port, taken)
    for what, text in _told(name, found, chosen, settings):
        Console().print(f"{what:9} {text}", soft_wrap=True, highlight=False, markup=False)


def _told(name: str, source: Source, port: int, settings: Settings) -> Iterator[tuple[str, str]]:
    yield "found", f"{source.app.framework}, {source.app.name} in {source.modules}"
    yield "packages", f"{source.requirements}, with {source.server} and the distro"
    if (source.folder / ".env").is_file():
        yield "settings", str(source.folder / ".env")
    if source.proof:
        yield "health", f"GET {source.health}, every 3 s in a container"
        yield "verify", f"GET {source.proof}, by make up and make verify"
        yield "port", f"{port + settings.port_offset} ({port_name(name)})"
    yield "written", f"services.{name} in {COMPOSE_FILE}"
    yield "next", "make up · make verify · make status"
