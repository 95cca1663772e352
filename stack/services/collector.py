"""The collector's process: its variables are what its config names, and the vendors' keys."""

from __future__ import annotations

from stack.collector_config import config_arguments, escaped, go_memory_limit
from stack.collector_config import load as load_config
from stack.errors import StackError
from stack.fragments import aws_endpoint, load, variables
from stack.services.model import EMULATOR_HOSTS, Plan, merged
from stack.services.process import Process
from stack.services.sending import seen
from stack.vendors.aws import Settings as AwsSettings

INSIDE_THE_CONTAINER = ("AWSPROXY_PORT",)
"""Ports of the collector that only itself and the other containers reach: not published."""


def collector(plan: Plan) -> Process:
    settings = plan.settings
    # The ledger is read there: `up` says that it cannot be, not `status` when it is needed.
    settings.port("COLLECTOR_METRICS_PORT")
    # The page's port is in the config as the origin that may send.
    restricted = plan.access.restricted
    others = {"FRONTEND_PORT", *(INSIDE_THE_CONTAINER if plan.runtime == "docker" else ())}
    ports = {
        name: int(value)
        for name, value in settings.collector.items()
        if name.endswith("_PORT") and name not in others
    }
    variables = {
        **{
            name: plan.environment[name]
            for name in (*settings.collector, "TELEMETRY_DIR", "QUEUE_DIR")
        },
        "AWS_HOP_PORT": str(settings.aws_hop_port),
        **merged(vendor.collector for vendor in plan.vendors),
        **_named_in_config(plan),
        **({"OTLP_SERVER_SECRETS": seen(plan, plan.access.server)} if restricted else {}),
        **plan.access.server_variables,
        **_memory_limit(plan),
    }
    return Process(
        name="collector",
        argv=(
            str(plan.collector_binary),
            *config_arguments(plan.config_applied),
        ),
        cwd=plan.root,
        environment={
            # AWS's SDK reads its own by itself, and as they are.
            name: value if name.startswith("AWS_") else escaped(value)
            for name, value in variables.items()
        },
        ports=ports,
        health=f"http://127.0.0.1:{settings.port('COLLECTOR_HEALTH_PORT')}/",
        start_order=10,
    )


def _memory_limit(plan: Plan) -> dict[str, str]:
    try:
        limit = go_memory_limit(load_config(plan.config_source))
    except StackError:
        return {}  # whoever runs or validates this config says what is wrong with it
    return {} if limit is None else {"GOMEMLIMIT": limit}


def _named_in_config(plan: Plan) -> dict[str, str]:
    """What the collector's config names besides, and the variables of the fragments; one without a
    value is left out.
    """
    settings = plan.settings
    host = EMULATOR_HOSTS[plan.runtime]
    live = settings.of(AwsSettings).live
    emulator = None if live else f"http://{host}:{settings.emulator_otlp_port}"
    shared = {*settings.collector, *merged(vendor.collector for vendor in plan.vendors)}
    found = {name: value for name, value in settings.config_values.items() if name not in shared}
    for fragment in settings.fragments:
        for name, default in variables(load(fragment, plan.root)).items():
            value = settings.config_values.get(name, default)
            value = value or aws_endpoint(name, settings.aws_region, emulator)
            if value is not None and name not in shared:
                found[name] = value
    return found
