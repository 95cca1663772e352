"""X-Ray's sampling rules in one process: which one a root span falls under, and what it decides.

As https://docs.aws.amazon.com/xray/latest/devguide/xray-api-sampling.html has it: the rules by
priority; of each, so many a second that X-Ray has given this process (its quota of the rule's
reservoir), one a second while it has given none, and of the others a share.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from opentelemetry.sdk.trace.sampling import Decision, TraceIdRatioBased

LONGEST_SECONDS = 3600.0
"""Rules that could not be read for so long are no rules any more."""

OTHERS_SHARE = 0.05
"""Without rules: one a second, and this share of the others."""

LOOKED_AT = ("URLPath", "HTTPMethod", "Host", "ServiceName", "ServiceType", "ResourceARN")
"""What a rule's patterns are about."""

_PLATFORMS = {
    "aws_lambda": "AWS::Lambda::Function",
    "aws_elastic_beanstalk": "AWS::ElasticBeanstalk::Environment",
    "aws_ec2": "AWS::EC2::Instance",
    "aws_ecs": "AWS::ECS::Container",
    "aws_eks": "AWS::EKS::Container",
}
_ARNS = ("aws.ecs.container.arn", "cloud.resource_id", "faas.id")
_COUNTS = ("RequestCount", "SampledCount", "BorrowCount")

Attributes = Mapping[str, Any]


class Reservoir:
    """Lets `rate` a second through. What a second leaves over is gone with it."""

    def __init__(self, rate: float, now: float) -> None:
        self.rate = rate
        self._held = rate
        self._filled = now

    def take(self, now: float) -> bool:
        self._held = min(self.rate, self._held + max(0.0, now - self._filled) * self.rate)
        self._filled = now
        if self._held < 1:
            return False
        self._held -= 1
        return True


class Rule:
    """`written`: a `SamplingRule` as X-Ray's API has it. Raises KeyError, TypeError and ValueError
    where it is none.
    """

    def __init__(self, written: Attributes, now: float) -> None:
        self.written = written
        self.name = str(written["RuleName"])
        self.order = (int(written["Priority"]), self.name)
        self.counts = dict.fromkeys(_COUNTS, 0)
        self._share = TraceIdRatioBased(float(written["FixedRate"]))
        self._borrowed = Reservoir(min(1, int(written["ReservoirSize"])), now)
        self._quota: Reservoir | None = None
        self._quota_ends = 0.0
        self._patterns = {name: _pattern(str(written.get(name, "*"))) for name in LOOKED_AT}
        self._attributes = {
            name: _pattern(str(text)) for name, text in (written.get("Attributes") or {}).items()
        }

    def matches(self, span: Attributes, seen: Mapping[str, str]) -> bool:
        """`seen`: see `request`."""
        return all(
            pattern is None or pattern.fullmatch(seen[name])
            for name, pattern in self._patterns.items()
        ) and all(
            name in span and (pattern is None or pattern.fullmatch(str(span[name])))
            for name, pattern in self._attributes.items()
        )

    def decides(self, trace_id: int, now: float) -> bool:
        """Whether the trace is recorded. Counts what X-Ray is told."""
        given = self._quota if self._quota and now < self._quota_ends else None
        taken = (given or self._borrowed).take(now)
        sampled = taken or _of_share(self._share, trace_id)
        self.counts["RequestCount"] += 1
        self.counts["SampledCount"] += sampled
        self.counts["BorrowCount"] += taken and given is None
        return sampled

    def follow(self, target: Attributes, now: float) -> None:
        """Take over a `SamplingTargetDocument`."""
        if target.get("FixedRate") is not None:
            self._share = TraceIdRatioBased(float(target["FixedRate"]))
        quota = target.get("ReservoirQuota")
        if quota is None:
            return
        self._quota_ends = float(target.get("ReservoirQuotaTTL") or now)
        if self._quota is None:
            self._quota = Reservoir(int(quota), now)
        self._quota.rate = int(quota)


class Rules:
    """All of them, for a service of this resource. Not thread-safe."""

    def __init__(self, resource: Attributes, client: str, now: float) -> None:
        self._resource = resource
        self._client = client
        self._rules: list[Rule] = []
        self._read = float("-inf")
        self._one_a_second = Reservoir(1, now)
        self._others = TraceIdRatioBased(OTHERS_SHARE)

    def decides(self, span: Attributes, trace_id: int, now: float) -> bool:
        """Whether the trace of a root span with these attributes is recorded."""
        if now - self._read < LONGEST_SECONDS:
            seen = request(span, self._resource)
            for rule in self._rules:
                if rule.matches(span, seen):
                    return rule.decides(trace_id, now)
        if self._one_a_second.take(now):
            return True
        return _of_share(self._others, trace_id)

    def replace(self, written: Sequence[Attributes], now: float) -> None:
        """One that has not changed goes on with what it holds. Raises as Rule does."""
        known = {rule.name: rule for rule in self._rules}
        rules = []
        for each in written:
            rule = known.get(each["RuleName"])
            rules.append(rule if rule and rule.written == each else Rule(each, now))
        self._rules = sorted(rules, key=lambda rule: rule.order)
        self._read = now

    def statistics(self, now: float) -> list[dict[str, Any]]:
        """What was decided since the last call, as X-Ray's API has it, of rules that did."""
        used = [rule for rule in self._rules if rule.counts["RequestCount"]]
        told = [
            {"ClientID": self._client, "RuleName": rule.name, "Timestamp": now, **rule.counts}
            for rule in used
        ]
        for rule in used:
            rule.counts = dict.fromkeys(_COUNTS, 0)
        return told

    def follow(self, targets: Sequence[Attributes], now: float) -> None:
        """Take over X-Ray's quotas. Raises KeyError, TypeError and ValueError."""
        by_name = {rule.name: rule for rule in self._rules}
        for target in targets:
            if rule := by_name.get(target["RuleName"]):
                rule.follow(target, now)


def request(span: Attributes, resource: Attributes) -> dict[str, str]:
    """What rules look at, by its name in them. HTTP's old names do where the new are missing."""
    path = span.get("url.path") or span.get("http.target")
    if path is None:
        path = urlsplit(str(span.get("url.full") or span.get("http.url") or "")).path or "/"
    arns = (resource.get(name) or span.get(name) for name in _ARNS)
    found = {
        "URLPath": path,
        "HTTPMethod": span.get("http.request.method") or span.get("http.method"),
        "Host": span.get("server.address") or span.get("http.host"),
        "ServiceName": resource.get("service.name"),
        "ServiceType": _PLATFORMS.get(str(resource.get("cloud.platform"))),
        "ResourceARN": next(filter(None, arns), None),
    }
    return {name: str(value or "") for name, value in found.items()}


def _of_share(share: TraceIdRatioBased, trace_id: int) -> bool:
    return share.should_sample(None, trace_id, "").decision is Decision.RECORD_AND_SAMPLE


def _pattern(text: str) -> re.Pattern[str] | None:
    """X-Ray's `*` and `?`; None where anything fits."""
    if text == "*":
        return None
    parts = (re.escape(part).replace(r"\?", ".") for part in text.split("*"))
    return re.compile(".*".join(parts), re.DOTALL)
