"""Grafana Cloud: live by its token, which also merges its fragment; WITH=grafana-cloud without one
sends to the emulator.
"""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import Callable, Iterator
from urllib.parse import quote

from pydantic import SecretStr, model_validator

from emulators.grafana_cloud.settings import Settings as Emulated
from stack.asking import UnreachableError, ask, excerpt
from stack.finding import About, Finding
from stack.vendors.model import (
    Asked,
    Chosen,
    Declaration,
    Examined,
    Port,
    Shape,
    Vendor,
    VendorSettings,
    not_running,
    revealed,
)

NAME = "grafana-cloud"
"""Of its file in collector/vendors, too."""

ENDPOINT, INSTANCE_ID = "GRAFANA_CLOUD_ENDPOINT", "GRAFANA_CLOUD_INSTANCE_ID"
TOKEN = "GRAFANA_CLOUD_TOKEN"  # noqa: S105 - the setting's name
URL, READ_TOKEN = "GRAFANA_CLOUD_URL", "GRAFANA_CLOUD_READ_TOKEN"
SIGNALS = ("traces", "metrics", "logs")
HERE = "127.0.0.1"
"""A gateway of one's own may stand on this machine."""
LOGS_OF_SECONDS = 3600


class Settings(VendorSettings):
    """Of `.env`. The last two read: a stack's own address, and a token of a service account."""

    grafana_cloud_endpoint: str | None = None
    grafana_cloud_instance_id: str | None = None
    grafana_cloud_token: SecretStr | None = None
    grafana_cloud_url: str | None = None
    grafana_cloud_read_token: SecretStr | None = None
    emulator_grafana_cloud_port: Port = Emulated().port

    @model_validator(mode="after")
    def _what_goes_together(self) -> Settings:
        writes = (
            self.grafana_cloud_endpoint,
            self.grafana_cloud_instance_id,
            self.grafana_cloud_token,
        )
        if any(writes) and not all(writes):
            raise ValueError(f"{ENDPOINT}, {INSTANCE_ID} and {TOKEN} go together")
        if bool(self.grafana_cloud_url) != bool(self.grafana_cloud_read_token):
            raise ValueError(f"{URL} and {READ_TOKEN} go together")
        return self

    @property
    def fragments(self) -> tuple[str, ...]:
        """A token is enough."""
        return (NAME,) if self.grafana_cloud_token else ()


def vendors(settings: Chosen, emulator_host: str) -> tuple[Vendor, ...]:
    own = settings.of(Settings)
    if NAME not in settings.fragments:
        return ()
    token = own.grafana_cloud_token
    emulator = f"http://{emulator_host}:{own.emulator_grafana_cloud_port}/otlp"
    url = (own.grafana_cloud_endpoint or "").rstrip("/") if token else emulator
    reads, stack = revealed(own.grafana_cloud_read_token), own.grafana_cloud_url
    return (
        Vendor(
            name=NAME,
            live=token is not None,
            why=f"{TOKEN} is set" if token else f"{TOKEN} is not set",
            url=url,
            emulator=NAME,
            collector={
                ENDPOINT: url,
                INSTANCE_ID: (token and own.grafana_cloud_instance_id) or Emulated().instance_id,
                TOKEN: token.get_secret_value() if token else Emulated().token,
            },
            read=reader(stack, reads) if stack and reads else None,
            page_of=(lambda trace_id: _page(stack, trace_id)) if stack else None,
        ),
    )


def reader(stack: str, token: str) -> Callable[[str, str], bool]:
    """Asks a stack's data sources, which have the same ids in every stack, for a trace's signal."""

    def read(signal: str, trace_id: str) -> bool:
        points = quote(f'{{trace_id="{trace_id}"}}')
        records = quote(f'{{service_name=~".+"}} | trace_id="{trace_id}"')
        since = time.time_ns() - LOGS_OF_SECONDS * 10**9
        path = {
            "traces": f"traces/api/traces/{trace_id}",
            "metrics": f"prom/api/v1/query?query={points}",
            "logs": f"logs/loki/api/v1/query_range?limit=1&start={since}&query={records}",
        }[signal]
        answer = ask(
            "GET",
            f"{stack.rstrip('/')}/api/datasources/proxy/uid/grafanacloud-{path}",
            headers={"Authorization": f"Bearer {token}", "Accept": "application/json"},
        )
        if signal == "traces" and answer.status_code in {200, 404}:
            return answer.ok
        if not answer.ok:
            raise UnreachableError(f"{NAME} answers {answer.status_code}: {excerpt(answer)}")
        try:
            return bool(answer.json()["data"]["result"])
        except (ValueError, KeyError, TypeError):
            raise UnreachableError(f"{NAME} answers {excerpt(answer)}") from None

    return read


def _page(stack: str, trace_id: str) -> str:
    """Explore, with the trace looked up."""
    query = {"refId": "A", "queryType": "traceql", "query": trace_id}
    left = json.dumps({"datasource": "grafanacloud-traces", "queries": [query]})
    return f"{stack.rstrip('/')}/explore?left={quote(left)}"


def check_grafana_cloud(setup: Examined) -> Iterator[Finding]:
    """Send the gateway an empty export of each signal: it looks at the token first, a policy may
    lack the scope of one of them, and nothing is kept.
    """
    about = About(NAME)
    for vendor in setup.vendors:
        if vendor.name != NAME:
            continue
        if setup.reachable(vendor):
            yield from _ask_gateway(about, vendor)
            yield from _ask_stack(about, vendor)
        else:
            yield not_running(about, "Grafana Cloud", vendor)


def _ask_gateway(about: About, vendor: Vendor) -> Iterator[Finding]:
    asked = Asked(about, vendor, "Grafana Cloud")
    pair = f"{vendor.collector[INSTANCE_ID]}:{vendor.collector[TOKEN]}"
    headers = {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
    for signal in SIGNALS:
        try:
            answer = ask("POST", f"{vendor.url}/v1/{signal}", headers=headers, json={})
        except UnreachableError as silent:
            todo = f"see whether this machine reaches it, and the zone in {ENDPOINT}"
            yield asked.problem(f"does not answer: {silent}", todo)
            return
        wrong = (
            f"its access policy needs {signal}:write, {INSTANCE_ID} is the number of the same "
            f"stack, and {ENDPOINT} names that stack's zone"
        )
        nowhere = answer.status_code == 404  # noqa: PLR2004
        unwell = f"{ENDPOINT} ends in /otlp" if nowhere else "see https://status.grafana.com"
        key = f"{TOKEN} for {signal}"
        if refused := asked.refusal(answer, key, wrong=wrong, unwell=unwell, empty={400}):
            yield refused
            return
    yield about.ok(f"{asked.who} takes {TOKEN} for {', '.join(SIGNALS)}")


def _ask_stack(about: About, vendor: Vendor) -> Iterator[Finding]:
    """Whether `make verify` can read. Nobody made this trace."""
    if vendor.read is None:
        return
    try:
        for signal in SIGNALS:
            vendor.read(signal, "0" * 31 + "1")
    except UnreachableError as refused:
        yield about.warning(
            f"`make verify` cannot read what arrived: {refused}",
            f"{READ_TOKEN} is a token of a service account of {URL} that may query data sources",
        )
        return
    yield about.ok(f"Grafana Cloud takes {READ_TOKEN}, so `make verify` reads what arrived")


VENDOR = Declaration(
    settings=Settings,
    vendors=vendors,
    checks=lambda: {NAME: check_grafana_cloud},
    shapes={
        ENDPOINT: Shape(
            re.compile(
                rf"https://otlp-gateway-[a-z0-9-]+\.grafana\.net/otlp/?|http://{HERE}:[0-9]+/otlp/?"
            ),
            "for example https://otlp-gateway-prod-eu-west-2.grafana.net/otlp",
        ),
        INSTANCE_ID: Shape(re.compile(r"[0-9]{3,12}"), "it is the stack's number"),
        TOKEN: Shape(
            re.compile(r"glc_[A-Za-z0-9+/_=-]{32,400}"),
            "a token of an access policy begins with glc_; glsa_ is a service account's",
        ),
        URL: Shape(
            re.compile(rf"https://[a-z0-9-]+\.grafana\.net/?|http://{HERE}:[0-9]+/?"),
            "for example https://mystack.grafana.net",
        ),
        READ_TOKEN: Shape(
            re.compile(r"glsa_[A-Za-z0-9_]{20,200}"),
            "a token of a service account begins with glsa_; glc_ is an access policy's",
        ),
    },
    public=(Emulated().token,),
)
