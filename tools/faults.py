"""`make faults`: every vendor, fault and circumstance; the results in docs/reliability.md."""

from __future__ import annotations

import enum
import secrets
import shutil
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

import typer

from stack.console import console
from stack.errors import StackError
from stack.settings import ROOT
from tools.entry import run_function
from tools.long_suite import play, read_results

RESULTS = ROOT / ".run/faults"
PAGE = ROOT / "docs/reliability.md"
BEGIN, END = "<!-- results: make faults -->\n", "<!-- end of results -->\n"
WORKERS = 4
"""A case mostly waits: four at once need one and a half cores."""

MANY = 2**31

Json = dict[str, Any]


class Runtime(enum.Enum):
    """Of the collector; the emulators are processes."""

    NATIVE = "native"
    DOCKER = "docker"


def run_faults(*, runs: int, seed: int, only: str, runtime: str, workers: int) -> int:
    """Run the whole suite, or `runs` cases drawn with `seed`, with `workers` benches at once; for
    `docker` the part of the table that its restarts matter to. Returns pytest's exit code.

    What needs the machine for itself runs after all others, one by one.
    """
    shutil.rmtree(RESULTS, ignore_errors=True)
    docker = runtime == "docker"
    drawn = ["--runs", str(runs), "--seed", str(seed)] if runs else []
    how = [f"--faults={'short' if docker else 'all'}", f"--faults-runtime={runtime}", *drawn]
    suite = "tests/faults/test_table.py" if runs or docker else "tests/faults"
    return play(suite, how, only=only, workers=workers, alone=not runs)


SIGNALS = {"traces": "spans", "metrics": "data points", "logs": "log records"}
"""What each is counted in, for people."""

FEWEST_ITEMS = 1_000_000
"""Acknowledged in the whole table: what it shows of losses is worth no more than its volume."""


@dataclass
class Owed:
    """What one vendor was owed of a signal, over all cases, and what became of it.

    `accounted`: not delivered, and counted and kept: in dead letters, or set aside in a spoiled
    file. `lost`: neither. `copies`: held more than once; in a metric, what it counts too much.
    """

    wanted: int = 0
    accounted: int = 0
    lost: int = 0
    copies: float = 0.0

    def add(self, one: Json) -> None:
        self.wanted += one["wanted"]
        self.accounted += one["missing"] - one["lost"]
        self.lost += one["lost"]
        self.copies += one["copies"]


@dataclass
class Totals:
    """`acknowledged` to the senders, by signal; `owed` by vendor and signal."""

    cases: int = 0
    failed: int = 0
    acknowledged: dict[str, int] = field(default_factory=lambda: dict.fromkeys(SIGNALS, 0))
    owed: dict[str, Owed] = field(default_factory=lambda: defaultdict(Owed))

    @property
    def items(self) -> int:
        return sum(self.acknowledged.values())

    @property
    def lost(self) -> int:
        return sum(one.lost for one in self.owed.values())

    def sentence(self) -> str:
        """Of how much it was."""
        by_signal = ", ".join(f"{self.acknowledged[key]:,} {name}" for key, name in SIGNALS.items())
        return (
            f"{self.cases} cases, {self.failed} failed; {self.items:,} items acknowledged "
            f"({by_signal}); lost outside of what was counted: {self.lost:,}"
        )


def totals(results: Sequence[Json]) -> Totals:
    """What was acknowledged to the senders and what became of it, over all cases and vendors."""
    found = Totals(
        cases=len(results), failed=sum(result["verdict"] != "passed" for result in results)
    )
    for result in results:
        for signal, number in result["acknowledged"].items():
            found.acknowledged[signal] += number
        for key, one in result["held"].items():
            found.owed[key].add(one)
    return found


def by_vendor(total: Totals) -> list[str]:
    """A table of Markdown, which the terminal can show too."""
    return [
        "| vendor and signal | owed | not delivered, counted and kept | lost | copies |",
        "|---|---|---|---|---|",
        *(
            f"| {key.replace('/', ' ')} | {one.wanted:,} | {one.accounted:,} | {one.lost:,} "
            f"| {one.copies:,.10g} |"
            for key, one in total.owed.items()
        ),
    ]


def write_page(results: Sequence[Json], command: str) -> None:
    """Put the results between the page's marks; the words around them stay."""
    page = PAGE.read_text()
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(before + BEGIN + "\n".join(_lines(results, command)) + "\n" + END + after)


def _lines(results: Sequence[Json], command: str) -> list[str]:
    total = totals(results)
    lines = [
        "",
        f"`{command}`: {total.sentence()}.",
        "",
        *by_vendor(total),
        "",
        (
            "| vendor and fault | circumstance | acknowledged | not delivered, accounted | copies: "
            "sick / healthy | requests' p50, ms: well / sick | all there after, s |"
        ),
        "|---|---|---|---|---|---|---|",
    ]
    groups: dict[tuple[str, str, str], list[Json]] = defaultdict(list)
    for result in results:
        case = result["case"]
        waits = " Retry-After" if case["retry_after"] is not None else ""
        groups[case["vendor"], case["mode"] + waits, case["circumstance"]].append(result)
    lines += [_row(key, group) for key, group in sorted(groups.items())]
    return [*lines, ""]


def _row(key: tuple[str, str, str], group: Sequence[Json]) -> str:
    vendor, mode, circumstance = key
    sick = [one for r in group for k, one in r["held"].items() if k.startswith(vendor)]
    healthy = [one for r in group for k, one in r["held"].items() if not k.startswith(vendor)]
    copies, others = (sum(one["copies"] for one in some) for some in (sick, healthy))
    mark = "" if all(r["verdict"] == "passed" for r in group) else " **failed**"
    acknowledged = sum(sum(r["acknowledged"].values()) for r in group)
    return (
        f"| {vendor} {mode}{mark} | {circumstance} | {acknowledged:,} "
        f"| {sum(one['missing'] for one in sick):,} "
        f"| {copies:,.10g} / {others:,.10g} "
        f"| {1000 * max(r['p50_well'] for r in group):.0f} "
        f"/ {1000 * max(r['p50_sick'] for r in group):.0f} "
        f"| {max(r['settled'] for r in group):.0f} |"
    )


def main(
    runs: Annotated[int, typer.Option(min=0, help="So many drawn cases instead of the table.")] = 0,
    seed: Annotated[int, typer.Option(min=0, help="The seed to draw them with; 0 picks one.")] = 0,
    only: Annotated[str, typer.Option(help="Only cases that hold these words.")] = "",
    runtime: Annotated[Runtime, typer.Option(help="What runs the collector.")] = Runtime.NATIVE,
    workers: Annotated[int, typer.Option(min=1, help="Benches at once.")] = WORKERS,
) -> None:
    """Play the fault suite and write its page."""
    command = "make faults"
    if runs:
        seed = seed or secrets.randbelow(MANY) + 1
        command = f"make faults RUNS={runs} SEED={seed}"
        console.print(f"again with: {command}", soft_wrap=True)
    code = run_faults(runs=runs, seed=seed, only=only, runtime=runtime.value, workers=workers)
    found = totals(read_results(RESULTS))
    whole = not only and not runs and runtime is Runtime.NATIVE
    if whole and found.cases:
        write_page(read_results(RESULTS), command)
        console.print(f"written: {PAGE.relative_to(ROOT)}")
    print(*by_vendor(found), found.sentence(), sep="\n")
    if whole and found.items < FEWEST_ITEMS:
        raise StackError(
            f"{found.items:,} items acknowledged; the table is to be played with "
            f"{FEWEST_ITEMS:,} at least",
            "see ITEMS and REQUESTS_PER_SECOND in tests/faults/harness/sender.py",
        )
    if code:
        raise typer.Exit(code)


if __name__ == "__main__":
    run_function(main)
