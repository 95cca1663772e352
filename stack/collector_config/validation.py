"""The collector's own word on a config, as one line that says where."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from stack.collector_config import resolved
from stack.collector_config.distribution import (
    KINDS,
    component_type,
    components,
    missing_components,
)
from stack.collector_config.files import config_arguments, load_together
from stack.collector_config.resolved import Config
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
    file = replace(resolved.read(sources or config, {}), tree=load_together(config))
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


def _validate_by_list(file: Config) -> None:
    # ADOT's command has no `validate`: its list of components is all that can be known before.
    for missing in missing_components(file.tree, "adot"):
        kind, _, name = missing.partition("/")
        raise _unknown_type(kind, name, components("adot")[kind], file)


def _explain(output: str, file: Config) -> StackError:
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
    if "the logging exporter has been deprecated" in said:
        name = next(n for n in file.section("exporters") if component_type(n) == "logging")
        return StackError(
            f"{file.at(('exporters', name))}: there is no exporter of type logging any more",
            "call it debug, and what it has as loglevel verbosity: basic, normal or detailed",
        )
    keys = re.search(r"has invalid keys: ([^\s,]+)", said)
    if keys:
        return _invalid_key(said, keys[1], file)
    reason = re.sub(r"failed to get config: |cannot \w+ the configuration: ", "", said)
    reason = re.sub(r"decoding failed due to the following error\(s\): |'' ", "", reason)
    return StackError(f"{file.at(_named_component(said))}: {reason}")


def _unknown_type(kind: str, name: str, valid: Iterable[str], file: Config) -> StackError:
    wrong = component_type(name)
    of = "" if wrong == name else f" (of {name})"
    where = file.at((kind, name))
    config = where.rpartition(":")[0]
    todo = suggest(wrong, sorted(valid))
    if wrong in components("contrib")[kind]:
        # Not misspelt: somebody's config for a collector that has more.
        todo = (
            f"take it out; `make import FILE={config}` turns a config from elsewhere into our form"
        )
    return StackError(
        f"{where}: this collector has no {kind.removesuffix('s')} of type {wrong}{of}", todo
    )


def _undefined(place: str, kind: str, name: str, file: Config) -> StackError:
    defined = list(file.tree.get(f"{kind}s") or {})
    if kind in {"receiver", "exporter"}:
        defined += list(file.tree.get("connectors") or {})
    where = tuple(place.split("::"))
    user = "service.extensions"
    if where[1] == "pipelines":
        user, where = f"pipeline {where[2]}", (*where, f"{kind}s")
    return StackError(
        f"{file.at(where)}: {user} uses {kind} {name}, which is not defined under {kind}s",
        suggest(name, sorted(defined)) if defined else f"define it under {kind}s, or take it out",
    )


def _invalid_key(said: str, key: str, file: Config) -> StackError:
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
