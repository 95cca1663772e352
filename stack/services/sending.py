"""OTLP from a process of the stack: where to, and with which secrets."""

from __future__ import annotations

from pathlib import Path

from stack.services.model import COLLECTOR_HOSTS, Plan

SECRETS_INSIDE = "/run/otlp-secrets"
"""Where a container sees its folder of OTLP_SERVER_SECRETS or OTLP_CLIENT_SECRETS."""


def sending(plan: Plan) -> dict[str, str]:
    """How a process of the stack sends OTLP, in OpenTelemetry's own variables."""
    host, port = COLLECTOR_HOSTS[plan.runtime], plan.settings.port("OTLP_HTTP_PORT")
    return {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"{plan.access.scheme}://{host}:{port}",
        **plan.access.sender_variables(seen(plan, plan.access.client)),
    }


def seen(plan: Plan, secrets: Path) -> str:
    """The folder as the plan's processes see it."""
    return SECRETS_INSIDE if plan.runtime == "docker" else str(secrets)
