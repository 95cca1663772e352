"""OTLP_ACCESS: who does not show what is asked for gets nothing in; who does is served."""

from __future__ import annotations

import dataclasses
import secrets
import socket
import ssl
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from stack import fragments
from stack.access import AUTHORITY, FRAGMENTS, TOKEN, Access
from stack.certificates import make
from stack.waiting import wait_for
from tests.security.sending import NOBODY_HERE, Sender, bearer
from tests.unit.collector.running import CONFIG, Collector, running

pytestmark = [pytest.mark.collector, pytest.mark.only_native]

WAYS = {"tls": ("tls",), "mtls": ("mtls",), "token": ("token",), "both": ("mtls", "token")}

UNAUTHORIZED = ("401", "UNAUTHENTICATED")
NO_HANDSHAKE = (NOBODY_HERE, "UNAVAILABLE")
NOT_TLS = (f"400 or {NOBODY_HERE}", "UNAVAILABLE")
"""Go answers plain HTTP on a TLS port with 400 and hangs up, which can be seen first."""


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest, ours: Access) -> Access:
    return dataclasses.replace(ours, ways=WAYS[request.param])


@pytest.fixture
def collector(way: Access, binary: Path, tmp_path: Path) -> Iterator[Collector]:
    with guarded(way, binary, tmp_path) as started:
        yield started


def guarded(way: Access, binary: Path, folder: Path) -> AbstractContextManager[Collector]:
    """The collector with its config as shipped, and the fragments of `way`."""
    parts = [fragments.load_file(FRAGMENTS / f"{name}.yaml") for name in way.fragments]
    config = folder / "config.yaml"
    config.write_text(fragments.merge(CONFIG.read_text(), parts))
    return running(binary, folder, config, {"OTLP_SERVER_SECRETS": str(way.server)})


def right(way: Access) -> Sender:
    return Sender(
        trusts=way.client if way.encrypted else None,
        shows=way.client if way.mutual else None,
        header=bearer(way) if way.by_token else "",
    )


def wrong(way: Access, theirs: Access) -> Iterator[tuple[str, Sender, tuple[str, str]]]:
    """Each has everything right but one thing; with how it is refused by HTTP and by gRPC."""
    good = right(way)
    if way.encrypted:
        yield "plain", dataclasses.replace(good, trusts=None, shows=None), NOT_TLS
        yield "trusts another", dataclasses.replace(good, trusts=theirs.client), NO_HANDSHAKE
    if way.mutual:
        yield "no certificate", dataclasses.replace(good, shows=None), NO_HANDSHAKE
        yield "another's", dataclasses.replace(good, shows=theirs.client), NO_HANDSHAKE
    if way.by_token:
        token = good.header.removeprefix("Bearer ")
        for name, header in {
            "no token": "",
            "another token": bearer(theirs),
            "the token's beginning": good.header[:-1],
            "more than the token": f"{good.header}0",
            "another scheme": f"Basic {token}",
            "no scheme": token,
        }.items():
            yield name, dataclasses.replace(good, header=header), UNAUTHORIZED


def test_only_who_shows_what_is_asked_for_gets_in(
    collector: Collector, way: Access, theirs: Access
) -> None:
    http, grpc = (int(collector.environment[f"OTLP_{name}_PORT"]) for name in ("HTTP", "GRPC"))
    refused: list[str] = []

    for name, sender, (by_http, by_grpc) in wrong(way, theirs):
        refused += [secrets.token_hex(16), secrets.token_hex(16)]
        assert sender.send(http, refused[-2]) in by_http, name
        assert sender.send_grpc(grpc, refused[-1]) == by_grpc, name
    taken = [secrets.token_hex(16), secrets.token_hex(16)]
    assert right(way).send(http, taken[0]) == "200"
    assert right(way).send_grpc(grpc, taken[1]) == "OK"

    # What was refused came first, so it would be in the file by now.
    collector.wait_for_file("traces", taken[0])
    written = collector.wait_for_file("traces", taken[1])
    assert refused
    assert [trace_id for trace_id in refused if trace_id in written] == []


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tls_of_old_is_refused(ours: Access, binary: Path, tmp_path: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(ours.client / AUTHORITY)
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")

    with guarded(dataclasses.replace(ours, ways=("tls",)), binary, tmp_path) as collector:
        address = ("127.0.0.1", int(collector.environment["OTLP_HTTP_PORT"]))
        with (
            socket.create_connection(address, timeout=60) as plain,
            pytest.raises(ssl.SSLError, match="PROTOCOL_VERSION"),
        ):
            context.wrap_socket(plain, server_hostname="127.0.0.1")


def test_a_new_token_is_taken_beside_the_old_one_without_a_restart(
    binary: Path, tmp_path: Path
) -> None:
    # given
    way = Access(("token",), tmp_path / "server", tmp_path / "client")
    make(way.server, way.client, ["127.0.0.1"])
    old, new = right(way), Sender(header=f"Bearer {secrets.token_hex(32)}")
    with guarded(way, binary, tmp_path) as collector:
        port = int(collector.environment["OTLP_HTTP_PORT"])
        assert new.send(port, secrets.token_hex(16)) == "401"
        # when
        with (way.server / TOKEN).open("a") as tokens:
            tokens.write(new.header.removeprefix("Bearer ") + "\n")
        # then
        wait_for(
            "the new token to be taken",
            lambda: new.send(port, secrets.token_hex(16)),
            until=lambda status: status == "200",
            seconds=60,
        )
        assert old.send(port, secrets.token_hex(16)) == "200"
