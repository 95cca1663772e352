"""The collector config in a file from elsewhere, whatever carries it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stack.collector_config.text import parse, shown
from stack.errors import StackError


def read_published(text: str, file: Path) -> dict[str, Any]:
    """The config in `text`: by itself, or in a ConfigMap or a Helm chart's values. Lines that say
    `...`, as documentation does, are left out.

    Raises StackError where there is none, or more than one.
    """
    bare = re.sub(r"^[ \t]*(\.\.\.|…)[ \t]*$", "", text, flags=re.MULTILINE)
    found: list[dict[str, Any]] = []
    lines_above = 0
    for document in re.split(r"^---.*$", bare, flags=re.MULTILINE):
        if re.search(r"^[^#\n]*\bexporters:", document, re.MULTILINE):
            found += _configs(parse("\n" * lines_above + document, file), file)
        lines_above += document.count("\n")
    if len(found) > 1:
        raise StackError(f"{shown(file)} holds {len(found)} collector configs", "leave one there")
    if not found:
        raise StackError(
            f"{shown(file)} holds no collector config", "it needs `exporters:` with one below"
        )
    return found[0]


def _configs(node: Any, file: Path) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict) and isinstance(node.get("exporters"), dict):
        yield node
    elif isinstance(node, dict | list):
        for below in node.values() if isinstance(node, dict) else node:
            yield from _configs(below, file)
    elif isinstance(node, str) and re.search(r"^exporters:", node, re.MULTILINE):
        yield from _configs(parse(node, file), file)
