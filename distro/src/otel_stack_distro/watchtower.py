"""A service's other route for logs: watchtower, straight to CloudWatch. Needs the extra
`[watchtower]`, and `OTEL_LOGS_EXPORTER=none` beside it, or each line is there twice.
"""

from __future__ import annotations

import logging
from typing import Any

import boto3
from botocore.config import Config as BotoConfig
from botocore.exceptions import BotoCoreError
from watchtower import CloudWatchLogHandler

from otel_stack_distro.json_logging import JsonFormatter

MOST_PENDING = 10_000
"""Records that wait for CloudWatch, about 5 MB. watchtower's own queue has no bound."""

FLUSH_SECONDS = 3
"""At exit, instead of watchtower's 30: gunicorn ends a worker after 6."""


class PatientHandler(CloudWatchLogHandler):
    """watchtower, without what makes an app depend on CloudWatch.

    The group is made by the thread that sends, not while the app starts; and records are dropped,
    and counted, where the queue would grow without end.
    """

    FLUSH_TIMEOUT = FLUSH_SECONDS

    def __init__(self, group: str, stream: str, endpoint: str | None, region: str | None) -> None:
        client = boto3.client(
            "logs",
            endpoint_url=endpoint,
            # boto3 reads AWS_DEFAULT_REGION alone, everybody else AWS_REGION.
            region_name=region,
            config=BotoConfig(
                connect_timeout=2, read_timeout=5, retries={"mode": "standard", "max_attempts": 4}
            ),
        )
        super().__init__(
            log_group_name=group,
            log_stream_name=stream,
            boto3_client=client,
            create_log_group=False,
            send_interval=1,
        )
        self.dropped = 0
        self._group_is_there = False

    def emit(self, message: logging.LogRecord) -> None:
        if sum(queue.qsize() for queue in self.queues.values()) >= MOST_PENDING:
            self.dropped += 1
            return
        super().emit(message)  # type: ignore[no-untyped-call]

    def _submit_batch(
        self, batch: list[dict[str, Any]], log_stream_name: str, max_retries: int = 5
    ) -> None:
        if not self._group_is_there:
            try:
                self._ensure_log_group()  # type: ignore[no-untyped-call]
                self._group_is_there = True
            except Exception as away:  # noqa: BLE001 — botocore's errors have no common base
                _console("CloudWatch is not there for the logs yet: %s", type(away).__name__)
        super()._submit_batch(batch, log_stream_name, max_retries)  # type: ignore[no-untyped-call]


def _console(text: str, *values: object) -> None:
    """To the console alone: through the handler that fails, it would only feed itself."""
    record = logging.LogRecord(__name__, logging.WARNING, __file__, 0, text, values, None)
    for handler in logging.getLogger().handlers:
        if isinstance(handler, logging.StreamHandler):
            handler.handle(record)


def log_to_cloudwatch(
    service: str, group: str, endpoint: str | None = None, region: str | None = None
) -> None:
    """Send this process's log to CloudWatch too, each line as JSON with the ids of its trace.

    `endpoint`: None for AWS itself. `region`: None for the one that boto3 finds. Never fails and
    never waits for AWS. Harmless when done twice.
    """
    root = logging.getLogger()
    if any(isinstance(handler, PatientHandler) for handler in root.handlers):
        return
    try:
        handler = PatientHandler(group, service, endpoint, region)
    except BotoCoreError as wrong:
        _console("no logs go to CloudWatch: %s", wrong)
        return
    handler.setFormatter(JsonFormatter(service))
    for name in ("boto3", "botocore", "urllib3"):
        # What the sender itself says would be sent again.
        logging.getLogger(name).setLevel(logging.WARNING)
    root.addHandler(handler)
