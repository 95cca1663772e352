"""Whose address a request has, and how much of it telemetry gets; and the port that was asked.

It is settled in the WSGI environment, before anything looks: the span's `client.address` and
`server.port`, the access log, Rollbar's item and the alarms by client follow.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Literal, cast
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

Detail = Literal["full", "network", "none"]
_DETAILS = ("full", "network", "none")
_MOST_PROXIES = 8
# The parts that are usually taken for anonymous enough: a house or an office, not a device.
_PREFIX = {4: 24, 6: 48}
_PORT = re.compile(r":([0-9]{1,5})$")
_OTHER_PLACES = ("HTTP_FORWARDED", "HTTP_X_FORWARDED_FOR", "HTTP_X_REAL_IP", "HTTP_TRUE_CLIENT_IP")


@dataclass(frozen=True)
class ClientAddress:
    """`trusted_proxies`: how many in front of the service write `X-Forwarded-For`. 0 believes none
    of it, since everybody can send that header. `detail`: the whole address, its network (/24,
    /48), or nothing.
    """

    trusted_proxies: int = 0
    detail: Detail = "full"

    @classmethod
    def from_environ(cls, environ: Mapping[str, str] = os.environ) -> ClientAddress:
        """Raises ValueError, one line that names the variable and what it may be."""
        count = environ.get("TRUSTED_PROXIES") or "0"
        if not count.isascii() or not count.isdigit() or int(count) > _MOST_PROXIES:
            raise ValueError(f"TRUSTED_PROXIES is {count!r}. It has to be 0 to {_MOST_PROXIES}.")
        detail = environ.get("CLIENT_ADDRESS") or "full"
        if detail not in _DETAILS:
            raise ValueError(f"CLIENT_ADDRESS is {detail!r}. It has to be full, network or none.")
        return cls(int(count), cast("Detail", detail))

    def around(self, inner: WSGIApplication) -> WSGIApplication:
        """The application that settles it before `inner` and its instrumentation look."""

        def outer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
            self.settle(environ)
            return inner(environ, start_response)

        return outer

    def settle(self, environ: WSGIEnvironment) -> None:
        """Have `environ` say what telemetry may know of the client, and which port it asked: behind
        a proxy the one that the server listens on is another, and X-Ray's URL would have it.
        """
        if "HTTP_HOST" in environ:
            named = _PORT.search(environ["HTTP_HOST"])
            default = "443" if environ.get("wsgi.url_scheme") == "https" else "80"
            environ["SERVER_PORT"] = named[1] if named else default
        if self.trusted_proxies:
            hops = environ.get("HTTP_X_FORWARDED_FOR", "").split(",")
            # Each proxy appends whom it saw: what stands further left, the client may have made up.
            forwarded = hops[-self.trusted_proxies] if len(hops) >= self.trusted_proxies else ""
            address = _address(forwarded)
            if address is not None:
                environ["REMOTE_ADDR"] = address
                environ.pop("REMOTE_PORT", None)
        if self.detail == "full":
            return
        for name in (*_OTHER_PLACES, "REMOTE_PORT"):
            environ.pop(name, None)
        address = _address(environ.pop("REMOTE_ADDR", ""))
        if self.detail == "network" and address is not None:
            prefix = _PREFIX[ip_address(address).version]
            network = ip_network(f"{address}/{prefix}", strict=False)
            environ["REMOTE_ADDR"] = str(network.network_address)


def _address(text: str) -> str | None:
    """The address in an entry: some proxies add a port, and brackets to IPv6."""
    text = text.strip().strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address)
