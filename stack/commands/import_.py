"""`make import FILE=…`: a vendor's published config or snippet, in the form of our own."""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Literal

import typer

from stack.collector_build import ensure_collector_binary
from stack.collector_config.distribution import components_of
from stack.collector_config.files import ConfigTexts
from stack.collector_config.text import load, read, shown
from stack.collector_config.validation import validate
from stack.console import console
from stack.console import shown as harmless
from stack.errors import StackError, quoted
from stack.fragments import VENDORS, merge
from stack.fragments import load as load_fragment
from stack.published.reading import read_published
from stack.published.turning import Imported, turn
from stack.services import Plan, make_plan
from stack.settings import ROOT, load_settings
from stack.whole_file import replace_text

NOWHERE = "http://127.0.0.1:1"
"""In the place of each key that `.env` does not hold yet, while the collector checks the config."""


def run(
    file: Annotated[Path, typer.Argument(help="The config or snippet; - reads standard input.")],
    name: Annotated[str, typer.Option(help="What to call it, for WITH=.")] = "",
    write: Annotated[
        Literal["fragment", "config"] | None,
        typer.Option(help="Write collector/vendors/NAME.yaml, or into the collector's config."),
    ] = None,
) -> None:
    """Turn a published collector config into our form; print it, and say what is not as it was."""
    if name and not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name):
        raise StackError(
            f"a fragment cannot be called {quoted(name)}",
            "NAME= has lower-case letters and digits, and - between them",
        )
    plan = make_plan(load_settings(ROOT), ROOT, "native")
    binary = ensure_collector_binary(plan.root)
    imported = Imported(name, "standard input" if file == Path("-") else shown(file))
    published = read_published(_text(file), file)
    turn(published, imported, load(plan.config_source), components_of([str(binary)]), plan.root)
    merged = _checked(plan, binary, imported)
    _tell(imported)
    chosen = [*imported.fragments, *([imported.name] if imported.tree else [])]
    then = f"`make up{' WITH=' + ','.join(chosen) if chosen else ''}`"
    if not imported.tree:
        console.print(f"nothing is to be written; then: {then}")
    elif write == "config":
        _keep_comments(read(plan.config_source), merged, plan.config_source)
        replace_text(plan.config_source, merged)
        console.print(f"{shown(plan.config_source)} has it now; then: `make up` or `make reload`")
    elif write == "fragment":
        replace_text(_new_fragment(plan, imported.name), imported.fragment.text)
        console.print(f"{VENDORS / imported.name}.yaml has it now; then: {then}")
    else:
        print(imported.fragment.text, end="")
        console.print(
            f"nothing is written: WRITE=fragment writes {VENDORS / imported.name}.yaml for {then}, "
            f"WRITE=config writes it into {shown(plan.config_source)}",
            soft_wrap=True,
        )


def _text(file: Path) -> str:
    try:
        return sys.stdin.read() if file == Path("-") else file.read_text(encoding="utf-8")
    except OSError as failed:
        raise StackError(
            f"{file} cannot be read ({failed.strerror})", "FILE= names a config or a snippet"
        ) from None
    except UnicodeDecodeError:
        raise StackError(f"{file} is not UTF-8 text", "save the config alone, as text") from None


def _checked(plan: Plan, binary: Path, imported: Imported) -> str:
    """The stack's config with what was imported. Raises StackError where the collector would not
    take it.
    """
    parts = [load_fragment(name, plan.root) for name in imported.fragments]
    if imported.tree:
        parts.append(imported.fragment)
    merged = merge(read(plan.config_source), parts, shown(plan.config_source))
    known = plan.process("collector").environment
    with tempfile.TemporaryDirectory(prefix="otel-stack-import-") as folder:
        files = ConfigTexts(merged, *map(read, plan.patterns_source)).write(Path(folder))
        try:
            validate(binary, files, dict.fromkeys(imported.keys, NOWHERE) | {**known})
        except StackError as refused:
            what = refused.what.replace(f"{folder}/", "")
            raise StackError(
                f"{imported.file} makes a config that the collector refuses: {what}",
                refused.todo or "correct it there",
            ) from None
    return merged


def _tell(imported: Imported) -> None:
    for said in imported.changed:
        console.print(f"  changed: {harmless(said)}", soft_wrap=True)
    for said in imported.lost:
        console.print(f"  [yellow]not taken over:[/] {harmless(said)}", soft_wrap=True)
    if imported.keys:
        console.print("to be put into .env:")
    for key, note in imported.keys.items():
        console.print(f"  {key}=  ({harmless(note)})", soft_wrap=True)


def _keep_comments(before: str, after: str, file: Path) -> None:
    kept = set(after.splitlines())
    if any(line.lstrip().startswith("#") and line not in kept for line in before.splitlines()):
        raise StackError(
            f"{shown(file)} is written in a way that would cost its comments", "use WRITE=fragment"
        )


def _new_fragment(plan: Plan, name: str) -> Path:
    file = plan.root / VENDORS / f"{name}.yaml"
    if file.exists():
        raise StackError(f"{VENDORS / name}.yaml is there already", "NAME= gives it another name")
    return file
