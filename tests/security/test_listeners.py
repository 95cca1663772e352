"""Every socket that the stack listens on is on loopback, until OTLP_BIND opens OTLP's two."""

from __future__ import annotations

import ipaddress
import json
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from stack.page_build import can_serve_page
from stack.settings import ROOT
from stack.waiting import wait_for
from tests.integration.harness.checkout import Checkout, running_checkout
from tests.security.sending import VERIFY
from tools.test_machine.engine import state

OTLP = {"OTLP_GRPC_PORT", "OTLP_HTTP_PORT"}

Address = tuple[str, int]


@pytest.fixture(scope="module")
def checkout(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Checkout]:
    runtime = request.config.getoption("--runtime")
    page = runtime == "native" and can_serve_page(ROOT)
    with running_checkout(tmp_path_factory.mktemp("checkout"), runtime, page=page) as made:
        yield made


def listening(processes: list[psutil.Process]) -> set[Address]:
    """Addresses on which these processes take connections or, by UDP, whatever comes."""
    found = set()
    for process in processes:
        try:
            connections = process.net_connections("inet")
        except psutil.Error:
            continue  # gone by now
        found |= {
            (connection.laddr.ip, connection.laddr.port)
            for connection in connections
            if connection.status == psutil.CONN_LISTEN
            or (connection.type.name == "SOCK_DGRAM" and not connection.raddr)
        }
    return found


def beyond(addresses: Iterable[Address]) -> set[Address]:
    """Those among them that are not on loopback."""
    return {address for address in addresses if not _is_loopback(address[0])}


def _is_loopback(ip: str) -> bool:
    address = ipaddress.ip_address(ip)
    # gRPC's own listeners are IPv6 sockets that hold an IPv4 address.
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


def published(checkout: Checkout) -> set[Address]:
    """What the engine publishes of the project's containers."""
    ids = [one for one in checkout.containers() if _is_container(one)]
    inspected: list[dict[str, Any]] = json.loads(
        subprocess.run(["docker", "inspect", *ids], capture_output=True, check=True).stdout
    )
    return {
        (binding["HostIp"], int(binding["HostPort"]))
        for one in inspected
        for bindings in one["NetworkSettings"]["Ports"].values()
        for binding in bindings or ()
    }


def _is_container(one: str) -> bool:
    kind = ["docker", "inspect", "--type=container", one]
    return subprocess.run(kind, capture_output=True, check=False).returncode == 0


def reached(checkout: Checkout) -> set[Address]:
    """Where somebody finds this stack, whichever runtime runs it."""
    if checkout.settings["RUNTIME"] == "native":
        return listening(checkout.processes())
    return published(checkout)


def expected_ports(checkout: Checkout) -> set[int]:
    native = checkout.settings["RUNTIME"] == "native"
    left_out = {"FRONTEND_PORT"} if checkout.settings["PAGE"] == "off" else set()
    left_out |= set() if native else {"AWSPROXY_PORT"}
    # The hop is in the forms for other collectors, not in our own config.
    names = set(checkout.ports) - left_out - {"XRAY_DAEMON_UDP_PORT", "AWS_HOP_PORT"}
    return {checkout.ports[name] for name in names}


def warnings(checkout: Checkout) -> list[str]:
    """What doctor warns of."""
    said = json.loads(checkout.run("doctor", "--json").output.strip().splitlines()[-1])
    return [one["what"] for one in said["findings"] if one["verdict"] == "warning"]


def test_as_shipped_nothing_is_reached_from_another_machine(checkout: Checkout) -> None:
    found = reached(checkout)

    assert beyond(found) == set()
    # Each port is seen, so that a process that this test cannot look into does not pass it.
    assert {port for _, port in found} == expected_ports(checkout)


@pytest.mark.only_native
def test_supervisor_is_asked_through_a_socket_of_its_owner(checkout: Checkout) -> None:
    supervisor = psutil.Process(int((checkout.run_dir / "supervisord.pid").read_text()))

    assert listening([supervisor]) == set()
    paths = {str(one.laddr) for one in supervisor.net_connections("unix")}
    # It binds under a name with its pid, and moves that to where it is asked.
    [path] = {Path(found[: found.index(".sock") + 5]) for found in paths if ".sock" in found}
    assert path.stat().st_mode & 0o777 == 0o700


def test_an_engine_that_was_started_here_listens_on_no_network(checkout: Checkout) -> None:
    if checkout.settings["RUNTIME"] == "native":
        pytest.skip("about the engine")
    record = state.read()
    if record is None:
        pytest.skip("the engine here was started by somebody else")
    daemon = psutil.Process(record.pid)

    family = [daemon, *daemon.children(recursive=True)]

    assert beyond(listening(family)) == set()


def test_two_words_open_otlp_and_nothing_else_and_doctor_says_so(checkout: Checkout) -> None:
    # given
    assert checkout.run("certificates").code == 0
    checkout.settings |= {"OTLP_BIND": "0.0.0.0", "OTLP_ACCESS": "mtls"}  # noqa: S104
    # when
    up = checkout.run("up")
    # then
    assert up.code == 0, up.output
    opened = {port for _, port in beyond(reached(checkout))}
    assert opened == {checkout.ports[name] for name in OTLP}
    # A check has six seconds, which a busy machine may not give it at once.
    wait_for(
        "doctor to warn of it",
        lambda: warnings(checkout),
        until=lambda said: any("OTLP_BIND=0.0.0.0" in what for what in said),
        seconds=120,
    )
    verified = checkout.run(*VERIFY)
    assert verified.code == 0, verified.output
