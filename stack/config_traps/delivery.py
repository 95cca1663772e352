"""What makes a vendor wait for another, forget what it took, refuse it, or get it twice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from stack.collector_config.distribution import component_type
from stack.collector_config.resolved import Keys
from stack.config_traps.look import Look, Trap, called

RETENTION_DAYS = frozenset(
    (1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922)
) | {0, 3288, 3653}
"""What CloudWatch takes; 0 is the exporters' own word for "leave it alone"."""

NO_QUEUE_UNLESS_ASKED = frozenset({"awsxray", "awsemf"})
"""The others have one in memory by default."""


def retention(look: Look) -> Iterator[Trap]:
    for owner, body in look.components("exporters"):
        days = body.get("log_retention")
        if days is None or days in RETENTION_DAYS:
            continue
        numbers = sorted(RETENTION_DAYS - {0})
        nearest = (
            min(numbers, key=lambda allowed: abs(allowed - days)) if isinstance(days, int) else 30
        )
        yield look.problem(
            (*owner, "log_retention"),
            f"{called(owner)}: CloudWatch keeps no log for {days!r} days",
            f"the nearest that it takes is {nearest}",
        )


def queues(look: Look) -> Iterator[Trap]:
    seen = set()
    for route in look.routes:
        if route.queue in seen:
            continue
        seen.add(route.queue)
        owner = ("exporters", route.queue)
        body = look.config.section("exporters").get(route.queue)
        settings = body if isinstance(body, dict) else {}
        if component_type(route.queue) in NO_QUEUE_UNLESS_ASKED and "sending_queue" not in settings:
            yield look.problem(
                owner,
                f"{called(owner)} has no queue: when {route.vendor} hangs, every vendor waits",
                "give it sending_queue and retry_on_failure, as collector/otel-config.yaml shows; "
                "`make import` does",
            )
            continue
        yield from _one_queue(look, owner, settings, route.vendor)


def _one_queue(look: Look, owner: Keys, settings: Mapping[str, Any], vendor: str) -> Iterator[Trap]:
    queue = settings.get("sending_queue")
    queue = queue if isinstance(queue, dict) else {}
    at = (*owner, "sending_queue")
    if queue.get("enabled") is False:
        yield look.problem(
            (*at, "enabled"),
            f"{called(owner)} has its queue switched off: when {vendor} hangs, every vendor waits",
            "switch sending_queue on, with storage",
        )
        return
    if not queue.get("storage"):
        yield look.warning(
            at,
            f"{called(owner)} keeps its queue in memory: a restart loses what waits for {vendor}",
            "set sending_queue.storage to a file_storage extension",
        )
    if queue.get("block_on_overflow"):
        yield look.warning(
            (*at, "block_on_overflow"),
            f"{called(owner)}: with block_on_overflow a full queue makes the app wait",
            "take it out; what is dropped then is counted",
        )
    yield from _retries(look, owner, settings, vendor)


def _retries(look: Look, owner: Keys, settings: Mapping[str, Any], vendor: str) -> Iterator[Trap]:
    retry = settings.get("retry_on_failure")
    retry = retry if isinstance(retry, dict) else {}
    at = (*owner, "retry_on_failure")
    if retry.get("enabled") is False:
        yield look.warning(
            (*at, "enabled"),
            f"{called(owner)} does not try again: whatever {vendor} fails to take once is lost",
            "switch retry_on_failure on, with max_elapsed_time: 0",
        )
    elif "max_elapsed_time" not in retry:
        yield look.warning(
            at,
            f"{called(owner)} gives up after 5 minutes, its default: a longer outage of {vendor} "
            "loses data",
            "set retry_on_failure.max_elapsed_time to 0",
        )


def batch_processor(look: Look) -> Iterator[Trap]:
    for owner, _ in look.components("processors"):
        if component_type(owner[1]) == "batch":
            yield look.warning(
                # Seen with a vendor that hung: 2620 of 3000 spans acknowledged and then lost.
                owner,
                f"{called(owner)} answers before anything is stored, and loses it when a vendor "
                "fails",
                "take it out of the pipelines, and give their exporters sending_queue.batch: "
                "{flush_timeout: 1s, min_size: 512, max_size: 2000}",
            )


def truncating_files(look: Look) -> Iterator[Trap]:
    for owner, body in look.components("exporters"):
        if component_type(owner[1]) != "file":
            continue
        if not body.get("append") and "rotation" not in body:
            yield look.warning(
                owner,
                f"{called(owner)} empties its file at each start and reload",
                "set append: true, or rotation",
            )


def twice(look: Look) -> Iterator[Trap]:
    """Two ways of one signal between the same ends: everything arrives there twice."""
    first: dict[tuple[str, str, str], str] = {}
    for name, body in look.pipelines.items():
        # Two filters may part what goes both ways.
        if any(component_type(one) == "filter" for one in body.get("processors") or []):
            continue
        signal = component_type(name)
        for receiver in look.sources(body.get("receivers") or [], signal):
            for exporter in body.get("exporters") or []:
                other = first.setdefault((signal, receiver, exporter), name)
                if other != name:
                    yield look.warning(
                        ("service", "pipelines", name),
                        f"pipeline {name} sends what {receiver} takes to {exporter}, as {other} "
                        "does: it gets two of each",
                        "take the exporter out of one of them",
                    )


def uncleaned(look: Look) -> Iterator[Trap]:
    """A pipeline past the one that cleans, where the config has one that does."""
    cleaning = [name for name, body in look.pipelines.items() if _cleans(body)]
    connectors = look.config.section("connectors")
    for name, body in look.pipelines.items():
        fronts = [one for one in body.get("receivers") or [] if one in look.fronts]
        if not cleaning or not fronts or _cleans(body):
            continue
        vendors = [one for one in body.get("exporters") or [] if one not in connectors]
        if vendors:
            yield look.warning(
                ("service", "pipelines", name),
                f"pipeline {name} sends {vendors[0]} what {fronts[0]} takes with its secrets",
                f"let it receive what {cleaning[0]} exports to, or name redaction in it",
            )


def _cleans(body: Mapping[str, Any]) -> bool:
    return any(component_type(one) == "redaction" for one in body.get("processors") or [])
