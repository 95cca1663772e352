from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import trustme

from emulators.client import Client
from emulators.core.settings import Settings
from emulators.inprocess import running
from emulators.otlp.settings import Settings as OtlpSettings
from stack.collector_build import ensure_collector_binary
from stack.fragments import Fragment
from stack.settings import ROOT
from tests.unit.collector.running import Collector
from tests.unit.fragments.delivery import Play, addressed, collector_with, fragment
from tests.unit.fragments.expectations import WANTED, rules_for


@pytest.fixture(scope="session")
def binary() -> Path:
    return ensure_collector_binary(ROOT)


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
def every_emulator(certificates: Path) -> Iterator[Callable[[str], Client]]:
    """The emulators of this worker by how their OTLP ports use TLS, started when asked for."""
    with ExitStack() as running_ones:

        @cache
        def started(tls: str) -> Client:
            otlp = OtlpSettings()
            if tls != "none":
                otlp = replace(
                    otlp,
                    tls_cert=str(certificates / "server.pem"),
                    tls_key=str(certificates / "server.key"),
                )
            if tls == "mutual":
                otlp = replace(otlp, tls_client_ca=str(certificates / "ca.pem"))
            return running_ones.enter_context(running(Settings(of_vendors=(otlp,))))

        yield started


@pytest.fixture
def play(
    binary: Path, tmp_path: Path, certificates: Path, every_emulator: Callable[[str], Client]
) -> Play:
    """Run our collector with a fragment, and an emulator that goes by its vendor's rules.

    `part`: another form of the fragment. `signal`: whose rules hold. `files`: other certificates,
    by the name of their variable.
    """

    @contextmanager
    def play(
        name: str,
        part: Fragment | None = None,
        *,
        signal: str = "",
        files: Mapping[str, str] | None = None,
    ) -> Iterator[tuple[Collector, Client]]:
        wanted = WANTED[name]
        client = every_emulator(wanted.tls)
        others = {key: str(certificates / file) for key, file in (files or {}).items()}
        environment = addressed(wanted, client, certificates) | others
        with collector_with(binary, tmp_path, part or fragment(name), environment) as collector:
            # Only now: the last test's collector may have left a request that was under way.
            client.reset(everything=True)
            client.expect(rules_for(wanted, signal))
            yield collector, client

    return play


@pytest.fixture
def trace_id() -> str:
    return secrets.token_hex(16)
