"""The emulator's account, as `make provision` sees it."""

from __future__ import annotations

from emulators.aws.settings import Settings
from emulators.client import Client
from stack.provision.account import Target


def target_of(emulators: Client) -> Target:
    aws, keys = emulators.address("aws"), Settings()
    return Target(
        "eu-west-1",
        {"xray": emulators.address("xray"), "logs": aws, "cloudwatch": aws, "sts": aws},
        keys.access_key_id,
        keys.secret_access_key,
    )
