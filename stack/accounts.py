"""The vendors' APIs as the operator's own commands reach them, with the keys of each account."""

from __future__ import annotations

from stack.provision.account import Target
from stack.settings import Settings
from stack.vendors import vendor
from stack.vendors.aws import CLOUDWATCH, XRAY
from stack.vendors.honeycomb.api import Honeycomb

HERE = "127.0.0.1"
"""Where a command, which is never in a container, reaches the emulators."""


def aws_target(settings: Settings) -> Target:
    """The account that the collector sends to, or the emulators that play it."""
    xray, cloudwatch = vendor(settings, XRAY, HERE), vendor(settings, CLOUDWATCH, HERE)
    keys = xray.collector
    played = {
        "xray": xray.url,
        "logs": cloudwatch.url,
        "cloudwatch": cloudwatch.url,
        "cloudformation": cloudwatch.url,
        "sts": cloudwatch.url,
    }
    return Target(
        region=settings.aws_region,
        endpoints={} if xray.live else played,
        access_key_id=keys.get("AWS_ACCESS_KEY_ID"),
        secret_access_key=keys.get("AWS_SECRET_ACCESS_KEY"),
        session_token=keys.get("AWS_SESSION_TOKEN"),
        profile=keys.get("AWS_PROFILE"),
    )


def honeycomb(settings: Settings) -> Honeycomb:
    """The Honeycomb team that the collector sends to, or the emulator."""
    played = vendor(settings, "honeycomb", HERE)
    return Honeycomb(played.url, played.collector["HONEYCOMB_API_KEY"])


def is_live(settings: Settings, name: str) -> bool:
    return vendor(settings, name, HERE).live
