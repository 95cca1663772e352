"""Whose address telemetry gets, and how much of it."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from flask import request
from otel_stack_distro.client_address import ClientAddress

from tests.unit.services.conftest import MakeClient

PROXY = "10.0.0.9"


def settled(known: ClientAddress, forwarded: str | None = None, peer: str = PROXY) -> Any:
    environ = {"REMOTE_ADDR": peer, "REMOTE_PORT": "4711", "HTTP_X_REAL_IP": "203.0.113.99"}
    if forwarded is not None:
        environ["HTTP_X_FORWARDED_FOR"] = forwarded
    known.settle(environ)
    return environ.get("REMOTE_ADDR")


@pytest.mark.parametrize(
    ("proxies", "forwarded", "address"),
    [
        # Everybody can send the header, so nobody is believed without being told.
        (0, "203.0.113.7", PROXY),
        (1, "203.0.113.7", "203.0.113.7"),
        (1, "198.51.100.1, 203.0.113.7", "203.0.113.7"),
        (2, "198.51.100.1, 203.0.113.7, 10.0.0.1", "203.0.113.7"),
        (1, "203.0.113.7:5678", "203.0.113.7"),
        (1, "[2001:db8::1]:5678", "2001:db8::1"),
        (1, "::ffff:203.0.113.7", "203.0.113.7"),
        # Less than was promised, or no address: it did not come through the proxies.
        (2, "203.0.113.7", PROXY),
        (1, None, PROXY),
        (1, "", PROXY),
        (1, "' OR 1=1", PROXY),
        (1, "unknown", PROXY),
    ],
)
def test_a_forwarded_address_is_believed_as_far_as_the_proxies_are(
    proxies: int, forwarded: str | None, address: str
) -> None:
    assert settled(ClientAddress(trusted_proxies=proxies), forwarded) == address


@pytest.mark.parametrize(
    ("scheme", "host", "port"),
    [
        ("https", "3000-name.ws-eu.gitpod.io", "443"),
        ("http", "app.example", "80"),
        ("https", "app.example:8443", "8443"),
        ("http", "[2001:db8::1]:4567", "4567"),
        ("http", "[2001:db8::1]", "80"),
        ("http", "app.example:port", "80"),
        ("http", f"app.example:{'9' * 5000}", "80"),
        ("http", "", "80"),
    ],
)
def test_the_port_is_the_one_that_was_asked(scheme: str, host: str, port: str) -> None:
    """Behind a proxy the server listens on another one, and X-Ray's URL is made of it."""
    environ = {"HTTP_HOST": host, "wsgi.url_scheme": scheme, "SERVER_PORT": "4567"}
    ClientAddress().settle(environ)
    assert environ["SERVER_PORT"] == port


@pytest.mark.parametrize(
    ("peer", "network"),
    [
        ("203.0.113.77", "203.0.113.0"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1::"),
        ("::ffff:203.0.113.77", "203.0.113.0"),
        ("", None),
    ],
)
def test_of_an_address_the_network_or_nothing_can_be_kept(peer: str, network: str | None) -> None:
    assert settled(ClientAddress(detail="network"), peer=peer) == network
    assert settled(ClientAddress(detail="none"), peer=peer) is None


@pytest.mark.parametrize("detail", ["network", "none"])
def test_then_no_other_header_tells_it(
    make_client: MakeClient,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    detail: str,
) -> None:
    # given
    monkeypatch.setenv("CLIENT_ADDRESS", detail)
    monkeypatch.setenv("TRUSTED_PROXIES", "1")
    client, seen = make_client(), {}
    client.application.before_request(lambda: seen.update(_environ()))
    caplog.set_level(logging.INFO)
    # when
    client.get(
        "/nothing",
        headers={"X-Forwarded-For": "203.0.113.77", "X-Real-IP": "203.0.113.77"},
        environ_base={"REMOTE_ADDR": PROXY, "REMOTE_PORT": "4711"},
    )
    # then neither what the app sees nor what it logs has the address
    assert "203.0.113.77" not in str(seen)
    (record,) = [one for one in caplog.records if one.name == "access"]
    expected = {"network": "203.0.113.0", "none": None}[detail]
    assert vars(record).get("client.address") == expected
    assert vars(record).get("security_client") == expected
    assert vars(record)["security_event"] == "not_found"


def _environ() -> dict[str, Any]:
    return {name: value for name, value in request.environ.items() if isinstance(value, str)}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TRUSTED_PROXIES", "-1"),
        ("TRUSTED_PROXIES", "9"),
        ("TRUSTED_PROXIES", "one"),
        ("TRUSTED_PROXIES", "²"),
        ("CLIENT_ADDRESS", "half"),
    ],
)
def test_a_wrong_setting_is_one_line_that_names_it(name: str, value: str) -> None:
    with pytest.raises(ValueError, match=f"^{name} is '.*'. It has to be ") as error:
        ClientAddress.from_environ({name: value})
    assert "\n" not in str(error.value)


def test_without_settings_the_peer_is_the_client() -> None:
    assert ClientAddress.from_environ({}) == ClientAddress(trusted_proxies=0, detail="full")
    assert settled(ClientAddress(), "203.0.113.7", "192.0.2.7") == "192.0.2.7"
