"""Which vendor gets which signal by which exporter, read from the collector's config."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from stack.vendors import vendor_of_type

SIGNALS = ("traces", "metrics", "logs")
LOCAL_RECORD = "local record"
LOOPBACK = ("127.0.0.1", "localhost", "::1", "0.0.0.0")  # noqa: S104 — compared, not bound

VENDOR_OF_TYPE = {"file": LOCAL_RECORD, **vendor_of_type()}
"""By exporter type, where the exporter's name does not say it (`otlp_http/honeycomb` does)."""


@dataclass(frozen=True)
class Route:
    """`queue`: the exporter whose queue holds what this vendor has not got yet; `exporter` itself,
    or the loopback hop in front of it.
    """

    vendor: str
    signal: str
    exporter: str
    queue: str


def routes(config: Mapping[str, Any]) -> list[Route]:
    """Every route of a config, in the order of signals and of the pipelines' lists.

    `config` is loaded and its `${env:…}` are replaced: a hop is known by its port.
    """
    pipelines: Mapping[str, Any] = config.get("service", {}).get("pipelines", {})
    hops = _hops(config)
    found = []
    for signal in SIGNALS:
        behind = {
            hops[exporter]: exporter
            for exporter in _exporters(pipelines, signal)
            if exporter in hops
        }
        for name, pipeline in pipelines.items():
            if _type(name) != signal:
                continue
            hop = next((behind[r] for r in pipeline["receivers"] if r in behind), None)
            if hop is None and set(hops.values()).issuperset(pipeline["receivers"]):
                continue  # its loopback exporter is in no pipeline: nothing comes in here
            found += [
                Route(vendor(exporter), signal, exporter, hop or exporter)
                for exporter in pipeline["exporters"]
                if exporter not in hops and exporter not in config.get("connectors", {})
            ]
    return list(dict.fromkeys(found))


def front_receivers(config: Mapping[str, Any]) -> list[str]:
    """The receivers that take what is not the collector's own: those behind no hop."""
    behind = set(_hops(config).values())
    return [receiver for receiver in config.get("receivers") or {} if receiver not in behind]


def intakes(config: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Each receiver that takes what is not the collector's own, with each signal that it takes."""
    pipelines: Mapping[str, Any] = config.get("service", {}).get("pipelines", {})
    return [
        (receiver, signal)
        for receiver in front_receivers(config)
        for signal in SIGNALS
        if any(
            _type(name) == signal and receiver in pipeline["receivers"]
            for name, pipeline in pipelines.items()
        )
    ]


def vendor(exporter: str) -> str:
    """What people call the receiving end of an exporter, for example `honeycomb` or `xray`."""
    kind, _, name = exporter.partition("/")
    # One exporter a signal: otlp_http/axiom/traces.
    return VENDOR_OF_TYPE.get(kind) or name.partition("/")[0] or kind


def _exporters(pipelines: Mapping[str, Any], signal: str) -> Iterator[str]:
    for name, pipeline in pipelines.items():
        if _type(name) == signal:
            yield from pipeline["exporters"]


def _hops(config: Mapping[str, Any]) -> dict[str, str]:
    """The receiver of this same collector that an exporter sends to, by exporter."""
    listening = {
        _address(protocol["endpoint"]): receiver
        for receiver, settings in (config.get("receivers") or {}).items()
        for protocol in ((settings or {}).get("protocols") or {}).values()
        if protocol and "endpoint" in protocol
    }
    found = {}
    for exporter, settings in (config.get("exporters") or {}).items():
        port = _address(str((settings or {}).get("endpoint", "")))
        if port is not None and port in listening:
            found[exporter] = listening[port]
    return found


def _address(endpoint: str) -> int | None:
    """The port of an address on this machine; None for one elsewhere."""
    url = urlsplit(endpoint if "://" in endpoint else f"//{endpoint}")
    try:
        return url.port if url.hostname in LOOPBACK else None
    except ValueError:
        return None  # no number: no address of ours


def _type(component: str) -> str:
    return component.partition("/")[0]
