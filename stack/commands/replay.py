"""`make replay`: send again what a vendor refused, once the key or the limit is put right."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from stack.applied_config import applied_config
from stack.console import console, shown, step
from stack.errors import StackError
from stack.replay import as_json, letters_folder, read_letters, send_again
from stack.routes import LOCAL_RECORD, routes
from stack.runtimes.chosen import running_plan
from stack.suggest import suggest


def run(
    vendor: Annotated[str | None, typer.Argument(help="Only this vendor's.")] = None,
    *,
    show: Annotated[bool, typer.Option("--list", help="Show them, send nothing.")] = False,
    in_part: Annotated[
        bool, typer.Option("--partial", help="Also batches that the vendor took in part: twice.")
    ] = False,
    as_object: Annotated[bool, typer.Option("--json", help="List them as JSON.")] = False,
) -> None:
    """Send the dead letters again, to the vendor that refused them and to no other."""
    plan = running_plan()
    every = read_letters(letters_folder(plan))
    if vendor is not None:
        receiving = {route.vendor for route in routes(applied_config(plan))} - {LOCAL_RECORD}
        # Letters may be left of a vendor that the config has no more.
        known = sorted(receiving | {one.vendor for one in every})
        if vendor not in known:
            raise StackError(f"there is no vendor {vendor}", suggest(vendor, known))
        every = [one for one in every if one.vendor == vendor]
    if as_object:
        print(as_json(every))
        return
    table = Table("at", "vendor", "signal", "items", "refused", "status", "service", "reason")
    for one in every:
        head = one.header
        table.add_row(
            head.at[:19],
            one.vendor,
            head.signal,
            str(head.items),
            str(head.refused),
            str(head.status or "-"),
            shown(head.service),
            shown(head.reason),
        )
    if every:
        Console().print(table)
    if show:
        return
    chosen = [one for one in every if in_part or not one.in_part]
    if not chosen:
        whose = f" of {vendor}" if vendor else ""
        more = " (see --partial)" if every else ""
        console.print(f"no dead letters{whose} to send{more}", soft_wrap=True)
        return
    with step(f"sending {sum(one.header.items for one in chosen)} items again"):
        send_again(chosen)
