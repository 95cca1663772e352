from __future__ import annotations

import secrets
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import trustme

from stack.collector_build import ensure_collector_binary
from stack.settings import ROOT
from standins.inprocess import running
from standins.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from standins.client import Client


@pytest.fixture(scope="session")
def binary() -> Path:
    return ensure_collector_binary(ROOT)


@pytest.fixture(scope="session")
def plain_standins() -> Iterator[Client]:
    with running() as client:
        yield client


@pytest.fixture
def standins(plain_standins: Client) -> Client:
    """The stand-ins of this worker, holding nothing and demanding nothing."""
    plain_standins.reset(everything=True)
    return plain_standins


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ca.pem, and a pair of .pem and .key for `server`, `client` and `stranger`."""
    folder = tmp_path_factory.mktemp("certificates")
    ours, theirs = trustme.CA(), trustme.CA()
    ours.cert_pem.write_to_path(folder / "ca.pem")
    for name, authority in (("server", ours), ("client", ours), ("stranger", theirs)):
        issued = authority.issue_cert("127.0.0.1", "localhost")
        issued.cert_chain_pems[0].write_to_path(folder / f"{name}.pem")
        issued.private_key_pem.write_to_path(folder / f"{name}.key")
    return folder


@pytest.fixture(scope="session")
def tls_standins(certificates: Path) -> Iterator[Client]:
    """The stand-ins with mutual TLS on the generic OTLP port."""
    settings = replace(
        Settings(),
        otlp_tls_cert=str(certificates / "server.pem"),
        otlp_tls_key=str(certificates / "server.key"),
        otlp_tls_client_ca=str(certificates / "ca.pem"),
    )
    with running(settings) as client:
        yield client


@pytest.fixture
def trace_id() -> str:
    return secrets.token_hex(16)
