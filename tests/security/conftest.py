"""What the tests of who gets in share; a stack of its own starts where a test asks for one."""

from __future__ import annotations

from pathlib import Path

import pytest

from stack.access import Access
from stack.certificates import make
from stack.collector_build import ensure_collector_binary
from stack.settings import ROOT


@pytest.fixture(scope="session")
def binary() -> Path:
    """Our own build: compiled when it is not there yet, so that no test is left out."""
    return ensure_collector_binary(ROOT)


@pytest.fixture(scope="session")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Access:
    """What the collector trusts, and what its own senders show."""
    return _made(tmp_path_factory.mktemp("ours"))


@pytest.fixture(scope="session")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Access:
    """As good in itself, by an authority that nobody here trusts, and with another token."""
    return _made(tmp_path_factory.mktemp("theirs"))


def _made(folder: Path) -> Access:
    access = Access(("mtls", "token"), folder / "server", folder / "client")
    make(access.server, access.client, ("127.0.0.1", "localhost"))
    return access
