"""The collector's config: read, held against what each distribution has, checked by its binary."""

from __future__ import annotations

import copy
import difflib
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from stack.errors import StackError
from stack.program import ProgramError, run

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

CONFIG_FILE = Path("collector/otel-config.yaml")
DISTRIBUTIONS = Path(__file__).resolve().parent.parent / "collector/distributions"
KINDS = ("receivers", "processors", "exporters", "connectors", "extensions")

VALIDATE_SECONDS = 30

# What a reader loses with a component that ADOT does not have, by component type.
ADOT_LOSSES = {
    "transform": (
        "the fix for the doubled port in X-Ray's URLs, and names of spans that no path can multiply"
    ),
    "redaction": (
        "masking of secrets inside values (query strings, messages, log bodies); attributes that "
        "are secret by their name are deleted"
    ),
}

_DEFAULT = re.compile(r"\$\{env:(?P<name>[A-Za-z_][A-Za-z0-9_]*):-(?P<default>[^}]*)\}")
_REQUIRED = re.compile(r"(?<!\$)\$\{env:(?P<name>[A-Za-z_][A-Za-z0-9_]*)\}")
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


def env_defaults(text: str) -> dict[str, str]:
    """Every `${env:NAME:-default}` outside of comments: the default by name.

    Raises StackError for a name with two different defaults.
    """
    found: dict[str, tuple[str, int]] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        for match in _DEFAULT.finditer(_COMMENT.sub("", line)):
            name, default = match["name"], match["default"]
            known, first = found.setdefault(name, (default, number))
            if known != default:
                raise StackError(
                    f"{name} has two defaults in the collector's config: "
                    f"{known!r} in line {first}, {default!r} in line {number}",
                    "give it the same one in both",
                )
    return {name: default for name, (default, _) in found.items()}


def env_required(text: str) -> dict[str, int]:
    """Every `${env:NAME}` without a default outside of comments: the line by name."""
    found: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        for match in _REQUIRED.finditer(_COMMENT.sub("", line)):
            found.setdefault(match["name"], number)
    return found


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


@cache
def components(distribution: str) -> Mapping[str, frozenset[str]]:
    """Component types that `contrib` or `adot` has, by kind (`receivers`, …)."""
    listed = yaml.safe_load((DISTRIBUTIONS / f"{distribution}.yaml").read_text())
    return {kind: frozenset(listed[kind]) for kind in KINDS}


def missing_components(config: Mapping[str, Any], distribution: str) -> list[str]:
    """What `config` defines and the distribution does not have, as `kind/id`."""
    has = components(distribution)
    return [
        f"{kind}/{name}"
        for kind in KINDS
        for name in config.get(kind) or {}
        if component_type(name) not in has[kind]
    ]


def component_type(name: str) -> str:
    """`file` of `file/traces`."""
    return name.partition("/")[0]


def for_adot(config: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """`config` without what ADOT lacks, and a sentence for each thing that is lost by it.

    A connector is left out where it exports and where it receives; a pipeline that has no
    receiver or no exporter any more goes with it.
    """
    form: dict[str, Any] = copy.deepcopy(dict(config))
    losses: list[str] = []
    gone: dict[str, set[str]] = {kind: set() for kind in KINDS}
    _delete_by_name(form)
    for missing in missing_components(config, "adot"):
        kind, _, name = missing.partition("/")
        gone[kind].add(name)
        del form[kind][name]
        if not form[kind]:
            del form[kind]
        what = ADOT_LOSSES.get(component_type(name))
        losses.append(f"{kind.removesuffix('s')} {name}" + (f": {what}" if what else ""))
    _drop_authenticators(form, gone["extensions"], losses)
    service = form.get("service") or {}
    _drop_from_list(service, "extensions", gone["extensions"])
    pipelines = service.get("pipelines") or {}
    for name, pipeline in list(pipelines.items()):
        _drop_from_list(pipeline, "receivers", gone["receivers"] | gone["connectors"])
        _drop_from_list(pipeline, "processors", gone["processors"])
        _drop_from_list(pipeline, "exporters", gone["exporters"] | gone["connectors"])
        if not pipeline.get("receivers") or not pipeline.get("exporters"):
            del pipelines[name]
            losses.append(f"pipeline {name}: nothing is left that it could join")
    return form, losses


def _delete_by_name(form: dict[str, Any]) -> None:
    """Beside each `redaction` an `attributes` that deletes what the other would have masked."""
    processors = form.get("processors") or {}
    stands_for = {}
    for name, body in list(processors.items()):
        patterns = component_type(name) == "redaction" and (body or {}).get("blocked_key_patterns")
        if patterns:
            stands_for[name] = f"attributes/{name.replace('/', '-')}"
            processors[stands_for[name]] = {
                "actions": [{"action": "delete", "pattern": pattern} for pattern in patterns]
            }
    for pipeline in ((form.get("service") or {}).get("pipelines") or {}).values():
        if pipeline.get("processors"):
            pipeline["processors"] = [
                both
                for name in pipeline["processors"]
                for both in (name, stands_for.get(name))
                if both
            ]


def render_for_adot(config: Mapping[str, Any]) -> tuple[str, list[str]]:
    """`for_adot` as YAML text. Comments are lost with it."""
    form, losses = for_adot(config)
    head = "# The collector's config in the form that ADOT can run.\n" + "".join(
        f"# Not in ADOT: {loss}\n" for loss in losses
    )
    return head + yaml.safe_dump(form, sort_keys=False, allow_unicode=True, width=100), losses


def validate(
    binary: Path | Sequence[str],
    config_path: Path,
    env: Mapping[str, str],
    sources: Sequence[Path] = (),
) -> None:
    """Ask `binary`, or a command line that runs it, whether it would start with this config.

    `sources`: the files that people edit, where `config_path` was made of them; errors then name
    these. Raises StackError of one line: what is wrong, in which file and line, what it may have
    meant.
    """
    text = read(config_path)
    written = {source: read(source) for source in sources} or {config_path: text}
    file = _File(written, parse(text, config_path))
    command = [str(binary)] if isinstance(binary, Path) else [*binary]
    try:
        run(
            [*command, "validate", "--config", str(config_path)],
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


def shown(path: Path) -> str:
    """`path` as short as it can be typed from here."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


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


def _drop_from_list(owner: dict[str, Any], key: str, names: set[str]) -> None:
    if owner.get(key):
        owner[key] = [name for name in owner[key] if name not in names]


def _drop_authenticators(form: dict[str, Any], extensions: set[str], losses: list[str]) -> None:
    for kind in ("receivers", "exporters"):
        for name, body in (form.get(kind) or {}).items():
            for owner in _with_auth(body):
                if owner["auth"].get("authenticator") in extensions:
                    lost = owner.pop("auth")["authenticator"]
                    if kind == "receivers":
                        raise StackError(
                            f"ADOT has no {component_type(lost)}: receiver {name} would take from "
                            "everybody",
                            "ask for certificates instead (OTLP_ACCESS=mtls)",
                        )
                    losses.append(f"authentication of {kind.removesuffix('s')} {name} by {lost}")


def _with_auth(body: Any) -> Iterable[dict[str, Any]]:
    if not isinstance(body, dict):
        return
    if isinstance(body.get("auth"), dict):
        yield body
    for value in body.values():
        yield from _with_auth(value)


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
        _suggest(wrong, valid),
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
        _suggest(name, defined) if defined else f"define it under {kind}s, or take it out",
    )


def _invalid_key(said: str, key: str, file: _File) -> StackError:
    owner = _named_component(said)
    if not owner:
        return StackError(
            f"{file.at((key,))}: a collector config has no section {key}",
            _suggest(key, (*KINDS, "service")),
        )
    component = f"{owner[0].removesuffix('s')} {owner[1]}"
    return StackError(
        f"{file.at_key(owner, key)}: {component} knows no setting {key}",
        "look for a typing error, or take the line out",
    )


def _suggest(wrong: str, valid: Iterable[str]) -> str:
    names = sorted(valid)
    close = difflib.get_close_matches(wrong, names, n=1)
    return f"did you mean {close[0]}?" if close else f"use one of: {', '.join(names)}"


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
