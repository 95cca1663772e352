"""Other vendors: `collector/vendors/*.yaml`, each a part of a collector config to be merged in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from stack import jaeger
from stack.collector_config.files import APPENDED
from stack.collector_config.text import REFERENCE, parse, unescaped
from stack.errors import StackError
from stack.suggest import suggest

ROOT = Path(__file__).resolve().parent.parent
VENDORS = Path("collector/vendors")

AWS_ENDPOINTS = {
    "XRAY_OTLP_ENDPOINT": ("xray", "/v1/traces"),
    "CLOUDWATCH_OTLP_LOGS_ENDPOINT": ("logs", "/v1/logs"),
    "CLOUDWATCH_OTLP_METRICS_ENDPOINT": ("monitoring", "/v1/metrics"),
}
"""What follows from the region: the service's host and the path."""

Keys = tuple[str, ...]


@dataclass(frozen=True)
class Fragment:
    """`file` as people type it, seen from the project's folder."""

    name: str
    file: str
    text: str
    tree: Mapping[str, Any]


def names(root: Path = ROOT) -> tuple[str, ...]:
    """Every fragment there is, in alphabetical order."""
    return tuple(sorted(file.stem for file in (root / VENDORS).glob("*.yaml")))


def load(name: str, root: Path = ROOT) -> Fragment:
    """One fragment. Raises StackError for a name that is not there and for a broken file."""
    known = names(root)
    if name not in known:
        raise StackError(
            f"WITH names {name}, and {VENDORS} has no {name}.yaml", suggest(name.lower(), known)
        )
    return load_file(VENDORS / f"{name}.yaml", root)


def load_file(file: Path, root: Path = ROOT) -> Fragment:
    """The fragment in `root/file`. Raises StackError for a broken one."""
    text = (root / file).read_text(encoding="utf-8")
    return Fragment(file.stem, str(file), text, parse(text, root / file))


def variables(fragment: Fragment) -> dict[str, str | None]:
    """What the fragment reads from its environment: the default by name, None without one."""
    found: dict[str, str | None] = {}
    for text in _strings(fragment.tree):
        for match in REFERENCE.finditer(text):
            if match["name"]:
                found[match["name"]] = match["default"]
    return found


def required_keys(fragment: Fragment) -> tuple[str, ...]:
    """The variables without a default, in the order of the file."""
    return tuple(name for name, default in variables(fragment).items() if default is None)


def all_variables(root: Path = ROOT) -> frozenset[str]:
    """Every name that any fragment reads."""
    return frozenset(name for one in names(root) for name in variables(load(one, root)))


def aws_endpoint(name: str, region: str, emulator: str | None) -> str | None:
    """The value of one of AWS's endpoints, None for another name.

    `emulator`: the URL of what plays AWS, None where AWS is live.
    """
    if name not in AWS_ENDPOINTS:
        return None
    service, path = AWS_ENDPOINTS[name]
    return (emulator or f"https://{service}.{region}.amazonaws.com") + path


def check_keys(
    fragments: Iterable[Fragment], environment: Mapping[str, str], root: Path = ROOT
) -> None:
    """Raise StackError for the first key that is not set, or empty, or names a file that is not
    there: the collector would say so only when it runs.
    """
    for fragment in fragments:
        for name in required_keys(fragment):
            if not environment.get(name, "").strip():
                state = "empty" if name in environment else "not set"
                raise StackError(
                    f"{name} is {state}; {fragment.file} needs it",
                    "put it in .env" + (f"; {jaeger.HOW}" if name == jaeger.ENDPOINT else ""),
                )
            file = unescaped(environment[name])
            if name.endswith("_FILE") and not (root / file).is_file():
                raise StackError(
                    f"{name} is {file}, and there is no such file",
                    f"put its path right, seen from {root}",
                )


def merge(
    base: str, fragments: Sequence[Fragment], base_file: str = "collector/otel-config.yaml"
) -> str:
    """`base` with the fragments in it: its lines and comments as they are, `${env:…}` as text.

    Maps are merged, `service.extensions` is added to. Raises StackError where two of the files
    give one key different values; it names both.
    """
    sources = [(base_file, parse(base, Path(base_file)))]
    text = base
    for fragment in fragments:
        tree = yaml.safe_load(text)
        wanted = _merged(tree, fragment.tree, (), fragment.file, sources)
        text = _insert(text, fragment, wanted)
        sources.append((fragment.file, dict(fragment.tree)))
    return text


def _strings(node: Any) -> Iterator[str]:
    if isinstance(node, str):
        yield node
    elif isinstance(node, dict):
        for key, value in node.items():
            yield from _strings(key)
            yield from _strings(value)
    elif isinstance(node, list):
        for value in node:
            yield from _strings(value)


def _merged(
    first: Any,
    second: Mapping[str, Any],
    keys: Keys,
    file: str,
    sources: Sequence[tuple[str, Mapping[str, Any]]],
) -> dict[str, Any]:
    result = dict(first or {})
    for key, value in second.items():
        path = (*keys, str(key))
        known = result.get(key)
        if key not in result or (known is None and isinstance(value, dict)):
            result[key] = value
        elif isinstance(known, dict) and isinstance(value, dict):
            result[key] = _merged(known, value, path, file, sources)
        elif path == APPENDED and isinstance(known, list) and isinstance(value, list):
            result[key] = [*known, *(one for one in value if one not in known)]
        elif known != value:
            other = next(name for name, tree in sources if _holds(tree, path))
            raise StackError(
                f"{other} and {file} both set {'.'.join(path)}, to different values",
                "give one of them another name, or leave one file out",
            )
    return result


def _holds(tree: Any, keys: Keys) -> bool:
    for key in keys:
        if not isinstance(tree, dict) or key not in tree:
            return False
        tree = tree[key]
    return True


def _insert(text: str, fragment: Fragment, wanted: Mapping[str, Any]) -> str:
    """The fragment's own lines behind those of the section that they belong to.

    A file written in a way that this cannot follow is written anew: its comments are lost then,
    its meaning is not.
    """
    lines = fragment.text.splitlines(keepends=True)
    base = yaml.compose(text, Loader=yaml.SafeLoader)
    part = yaml.compose(fragment.text, Loader=yaml.SafeLoader)
    edits = [*_edits(base, part, text.splitlines(keepends=True), lines, fragment.file)]
    # From the end, so that what is to come stays where it is; of two in one place the inner first.
    for at, _, added in sorted(((at, n, one) for n, (at, one) in enumerate(edits)), reverse=True):
        text = text[:at] + added + text[at:]
    try:
        if yaml.safe_load(text) == wanted:
            return text
    except yaml.YAMLError:
        pass  # written anew below
    return yaml.safe_dump(dict(wanted), sort_keys=False, allow_unicode=True, width=1 << 20)


def _edits(
    base: Any, part: Any, base_lines: Sequence[str], part_lines: Sequence[str], file: str
) -> Iterator[tuple[int, str]]:
    """Where in the base what is to be added, as (offset, text)."""
    known = {key.value: value for key, value in base.value}
    indent = 0 if base.flow_style else base.value[0][0].start_mark.column
    fresh = []
    for key, value in part.value:
        below = known.get(key.value)
        if below is None and base.flow_style:
            one = yaml.MappingNode(part.tag, [(key, value)], flow_style=True)
            written = yaml.serialize(one, Dumper=yaml.SafeDumper, width=1 << 20).strip()[1:-1]
            yield base.end_mark.index - 1, f", {written}" if known else written
        elif below is None:
            own = part_lines[key.start_mark.line : max(_last_line(key), _last_line(value)) + 1]
            fresh.append("".join(_moved(own, indent - key.start_mark.column)))
        elif isinstance(below, yaml.MappingNode) and isinstance(value, yaml.MappingNode):
            yield from _edits(below, value, base_lines, part_lines, file)
        elif isinstance(below, yaml.SequenceNode) and below.flow_style:
            held = {item.value for item in below.value}
            more = [item.value for item in value.value if item.value not in held]
            if more:
                yield below.end_mark.index - 1, "".join(f", {name}" for name in more)
    if fresh:
        line = _last_line(base)
        at = sum(len(one) for one in base_lines[: line + 1])
        end = "" if base_lines[line].endswith("\n") else "\n"
        yield at, f"{end}\n{' ' * indent}# From {file}\n{''.join(fresh)}"


def _moved(lines: Iterable[str], by: int) -> Iterator[str]:
    for line in lines:
        ended = line if line.endswith("\n") else f"{line}\n"
        yield " " * by + ended if by > 0 and ended.strip() else ended[-by if by < 0 else 0 :]


def _last_line(node: Any) -> int:
    """The last line that holds something of `node`, from 0. An alias counts where it points to."""
    if isinstance(node, yaml.MappingNode) and not node.flow_style:
        return max(
            (max(_last_line(key), _last_line(value)) for key, value in node.value),
            default=node.start_mark.line,
        )
    if isinstance(node, yaml.SequenceNode) and not node.flow_style:
        return max((_last_line(item) for item in node.value), default=node.start_mark.line)
    end = node.end_mark
    # A block of text ends where the next thing begins.
    return int(end.line - 1 if end.column == 0 and end.line > node.start_mark.line else end.line)
