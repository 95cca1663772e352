"""OTEL_TRACES_SAMPLER_ARG in the form that the OpenTelemetry specification gives remote samplers.

`endpoint=http://127.0.0.1:2000,polling_interval=300,trust_callers=true`, each part optional.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

# Where the collector's awsproxy, ADOT and the X-Ray daemon listen unless told otherwise.
DEFAULT_ENDPOINT = "http://127.0.0.1:2000"
# A change is noticed within 10 s all the same: GetSamplingTargets tells of it.
DEFAULT_POLLING_INTERVAL = 300.0
SHORTEST_POLLING_INTERVAL = 1.0


@dataclass(frozen=True, slots=True)
class Argument:
    """`polling_interval`: seconds between two reads of the rules. `trust_callers`: whether a caller
    that does not sample its trace leaves ours out too.
    """

    host: str
    port: int
    polling_interval: float
    trust_callers: bool


def parse_argument(text: str | None) -> Argument:
    """Read the argument; None or an empty text means the defaults.

    Raises ValueError, in one line, for an unknown key, an endpoint that is not `http://host:port`,
    a polling interval under one second and a trust that is neither true nor false.
    """
    values = {
        "endpoint": DEFAULT_ENDPOINT,
        "polling_interval": str(DEFAULT_POLLING_INTERVAL),
        "trust_callers": "true",
    }
    for part in (text or "").split(","):
        if not part.strip():
            continue
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or key not in values:
            raise ValueError(
                f"OTEL_TRACES_SAMPLER_ARG has {part.strip()!r}; "
                f"known are {' and '.join(f'{name}=…' for name in values)}"
            )
        values[key] = value
    host, port = _address(values["endpoint"])
    trust = values["trust_callers"]
    if trust not in {"true", "false"}:
        raise ValueError(
            f"OTEL_TRACES_SAMPLER_ARG has trust_callers={trust!r}; write true or false"
        )
    return Argument(host, port, _seconds(values["polling_interval"]), trust == "true")


def _address(endpoint: str) -> tuple[str, int]:
    try:
        url = urlsplit(endpoint)
        host, port = url.hostname, url.port
    except ValueError:
        host, port = None, None
    else:
        if url.scheme != "http" or url.path not in ("", "/"):
            host = None
    if host is None:
        raise ValueError(
            f"OTEL_TRACES_SAMPLER_ARG has endpoint={endpoint!r}; write it as http://host:port"
        )
    return host, port or 80


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not SHORTEST_POLLING_INTERVAL <= seconds < float("inf"):
        raise ValueError(
            f"OTEL_TRACES_SAMPLER_ARG has polling_interval={text!r}; write seconds, 1 or more"
        )
    return seconds
