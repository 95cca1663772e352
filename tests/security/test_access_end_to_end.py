"""OTLP_ACCESS=mtls,token as a user sets it: the services, the page and the commands go on."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator

import psutil
import pytest
import requests

from emulators.client import Client
from stack.access import Access
from stack.otlp_json import span
from stack.page_build import SOURCES, can_serve_page, ensure_node_packages
from stack.settings import ROOT
from stack.telemetry import Span, read_spans
from stack.waiting import wait_for
from tests.integration.harness.checkout import Checkout, running_checkout
from tests.integration.harness.traffic import send
from tests.security.sending import VERIFY, Sender, bearer

ARRIVAL_SECONDS = 60
SERVICES = {"backend-flask", "profiles-flask"}


@pytest.fixture(scope="module")
def checkout(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Checkout]:
    runtime = request.config.getoption("--runtime")
    # The page's image takes longer to build than all the rest; its server is the same one.
    page = runtime == "native" and can_serve_page(ROOT)
    folder = tmp_path_factory.mktemp("checkout")
    with running_checkout(
        folder, runtime, before=("certificates",), page=page, OTLP_ACCESS="mtls,token"
    ) as made:
        yield made


@pytest.fixture(scope="module")
def access(checkout: Checkout) -> Access:
    made = checkout.run_dir / "access"
    return Access(("mtls", "token"), made / "server", made / "client")


def spans(checkout: Checkout, trace_id: str) -> list[Span]:
    return read_spans(checkout.run_dir / "telemetry/traces.jsonl", trace_id)


def test_a_request_is_one_trace_at_the_record_and_at_the_vendors(checkout: Checkout) -> None:
    exchange = send(f"{checkout.url}/api/activities/home")

    wait_for(
        "the spans of both services",
        lambda: {one.service for one in spans(checkout, exchange.trace_id)},
        until=lambda found: found >= SERVICES,
        seconds=ARRIVAL_SECONDS,
    )
    with Client(f"http://127.0.0.1:{checkout.ports['EMULATOR_CONTROL_PORT']}") as emulators:
        for vendor in ("honeycomb", "xray"):
            wait_for(
                f"the trace at {vendor}",
                lambda vendor=vendor: emulators.holds(vendor, exchange.trace_id),  # type: ignore[misc]
                seconds=ARRIVAL_SECONDS,
            )


def test_strangers_get_nothing_to_any_vendor(
    checkout: Checkout, access: Access, theirs: Access
) -> None:
    # given
    port = checkout.ports["OTLP_HTTP_PORT"]
    whole = Sender(access.client, access.client, bearer(access))
    strangers = [
        Sender(),
        Sender(access.client, None, bearer(access)),
        Sender(access.client, theirs.client, bearer(access)),
        Sender(access.client, access.client),
        Sender(access.client, access.client, bearer(theirs)),
    ]
    # when
    refused = [secrets.token_hex(16) for _ in strangers]
    answers = [one.send(port, trace_id) for one, trace_id in zip(strangers, refused, strict=True)]
    taken = secrets.token_hex(16)
    assert whole.send(port, taken) == "200"
    # then
    assert "200" not in answers
    with Client(f"http://127.0.0.1:{checkout.ports['EMULATOR_CONTROL_PORT']}") as emulators:
        for vendor in ("honeycomb", "xray"):
            wait_for(
                f"the good span at {vendor}",
                lambda vendor=vendor: emulators.holds(vendor, taken),  # type: ignore[misc]
                seconds=ARRIVAL_SECONDS,
            )
        for trace_id in refused:
            assert not any(emulators.holds_all(trace_id).values())
            assert spans(checkout, trace_id) == []


def test_verify_sends_and_finds_all(checkout: Checkout) -> None:
    ended = checkout.run(*VERIFY)

    assert ended.code == 0, ended.output
    assert "OTLP asks for: mtls, token" in ended.output


def test_status_and_doctor_find_nothing_wrong(checkout: Checkout) -> None:
    assert checkout.status()["services"]

    def look() -> dict[str, str]:
        ended = checkout.run("doctor", "--json")
        findings = json.loads(ended.output.strip().splitlines()[-1])["findings"]
        return {one["check"]: f"{one['verdict']}: {one['what']}" for one in findings}

    # Of what has to do with this alone. A busy machine has not done it at once: "config" asks the
    # collector, and a check has six seconds.
    wait_for(
        "doctor to find access and config well",
        look,
        until=lambda found: all(found[name].startswith("ok: ") for name in ("access", "config")),
        seconds=120,
    )


def test_reload_tries_the_config_with_the_same_secrets(checkout: Checkout) -> None:
    with checkout.config.open("a") as config:
        config.write("\n# edited\n")

    ended = checkout.run("reload")

    assert ended.code == 0, ended.output
    assert "the new config is in effect" in ended.output


def test_the_token_is_on_no_command_line(checkout: Checkout, access: Access) -> None:
    """Of the whole machine: the processes of containers are seen from it."""
    token = bearer(access).removeprefix("Bearer ")
    checkout.run("verify")

    lines = [process.info["cmdline"] or [] for process in psutil.process_iter(["cmdline"])]

    assert any("gunicorn" in " ".join(line) for line in lines)
    assert not any(token in word for line in lines for word in line)


@pytest.mark.only_native
@pytest.mark.skipif(not can_serve_page(ROOT), reason="no Node to build the page with")
@pytest.mark.parametrize("command", ["up", "dev"])
def test_the_page_sends_through_its_own_server(checkout: Checkout, command: str) -> None:
    # given the page as it is shipped, and as it is developed
    ensure_node_packages(ROOT)
    packages = checkout.folder / SOURCES / "node_modules"
    if not packages.exists():
        packages.symlink_to(ROOT / SOURCES / "node_modules")
    ended = checkout.run(command)
    assert ended.code == 0, ended.output
    page = f"http://127.0.0.1:{checkout.ports['FRONTEND_PORT']}"
    told = requests.get(f"{page}/config.js", timeout=60).text
    assert '"collector":""' in told.replace(" ", "")
    trace_id = secrets.token_hex(16)
    # when
    message = span("frontend-react", trace_id, "click")
    answer = requests.post(f"{page}/v1/traces", json=message, headers={"Origin": page}, timeout=60)
    # then
    assert answer.status_code == 200
    wait_for("the page's span", lambda: spans(checkout, trace_id), seconds=ARRIVAL_SECONDS)
    # and another site's page does not
    stranger = {"Origin": "http://attacker.example"}
    refused = requests.post(f"{page}/v1/traces", json=message, headers=stranger, timeout=60)
    assert refused.status_code in {403, 404}


def test_what_is_renewed_is_in_use_after_the_next_up(checkout: Checkout) -> None:
    # given everything anew: authority, certificates, token
    for command in ("certificates", "up"):
        # when
        ended = checkout.run(command)
        assert ended.code == 0, ended.output
    # then the services send with it, and the commands
    exchange = send(f"{checkout.url}/api/activities/home")
    wait_for(
        "the spans of both services",
        lambda: {one.service for one in spans(checkout, exchange.trace_id)},
        until=lambda found: found >= SERVICES,
        seconds=ARRIVAL_SECONDS,
    )
    ended = checkout.run(*VERIFY)
    assert ended.code == 0, ended.output
