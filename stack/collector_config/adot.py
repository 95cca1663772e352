"""The config in the form that ADOT can run, and what is lost by that."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from stack.collector_config.distribution import KINDS, component_type, missing_components
from stack.errors import StackError

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


def for_adot(config: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """`config` without what ADOT lacks, and a sentence for each thing that is lost by it.

    What a `forward` connects becomes whole pipelines. Another connector is left out where it
    exports and where it receives; a pipeline that has no receiver or no exporter any more goes with
    it.
    """
    form: dict[str, Any] = copy.deepcopy(dict(config))
    _join_forwarded(form)
    losses: list[str] = []
    gone: dict[str, set[str]] = {kind: set() for kind in KINDS}
    _delete_by_name(form)
    for missing in missing_components(form, "adot"):
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


def _join_forwarded(form: dict[str, Any]) -> None:
    """ADOT has no connectors: in the place of each `forward`, pipelines from end to end."""
    connectors = form.get("connectors") or {}
    for name in [name for name in connectors if component_type(name) == "forward"]:
        service = form["service"]
        service["pipelines"] = dict(_joined(service["pipelines"], name))
        del connectors[name]
    if not connectors:
        form.pop("connectors", None)


def _joined(pipelines: Mapping[str, Any], forward: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every pipeline behind `forward` once for each pipeline of its signal that leads there."""
    for name, pipeline in pipelines.items():
        behind = forward in (pipeline.get("receivers") or ())
        rest = {**pipeline}
        for end in ("receivers", "exporters"):
            rest[end] = [other for other in pipeline.get(end) or () if other != forward]
        if rest["receivers"] and rest["exporters"]:
            yield name, rest
        leading = [
            (source, way)
            for source, way in pipelines.items()
            if behind
            and forward in (way.get("exporters") or ())
            and component_type(source) == component_type(name)
        ]
        for number, (source, way) in enumerate(leading):
            first = number == 0 and not rest["receivers"]
            yield (
                name if first else f"{name}/{source.partition('/')[2] or source}",
                {
                    "receivers": way.get("receivers") or [],
                    "processors": [
                        *(way.get("processors") or ()),
                        *(pipeline.get("processors") or ()),
                    ],
                    "exporters": rest["exporters"],
                },
            )


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
