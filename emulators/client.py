"""The control API for Python: what `stack verify`, `break` and `heal` and the tests call."""

from __future__ import annotations

from typing import Any, Self

import requests
from pydantic import BaseModel
from requests import Response

from emulators.core.faults import Mode

Json = dict[str, Any]


class EmulatorError(Exception):
    """The emulators do not answer, or refuse; the text says which and why."""


class Client:
    """Talks to one control port. Every method raises EmulatorError."""

    def __init__(self, url: str = "http://127.0.0.1:4580", timeout: float = 30.0) -> None:
        """`url` of the control port; `timeout` in seconds for each call."""
        self.url = url.rstrip("/")
        self._timeout = timeout
        self._session = requests.Session()
        # Loopback never goes through a proxy, whatever the environment says.
        self._session.trust_env = False

    def __enter__(self) -> Self:
        """For `with`."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connections."""
        self._session.close()

    def ports(self) -> dict[str, int]:
        """The port of each vendor, of `otlp_grpc` and of `control`."""
        ports: dict[str, int] = self._ask("GET", "/ports")
        return ports

    def address(self, vendor: str) -> str:
        """`http://127.0.0.1:<port>` of a vendor."""
        return f"{self.url.rpartition(':')[0]}:{self.ports()[vendor]}"

    def healthy(self) -> bool:
        """Whether the control port answers."""
        try:
            self._ask("GET", "/health")
        except EmulatorError:
            return False
        return True

    def holds(self, vendor: str, trace_id: str) -> dict[str, list[Json]]:
        """What a vendor holds of a trace, by signal; empty when nothing."""
        held: dict[str, list[Json]] = self._ask("GET", f"/holds/{vendor}/{trace_id}")
        return held

    def held_ids(self, vendor: str, trace_id: str) -> dict[str, list[str]]:
        """The senders' ids of what a vendor holds of a trace, by signal: `<trace>:<span>`."""
        ids: dict[str, list[str]] = self._ask("GET", f"/held-ids/{vendor}/{trace_id}")
        return ids

    def holds_all(self, trace_id: str) -> dict[str, dict[str, list[Json]]]:
        """What every vendor holds of a trace: vendor → signal → items."""
        held: dict[str, dict[str, list[Json]]] = self._ask("GET", f"/holds/{trace_id}")
        return held

    def items(self, vendor: str) -> str:
        """All that a vendor holds, a line of JSON each: `signal`, `id` and the `item` itself."""
        lines: str = self._answer("GET", f"/items/{vendor}").text
        return lines

    def counts(self) -> dict[str, Json]:
        """By vendor: `accepted`, `held`, `evicted` (signal → number) and `bytes`."""
        counts: dict[str, Json] = self._ask("GET", "/counts")
        return counts

    def ids(self, vendor: str, signal: str = "traces") -> dict[str, int]:
        """How often each id is held; a span's is `<trace id>:<span id>`. Above 1: a duplicate."""
        ids: dict[str, int] = self._ask("GET", f"/ids/{vendor}/{signal}")
        return ids

    def sums(self, vendor: str, signal: str = "metrics") -> dict[str, float]:
        """What the values of each data point held add up to, by its metric's name and its time."""
        sums: dict[str, float] = self._ask("GET", f"/sums/{vendor}/{signal}")
        return sums

    def arrivals(self, vendor: str, signal: str = "traces") -> dict[str, float]:
        """When each id came first, in epoch seconds."""
        arrivals: dict[str, float] = self._ask("GET", f"/arrivals/{vendor}/{signal}")
        return arrivals

    def requests(self, vendor: str) -> list[Json]:
        """The last requests: at, method, path, status (0: dropped), bytes, ms, why, fault."""
        seen: list[Json] = self._ask("GET", f"/requests/{vendor}")
        return seen

    def rollbar_items(self, uuid: str) -> list[Json]:
        """Rollbar's items with that uuid."""
        items: list[Json] = self._ask("GET", f"/rollbar/items/{uuid}")
        return items

    def metrics(self, namespace: str | None = None, name: str | None = None) -> list[Json]:
        """CloudWatch's metric values: namespace, name, unit, dimensions, values or statistics."""
        wanted = {"namespace": namespace, "name": name}
        query = {key: value for key, value in wanted.items() if value is not None}
        found: list[Json] = self._ask("GET", "/aws/metrics", params=query)
        return found

    def faults(self) -> dict[str, Json | None]:
        """By vendor: its fault with `hits`, None when it is well."""
        faults: dict[str, Json | None] = self._ask("GET", "/faults")
        return faults

    def break_(
        self,
        vendor: str,
        mode: Mode,
        *,
        seconds: float | None = None,
        retry_after: int | None = None,
        count: int | None = None,
        duration: float | None = None,
        share: float | None = None,
    ) -> None:
        """Have a vendor fail until healed, for `count` requests or `duration` seconds."""
        fields = {
            "mode": mode,
            "seconds": seconds,
            "retry_after": retry_after,
            "count": count,
            "duration": duration,
            "share": share,
        }
        fault = {key: value for key, value in fields.items() if value is not None}
        self._ask("POST", f"/faults/{vendor}", json=fault)

    def heal(self, vendor: str | None = None) -> None:
        """Make one vendor well, or all."""
        self._ask("DELETE", f"/faults/{vendor}" if vendor else "/faults")

    def reset(self, vendor: str | None = None, *, everything: bool = False) -> None:
        """Forget items and requests of one vendor or all; faults stay.

        With `everything` also what was provisioned: rules, groups, log groups, stacks, queries.
        """
        what: Json = {"everything": everything} | ({"vendor": vendor} if vendor else {})
        self._ask("POST", "/reset", json=what)

    def expect(self, expectation: BaseModel) -> None:
        """What the generic OTLP emulator demands from now on."""
        self._ask("PUT", "/otlp/expectation", json=expectation.model_dump(mode="json"))

    def _ask(self, method: str, path: str, **how: Any) -> Any:
        return self._answer(method, path, **how).json()

    def _answer(self, method: str, path: str, **how: Any) -> Response:
        try:
            response = self._session.request(
                method,
                f"{self.url}{path}",
                timeout=self._timeout,
                **how,
            )
        except requests.RequestException as error:
            reason = type(error).__name__
            raise EmulatorError(f"the emulators at {self.url} do not answer ({reason})") from error
        if not response.ok:
            raise EmulatorError(f"{method} {path}: {_reason(response)}")
        return response


def _reason(response: requests.Response) -> str:
    try:
        return str(response.json()["error"])
    except (requests.JSONDecodeError, KeyError, TypeError):
        return f"status {response.status_code}"
