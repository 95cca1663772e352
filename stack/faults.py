"""The fault suite, and its page of results."""

from __future__ import annotations

import shutil
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from stack.long_suite import play
from stack.settings import ROOT

if TYPE_CHECKING:
    from collections.abc import Sequence

RESULTS = ROOT / ".run/faults"
PAGE = ROOT / "docs/reliability.md"
BEGIN, END = "<!-- results: make faults -->\n", "<!-- end of results -->\n"
WORKERS = 4
"""A case mostly waits: four at once need one and a half cores."""

Json = dict[str, Any]


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


def totals(results: Sequence[Json]) -> Json:
    """What was acknowledged to the sender and what became of it, over all cases and vendors."""
    held = [one for result in results for one in result["held"].values()]
    failed = [result for result in results if result["verdict"] != "passed"]
    passed = [result for result in results if result["verdict"] == "passed"]
    spoiled = [result for result in passed if result["case"]["circumstance"] == "spoiled queue"]
    set_aside = _missing(spoiled)
    return {
        "cases": len(results),
        "failed": len(failed),
        "spans": sum(result["spans"] for result in results),
        "records": sum(result["records"] for result in results),
        "deliveries": sum(one["wanted"] for one in held),
        "refused_and_counted": _missing(passed) - set_aside,
        "set_aside": set_aside,
        "lost": _missing(failed),
        "copies": sum(one["copies"] for one in held),
    }


def _missing(results: Sequence[Json]) -> int:
    return sum(one["missing"] for result in results for one in result["held"].values())


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
        (
            f"`{command}`: {total['cases']} cases, {total['failed']} failed; "
            f"{total['spans']:,} spans and {total['records']:,} log records acknowledged, "
            f"{total['deliveries']:,} deliveries owed; lost outside of what was counted: "
            f"{total['lost']:,}; refused by a vendor, counted and kept: "
            f"{total['refused_and_counted']:,}; set aside in spoiled queues: "
            f"{total['set_aside']:,}; copies: {total['copies']:,}."
        ),
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
    mark = "" if all(r["verdict"] == "passed" for r in group) else " **failed**"
    acknowledged = sum(r["spans"] + r["records"] for r in group)
    return (
        f"| {vendor} {mode}{mark} | {circumstance} | {acknowledged:,} "
        f"| {sum(one['missing'] for one in sick):,} "
        f"| {sum(one['copies'] for one in sick):,} / {sum(one['copies'] for one in healthy):,} "
        f"| {1000 * max(r['p50_well'] for r in group):.0f} "
        f"/ {1000 * max(r['p50_sick'] for r in group):.0f} "
        f"| {max(r['settled'] for r in group):.0f} |"
    )
