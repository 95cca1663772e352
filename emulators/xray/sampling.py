"""Sampling rules, and the quota that each client is given of a rule's reservoir."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]

DEFAULT_RULE = "Default"
MAX_RULES = 25
# Seconds: how often clients should report, and for how long one that is silent keeps its share.
INTERVAL = 10
ACTIVE = 30
MAX_CLIENTS = 10_000
_FIXED_FIELDS = ("RuleName", "RuleARN", "Version")
_DEFAULT_CHANGES = frozenset({"RuleName", "RuleARN", "FixedRate", "ReservoirSize"})


class RuleError(Exception):
    """A change that X-Ray refuses; `code` is its exception's name."""

    def __init__(self, message: str, code: str = "InvalidRequestException") -> None:
        super().__init__(message)
        self.code = code


@dataclass(slots=True)
class Rule:
    """A rule as GetSamplingRules shows it; times are epoch seconds."""

    fields: Json
    created_at: float
    modified_at: float

    def as_record(self) -> Json:
        """The member of SamplingRuleRecords."""
        return {
            "SamplingRule": self.fields,
            "CreatedAt": self.created_at,
            "ModifiedAt": self.modified_at,
        }


@dataclass(slots=True)
class Sampling:
    """The rules of one region and who is sampling by them."""

    arn_prefix: str
    now: Callable[[], float] = time.time
    rules: dict[str, Rule] = field(default_factory=dict)
    statistics: deque[Json] = field(default_factory=lambda: deque(maxlen=10_000))
    # (rule, client) → when it last reported traffic; insertion order is that of first report.
    _clients: dict[tuple[str, str], float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Start with the rule that every account has."""
        self._put(
            {
                "RuleName": DEFAULT_RULE,
                "Priority": 10_000,
                "FixedRate": 0.05,
                "ReservoirSize": 1,
                "ServiceName": "*",
                "ServiceType": "*",
                "Host": "*",
                "HTTPMethod": "*",
                "URLPath": "*",
                "ResourceARN": "*",
                "Version": 1,
                "Attributes": {},
            },
        )

    def records(self) -> list[Json]:
        """Every rule by priority, as clients should try them."""
        ordered = sorted(
            self.rules.values(),
            key=lambda rule: (rule.fields["Priority"], rule.fields["RuleName"]),
        )
        return [rule.as_record() for rule in ordered]

    def create(self, fields: Json) -> Rule:
        """A new rule. Raises RuleError when the name is missing or taken, or 25 are there."""
        name = fields.get("RuleName")
        if not name:
            raise RuleError("RuleName is required")
        if name in self.rules:
            raise RuleError(f"Sampling rule {name} already exists")
        if len(self.rules) > MAX_RULES:
            raise RuleError(f"no more than {MAX_RULES} rules", "RuleLimitExceededException")
        _check(fields)
        return self._put({"Attributes": {}, **fields})

    def update(self, changes: Json) -> Rule:
        """A rule with `changes`; what is not in them stays. Raises RuleError."""
        rule = self._find(changes)
        if rule.fields["RuleName"] == DEFAULT_RULE and not changes.keys() <= _DEFAULT_CHANGES:
            raise RuleError("Only FixedRate and ReservoirSize of the Default rule can change")
        fields = rule.fields | {k: v for k, v in changes.items() if k not in _FIXED_FIELDS}
        if rule.fields["RuleName"] != DEFAULT_RULE:
            _check(fields)
        rule.fields = fields
        rule.modified_at = self.now()
        return rule

    def delete(self, which: Json) -> Rule:
        """Take a rule away. Raises RuleError."""
        rule = self._find(which)
        if rule.fields["RuleName"] == DEFAULT_RULE:
            raise RuleError("The Default rule cannot be deleted")
        del self.rules[rule.fields["RuleName"]]
        return rule

    def targets(self, documents: list[Json]) -> Json:
        """What GetSamplingTargets answers to these statistics.

        Clients that reported traffic in the last 30 s share the reservoir in whole traces a
        second; what does not divide goes to those that reported first.
        """
        now = self.now()
        reported: list[tuple[Rule, Json]] = []
        unknown: list[Json] = []
        for document in documents:
            rule = self.rules.get(document["RuleName"])
            if rule is None:
                unknown.append(
                    {
                        "RuleName": document["RuleName"],
                        "ErrorCode": "400",
                        "Message": "Unknown rule",
                    },
                )
                continue
            self._report(rule, document, now)
            reported.append((rule, document))
        targets = [self._target(rule, document, now) for rule, document in reported]
        modified = max(rule.modified_at for rule in self.rules.values())
        return {
            "SamplingTargetDocuments": targets,
            "LastRuleModification": modified,
            "UnprocessedStatistics": unknown,
        }

    def _report(self, rule: Rule, document: Json, now: float) -> None:
        key = (rule.fields["RuleName"], document["ClientID"])
        if document["RequestCount"] > 0:
            self._clients[key] = now
            if len(self._clients) > MAX_CLIENTS:
                del self._clients[next(iter(self._clients))]
        self.statistics.append(
            {
                "RuleName": rule.fields["RuleName"],
                "Timestamp": document["Timestamp"],
                "RequestCount": document["RequestCount"],
                "SampledCount": document["SampledCount"],
                "BorrowCount": document.get("BorrowCount", 0),
            },
        )

    def _target(self, rule: Rule, document: Json, now: float) -> Json:
        name = rule.fields["RuleName"]
        active = [
            client
            for (of_rule, client), at in self._clients.items()
            if of_rule == name and now - at <= ACTIVE
        ]
        target: Json = {
            "RuleName": name,
            "FixedRate": rule.fields["FixedRate"],
            "Interval": INTERVAL,
        }
        if document["ClientID"] in active:
            share, rest = divmod(int(rule.fields["ReservoirSize"]), len(active))
            target["ReservoirQuota"] = share + (active.index(document["ClientID"]) < rest)
            target["ReservoirQuotaTTL"] = now + INTERVAL
        return target

    def _put(self, fields: Json) -> Rule:
        now = self.now()
        name = fields["RuleName"]
        rule = Rule({**fields, "RuleARN": f"{self.arn_prefix}:sampling-rule/{name}"}, now, now)
        self.rules[name] = rule
        return rule

    def _find(self, which: Json) -> Rule:
        name, arn = which.get("RuleName"), which.get("RuleARN")
        if bool(name) == bool(arn):
            raise RuleError("exactly one of RuleName and RuleARN is needed")
        for rule in self.rules.values():
            if rule.fields["RuleName"] == name or rule.fields["RuleARN"] == arn:
                return rule
        raise RuleError(f"Sampling rule {name or arn} does not exist")


def _check(fields: Json) -> None:
    """What AWS checks beyond the types in its model."""
    if not 1 <= fields["Priority"] <= 9999:  # noqa: PLR2004 - the documented range
        raise RuleError("Priority must be between 1 and 9999")
    if not 0 <= fields["FixedRate"] <= 1:
        raise RuleError("FixedRate must be between 0 and 1")
    if fields["ReservoirSize"] < 0:
        raise RuleError("ReservoirSize must not be negative")
    if fields["Version"] != 1:
        raise RuleError("Version must be 1")
    longest = {
        "RuleName": 32,
        "ServiceName": 64,
        "ServiceType": 64,
        "Host": 64,
        "HTTPMethod": 10,
        "URLPath": 128,
        "ResourceARN": 500,
    }
    for name, limit in longest.items():
        if len(fields[name]) > limit:
            raise RuleError(f"{name} must not be longer than {limit}")
