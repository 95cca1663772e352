"""AWS's sampling decisions, with a poller that survives forks and outages.

The decisions (matching, reservoir, statistics, targets) are AWS's own code. Its poller is not used:
its timers do not exist in a forked gunicorn worker, and one failed poll empties its rules for the
next five minutes (docs/decisions/0006-remote-sampling.md).
"""

from __future__ import annotations

import logging
import os
import random
import secrets
import threading
import time
import weakref
from typing import TYPE_CHECKING, Any

from amazon.opentelemetry.distro.sampler._clock import _Clock
from amazon.opentelemetry.distro.sampler._fallback_sampler import _FallbackSampler
from amazon.opentelemetry.distro.sampler._rule_cache import _RuleCache
from amazon.opentelemetry.distro.sampler._sampling_rule import _SamplingRule
from amazon.opentelemetry.distro.sampler._sampling_target import _SamplingTargetResponse
from opentelemetry.context import Context, attach, detach
from opentelemetry.sdk.trace.sampling import Sampler, SamplingResult

from otel_stack_distro.xray.proxy import ProxyError, SamplingProxy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.sdk.resources import Resource
    from opentelemetry.trace import Link, SpanKind
    from opentelemetry.trace.span import TraceState
    from opentelemetry.util.types import Attributes

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

    def __init__(self, proxy: SamplingProxy, resource: Resource, polling_interval: float) -> None:
        self._proxy = proxy
        self._resource = resource
        self._polling_interval = polling_interval
        self._clock = _Clock()
        self._known: list[dict[str, Any]] = []
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
        self._begin_lock = threading.Lock()
        self._rules: Any = None
        self._fallback = _FallbackSampler(self._clock)
        self._stopped = threading.Event()
        self._failing = False

    def _begin(self) -> Any:
        """Start to sample in this process, as a client of its own for X-Ray's quotas."""
        with self._begin_lock:
            if self._rules is None:
                rules = _RuleCache(
                    self._resource,
                    self._fallback,
                    secrets.token_hex(12),
                    self._clock,
                    threading.Lock(),
                )
                if self._known:
                    rules.update_sampling_rules([_SamplingRule(**each) for each in self._known])
                self._rules = rules
                # Where threads carry their maker's context on, its lines would have the first
                # request's trace for good.
                token = attach(Context())
                try:
                    threading.Thread(target=self._poll, name="xray-sampling", daemon=True).start()
                finally:
                    detach(token)
        return self._rules

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
        rules = self._rules or self._begin()
        decide: Sampler = self._fallback if rules.expired() else rules
        return decide.should_sample(
            parent_context, trace_id, name, kind, attributes, links, trace_state
        )

    def get_description(self) -> str:
        return f"XRayRemoteSampler{{{self._proxy}}}"

    def stop(self) -> None:
        """End this process's polling; sampling goes on by what is known."""
        self._stopped.set()

    def _poll(self) -> None:
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
                changed, asked_interval = self._read_targets()
                targets_interval = asked_interval or targets_interval
                next_targets = time.monotonic() + targets_interval * (1 + jitter)
                if changed:
                    next_rules = time.monotonic()
            if time.monotonic() >= next_rules:
                ok = self._read_rules()
                pause = (
                    self._polling_interval if ok else min(RETRY_INTERVAL, self._polling_interval)
                )
                next_rules = time.monotonic() + pause * (1 + jitter)

    def _read_rules(self) -> bool:
        """Take over X-Ray's rules; on failure keep the known ones and say so once."""
        try:
            rules = self._proxy.get_sampling_rules()
            self._rules.update_sampling_rules([_SamplingRule(**rule) for rule in rules])
        except (ProxyError, TypeError, ValueError) as error:
            self._note_failure(error)
            return False
        self._known = rules
        if self._failing:
            self._failing = False
            _logger.info("X-Ray's sampling rules are read again at %s", self._proxy)
        return True

    def _read_targets(self) -> tuple[bool, float | None]:
        """Report the statistics; say whether rules changed, and after how long to ask again."""
        statistics, _ = self._rules.get_all_statistics()
        if not statistics:
            return False, None
        try:
            answer = self._proxy.get_sampling_targets([_document(each) for each in statistics])
            targets = answer["SamplingTargetDocuments"]
            changed, _ = self._rules.update_sampling_targets(_SamplingTargetResponse(**answer))
            intervals = [float(each["Interval"]) for each in targets if each.get("Interval")]
        except (ProxyError, AttributeError, TypeError, ValueError) as error:
            self._note_failure(error)
            return False, None
        return bool(changed), max(1.0, min(intervals)) if intervals else None

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


def _document(statistics: dict[str, Any]) -> dict[str, Any]:
    """Name the fields as X-Ray's API does: AWS's code says SampleCount for its SampledCount."""
    return {"SampledCount" if name == "SampleCount" else name: v for name, v in statistics.items()}
