"""The collector's own word on a config, as one line that says where."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from stack.collector_config.distribution import (
    KINDS,
    component_type,
    components,
    missing_components,
)
from stack.collector_config.files import config_arguments, load_together
from stack.collector_config.text import read, shown
from stack.errors import StackError
from stack.program import ProgramError, run
from stack.suggest import suggest

VALIDATE_SECONDS = 30


def validate(
    binary: Path | Sequence[str],
    config: Sequence[Path],
    env: Mapping[str, str],
    sources: Sequence[Path] = (),
) -> None:
    """Ask `binary`, or a command line that runs it, whether it would start with this config.

    `sources`: the files that people edit, where those of `config` were made of them; errors then
    name these. Raises StackError of one line: what is wrong, in which file and line, what it may
    have meant.
    """
    file = _File({source: read(source) for source in sources or config}, load_together(config))
    command = [str(binary)] if isinstance(binary, Path) else [*binary]
    try:
        run(
            [*command, "validate", *config_arguments(config)],
            seconds=VALIDATE_SECONDS,
            environment=_without_udp_ports(env),
        )
    except ProgramError as failed:
        if 'unknown command "validate"' in failed.output:
            _validate_by_list(file)
            return
        if not failed.output.strip():
            raise StackError(f"the collector cannot check its config: {failed}") from None
        raise _explain(failed.output, file) from None


def _without_udp_ports(env: Mapping[str, str]) -> dict[str, str]:
    # `validate` builds every receiver, and awsxray binds its port when it is built: with the real
    # one it would fail beside a collector that runs.
    return {name: "0" if name.endswith("_UDP_PORT") else value for name, value in env.items()}


@dataclass(frozen=True)
class _File:
    """A config with the texts that it was made of, to say where something stands."""

    written: Mapping[Path, str]
    config: Mapping[str, Any]

    def at(self, keys: Sequence[str]) -> str:
        """`file:line` of the last of `keys` that the file holds, going down from the top."""
        path, line, _ = self._find(keys)
        return f"{shown(path)}:{line}" if line else shown(path)

    def at_key(self, owner: Sequence[str], key: str) -> str:
        """`file:line` of `key` anywhere below `owner`, of `owner` where it is not there."""
        path, owner_line, node = self._find(owner)
        line = _line_of(node, key) or owner_line
        return f"{shown(path)}:{line}" if line else shown(path)

    def _find(self, keys: Sequence[str]) -> tuple[Path, int, yaml.Node | None]:
        """In the text that holds most of `keys`, the first of those that hold as many."""
        found = [(path, *_follow(text, keys)) for path, text in self.written.items()]
        path, line, node, _ = max(found, key=lambda one: one[-1])
        return path, line, node


def _follow(text: str, keys: Sequence[str]) -> tuple[int, yaml.Node | None, int]:
    """Line and node of the last of `keys` that the text holds, and how many it holds."""
    node = yaml.compose(text, Loader=yaml.SafeLoader)
    line = depth = 0
    for key in keys:
        entries = node.value if isinstance(node, yaml.MappingNode) else ()
        found = next(((name, value) for name, value in entries if name.value == key), None)
        if found is None:
            break
        line, node = found[0].start_mark.line + 1, found[1]
        depth += 1
    return line, node, depth


def _line_of(node: yaml.Node | None, key: str) -> int:
    """The line of the first `key` below `node`, 0 where there is none."""
    for name, value in node.value if isinstance(node, yaml.MappingNode) else ():
        line = name.start_mark.line + 1 if name.value == key else _line_of(value, key)
        if line:
            return int(line)
    return 0


def _validate_by_list(file: _File) -> None:
    # ADOT's command has no `validate`: its list of components is all that can be known before.
    for missing in missing_components(file.config, "adot"):
        kind, _, name = missing.partition("/")
        raise _unknown_type(kind, name, components("adot")[kind], file)


def _explain(output: str, file: _File) -> StackError:
    """The binary's many lines as one that says where."""
    said = " ".join(output.replace("Error:", " ").split())
    unknown = re.search(
        r"'(\w+)' unknown type: \"[^\"]*\" for id: \"([^\"]+)\" \(valid values: \[([^\]]*)\]\)",
        said,
    )
    if unknown:
        kind, name, valid = unknown.groups()
        return _unknown_type(kind, name, valid.split(), file)
    undefined = re.search(
        r"(service::\S+): references (\w+) \"([^\"]+)\" which is not configured", said
    )
    if undefined:
        return _undefined(undefined[1], undefined[2], undefined[3], file)
    keys = re.search(r"has invalid keys: ([^\s,]+)", said)
    if keys:
        return _invalid_key(said, keys[1], file)
    reason = re.sub(r"failed to get config: |cannot \w+ the configuration: ", "", said)
    reason = re.sub(r"decoding failed due to the following error\(s\): |'' ", "", reason)
    return StackError(f"{file.at(_named_component(said))}: {reason}")


def _unknown_type(kind: str, name: str, valid: Iterable[str], file: _File) -> StackError:
    wrong = component_type(name)
    of = "" if wrong == name else f" (of {name})"
    return StackError(
        f"{file.at((kind, name))}: this collector has no {kind.removesuffix('s')} "
        f"of type {wrong}{of}",
        suggest(wrong, sorted(valid)),
    )


def _undefined(place: str, kind: str, name: str, file: _File) -> StackError:
    defined = list(file.config.get(f"{kind}s") or {})
    if kind in {"receiver", "exporter"}:
        defined += list(file.config.get("connectors") or {})
    where = tuple(place.split("::"))
    user = "service.extensions"
    if where[1] == "pipelines":
        user, where = f"pipeline {where[2]}", (*where, f"{kind}s")
    return StackError(
        f"{file.at(where)}: {user} uses {kind} {name}, which is not defined under {kind}s",
        suggest(name, sorted(defined)) if defined else f"define it under {kind}s, or take it out",
    )


def _invalid_key(said: str, key: str, file: _File) -> StackError:
    owner = _named_component(said)
    if not owner:
        return StackError(
            f"{file.at((key,))}: a collector config has no section {key}",
            suggest(key, (*KINDS, "service")),
        )
    component = f"{owner[0].removesuffix('s')} {owner[1]}"
    return StackError(
        f"{file.at_key(owner, key)}: {component} knows no setting {key}",
        "look for a typing error, or take the line out",
    )


def _named_component(said: str) -> tuple[str, ...]:
    """(`exporters`, `file/traces`) where the binary's message names one, or a path in `service`."""
    found = re.search(r"'(\w+)' error reading configuration for \"([^\"]+)\"", said) or re.search(
        rf"({'|'.join(KINDS)})::([\w/.-]+)", said
    )
    if found:
        return found.groups()
    service = re.search(r"service((?:(?:::|\.)[\w/-]+)+)", said)
    inside = re.search(r"' in \"([^\"]+)\" id", said)
    parts = re.split(r"::|\.", service[1])[1:] if service else []
    return ("service", *parts, *(inside.groups() if inside else ())) if service else ()
