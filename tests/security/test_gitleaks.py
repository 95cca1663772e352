"""Secrets that others know of: what gitleaks' own tests find is masked, by the collector and the
services, and the rules are gitleaks' of the version that is pinned.
"""

from __future__ import annotations

import json
import os
import shutil
import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
import requests
from otel_stack_distro.redaction import clean_text

from stack.collector_build import ensure_collector_binary
from stack.settings import ROOT
from tests.corpus.gitleaks_samples import Sample, gitleaks_samples
from tests.unit.collector.running import SECONDS, running
from tools.secret_rules import FILE, LEFT_OUT, VERSION, fetch, made_rules, text_of

pytestmark = [
    pytest.mark.only_native,
    pytest.mark.timeout(1200),
    pytest.mark.skipif(shutil.which("go") is None, reason="no Go on PATH to make the samples with"),
]

SEED = int(os.environ.get("SEED", "11"))
LEAST = 0.98
ENCODED_TWICE = "jwt-base64"
"""Counted apart: a token that is encoded once more can be anything."""

RULES_ALONE = 100
"""28 before gitleaks' rules."""

A_BATCH = 500


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> list[Sample]:
    return gitleaks_samples(tmp_path_factory.mktemp("gitleaks"), SEED)


@pytest.fixture(scope="module")
def secret(samples: list[Sample]) -> list[Sample]:
    found = [sample for sample in samples if sample.secret]
    assert len(found) > 6000
    assert len({sample.rule for sample in found}) > 200
    return found


def test_the_rules_are_those_of_the_pinned_version() -> None:
    rules = text_of(made_rules(ROOT, fetch(ROOT)))

    assert (ROOT / FILE).read_text() == rules, "make rules"
    assert LEFT_OUT.keys() <= {rule["id"] for rule in fetch(ROOT).rules}


def test_the_collector_masks_what_gitleaks_finds(
    secret: list[Sample], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bodies, attributes = cleaned_by_the_collector([one.text for one in secret], tmp_path)

    report(f"collector, seed {SEED}, log bodies", secret, bodies, capsys)
    report("collector, attributes", secret, attributes, capsys)
    for clean in (bodies, attributes):
        assert share(secret, clean) >= LEAST
        assert rules_without(secret, clean) == set()


def test_the_services_mask_the_same(
    secret: list[Sample], capsys: pytest.CaptureFixture[str]
) -> None:
    clean = [clean_text(one.text) for one in secret]

    report("services", secret, clean, capsys)
    assert share(secret, clean) >= LEAST
    assert rules_without(secret, clean) == set()


def test_a_token_is_masked_without_a_name_beside_it(
    secret: list[Sample], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Most samples say `token =` too. The other rules look for a vendor's name."""
    alone = [
        Sample(one.rule, f"it was {found} that leaked", secret=True, secrets=[found])
        for one in secret
        for found in one.secrets[:1]
    ]
    of_services = [clean_text(one.text) for one in alone]
    bodies, _ = cleaned_by_the_collector([one.text for one in alone], tmp_path)

    assert bodies == of_services
    for what, clean in (("collector", bodies), ("services", of_services)):
        partly = {
            one.rule for one, text in zip(alone, clean, strict=True) if not one.is_masked(text)
        }
        whole = {one.rule for one in alone} - partly
        with capsys.disabled():
            print(f"\n{what}: of {len(whole)} rules each token is masked without a name beside it")
        assert len(whole) >= RULES_ALONE


def test_words_that_only_look_like_tokens_are_kept(samples: list[Sample]) -> None:
    """Of what gitleaks does not report, most has a name of ours (`token=`) or is a placeholder."""
    kept = Counter(clean_text(one.text) == one.text for one in samples if not one.secret)

    assert kept[True] > 150, kept


def cleaned_by_the_collector(texts: list[str], folder: Path) -> tuple[list[str], list[str]]:
    with running(ensure_collector_binary(ROOT), folder) as collector, requests.Session() as session:
        for at in range(0, len(texts), A_BATCH):
            answer = session.post(
                f"{collector.otlp}/v1/logs",
                json=logs(texts[at : at + A_BATCH], first=at),
                timeout=SECONDS,
            )
            assert answer.status_code == 200, answer.text
        written = collector.wait_for_file("logs", f'"observedTimeUnixNano":"{len(texts)}"')
    records = {number: pair for number, *pair in of_records(written)}
    assert len(records) == len(texts)
    return [records[n][0] for n in range(len(texts))], [records[n][1] for n in range(len(texts))]


def logs(texts: Iterable[str], first: int) -> dict[str, object]:
    records = [
        {
            "timeUnixNano": "1700000000000000000",
            "observedTimeUnixNano": str(number + 1),
            "body": {"stringValue": text},
            "attributes": [{"key": "app.text", "value": {"stringValue": text}}],
        }
        for number, text in enumerate(texts, first)
    ]
    return {"resourceLogs": [{"resource": {}, "scopeLogs": [{"logRecords": records}]}]}


def of_records(written: str) -> Iterator[tuple[int, str, str]]:
    """Number, body and attribute of each."""
    for line in written.splitlines():
        for resource in json.loads(line)["resourceLogs"]:
            for scope in resource["scopeLogs"]:
                for record in scope["logRecords"]:
                    [attribute] = record["attributes"]
                    yield (
                        int(record["observedTimeUnixNano"]) - 1,
                        record["body"]["stringValue"],
                        attribute["value"]["stringValue"],
                    )


def share(samples: list[Sample], clean: list[str]) -> float:
    masked = [
        sample.is_masked(text)
        for sample, text in zip(samples, clean, strict=True)
        if sample.rule != ENCODED_TWICE
    ]
    return sum(masked) / len(masked)


def rules_without(samples: list[Sample], clean: list[str]) -> set[str]:
    """Rules of which no sample is masked."""
    masked = {one.rule for one, text in zip(samples, clean, strict=True) if one.is_masked(text)}
    return {one.rule for one in samples} - masked


def report(
    what: str, samples: list[Sample], clean: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    total = Counter(sample.rule for sample in samples)
    masked = Counter(
        sample.rule for sample, text in zip(samples, clean, strict=True) if sample.is_masked(text)
    )
    whole = sum(masked[rule] == count for rule, count in total.items())
    by_rule = ", ".join(f"{rule} {masked[rule]}/{count}" for rule, count in total.items())
    with capsys.disabled():
        print(
            f"\n{what}: of the {len(samples)} samples of {len(total)} rules of gitleaks {VERSION} "
            f"{sum(masked.values())} are masked, {share(samples, clean):.2%} without "
            f"{ENCODED_TWICE}; of {whole} rules all"
        )
        if whole < len(total):
            print(textwrap.fill(f"by rule: {by_rule}", 120))
