"""A bomb costs its sender an answer, and nobody else anything."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
import zstandard

from tests.faults.harness.bench import Bench
from tests.overload.harness.bombs import BOMBS, Bomb
from tests.overload.harness.watch import Watch, fresh_trace, small_batch

pytestmark = [pytest.mark.collector, pytest.mark.only_native]

TIMES = {True: 3, False: 2}
"""By whether it is refused: what is taken costs a second of CPU each."""

AT_ONCE = 8


@pytest.mark.parametrize("bomb", BOMBS, ids=lambda bomb: bomb.name)
def test_a_bomb_is_refused_and_nobody_notices(bench: Bench, bomb: Bomb) -> None:
    body = bomb.make()

    with Watch(bench) as watch:
        answers = [_post(bench, body, bomb) for _ in range(TIMES[bomb.refused])]

    if bomb.refused:
        assert {400 <= answer < 500 for answer in answers} == {True}, answers
    else:
        # The second may be asked to come again.
        assert set(answers) <= {200, 429, 503}, answers
        assert 200 in answers
    watch.check()


def test_heavy_requests_at_once(bench: Bench) -> None:
    """Each is within all limits; decoded beside each other they would be half a gigabyte."""
    [heavy] = [bomb for bomb in BOMBS if bomb.name == "300,000 attributes"]
    body = heavy.make()

    with Watch(bench) as watch, ThreadPoolExecutor(AT_ONCE) as senders:
        answers = list(senders.map(lambda _: _post(bench, body, heavy), range(3 * AT_ONCE)))

    assert set(answers) <= {200, 429, 503}, answers
    assert 200 in answers
    watch.check()


def _post(bench: Bench, body: bytes, bomb: Bomb) -> int:
    """The status, or that the collector closed the connection."""
    try:
        return requests.post(
            f"{bench.otlp_url}/v1/traces", data=body, headers=bomb.headers, timeout=60
        ).status_code
    except requests.ConnectionError:
        # It answered and hung up before it had read all.
        return 400


def test_zstd_is_refused_by_its_name(bench: Bench) -> None:
    """Its decoder takes the memory that the first 14 bytes ask for, before anybody can look."""
    answer = requests.post(
        f"{bench.otlp_url}/v1/traces",
        data=zstandard.compress(small_batch(fresh_trace())),
        headers={"Content-Type": "application/x-protobuf", "Content-Encoding": "zstd"},
        timeout=30,
    )

    assert (answer.status_code, "unsupported" in answer.text) == (400, True)
