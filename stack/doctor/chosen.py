"""What the user chose, and whether that is what runs."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

import psutil

from stack.access import SECRETS_DIGEST
from stack.aws_profile import EXPIRATION, PROFILE
from stack.doctor.setup import Setup
from stack.env_file import ENV_FILE
from stack.finding import About, Finding
from stack.key_shapes import SECRET_NAME
from stack.ports import listeners
from stack.private_file import others_may_read
from stack.runtimes.containers import containers_of, service_of
from stack.services import Plan, Process
from stack.vendors.aws import Settings as AwsSettings


def check_settings(setup: Setup) -> Iterator[Finding]:
    """Which vendors the settings make live, and whether the stack runs with these settings.

    That they could be read is known by now.
    """
    about = About("settings")
    file = setup.root / ENV_FILE
    source = ENV_FILE if file.exists() else f"no {ENV_FILE}, so everything has its default"
    live = [vendor.name for vendor in setup.vendors if vendor.live]
    played = [vendor.name for vendor in setup.vendors if not vendor.live]
    parts = [f"live: {', '.join(live)}"] if live else []
    parts += [f"played by emulators: {', '.join(played)}"] if played else []
    yield about.ok(f"{source}; {'; '.join(parts)}")
    keys = live or any(map(SECRET_NAME.search, setup.settings.config_values))
    holders = [*([file] if file.exists() and keys else []), *setup.settings.key_files]
    for holder in filter(others_may_read, holders):
        shown = os.path.relpath(holder, setup.root)
        yield about.warning(
            f"other users of this machine may read {shown}, which holds keys", f"chmod 600 {shown}"
        )
    if setup.settings.idle:
        names = " and ".join(setup.settings.idle)
        yield about.warning(
            f"{ENV_FILE} sets {names}, which the collector's config does not ask for",
            f"take it out of {ENV_FILE}, or name it in the config",
        )
    for said in setup.settings.ignored:
        yield about.warning(said, f"take it out of {ENV_FILE}, or name it in the config")
    other = changed_since_start(setup.plan) if setup.up else []
    if SECRETS_DIGEST in other:
        other.remove(SECRETS_DIGEST)
        yield about.warning(
            "a certificate or token of OTLP_ACCESS was renewed, and the stack runs with what was "
            "there before",
            "`make up` hands out what is there now",
        )
    if other:
        yield about.warning(
            f"the stack runs with other values of {', '.join(other)} than are set now",
            "`make up` applies what is set",
        )
    if setup.up and setup.plan.runtime == "docker":
        yield from _ended_keys(setup.plan, about)


def _ended_keys(plan: Plan, about: About) -> Iterator[Finding]:
    """Containers have the keys that AWS_PROFILE gave at `make up`, and temporary ones end."""
    now = datetime.now(UTC)
    ends = {environment.get(EXPIRATION) for _, environment in _of_containers(plan)} - {None}
    profile = plan.settings.of(AwsSettings).aws_profile
    for end in filter(None, ends):
        if datetime.fromisoformat(end) <= now:
            yield about.problem(
                f"the containers' keys of AWS_PROFILE={profile} ended at {end}",
                "`make up` hands out new ones; until then what is for AWS waits in its queue",
            )


def changed_since_start(plan: Plan) -> list[str]:
    """The variables whose value in a running process is not the plan's: the vendors', and the
    digest of the certificates and tokens.
    """
    names = {name for vendor in plan.vendors for name in (*vendor.collector, *vendor.app)}
    names |= {SECRETS_DIGEST}
    if plan.runtime == "docker":
        names -= {PROFILE}  # containers get its keys instead
    environments = _of_processes if plan.runtime == "native" else _of_containers
    changed: set[str] = set()
    for process, environment in environments(plan):
        changed |= {
            name
            for name, value in process.environment.items()
            if name in names and environment.get(name) != value
        }
    return sorted(changed)


def _of_processes(plan: Plan) -> Iterator[tuple[Process, Mapping[str, str]]]:
    listening = listeners() or {}
    for process in plan.processes:
        pid = next((listening[port] for port in process.ports.values() if port in listening), None)
        if pid is None:
            continue
        try:
            yield process, psutil.Process(pid).environ()
        except psutil.Error:
            continue  # another user's, or gone by now


def _of_containers(plan: Plan) -> Iterator[tuple[Process, Mapping[str, str]]]:
    by_name = {process.name: process for process in plan.processes}
    for container in containers_of(plan):
        process = by_name.get(service_of(container))
        if process is not None:
            pairs = (entry.partition("=") for entry in container["Config"]["Env"])
            yield process, {name: value for name, _, value in pairs}
