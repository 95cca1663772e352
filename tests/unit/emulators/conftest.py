"""The emulators in this process, once for all tests here: each test has its own trace ids."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config

from emulators.aws.settings import Settings
from emulators.client import Client
from emulators.inprocess import running

SETTINGS = Settings()


@pytest.fixture(scope="session")
def shared() -> Iterator[Client]:
    with running() as client:
        yield client


@pytest.fixture
def emulators(shared: Client) -> Iterator[Client]:
    """Well before and after each test."""
    yield shared
    shared.heal()


@pytest.fixture
def trace_id() -> str:
    return secrets.token_hex(16)


@pytest.fixture
def aws(emulators: Client) -> Callable[..., Any]:
    """Makes boto3 clients that reach the emulators, by default with the key they know."""

    def client(
        service: str,
        *,
        key: str = SETTINGS.access_key_id,
        secret: str = SETTINGS.secret_access_key,
        region: str = "us-east-1",
        endpoint: str | None = None,
    ) -> Any:
        vendor = "xray" if service == "xray" else "aws"
        return boto3.client(
            service,  # type: ignore[call-overload]
            endpoint_url=endpoint or emulators.address(vendor),
            region_name=region,
            aws_access_key_id=key,
            aws_secret_access_key=secret,
            config=Config(
                retries={"total_max_attempts": 1},
                connect_timeout=60,
                read_timeout=300,
                proxies={},
            ),
        )

    return client


@pytest.fixture
def group(aws: Callable[..., Any]) -> str:
    """A log group of the test's own, with the stream `backend-flask`."""
    name = f"cruddur-{secrets.token_hex(6)}"
    logs = aws("logs")
    logs.create_log_group(logGroupName=name)
    logs.create_log_stream(logGroupName=name, logStreamName="backend-flask")
    return name
