"""The stand-in's account, as `make provision` sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stack.provision.account import Target
from standins.settings import Settings

if TYPE_CHECKING:
    from standins.client import Client


def target_of(standins: Client) -> Target:
    aws, keys = standins.address("aws"), Settings()
    return Target(
        "eu-west-1",
        {"xray": standins.address("xray"), "logs": aws, "cloudwatch": aws, "sts": aws},
        keys.aws_access_key_id,
        keys.aws_secret_access_key,
    )
