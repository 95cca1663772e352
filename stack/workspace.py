"""Cloud workspaces: each port of the machine has an https host name of its own there."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

PORT = "{port}"
FORM = r"^https://[A-Za-z0-9.-]*\{port\}[A-Za-z0-9.-]+$"
CODESPACES_DOMAIN = "app.github.dev"


def settings_of(environ: Mapping[str, str]) -> dict[str, str]:
    """PUBLIC_URL, the address of a port as browsers reach it, with `{port}` in the number's place;
    nothing on a machine of one's own.
    """
    gitpod = urlsplit(environ.get("GITPOD_WORKSPACE_URL", ""))
    if gitpod.hostname:
        return {"PUBLIC_URL": f"https://{PORT}-{gitpod.hostname}"}
    codespace = environ.get("CODESPACE_NAME")
    if codespace:
        domain = environ.get("GITHUB_CODESPACES_PORT_FORWARDING_DOMAIN") or CODESPACES_DOMAIN
        return {"PUBLIC_URL": f"https://{codespace}-{PORT}.{domain}"}
    return {}
