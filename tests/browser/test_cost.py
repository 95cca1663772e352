"""What the page weighs, and what its telemetry costs: against a build without it, in turn."""

from __future__ import annotations

import math
import statistics
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser

from stack.settings import ROOT
from tests.browser.conftest import Site, Visit, served

MOST_SCRIPT = 150_000
MOST_TELEMETRY_MS = 20
USUAL_MS = 100
"""Of the main thread, for a visit without telemetry, where that bound was drawn: a machine that
takes longer for it takes longer for telemetry too.
"""

ROUNDS = 8
QUIET_MS = 60
"""Spread of the differences up to which the wall's clock tells something about 20 ms."""

HERE = Path(__file__).parent


@pytest.fixture
def bare(site: Site, tmp_path: Path) -> Iterator[str]:
    """Where the page is without telemetry."""
    subprocess.run(
        ["node", str(HERE / "without-telemetry.mjs"), str(tmp_path)],
        cwd=ROOT / "services/frontend",
        check=True,
        timeout=60,
    )
    with served(site, tmp_path) as url:
        yield url


@dataclass(frozen=True)
class Use:
    """Of a first visit, in milliseconds until the page can be used. `cpu`: of its main thread."""

    wall: float
    cpu: float


def interactive(browser: Browser, url: str) -> Use:
    context = browser.new_context()
    context.add_init_script(path=HERE / "interactive.js")
    page = context.new_page()
    session = context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    page.goto(url)
    page.evaluate("window.interactive")
    metrics = {
        one["name"]: one["value"] for one in session.send("Performance.getMetrics")["metrics"]
    }
    wall = float(page.evaluate("window.quiet"))
    context.close()
    return Use(wall, metrics["TaskDuration"] * 1000)


def cheaper_half(milliseconds: Iterable[float]) -> float:
    """The mean of the less disturbed: other programs only ever add."""
    ordered = sorted(milliseconds)
    return statistics.mean(ordered[: len(ordered) // 2])


def visit_in_turn(browser: Browser, use: dict[str, list[Use]]) -> None:
    one, other = use
    for turn in range(ROUNDS):
        there, back = (one, other) if turn % 2 else (other, one)
        for url in (there, back, back, there):
            use[url].append(interactive(browser, url))


def main_thread(use: dict[str, list[Use]], *urls: str) -> float:
    """Milliseconds more for the first page than for the other, as on the usual machine."""
    with_it, without = (cheaper_half(visit.cpu for visit in use[url]) for url in urls)
    print(f"main thread: {with_it:.1f} ms, without telemetry {without:.1f} ms")
    return (with_it - without) / max(1.0, without / USUAL_MS)


def test_the_first_load_is_small(site: Site, visit: Visit) -> None:
    page = visit.to(site.url)
    page.get_by_role("article").first.wait_for()
    # What the page itself knows of its resources is gone 300 ms after a request of its own: the
    # instrumentation of fetch clears that list.
    scripts = [one for one in visit.requests if one.resource_type == "script"]
    assert {urlsplit(one.url).path for one in scripts} > {"/config.js"}
    encoded = sum(one.sizes()["responseBodySize"] for one in scripts)
    decoded = sum(len(response.body()) for one in scripts if (response := one.response()))
    # What came over the wire was compressed.
    assert decoded > 2 * encoded
    assert 50_000 < encoded <= MOST_SCRIPT


def test_telemetry_costs_next_to_nothing(site: Site, browser: Browser, bare: str) -> None:
    """The difference between visits of each page, in turn: A B B A, B A A B.

    The number of rounds is fixed: who stops once a difference is small measures their patience.
    Where they say too much there are as many again, once, and all count. Of the visits of each page
    the cheaper half counts: with twenty programs on two cores that was 14.1 ms, deviation 1.8,
    drawn from 26 rounds, 8 at a time; and 19.7 was seen. The median of the rounds' own differences
    is off by 2.3, and would be above 20 ms now and then.

    The main thread's time is asserted always: it is what telemetry takes from the page. What a
    clock on the wall shows is asserted where the visits agree, and as far as they do: differences
    of one second were seen in both directions.
    """
    interactive(browser, site.url)
    interactive(browser, bare)
    use: dict[str, list[Use]] = {site.url: [], bare: []}
    visit_in_turn(browser, use)
    if main_thread(use, site.url, bare) > MOST_TELEMETRY_MS:
        visit_in_turn(browser, use)
    more_cpu = main_thread(use, site.url, bare)
    wall = [
        min(visit.wall for visit in use[site.url][at : at + 2])
        - min(visit.wall for visit in use[bare][at : at + 2])
        for at in range(0, len(use[bare]), 2)
    ]
    more, error = statistics.median(wall), statistics.stdev(wall) / math.sqrt(len(wall))
    print(f"wall: {more:.1f} ms more, give or take {error:.1f}", sorted(map(round, wall)))
    assert more_cpu <= MOST_TELEMETRY_MS
    if max(wall) - min(wall) <= QUIET_MS:
        assert more - 2 * error <= MOST_TELEMETRY_MS, sorted(wall)
