"""The config as it is written: YAML, and the variables that it names."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from stack.collector_config.distribution import component_type
from stack.errors import StackError

CONFIG_FILE = Path("collector/otel-config.yaml")

REFERENCE = re.compile(
    r"\$\$|\$\{(?:env:)?(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^}]*))?\}"
)
"""A variable, by either of its spellings; or an escaped `$`, which has no name."""

_COMMENT = re.compile(r"(^|\s)#.*$")


def load(path: Path) -> dict[str, Any]:
    """The config as plain dicts and lists, `${env:…}` not replaced.

    Raises StackError that names file and line where it is not YAML or not a config.
    """
    return parse(read(path), path)


def parse(text: str, path: Path) -> dict[str, Any]:
    """`load` of a text; `path` is where errors say that it stands."""
    root = _compose(text, path)
    try:
        config = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as broken:
        reason = " ".join(str(broken).split())
        raise StackError(f"{shown(path)}: not a collector config, {reason}") from None
    if root is None or not isinstance(config, dict):
        raise StackError(
            f"{shown(path)} holds no collector config",
            "it needs receivers, exporters and service at the left margin",
        )
    try:
        _refuse_duplicates(root, path)
    except RecursionError:
        raise StackError(
            f"{shown(path)} names itself within itself", "look at its & and *"
        ) from None
    return config


def read(path: Path) -> str:
    """The config's text. Raises StackError where there is none."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError as failed:
        raise StackError(
            f"the collector's config {shown(path)} cannot be read ({failed.strerror})",
            "put the file back, or set COLLECTOR_CONFIG to the one to use",
        ) from None
    except UnicodeDecodeError as failed:
        raise StackError(
            f"the collector's config {shown(path)} is not UTF-8 text (byte {failed.start})",
            "save it as UTF-8",
        ) from None


def shown(path: Path) -> str:
    """`path` as short as it can be typed from here."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def env_defaults(text: str) -> dict[str, str]:
    """Every `${env:NAME:-default}` outside of comments: the default by name.

    Raises StackError for a name with two different defaults.
    """
    found: dict[str, tuple[str, int]] = {}
    for number, name, default in _references(text):
        if default is None:
            continue
        known, first = found.setdefault(name, (default, number))
        if known != default:
            raise StackError(
                f"{name} has two defaults in the collector's config: "
                f"{known!r} in line {first}, {default!r} in line {number}",
                "give it the same one in both",
            )
    return {name: default for name, (default, _) in found.items()}


def env_required(text: str) -> dict[str, int]:
    """Every `${env:NAME}` without a default outside of comments: the line by name.

    `${NAME}`, as vendors' snippets have it, is the same to the collector.
    """
    found: dict[str, int] = {}
    for number, name, default in _references(text):
        if default is None:
            found.setdefault(name, number)
    return found


def _references(text: str) -> Iterator[tuple[int, str, str | None]]:
    """Line, name and default of each variable outside of comments."""
    for number, line in enumerate(text.splitlines(), start=1):
        for match in REFERENCE.finditer(_COMMENT.sub("", line)):
            if match["name"]:
                yield number, match["name"], match["default"]


def escaped(value: str) -> str:
    """A variable's value as it has to be handed to the collector for it to arrive as it is.

    The collector looks for `${…}` in what a variable holds, too, and makes one `$` of two
    (open-telemetry/opentelemetry-collector#8215). One thing is left: behind a value that holds
    `${…}` another variable of the same text is not replaced (#15867 there, mended after v0.159).
    """
    return value.replace("$", "$$")


def unescaped(value: str) -> str:
    """What the collector makes of `escaped`."""
    return value.replace("$$", "$")


def go_memory_limit(config: Mapping[str, Any]) -> str | None:
    """GOMEMLIMIT for a collector with this config: where its memory_limiter begins to refuse.

    The limiter counts garbage too. Without this, three requests of 8 MiB make it refuse everybody's
    data for a second or two while most of the heap is garbage. None where there is no limiter.
    """
    processors = config.get("processors")
    limiter = processors.get("memory_limiter") if isinstance(processors, dict) else None
    if not isinstance(limiter, dict):
        return None
    limit, spike = limiter.get("limit_mib"), limiter.get("spike_limit_mib")
    if not isinstance(limit, int):
        return None
    # Upstream's default for the spike.
    return f"{limit - (spike if isinstance(spike, int) else limit // 5)}MiB"


def _compose(text: str, path: Path) -> yaml.Node | None:
    try:
        return yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as broken:
        mark = broken.problem_mark or broken.context_mark
        where = f"{shown(path)}:{mark.line + 1}" if mark else shown(path)
        raise StackError(
            f"{where}: broken YAML, {broken.problem or broken.context}",
            "look at the indentation and the colons there and in the line above",
        ) from None
    except (yaml.YAMLError, RecursionError) as broken:
        raise StackError(f"{shown(path)}: broken YAML, {' '.join(str(broken).split())}") from None


def _refuse_duplicates(node: yaml.Node, path: Path) -> None:
    """PyYAML keeps the last of two equal keys in silence; the collector refuses the file."""
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _refuse_duplicates(item, path)
    if not isinstance(node, yaml.MappingNode):
        return
    seen: dict[str, int] = {}
    for key, value in node.value:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode):
            raise StackError(f"{shown(path)}:{line}: a key is a word, and this is none")
        if key.value in seen:
            raise StackError(
                f"{shown(path)}:{line}: {key.value} stands here a second time "
                f"(first in line {seen[key.value]})",
                "keep one of them, or give it a name of its own like "
                f"{component_type(str(key.value))}/2",
            )
        seen[key.value] = line
        _refuse_duplicates(value, path)
