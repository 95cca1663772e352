"""10,000 made-up secrets by every route: none is in any vendor, file, log or queue.

Not looked for: a secret that somebody has encoded as a whole (base64, hex) before it was sent.
"""

from __future__ import annotations

import itertools
import os
import random
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import quote

import pytest
import requests

from emulators.client import Client
from stack.waiting import wait_for
from tests.integration.harness.native import NativeStack
from tests.integration.harness.stack import BACKEND, Change
from tests.integration.harness.witness import wait_for_all_workers
from tests.security import canary_values
from tests.security.canary_places import PLACES, Batch, listed, named, structured_log
from tests.security.canary_values import Benign, Secret

pytestmark = [pytest.mark.only_native, pytest.mark.timeout(600)]

SEED = 20261121
SECRETS = 10_000
THROUGH_THE_APP = 560
"""Of them; the others go straight to the collector. As many benign values go the same ways."""

KEPT = 0.99
VENDORS = ("honeycomb", "xray", "aws", "rollbar")
SPANS_A_BATCH = 10
REFUSED = 3
"""Requests, of fifty segments each."""

SECONDS = 180
"""Until Honeycomb has all: its exporter's pauses have grown to 30 s while it was away."""

# Not with a plus in it, which is a blank to whoever decodes: half a key would be another word.
_ENCODED = re.compile(r"(?:[\w=&?.~/:!$*-]|%[0-9A-F]{2})*", re.ASCII)
PRINTABLE = "% =&:;,'\"/@$<>{}[]"
NAMED = ("AWS secret key", "opaque key", "session cookie")
"""Kinds that a name alone can give away, without a text around them."""


@dataclass
class Canary:
    """What was sent, and by which way how many secrets."""

    secrets: list[Secret]
    benign: list[Benign]
    by_route: Counter[str] = field(default_factory=Counter)

    def in_app(self) -> tuple[list[str], list[str]]:
        """The texts of secrets and of benign values that go through the app."""
        first = slice(THROUGH_THE_APP)
        return [one.text for one in self.secrets[first]], [one.text for one in self.benign[first]]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NativeStack]:
    running = NativeStack(tmp_path_factory.mktemp("canary"))
    yield running
    running.close()


@pytest.fixture
def emulators(stack: NativeStack) -> Iterator[Client]:
    with Client(stack.control_url) as client:
        yield client


def test_no_secret_is_anywhere_and_what_is_none_is_kept(
    stack: NativeStack, emulators: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    # given a vendor that is away, so that its queue fills, and one that refuses some for good
    rng = random.Random(SEED)
    sent = Canary(canary_values.secrets(rng, SECRETS), canary_values.benign(rng, SECRETS))
    emulators.break_("honeycomb", "refuse")
    emulators.break_("xray", "400", count=REFUSED)

    # when everything is sent
    straight_to_the_collector(stack, sent)
    through_the_app(stack, sent)
    # Each look reads the whole record.
    wait_for_all_workers(stack, seconds=120)

    # then what they did not get is on the disk
    on_disk = files(stack)
    on_disk_found = leaks(on_disk, sent)
    queues = of_folder(on_disk, "queues")
    waiting = [one for one in sent.benign[-1000:] if one.value in queues]
    assert len(waiting) >= KEPT * 1000, "Honeycomb's queue was to hold what it did not get"
    assert of_folder(on_disk, "queues/dead-letters"), "X-Ray was to have refused something"

    # when it is back
    emulators.heal("honeycomb")
    spans = {f"{span.trace_id}:{span.span_id}" for span in stack.spans()}
    wait_for(
        "what waited to be at Honeycomb",
        lambda: spans - emulators.ids("honeycomb").keys(),
        until=lambda missing: not missing,
        seconds=SECONDS,
    )
    held = {vendor: emulators.items(vendor) for vendor in VENDORS}

    # then no secret is in a file, a log, a queue or at a vendor, and what is none is
    found = {**on_disk_found, **leaks(held, sent)}
    telemetry = of_folder(on_disk, "telemetry")
    kept = canary_values.kept(telemetry + held["rollbar"], sent.benign)
    with capsys.disabled():
        print(told(sent, found, kept, held))
    assert not any(found.values()), shown(found)
    assert len(kept) >= KEPT * len(sent.benign), lost(sent, kept)
    assert all(share(text, sent) > 0 for text in held.values()), "a vendor that got nothing"


def straight_to_the_collector(stack: NativeStack, sent: Canary) -> None:
    """Each place gets secrets and, in another span, benign values."""
    secrets = iter(sent.secrets[THROUGH_THE_APP:])
    benign = iter(sent.benign[THROUGH_THE_APP:])
    more = True
    with requests.Session() as session:
        while more:
            batch = Batch("canary")
            # Both, whatever the first says.
            more = any([fill(batch, secrets, sent), fill(batch, benign, None)])
            for signal in ("traces", "logs", "metrics"):
                url = f"{stack.otlp_url}/v1/{signal}"
                answer = session.post(url, json=batch.body(signal), timeout=60)
                assert answer.status_code == 200, answer.text


def fill(batch: Batch, values: Iterator[Secret | Benign], count_in: Canary | None) -> bool:
    """Whether there may be more."""
    for number in range(SPANS_A_BATCH):
        batch.next_items()
        for place, put in PLACES.items():
            value = next(values, None)
            if value is None:
                return False
            if isinstance(value, canary_values.Secret) and value.kind in NAMED:
                # Once more without a word around it, under a name that tells.
                batch.spans[-1]["attributes"].append(named("db.password", listed(value.value)))
            if place == "log" and number % 2:
                structured_log(batch, value.text)
            else:
                put(batch, value.text)
            if count_in:
                count_in.by_route[place] += 1
    return True


def through_the_app(stack: NativeStack, sent: Canary) -> None:
    """By URL, header, body and exception; the second half with logs straight to CloudWatch too."""
    secrets, benign = sent.in_app()
    mails = itertools.cycle(one.value for one in sent.secrets if one.kind == "e-mail")
    middle = len(secrets) // 2
    for part in (slice(middle), slice(middle, None)):
        if part.start:
            stack.change(Change(environment={BACKEND: {"LOG_ROUTE": "watchtower"}}))
        with requests.Session() as session:
            for eight in groups(secrets[part], 8):
                one_round(session, stack.backend_url, eight, next(mails))
                sent.by_route["app"] += len(eight)
            for seven in groups(benign[part], 7):
                # A refused body is nowhere in the telemetry.
                one_round(session, stack.backend_url, [*seven, "none"], "bob")


def groups(texts: list[str], size: int) -> list[list[str]]:
    return [texts[at : at + size] for at in range(0, len(texts), size)]


def one_round(session: requests.Session, url: str, texts: list[str], user: str) -> None:
    """Eight texts, each in another place of a request."""
    query, path, header, agent, baggage, state, message, body = texts
    trace_id, span_id = os.urandom(16).hex(), os.urandom(8).hex()
    headers = {
        "traceparent": f"00-{trace_id}-{span_id}-01",
        "tracestate": f"v={in_url(state)}",
        "baggage": f"note={in_url(baggage)}",
        "X-Note": quote(header, safe=PRINTABLE),
        "User-Agent": quote(agent, safe=PRINTABLE),
        "X-Cruddur-User": user,
    }
    post = {"handle": "worf", "message": "m", "ttl": body, body: "x"}
    activities = f"{url}/api/activities"
    for answer in (
        session.get(f"{activities}/search?{in_url(query)}", headers=headers),
        session.get(f"{activities}/{in_url(path)}", headers={**headers, "Cookie": "a=b"}),
        session.post(activities, json=post, headers=headers),
        session.get(f"{url}/api/debug/error?message={in_url(message)}", headers=headers),
    ):
        assert answer.status_code in {200, 400, 404, 422, 500}, answer.status_code


def in_url(text: str) -> str:
    """Encoded, once."""
    return text if _ENCODED.fullmatch(text) else quote(text, safe="")


def files(stack: NativeStack) -> dict[str, str]:
    """All that is written in the stack's folder, consoles among it, but the app's own database."""
    folder = stack.record("traces").parents[1]
    found = {}
    for path in sorted(folder.rglob("*")):
        if folder / "data" in path.parents:
            continue
        try:
            if path.is_file():
                # Bytes one to one: a queue is protobuf.
                found[str(path.relative_to(folder))] = path.read_bytes().decode("latin-1")
        except FileNotFoundError:
            continue  # gone by now, as what a queue is written anew in
    return found


def of_folder(found: dict[str, str], folder: str) -> str:
    return "\n".join(text for name, text in found.items() if name.startswith(f"{folder}/"))


def leaks(texts: dict[str, str], sent: Canary) -> dict[str, list[str]]:
    return {name: canary_values.leaks(text, sent.secrets) for name, text in texts.items()}


def share(text: str, sent: Canary) -> float:
    return len(canary_values.kept(text, sent.benign)) / len(sent.benign)


def told(sent: Canary, found: dict[str, list[str]], kept: set[str], held: dict[str, str]) -> str:
    vendors = ", ".join(f"{share(text, sent):.0%} at {vendor}" for vendor, text in held.items())
    return (
        f"\nseed {SEED}: {sum(sent.by_route.values())} secrets by {len(sent.by_route)} routes, "
        f"{sum(map(len, found.values()))} found in {len(found)} files and vendors; "
        f"{len(kept)} of {len(sent.benign)} benign values kept ({vendors})"
    )


def shown(found: dict[str, list[str]]) -> str:
    """Some of each place: they are made up, so that they may be shown."""
    return "\n".join(
        f"{name}: {len(texts)}, as {text!r}" for name, texts in found.items() for text in texts[:5]
    )


def lost(sent: Canary, kept: set[str]) -> str:
    gone = [one for one in sent.benign if one.value not in kept]
    kinds = Counter(one.kind for one in gone)
    return f"{dict(kinds)}, as {[one.text for one in gone[:5]]}"
