"""Who of a published config's vendors the stack has already."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from stack.fragments import load, names
from stack.published.keys import PLACEHOLDER

AWS = {
    "awsxray": ("XRAY_ENDPOINT", "traces", 50, 50),
    "awsemf": ("CLOUDWATCH_LOGS_ENDPOINT", "metrics", 512, 2000),
    "awscloudwatchlogs": ("CLOUDWATCH_LOGS_ENDPOINT", "logs", 512, 2000),
}
"""The variable without which an exporter would find a laptop's own credentials and be live unasked,
the signal, and the sizes of a batch."""

OTLP_OF_AWS = {"xray": "xray-otlp", "logs": "cloudwatch-otlp", "monitoring": "cloudwatch-otlp"}
"""The fragment by AWS's host: it sends to an emulator until AWS_TELEMETRY=live."""


def same_vendor(
    kind: str, body: Mapping[str, Any], base: Mapping[str, Any], root: Path
) -> tuple[str, str]:
    """The exporter of `base`, or the fragment, that sends where an exporter of this type does; ""
    twice where none does.
    """
    exporters = section(base, "exporters")
    if kind in AWS:
        return (kind if kind in exporters and not body.keys() - {"region"} else "", "")
    host = host_of(body)
    of_aws = re.fullmatch(r"(\w+)\.[\w-]+\.amazonaws\.com", host)
    if of_aws and of_aws[1] in OTLP_OF_AWS:
        return "", OTLP_OF_AWS[of_aws[1]]
    known = [(name, "", other or {}) for name, other in exporters.items()]
    for name in names(root):
        others = load(name, root).tree.get("exporters", {})
        known += [("", name, other) for other in others.values()]
    # Where the host is for a variable to say, a header may tell whose it is; many take this one.
    telling = set() if host else headers_of(body).keys() - {"authorization"}
    for there, fragment, other in known:
        if (host and host == host_of(other)) or telling & headers_of(other).keys():
            return there, fragment
    return "", ""


def section(tree: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """A part of a config that is a mapping; empty where it is none."""
    found = tree.get(kind)
    return {str(name): body for name, body in found.items()} if isinstance(found, dict) else {}


def headers_of(body: Mapping[str, Any]) -> dict[str, str]:
    """An exporter's headers, their names in lower case."""
    return {name.lower(): str(value) for name, value in section(body, "headers").items()}


def host_of(body: Mapping[str, Any]) -> str:
    """Where an exporter sends by itself; "" where a variable is to say it."""
    for key, value in body.items():
        if key.endswith("endpoint") and isinstance(value, str):
            plain = re.sub(r"\$\{env:\w+:-([^}]*)\}", r"\1", value)
            plain = PLACEHOLDER.sub("x", re.sub(r"\$\{[^}]*\}", "x", plain))
            try:
                host = urlsplit(plain if "://" in plain else f"//{plain}").hostname or ""
            except ValueError:
                return ""
            return host if "." in host else ""
    return ""
