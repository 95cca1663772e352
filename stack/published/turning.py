"""A published config as a fragment: exporters with queues, pipelines, keys in `.env`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from stack.collector_config.distribution import component_type
from stack.errors import StackError
from stack.fragments import Fragment, load, names, required_keys, variables
from stack.published.keys import PLACEHOLDER, Keys, as_variables
from stack.published.known import AWS, headers_of, host_of, same_vendor, section

CLEAN = "forward/clean"
SIGNALS = ("traces", "metrics", "logs")

TODAY = {"otlp": "otlp_grpc", "logging": "debug"}
"""Exporters; other old names lack underscores alone."""

HERE_ALREADY = {
    "batch": "exporters batch in their queues, where nothing is lost",
    "memory_limiter": f"there is one before {CLEAN}",
    "debug": "add `debug` to a pipeline to look at what passes",
    "file": "there is a local record (`make logs`)",
    "nop": "it does nothing",
}

CURES = {
    "awsxray": "`WITH=xray-daemon` takes the X-Ray SDK's segments",
    "resourcedetection": "75 MB of cloud SDKs; set OTEL_RESOURCE_ATTRIBUTES where the services run",
    "statsd": "send OTLP to the stack instead",
    "metricstransform": "`transform` renames metrics, too",
}
NOT_HERE = "the collector has none of its type"
OTLP_SNIPPET = "look whether the vendor takes OTLP, and import the snippet for that"


@dataclass
class Imported:
    """`tree`: the fragment, empty where the stack has all of it. `keys`: what `.env` has to hold,
    and what is known of it. `fragments`: those that do a part. `changed`, `lost`: sentences.
    """

    name: str
    file: str
    tree: dict[str, Any] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    fragments: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)

    @property
    def fragment(self) -> Fragment:
        """The fragment with its text."""
        text = yaml.safe_dump(
            self.tree, sort_keys=False, default_flow_style=None, allow_unicode=True, width=100
        )
        told = variables(Fragment(self.name, self.file, text, self.tree))
        width = max(map(len, told), default=0)
        head = [f"From {_one_line(self.file)}, by `make import`."]
        for number, (name, default) in enumerate(told.items()):
            note = self.keys.get(name, "") if default is None else f"({default})"
            head += ([] if number else [""]) + [f"  {name:{width}}   {_one_line(note)}"]
        comment = "".join(f"# {line}".rstrip() + "\n" for line in head)
        body = re.sub(r"^(?=\w)", "\n", text, flags=re.MULTILINE)
        return Fragment(self.name, self.file, comment + body, self.tree)


def turn(
    published: Mapping[str, Any],
    into: Imported,
    base: Mapping[str, Any],
    has: Mapping[str, frozenset[str]],
    root: Path,
) -> Imported:
    """Fill `into` with what of `published` fits into `base`, the stack's config. `has`: the
    collector's component types. Without a name `into` is called as its vendor.

    Raises StackError where nothing of it can be had.
    """
    source = {kind: section(published, kind) for kind in (*has, "service")}
    return _Turning(source, into, base, has, root).turned()


@dataclass
class _Turning:
    """`called`: what an exporter or a processor is called here, by kind and name, None where it is
    left out. `before`: processors that an exporter of ours wants before it.
    """

    source: Mapping[str, dict[str, Any]]
    into: Imported
    base: Mapping[str, Any]
    has: Mapping[str, frozenset[str]]
    root: Path

    def __post_init__(self) -> None:
        self.keys = Keys(self.into.file)
        self.chosen = self.into.name
        self.used: set[str] = set()
        self.new: dict[str, dict[str, Any]] = {kind: {} for kind in (*self.has, "pipelines")}
        self.called: dict[tuple[str, str], str | None] = {}
        self.before: dict[str, list[str]] = {}

    def turned(self) -> Imported:
        pipelines = self._pipelines()
        self.used = {name for one in pipelines.values() for name in one["exporters"]}
        exporters = self.source["exporters"]
        vendors = {self._vendor(name, section(exporters, name)) for name in self.used}
        if not self.into.name:
            known = vendors - {""}
            stem = _slug(Path(self.into.file).stem)
            self.into.name = known.pop() if len(known) == 1 else stem or "imported"
        for name, pipeline in pipelines.items():
            self._pipeline(name, pipeline)
        for name in dict.fromkeys(one for each in pipelines.values() for one in each["receivers"]):
            self._receiver(name)
        self._fill()
        sends = any(new for (kind, _), new in self.called.items() if kind == "exporters")
        if not (sends or self.into.fragments):
            why = "; ".join(self.into.lost) or "it sends nothing anywhere"
            raise StackError(f"nothing of {self.into.file} can be had: {why}", OTLP_SNIPPET)
        return self.into

    def _pipelines(self) -> dict[str, dict[str, list[str]]]:
        """The source's; of a snippet without any one for each signal of its exporters."""
        found = section(self.source["service"], "pipelines") or {
            signal: {
                "exporters": [
                    name
                    for name in self.source["exporters"]
                    if AWS.get(component_type(name), ("", signal))[1] == signal
                ],
                "processors": list(self.source["processors"]),
            }
            for signal in SIGNALS
        }
        kinds = ("receivers", "processors", "exporters")
        whole = {name: {kind: _listed(found[name], kind) for kind in kinds} for name in found}
        if not any(_from_otlp(pipeline) for pipeline in whole.values()):
            for name, pipeline in whole.items():
                instead = ", ".join(pipeline["receivers"])
                self._change(f"pipeline {name} gets what the stack takes in, not {instead}")
                pipeline["receivers"] = []
        return whole

    def _pipeline(self, name: str, pipeline: Mapping[str, list[str]]) -> None:
        signal = component_type(name)
        if signal not in SIGNALS or not _from_otlp(pipeline):
            self._lose(f"pipeline {name}", "it has nothing that the stack takes in")
            return
        kept = [new for new in map(self._processor, pipeline["processors"]) if new]
        for exporter in pipeline["exporters"]:
            if exporter in self.source["connectors"]:
                self._lose(f"connector {exporter}", "data goes from the stack to vendors alone")
                continue
            new = self._exporter(exporter)
            if new in self.new["exporters"]:
                self._add(signal, [*kept, *self.before.get(new, ())], new)
            elif new and kept:
                self._before_base(name, new, kept)

    def _exporter(self, name: str) -> str | None:
        key = ("exporters", name)
        if key not in self.called:
            self.called[key] = self._new_exporter(name, section(self.source["exporters"], name))
        return self.called[key]

    def _new_exporter(self, name: str, body: Mapping[str, Any]) -> str | None:
        kind = self._type("exporters", name)
        if kind in HERE_ALREADY:
            self._change(f"exporter {name} is left out: {HERE_ALREADY[kind]}")
            return None
        if kind == "coralogix":
            kind, body = "otlp_grpc", self._coralogix(name, body)
        elif kind not in self.has["exporters"]:
            if kind in names(self.root):
                self._take_fragment(name, kind)
            else:
                self._lose(f"exporter {name}", CURES.get(kind, OTLP_SNIPPET))
            return None
        there, fragment = same_vendor(kind, body, self.base, self.root)
        if fragment:
            self._take_fragment(name, fragment)
            return None
        if there:
            self._use_base(name, there, body)
            return there
        return self._own(name, kind, body)

    def _own(self, name: str, kind: str, body: Mapping[str, Any]) -> str:
        part = _slug(name.partition("/")[2]) or self.into.name
        if self.chosen:
            part = self.chosen if len(self.used) == 1 else f"{self.chosen}-{part}"
        new = f"{kind}/{part}"
        settings = self.keys.replace(part, {key: body[key] for key in body if key != "auth"})
        if "auth" in body:
            settings |= self._auth(name, part, str(section(body, "auth").get("authenticator")))
        endpoint, _, smallest, largest = AWS.get(kind, ("", "", 512, 2000))
        if endpoint:
            self._region(body)
            if "endpoint" in body:
                self._lose(f"endpoint of exporter {name}", "the stack says whether AWS is live")
            settings |= {
                "region": "${env:AWS_REGION:-us-east-1}",
                "endpoint": f"${{env:{endpoint}:-}}",
            }
            if kind in section(self.base, "exporters"):
                self._change(
                    f"{kind} stays, and sends the same to AWS as {new}: delete one of them"
                )
        if kind == "awsemf":
            settings["retain_initial_value_of_delta_metric"] = True
            self.before[new] = ["cumulativetodelta/lost", "cumulativetodelta"]
        if kind == "otlp_grpc" and "resource/coralogix" in self.new["processors"]:
            self.before[new] = ["resource/coralogix"]
        self.new["exporters"][new] = settings | {
            "retry_on_failure": {"max_elapsed_time": 0},
            "sending_queue": {
                "storage": "file_storage",
                "sizer": "items",
                "queue_size": 200000,
                "batch": {"flush_timeout": "1s", "min_size": smallest, "max_size": largest},
            },
        }
        self._change(f"exporter {name} is {new}, with a queue on disk")
        return new

    def _auth(self, name: str, part: str, authenticator: str) -> dict[str, Any]:
        kind = self._type("extensions", authenticator)
        if kind not in self.has["extensions"]:
            self._lose(f"extension {authenticator}", f"exporter {name} has no authentication now")
            return {}
        body = self.source["extensions"].get(authenticator)
        self.new["extensions"][f"{kind}/{part}"] = self.keys.replace(part, body)
        return {"auth": {"authenticator": f"{kind}/{part}"}}

    def _coralogix(self, name: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Coralogix's own exporter is OTLP over gRPC, with two names in the resource."""
        attributes = [
            {
                "key": f"cx.{what}.name",
                "value": self.keys.replace("coralogix", body[f"{what}_name"], f"{what}_name"),
                "action": "upsert",
            }
            for what in ("application", "subsystem")
            if f"{what}_name" in body
        ]
        if attributes:
            self.new["processors"]["resource/coralogix"] = {"attributes": attributes}
        known = {"domain", "private_key", "application_name", "subsystem_name", "timeout"}
        for setting in sorted(body.keys() - known):
            self._lose(f"setting {setting} of exporter {name}", "OTLP has no word for it")
        domain = PLACEHOLDER.sub("<domain>", str(body.get("domain", "<domain>")))
        return {
            "endpoint": f"ingress.{domain}:443",
            "headers": {"Authorization": f"Bearer {body.get('private_key', '<private key>')}"},
        }

    def _take_fragment(self, name: str, fragment: str) -> None:
        self._change(f"exporter {name} is WITH={fragment}; no processor is before it")
        self.into.fragments.append(fragment)
        for key in required_keys(load(fragment, self.root)):
            self.into.keys[key] = f"for {fragment}"

    def _use_base(self, name: str, there: str, body: Mapping[str, Any]) -> None:
        self._change(f"exporter {name} is {there}: the stack sends there already")
        self._region(body)
        own = self.base["exporters"][there] or {}
        for key in required_keys(Fragment(there, "", "", {there: own})):
            self.into.keys[key] = f"for {there}"
        known = headers_of(own)
        for header, value in headers_of(body).items():
            here = known.get(header, "")
            # Without a default it is a key, and in `.env`.
            if not re.fullmatch(r"\$\{env:\w+\}", here) and f":-{value}}}" not in here:
                self._lose(f"header {header} of exporter {name}", f"{there} has its own")

    def _region(self, body: Mapping[str, Any]) -> None:
        region = body.get("region")
        if isinstance(region, str) and "$" not in region:
            self.into.keys["AWS_REGION"] = region

    def _add(self, signal: str, processors: Iterable[str], exporter: str) -> None:
        name = wanted = f"{signal}/{exporter.partition('/')[2]}"
        number = 2
        while name in self.new["pipelines"]:
            name, number = f"{wanted}-{number}", number + 1
        body = {"receivers": [CLEAN], "processors": [*processors], "exporters": [exporter]}
        self.new["pipelines"][name] = {kind: listed for kind, listed in body.items() if listed}

    def _before_base(self, name: str, exporter: str, processors: list[str]) -> None:
        """Give `processors` to the pipeline by which the base's exporter gets this signal."""
        for there, body in section(section(self.base, "service"), "pipelines").items():
            if component_type(there) != component_type(name) or exporter not in body["exporters"]:
                continue
            if body.get("processors") or there in self.new["pipelines"]:
                self._lose(f"pipeline {name}", f"put {', '.join(processors)} into {there} by hand")
            else:
                self.new["pipelines"][there] = {
                    "receivers": list(body["receivers"]),
                    "processors": list(processors),
                    "exporters": list(body["exporters"]),
                }

    def _processor(self, name: str) -> str | None:
        key = ("processors", name)
        if key not in self.called:
            self.called[key] = self._new_processor(name)
        return self.called[key]

    def _new_processor(self, name: str) -> str | None:
        kind = self._type("processors", name)
        if kind in HERE_ALREADY:
            self._change(f"processor {name} is left out: {HERE_ALREADY[kind]}")
            return None
        if kind not in self.has["processors"]:
            self._lose(f"processor {name}", CURES.get(kind, NOT_HERE))
            return None
        body, known = self.source["processors"].get(name), section(self.base, "processors")
        if name in known and known[name] == body:
            return name
        own = name.partition("/")[2]
        fresh = name if own and name not in known else f"{kind}/{self.into.name}"
        fresh += f"-{own}" if own and fresh != name else ""
        self.new["processors"][fresh] = as_variables(body)
        return fresh

    def _receiver(self, name: str) -> None:
        kind = component_type(name)
        if kind != "otlp" and name not in self.source["connectors"]:
            self._lose(f"receiver {name}", CURES.get(kind, NOT_HERE))
        elif name in self.source["receivers"]:
            self._change(f"receiver {name} is the stack's, on the stack's ports")

    def _fill(self) -> None:
        pipelines = self.new["pipelines"]
        if pipelines:
            named = {one for each in pipelines.values() for one in each.get("processors", ())}
            processors = {n: body for n, body in self.new["processors"].items() if n in named}
            extensions = self.new["extensions"]
            tree = {
                "extensions": extensions,
                "processors": processors,
                "exporters": self.new["exporters"],
            }
            service = {"extensions": list(extensions)} if extensions else {}
            tree["service"] = {**service, "pipelines": pipelines}
            self.into.tree = {kind: body for kind, body in tree.items() if body}
        asked = required_keys(Fragment("", "", "", self.into.tree))
        notes = {name: self.keys.notes.get(name, f"as in {self.into.file}") for name in asked}
        self.into.keys = {**notes, **self.into.keys}

    def _type(self, kind: str, name: str) -> str:
        """The component's type as it is called today."""
        written = component_type(name)
        if kind == "exporters" and written in TODAY:
            return TODAY[written]
        bare = written.replace("_", "")
        return next((one for one in self.has[kind] if one.replace("_", "") == bare), written)

    def _vendor(self, name: str, body: Mapping[str, Any]) -> str:
        """What the receiving end is called, "" where a fragment is better called as its file."""
        kind = self._type("exporters", name)
        if kind == "coralogix":
            return kind
        if not kind.startswith("otlp_") or any(same_vendor(kind, body, self.base, self.root)):
            return ""
        *_, domain, last = ["", "", *host_of(body).split(".")]
        return _slug(name.partition("/")[2]) or ("" if last.isdigit() else _slug(domain))

    def _change(self, what: str) -> None:
        if what not in self.into.changed:
            self.into.changed.append(what)

    def _lose(self, what: str, why: str) -> None:
        if f"{what}: {why}" not in self.into.lost:
            self.into.lost.append(f"{what}: {why}")


def _from_otlp(pipeline: Mapping[str, list[str]]) -> bool:
    """Whether it takes OTLP in; a snippet often leaves that out."""
    receivers = pipeline["receivers"]
    return not receivers or "otlp" in map(component_type, receivers)


def _listed(pipeline: Any, kind: str) -> list[str]:
    written = pipeline.get(kind) if isinstance(pipeline, dict) else None
    return [str(one) for one in written] if isinstance(written, list) else []


def _one_line(text: str) -> str:
    """A comment that holds what others wrote ends where it should."""
    return " ".join(text.split())


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
