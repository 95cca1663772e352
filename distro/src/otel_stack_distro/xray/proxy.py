"""The two X-Ray operations of a sampler, through a proxy that signs them."""

from __future__ import annotations

# Loaded by the first connection otherwise; a fork in that moment leaves a child that can look up no
# host, for good.
import encodings.idna  # noqa: F401
import http.client
import json
from typing import Any

# The answer is a few kilobytes; a proxy that hangs must not keep the poller for long.
TIMEOUT_SECONDS = 5.0
# X-Ray allows some 25 rules a region by default; more pages than this is a proxy gone wrong.
MOST_PAGES = 20


class ProxyError(Exception):
    """The proxy, or X-Ray behind it, gave no usable answer; the text is one line."""


class SamplingProxy:
    """A collector's awsproxy, or X-Ray's daemon.

    It speaks through `http.client`, which no instrumentation touches: a poll must not become a
    trace of its own, as it does with requests (AWS's client), nor spend the reservoir.
    """

    def __init__(self, host: str, port: int) -> None:
        self.host = host
        self.port = port

    def __str__(self) -> str:
        return f"http://{self.host}:{self.port}"

    def get_sampling_rules(self) -> list[dict[str, Any]]:
        """Return every `SamplingRule`, as X-Ray writes it. Raises ProxyError."""
        rules: list[dict[str, Any]] = []
        token: str | None = None
        for _ in range(MOST_PAGES):
            answer = self._call("/GetSamplingRules", {"NextToken": token} if token else {})
            try:
                rules += [dict(record["SamplingRule"]) for record in answer["SamplingRuleRecords"]]
            except (KeyError, TypeError, ValueError) as error:
                raise ProxyError("GetSamplingRules was answered without rules") from error
            token = answer.get("NextToken")
            if not token:
                break
        # X-Ray always has its Default rule, so nothing at all is a proxy's mistake.
        if not rules:
            raise ProxyError("GetSamplingRules was answered with no rule at all")
        return rules

    def get_sampling_targets(self, statistics: list[dict[str, Any]]) -> dict[str, Any]:
        """Report what was sampled, and return X-Ray's answer: quotas, and when rules last changed.

        Raises ProxyError.
        """
        answer = self._call("/SamplingTargets", {"SamplingStatisticsDocuments": statistics})
        if not isinstance(answer.get("SamplingTargetDocuments"), list):
            raise ProxyError("SamplingTargets was answered without targets")
        return answer

    def _call(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        connection = http.client.HTTPConnection(self.host, self.port, timeout=TIMEOUT_SECONDS)
        try:
            connection.request(
                "POST", path, json.dumps(body), headers={"Content-Type": "application/json"}
            )
            response = connection.getresponse()
            content = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise ProxyError(f"{type(error).__name__}: {error}") from error
        finally:
            connection.close()
        if response.status != http.client.OK:
            said = content[:200].decode("utf-8", "replace").strip().replace("\n", " ")
            raise ProxyError(f"{path} was answered {response.status}: {said}")
        try:
            answer = json.loads(content)
        except ValueError as error:
            raise ProxyError(f"{path} was answered with something other than JSON") from error
        if not isinstance(answer, dict):
            raise ProxyError(f"{path} was answered with something other than a JSON object")
        return answer
