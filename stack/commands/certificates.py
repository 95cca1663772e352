"""`make certificates`: what OTLP_ACCESS needs, for this machine alone."""

from __future__ import annotations

from stack.certificates import DAYS, make
from stack.console import console
from stack.errors import StackError
from stack.services import COLLECTOR_HOSTS
from stack.settings import ROOT, Settings, load_settings


def run() -> None:
    """Make certificates and a token for this machine, good for 30 days."""
    settings = load_settings(ROOT)
    for name in ("otlp_server_secrets", "otlp_client_secrets"):
        if getattr(settings, name) != Settings.model_fields[name].default:
            raise StackError(
                f"{name.upper()} names a folder of your own, which is not written to",
                "take it out of .env, or put your files there yourself",
            )
    access = settings.access
    make(access.server, access.client, ("localhost", *COLLECTOR_HOSTS.values()))
    made = f"{settings.otlp_server_secrets} and {settings.otlp_client_secrets}"
    console.print(f"made what is in {made}, good for {DAYS} days", soft_wrap=True)
    ways = ",".join(settings.otlp_access)
    console.print(f"OTLP_ACCESS={ways or 'mtls,token'} in .env, then `make up`", soft_wrap=True)
