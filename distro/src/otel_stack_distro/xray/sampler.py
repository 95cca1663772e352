"""X-Ray's decisions for the SDK, with a poller that survives forks and outages."""

from __future__ import annotations

import logging
import os
import random
import secrets
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from typing import Any

from opentelemetry.context import Context, attach, detach
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult
from opentelemetry.trace import Link, SpanKind, get_current_span
from opentelemetry.trace.span import TraceState
from opentelemetry.util.types import Attributes

from otel_stack_distro.xray.proxy import ProxyError, SamplingProxy
from otel_stack_distro.xray.rules import Rules

# What X-Ray's own SDKs use until a target names another interval.
TARGETS_INTERVAL = 10.0
# After a failed read of the rules: soon, since until the first success only the fallback samples.
RETRY_INTERVAL = 10.0

_logger = logging.getLogger(__name__)


class XRayRemoteSampler(Sampler):
    """Decides by X-Ray's rules for a root span; polls in a daemon thread of each process.

    Without rules (not read yet, or unread for an hour) it samples one root span a second and 5 % of
    the others. It never raises and never waits.
    """

    def __init__(
        self,
        proxy: SamplingProxy,
        resource: Resource,
        polling_interval: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._proxy = proxy
        self._resource = resource
        self._polling_interval = polling_interval
        self._clock = clock
        self._known: list[dict[str, Any]] = []
        self._known_since = self._modified = 0.0
        self._forget_process()
        this = weakref.ref(self)

        def forget_parent() -> None:
            if sampler := this():
                sampler._forget_process()  # noqa: SLF001

        # opentelemetry-instrument sets up the SDK in gunicorn's master; workers are its forks, and
        # threads do not survive a fork.
        os.register_at_fork(after_in_child=forget_parent)

    def _forget_process(self) -> None:
        """Be as new. Polling begins with the first root span, which a master has none of.

        A fork during a poll would copy whatever that thread was in the middle of.
        """
        self._lock = threading.Lock()
        self._rules: Rules | None = None
        self._stopped = threading.Event()
        self._failing = False

    def _begin(self) -> Rules:
        """Start to sample in this process, as a client of its own for X-Ray's quotas."""
        now = self._clock()
        rules = Rules(self._resource.attributes, secrets.token_hex(12), now)
        if self._known:
            rules.replace(self._known, now)
        # Where threads carry their maker's context on, its lines would have the first request's
        # trace for good.
        token = attach(Context())
        try:
            poll = threading.Thread(
                target=self._poll, args=(rules,), name="xray-sampling", daemon=True
            )
            poll.start()
        finally:
            detach(token)
        return rules

    def should_sample(  # noqa: PLR0917 - the SDK's signature
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        del name, kind, links, trace_state
        with self._lock:
            self._rules = self._rules or self._begin()
            sampled = self._rules.decides(attributes or {}, trace_id, self._clock())
        return SamplingResult(
            Decision.RECORD_AND_SAMPLE if sampled else Decision.DROP,
            attributes,
            get_current_span(parent_context).get_span_context().trace_state,
        )

    def get_description(self) -> str:
        return f"XRayRemoteSampler{{{self._proxy}}}"

    def stop(self) -> None:
        """End this process's polling; sampling goes on by what is known."""
        self._stopped.set()

    def _poll(self, rules: Rules) -> None:
        stopped = self._stopped
        # Workers that start together must not ask together for ever.
        jitter = random.uniform(0.0, 0.1)  # noqa: S311
        targets_interval = min(TARGETS_INTERVAL, self._polling_interval)
        next_rules = time.monotonic()
        next_targets = next_rules + targets_interval
        while True:
            if stopped.wait(max(0.0, min(next_rules, next_targets) - time.monotonic())):
                return
            if time.monotonic() >= next_targets:
                changed, asked_interval = self._read_targets(rules)
                targets_interval = asked_interval or targets_interval
                next_targets = time.monotonic() + targets_interval * (1 + jitter)
                if changed:
                    next_rules = time.monotonic()
            if time.monotonic() >= next_rules:
                ok = self._read_rules(rules)
                pause = (
                    self._polling_interval if ok else min(RETRY_INTERVAL, self._polling_interval)
                )
                next_rules = time.monotonic() + pause * (1 + jitter)

    def _read_rules(self, rules: Rules) -> bool:
        """Take over X-Ray's rules; on failure keep the known ones and say so once."""
        try:
            written = self._proxy.get_sampling_rules()
            with self._lock:
                rules.replace(written, self._clock())
        except (ProxyError, KeyError, TypeError, ValueError) as error:
            self._note_failure(error)
            return False
        self._known = written
        self._known_since = self._clock()
        if self._failing:
            self._failing = False
            _logger.info("X-Ray's sampling rules are read again at %s", self._proxy)
        return True

    def _read_targets(self, rules: Rules) -> tuple[bool, float | None]:
        """Report the statistics; say whether rules changed, and after how long to ask again."""
        with self._lock:
            statistics = rules.statistics(self._clock())
        if not statistics:
            return False, None
        try:
            answer = self._proxy.get_sampling_targets(statistics)
            targets = answer["SamplingTargetDocuments"]
            with self._lock:
                rules.follow(targets, self._clock())
            intervals = [float(each["Interval"]) for each in targets if each.get("Interval")]
            changed = self._changed(float(answer.get("LastRuleModification") or 0))
        except (ProxyError, AttributeError, KeyError, TypeError, ValueError) as error:
            self._note_failure(error)
            return False, None
        return changed, max(1.0, min(intervals)) if intervals else None

    def _changed(self, modified: float) -> bool:
        """Whether a rule was changed since. Only at first by this machine's clock."""
        before, self._modified = self._modified or self._known_since, modified
        return modified > before

    def _note_failure(self, error: Exception) -> None:
        if not self._failing:
            self._failing = True
            _logger.warning(
                "X-Ray's sampling rules cannot be read at %s (%s). %s",
                self._proxy,
                error,
                "Sampling goes on by the known ones, for an hour at most"
                if self._known
                else "Until they can, one request a second and 5 % of the others are sampled",
            )
