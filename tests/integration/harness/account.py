"""The AWS account that a checkout's emulators play."""

from __future__ import annotations

from typing import Any

import boto3

from emulators.aws.settings import Settings as EmulatorSettings
from tests.integration.harness.checkout import Checkout


def aws(checkout: Checkout, service: str) -> Any:
    """AWS's own client, on the emulator."""
    played = EmulatorSettings()
    port = "EMULATOR_XRAY_PORT" if service == "xray" else "EMULATOR_AWS_PORT"
    return boto3.client(  # type: ignore[call-overload]
        service,
        region_name="us-east-1",
        endpoint_url=f"http://127.0.0.1:{checkout.ports[port]}",
        aws_access_key_id=played.access_key_id,
        aws_secret_access_key=played.secret_access_key,
    )
