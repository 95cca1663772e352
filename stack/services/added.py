"""What the settings add to a service, beyond what the compose file says of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from stack.collector_config.text import escaped, go_memory_limit
from stack.collector_config.text import load as load_config
from stack.compose_file import Service
from stack.errors import StackError
from stack.fragments import aws_endpoint, load, variables
from stack.services.model import (
    BACKEND,
    COLLECTOR,
    COLLECTOR_HOSTS,
    EMULATOR_HOSTS,
    PAGE,
    Plan,
)
from stack.vendors.aws import Settings as AwsSettings

SECRETS_INSIDE = "/run/otlp-secrets"
"""Where a container sees its folder of OTLP_SERVER_SECRETS or OTLP_CLIENT_SECRETS."""

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"


def added(plan: Plan, name: str, service: Service) -> dict[str, str]:
    """The variables of the service's file in ENV_DIR."""
    if name == COLLECTOR:
        return _collector(plan)
    if name == PAGE:
        sends = {ENDPOINT: _endpoint(plan), **_secrets(plan)} if plan.page_sends else {}
        return {**sends, **_merged(vendor.page for vendor in plan.vendors), **_upstreams(plan)}
    if ENDPOINT not in service.environment:
        return {}
    sends = _secrets(plan)
    # Who is called by people is at the edge: its callers are anybody.
    trusted = service.verify is None or plan.settings.trust_callers == "on"
    sends |= sampler(plan, trust_callers=trusted)
    if name != BACKEND:
        return sends
    return {
        **sends,
        "LOG_ROUTE": plan.settings.log_route,
        **_log_exporter(plan),
        **_https(plan),
        **_merged(vendor.app for vendor in plan.vendors),
    }


def _upstreams(plan: Plan) -> dict[str, str]:
    """Where errors of the page go, whose browser does not reach the emulator."""
    if not plan.settings.public_url and not plan.settings.same_origin:
        return {}
    emulated = (v for v in plan.vendors if v.page and not v.live)
    return {
        name.replace("ENDPOINT", "UPSTREAM"): value
        for vendor in emulated
        for name, value in vendor.app.items()
        if name.endswith("_ENDPOINT")
    }


def _https(plan: Plan) -> dict[str, str]:
    """Who may tell the app that a request came by https: in a workspace its proxy and the page's
    server, which in containers have other addresses than this machine's. gunicorn takes the scheme
    of them, and nothing else (`forwarder_headers`).
    """
    behind_proxy = plan.settings.public_url and plan.runtime == "docker"
    return {"FORWARDED_ALLOW_IPS": "*"} if behind_proxy else {}


def encoded(name: str, environment: Mapping[str, str]) -> dict[str, str]:
    """`environment` as service `name` has to get it for each value to arrive as it is."""
    if name != COLLECTOR:
        return dict(environment)
    return {
        # AWS's SDK reads its own by itself, and as they are.
        name: value if name.startswith("AWS_") else escaped(value)
        for name, value in environment.items()
    }


def memory_limit(plan: Plan) -> str:
    """GOMEMLIMIT of the collector; `off` with a config that has no memory_limiter."""
    try:
        return go_memory_limit(load_config(plan.config_source)) or "off"
    except StackError:
        return "off"  # whoever runs or validates this config says what is wrong with it


def _collector(plan: Plan) -> dict[str, str]:
    access = plan.access
    return {
        **plan.settings.collector,
        "AWS_HOP_PORT": str(plan.settings.aws_hop_port),
        **_merged(vendor.collector for vendor in plan.vendors),
        **_named_in_config(plan),
        **({"OTLP_SERVER_SECRETS": _seen(plan, access.server)} if access.restricted else {}),
        **access.server_variables,
    }


def _named_in_config(plan: Plan) -> dict[str, str]:
    """What the collector's config names besides, and the variables of the fragments; one without a
    value is left out.
    """
    settings = plan.settings
    live = settings.of(AwsSettings).live
    port = settings.port("EMULATOR_OTLP_PORT")
    emulator = None if live else f"http://{EMULATOR_HOSTS[plan.runtime]}:{port}"
    shared = {*settings.collector, *_merged(vendor.collector for vendor in plan.vendors)}
    found = {name: value for name, value in settings.config_values.items() if name not in shared}
    for fragment in settings.fragments:
        for name, default in variables(load(fragment, plan.root)).items():
            value = settings.config_values.get(name, default)
            value = value or aws_endpoint(name, settings.aws_region, emulator)
            if value is not None and name not in shared:
                found[name] = value
    return found


def sampler(plan: Plan, *, trust_callers: bool) -> dict[str, str]:
    """Everything, or what X-Ray's sampling rules say, which are asked for through the collector.

    The SDK's own default, parentbased_always_on, records nothing for a caller that does not sample.
    Between our services that is right: profiles-flask follows the backend, which asks it.
    """
    if plan.settings.traces_sampler == "always_on":
        return {"OTEL_TRACES_SAMPLER": "parentbased_always_on" if trust_callers else "always_on"}
    proxy = f"http://{COLLECTOR_HOSTS[plan.runtime]}:{plan.settings.port('AWSPROXY_PORT')}"
    return {
        "OTEL_TRACES_SAMPLER": plan.settings.traces_sampler,
        # New rules are seen within a minute; a changed one within 10 s, with its next quota.
        "OTEL_TRACES_SAMPLER_ARG": (
            f"endpoint={proxy},polling_interval=60,trust_callers={str(trust_callers).lower()}"
        ),
    }


def _log_exporter(plan: Plan) -> dict[str, str]:
    """One of the two routes for logs: beside watchtower, OTLP would double every line."""
    return {"OTEL_LOGS_EXPORTER": "none"} if plan.settings.log_route == "watchtower" else {}


def _endpoint(plan: Plan) -> str:
    host, port = COLLECTOR_HOSTS[plan.runtime], plan.settings.port("OTLP_HTTP_PORT")
    return f"{plan.access.scheme}://{host}:{port}"


def _secrets(plan: Plan) -> dict[str, str]:
    return plan.access.sender_variables(_seen(plan, plan.access.client))


def _seen(plan: Plan, secrets: Path) -> str:
    """The folder as the plan's processes see it."""
    return SECRETS_INSIDE if plan.runtime == "docker" else str(secrets)


def _merged(groups: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """One mapping of several; the last one wins."""
    return {name: value for group in groups for name, value in group.items()}
