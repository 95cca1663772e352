"""What a vendor holds: found by trace id, bounded in memory, the oldest leaving first."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]

# What an item costs beyond its own bytes (object, index entry, ids, its share of the resource):
# tracemalloc said 689 bytes over 100,000 spans in requests of ten, and 32 hold the time.
OVERHEAD = 720


@dataclass(frozen=True, slots=True, eq=False)
class Item:
    """One span, data point, log record, segment or error report.

    `trace_ids` are 32 lower-case hex digits. `render` builds the JSON form only when someone asks,
    since almost nobody does: most items are counted and forgotten. `id` is the sender's own
    identifier (`<trace>:<span>` for a span), so that duplicates can be counted; a data point has
    none, and goes by its metric's name and its time. `value` is what it adds to its metric's sum.
    """

    signal: str
    id: str
    size: int
    render: Callable[[], Json]
    trace_ids: tuple[str, ...] = ()
    # The sender's service.name, where there is one.
    service: str = ""
    # Epoch seconds of its arrival.
    at: float = field(default_factory=time.time)
    value: float = 1.0


@dataclass(slots=True)
class Store:
    """Items in order of arrival. Bounds: `max_items`, and `max_bytes` including OVERHEAD each."""

    max_items: int
    max_bytes: int
    on_evict: Callable[[list[Item]], None] | None = None
    items: deque[Item] = field(default_factory=deque)
    accepted: Counter[str] = field(default_factory=Counter)
    evicted: Counter[str] = field(default_factory=Counter)
    bytes: int = 0
    _by_trace: dict[str, deque[Item]] = field(default_factory=dict)

    def add(self, items: Iterable[Item]) -> None:
        """Keep `items`, and let the oldest go where a bound is passed."""
        for item in items:
            self.items.append(item)
            self.bytes += item.size + OVERHEAD
            self.accepted[item.signal] += 1
            for trace_id in item.trace_ids:
                self._by_trace.setdefault(trace_id, deque()).append(item)
        gone: list[Item] = []
        while self.items and (len(self.items) > self.max_items or self.bytes > self.max_bytes):
            gone.append(self._drop_oldest())
        if gone and self.on_evict:
            self.on_evict(gone)

    def by_trace(self, trace_id: str) -> dict[str, list[Json]]:
        """Everything that carries this trace id, by signal, in order of arrival."""
        found: dict[str, list[Json]] = {}
        for item in self._by_trace.get(trace_id, ()):
            found.setdefault(item.signal, []).append(item.render())
        return found

    def ids_of_trace(self, trace_id: str) -> dict[str, list[str]]:
        """The senders' ids of what carries this trace id, by signal."""
        found: dict[str, list[str]] = {}
        for item in self._by_trace.get(trace_id, ()):
            found.setdefault(item.signal, []).append(item.id)
        return found

    def of_trace(self, trace_id: str, signal: str) -> list[Item]:
        """The items of one signal in a trace."""
        return [item for item in self._by_trace.get(trace_id, ()) if item.signal == signal]

    def trace_ids(self) -> list[str]:
        """Every trace id held, in order of first arrival."""
        return list(self._by_trace)

    def ids(self, signal: str) -> dict[str, int]:
        """How many times each sender's id is held: more than 1 is a duplicate."""
        return dict(Counter(item.id for item in self.items if item.signal == signal))

    def sums(self, signal: str) -> dict[str, float]:
        """What each sender's id adds up to: for data points their values, else how often held."""
        found: dict[str, float] = {}
        for item in self.items:
            if item.signal == signal:
                found[item.id] = found.get(item.id, 0.0) + item.value
        return found

    def arrivals(self, signal: str) -> dict[str, float]:
        """When each sender's id came first, in epoch seconds."""
        return {item.id: item.at for item in reversed(self.items) if item.signal == signal}

    def held(self) -> dict[str, int]:
        """How many items of each signal are held now."""
        return {
            signal: count - self.evicted[signal]
            for signal, count in self.accepted.items()
            if count > self.evicted[signal]
        }

    def clear(self) -> None:
        """Forget all, the counts too."""
        if self.items and self.on_evict:
            self.on_evict(list(self.items))
        self.items.clear()
        self._by_trace.clear()
        self.accepted.clear()
        self.evicted.clear()
        self.bytes = 0

    def _drop_oldest(self) -> Item:
        item = self.items.popleft()
        self.bytes -= item.size + OVERHEAD
        self.evicted[item.signal] += 1
        for trace_id in item.trace_ids:
            of_trace = self._by_trace[trace_id]
            of_trace.popleft()
            if not of_trace:
                del self._by_trace[trace_id]
        return item
