"""moto, embedded: loaded once in a thread of its own, and kept from growing without end."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar, cast

from emulators.aws.vendor import ACCOUNT, AwsError, validated
from emulators.cloudwatch import alarms, contributor_insights
from emulators.cloudwatch.emf import MetricValue
from emulators.xray.api import Region

_T = TypeVar("_T")

# Data points that CloudWatch keeps in a region; moto itself would keep every one.
MAX_DATA_POINTS = 100_000


@dataclass(frozen=True, slots=True)
class Answer:
    """What moto answered."""

    status: int
    headers: dict[str, str]
    body: bytes


class Moto:
    """moto's services. Its state belongs to the process, and one thread alone touches it."""

    def __init__(self, region: Callable[[str], Region]) -> None:
        """`region` answers X-Ray's state in a region, for CloudFormation to change."""
        self._region = region
        # Saved Insights queries by id, which moto does not have.
        self.query_definitions: dict[str, dict[str, Any]] = {}
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="moto")
        self._app: Any = None

    def load(self) -> None:
        """Begin to load moto (1.5 s); calls wait until it is there."""
        self._thread.submit(self._load)

    def close(self) -> None:
        """Let the thread end."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def call(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes,
    ) -> Answer:
        """Have moto answer a request."""
        return await self._run(lambda: self._call(method, path, headers, body))

    async def put_log_events(
        self,
        region: str,
        group: str,
        stream: str,
        check: Callable[[int | None], list[dict[str, Any]]],
    ) -> tuple[str, list[dict[str, Any]]]:
        """Store the events that `check` lets through, called with the group's retention in days.

        Answers the next sequence token and the group's metric filters. Raises AwsError where group
        or stream are missing.
        """
        return await self._run(lambda: _put_log_events(region, group, stream, check))

    async def put_metrics(self, region: str, values: Iterable[MetricValue]) -> None:
        """Make metric values readable by CloudWatch's own API."""
        await self._run(lambda: _put_metrics(region, values))

    async def evaluate_alarms(self, region: str) -> None:
        """Bring every alarm to the state that its data give it now."""
        now = datetime.now(UTC)
        await self._run(
            lambda: alarms.evaluate(
                _cloudwatch(region), lambda: _events(region, list(_logs(region).groups)), now
            )
        )

    async def insight_report(self, region: str, ask: dict[str, Any]) -> dict[str, Any]:
        """GetInsightRuleReport's answer. Raises AwsError for a rule that is not there."""
        return await self._run(lambda: _insight_report(region, ask))

    async def trim(self, gone: Mapping[tuple[str, str, str], int]) -> None:
        """Drop the oldest events of streams: (region, group, stream) → how many."""
        await self._run(lambda: _trim(gone))

    async def events(
        self,
        region: str,
        groups: Iterable[str],
    ) -> list[tuple[str, str, int, str]]:
        """(group, stream, epoch ms, message) of each event. Raises AwsError for unknown groups."""
        return await self._run(lambda: _events(region, groups))

    async def reset(self) -> None:
        """Forget everything."""
        self.query_definitions.clear()
        await self._run(_reset)

    async def _run(self, work: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _load(self) -> None:
        # moto must not look for a real account, nor let pages in from elsewhere.
        os.environ.setdefault("AWS_EC2_METADATA_DISABLED", "true")
        os.environ["MOTO_DISABLE_GLOBAL_CORS"] = "true"
        from moto.moto_server.werkzeug_app import (  # noqa: PLC0415 - slow, so not at start
            DomainDispatcherApplication,
            create_backend_app,
        )

        import emulators.cloudwatch.change_sets  # noqa: F401, PLC0415 - as above
        from emulators.cloudwatch.cloudformation import WORLD, World  # noqa: PLC0415 - as above

        # The thread is this instance's own, and so is its context.
        WORLD.set(World(self._region, self._call_json, self.query_definitions))
        self._app = DomainDispatcherApplication(create_backend_app)

    def _call_json(self, target: str, region: str, ask: dict[str, Any]) -> dict[str, Any]:
        """A call from inside moto's thread. Raises AwsError with what moto says."""
        logs = target.startswith("Logs")
        # A resource's handler is one more client of the service.
        ask = validated("logs" if logs else "cloudwatch", target.partition(".")[2], ask)
        scope = f"inside/20260101/{region}/{'logs' if logs else 'monitoring'}/aws4_request"
        headers = {
            "X-Amz-Target": target,
            "Content-Type": "application/x-amz-json-1.0",
            "Authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, "
            "Signature=inside",
        }
        answer = self._call("POST", "/", headers, json.dumps(ask).encode())
        body: dict[str, Any] = json.loads(answer.body or b"{}")
        if answer.status >= 400:  # noqa: PLR2004
            message = body.get("message") or body.get("Message") or answer.body.decode()
            raise AwsError(str(body.get("__type", "ValidationError")), message)
        return body

    async def unknown_types(self, template: str) -> list[str]:
        """The resource types of a template that nobody plays."""
        from emulators.cloudwatch.cloudformation import unknown_types  # noqa: PLC0415 - as above

        return await self._run(lambda: unknown_types(template))

    def _call(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        from werkzeug.test import EnvironBuilder, run_wsgi_app  # noqa: PLC0415 - as moto

        environ = EnvironBuilder(
            path=path,
            method=method,
            headers=list(headers.items()),
            data=body,
            base_url=f"http://{headers.get('Host', '127.0.0.1')}",
        ).get_environ()
        try:
            chunks, status, answered = run_wsgi_app(self._app, environ, buffered=True)
        except Exception as error:
            # moto trusts what it is sent: a resource that is a number is an AttributeError.
            why = f"moto cannot do this ({type(error).__name__}: {error})"
            raise AwsError("ValidationError", why) from error
        return Answer(int(status.split()[0]), dict(answered), b"".join(chunks))


def _logs(region: str) -> Any:
    from moto.logs.models import logs_backends  # noqa: PLC0415 - as above

    return logs_backends[ACCOUNT][region]


def _cloudwatch(region: str) -> Any:
    from moto.cloudwatch.models import cloudwatch_backends  # noqa: PLC0415 - as above

    return cloudwatch_backends[ACCOUNT][region]


def _group(region: str, name: str) -> Any:
    group = _logs(region).groups.get(name)
    if group is None:
        raise AwsError("ResourceNotFoundException", "The specified log group does not exist.")
    return group


def _put_log_events(
    region: str,
    group: str,
    stream: str,
    check: Callable[[int | None], list[dict[str, Any]]],
) -> tuple[str, list[dict[str, Any]]]:
    found = _group(region, group)
    if stream not in found.streams:
        raise AwsError("ResourceNotFoundException", "The specified log stream does not exist.")
    days = found.retention_in_days
    events = check(None if days is None else int(days))
    token = str(found.streams[stream].put_log_events(events))
    if events:
        # What CloudWatch counts by itself, for alarms on silence.
        incoming = MetricValue(
            "AWS/Logs",
            "IncomingLogEvents",
            "Count",
            {"LogGroupName": group},
            int(time.time() * 1000),
            ((float(len(events)), 1.0),),
        )
        _put_metrics(region, [incoming])
    return token, _logs(region).describe_metric_filters(log_group_name=group)


def _put_metrics(region: str, values: Iterable[MetricValue]) -> None:
    backend = _cloudwatch(region)
    by_namespace: dict[str, list[dict[str, Any]]] = {}
    for value in values:
        datum: dict[str, Any] = {
            "MetricName": value.name,
            "Unit": value.unit,
            # Naive, as moto's own parser makes them.
            "Timestamp": datetime.fromtimestamp(value.timestamp / 1000, UTC).replace(tzinfo=None),
            "Dimensions": [{"Name": k, "Value": v} for k, v in value.dimensions.items()],
        }
        if value.statistics is None and not value.values:
            continue
        if value.statistics is None and len(value.values) == 1 and value.values[0][1] == 1:
            datum["Value"] = value.values[0][0]
        elif value.statistics is None:
            datum["Values"] = [number for number, _ in value.values]
            datum["Counts"] = [count for _, count in value.values]
        else:
            keys = ("Sum", "Minimum", "Maximum", "SampleCount")
            datum["StatisticValues"] = dict(zip(keys, value.statistics, strict=True))
        by_namespace.setdefault(value.namespace, []).append(datum)
    for namespace, data in by_namespace.items():
        backend.put_metric_data(namespace, data)
    excess = len(backend.metric_data) - MAX_DATA_POINTS
    if excess > 0:
        del backend.metric_data[:excess]
    _forget_instances()


def _trim(gone: Mapping[tuple[str, str, str], int]) -> None:
    for (region, group, stream), count in gone.items():
        found = _logs(region).groups.get(group)
        if found is not None and stream in found.streams:
            del found.streams[stream].events[:count]


def _events(region: str, groups: Iterable[str]) -> list[tuple[str, str, int, str]]:
    return [
        (name, stream.log_stream_name, event.timestamp, event.message)
        for name in groups
        for stream in _group(region, name).streams.values()
        for event in stream.events
    ]


def _insight_report(region: str, ask: dict[str, Any]) -> dict[str, Any]:
    found = _cloudwatch(region).insight_rules.get(ask["RuleName"])
    if found is None:
        raise AwsError("ResourceNotFound", f"The rule {ask['RuleName']} does not exist.")
    events = _events(region, list(_logs(region).groups))
    return contributor_insights.report(contributor_insights.parse(found.definition), ask, events)


def _reset() -> None:
    from moto.backends import get_backend  # noqa: PLC0415 - as above

    for service in ("logs", "cloudwatch", "cloudformation", "iam", "sns", "events", "ssm"):
        get_backend(service).reset()


def _forget_instances() -> None:
    """Moto remembers every object it ever made, for a dashboard that is not served here."""
    from moto.cloudwatch.models import MetricAggregatedDatum, MetricDatum  # noqa: PLC0415
    from moto.logs.models import LogEvent  # noqa: PLC0415

    for model in (LogEvent, MetricDatum, MetricAggregatedDatum):
        cast("Any", model).instances_tracked.clear()
