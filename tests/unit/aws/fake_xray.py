"""As much of X-Ray as a sampler and `make provision` talk to, in memory, on a free port.

It plays the service behind a proxy, so it takes requests unsigned. Quotas are shared as X-Ray
shares them: each client that asks for targets gets its part of a rule's reservoir.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.local_http import Handler, serve

DEFAULT_RULE = {
    "RuleName": "Default",
    "ResourceARN": "*",
    "Priority": 10000,
    "FixedRate": 0.05,
    "ReservoirSize": 1,
    "ServiceName": "*",
    "ServiceType": "*",
    "Host": "*",
    "HTTPMethod": "*",
    "URLPath": "*",
    "Version": 1,
    "Attributes": {},
}


# What X-Ray's API requires of a statistics document.
STATISTICS = {"ClientID", "RuleName", "Timestamp", "RequestCount", "SampledCount"}


class FakeXRay:
    """`rules` and `groups` may be edited at any time; `statistics` is what samplers reported."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.rules: dict[str, dict[str, Any]] = {"Default": dict(DEFAULT_RULE)}
        self.groups: dict[str, dict[str, Any]] = {}
        self.statistics: list[dict[str, Any]] = []
        self.asked: list[str] = []
        self.refused: list[str] = []
        self.interval: int | None = None
        self.failing: int | None = None
        self.last_modification = time.time()

    def put_rule(self, **fields: Any) -> None:
        rule: dict[str, Any] = DEFAULT_RULE | fields
        self.rules[rule["RuleName"]] = rule
        self.last_modification = time.time()

    def answer(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        self.asked.append(path)
        match path:
            case "/GetSamplingRules":
                return {"SamplingRuleRecords": [{"SamplingRule": r} for r in self.rules.values()]}
            case "/SamplingTargets":
                return self._targets(body["SamplingStatisticsDocuments"])
            case "/CreateSamplingRule":
                self.put_rule(**body["SamplingRule"])
            case "/UpdateSamplingRule":
                update = body["SamplingRuleUpdate"]
                self.put_rule(**self.rules[update["RuleName"]] | update)
            case "/Groups":
                return {"Groups": list(self.groups.values())}
            case "/CreateGroup" | "/UpdateGroup":
                self.groups[body["GroupName"]] = body
            case _:
                raise LookupError(path)
        return {}

    def _targets(self, documents: list[dict[str, Any]]) -> dict[str, Any]:
        for document in documents:
            assert document.keys() >= STATISTICS, document
        self.statistics += documents
        clients = {(each["ClientID"], each["RuleName"]) for each in self.statistics}
        targets = []
        for document in documents:
            rule = self.rules[document["RuleName"]]
            size = rule["ReservoirSize"]
            sharing = sum(1 for _, name in clients if name == document["RuleName"])
            targets.append(
                {
                    "RuleName": rule["RuleName"],
                    "FixedRate": rule["FixedRate"],
                    # A rule without a reservoir has none: one a second was sampled at rate 0.
                    "ReservoirQuota": min(size, max(1, size // sharing)),
                    "ReservoirQuotaTTL": time.time() + 60,
                    "Interval": self.interval,
                }
            )
        return {
            "SamplingTargetDocuments": targets,
            "LastRuleModification": self.last_modification,
            "UnprocessedStatistics": [],
        }


@contextmanager
def running(port: int = 0) -> Iterator[FakeXRay]:
    """Serve on `port`, or on a free one, until the block ends."""

    class XRay(Handler):
        protocol_version = "HTTP/1.1"

        def respond(self) -> None:
            body = json.loads(self.body() or "{}")
            if fake.failing:
                fake.refused.append(self.path)
                self._reply(fake.failing, {"message": "told to fail"})
            else:
                self._reply(200, fake.answer(self.path, body))

        def _reply(self, status: int, answer: dict[str, Any]) -> None:
            json_only = {"Content-Type": "application/json"}
            self.answer(status, json.dumps(answer).encode(), json_only)

    with serve(XRay, port) as url:
        fake = FakeXRay(url)
        yield fake
