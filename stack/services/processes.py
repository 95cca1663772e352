"""A service of the compose file as a container, or as a process of this machine."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from stack.compose_file import (
    COMPOSE_FILE,
    Native,
    Port,
    Service,
    environment_of,
    interpolate,
    native_environment,
    own_ports,
    ports_of,
)
from stack.errors import StackError
from stack.python_env import PythonEnv
from stack.services.added import added, encoded
from stack.services.model import COLLECTOR, Plan
from stack.services.process import Process

LOOPBACK, EVERYWHERE = "127.0.0.1", "0.0.0.0"  # noqa: S104 - replaced by the other

Ports = Mapping[str, list[Port]]


def processes(plan: Plan, services: Mapping[str, Service]) -> tuple[Process, ...]:
    """The services in this order, each as the plan's runtime has it. Raises StackError."""
    ports = {name: ports_of(name, one, plan.environment) for name, one in services.items()}
    as_it_runs = _container if plan.runtime == "docker" else _native
    return tuple(
        replace(as_it_runs(plan, name, service, ports), start_order=order)
        for order, (name, service) in enumerate(services.items(), start=1)
    )


def volumes(plan: Plan, service: Service) -> Iterator[tuple[str, Path]]:
    """The folders of this machine that a process has in place of volumes, by where a container
    sees them. A named volume is a folder in the run folder.
    """
    texts = [*service.volumes, *(f"../{text}" for text in service.native.volumes)]
    for text in texts:
        source, target, *_ = interpolate(text, plan.environment).split(":")
        if source.startswith((".", "/")):
            yield target, (plan.root / COMPOSE_FILE.parent / source).resolve()
        else:
            yield target, plan.run_dir / source


def _container(plan: Plan, name: str, service: Service, ports: Ports) -> Process:
    more = _added(plan, name, service)
    own = environment_of(service, plan.root / COMPOSE_FILE.parent, plan.environment)
    check = service.healthcheck
    asked = interpolate(check.test[-1], plan.environment) if check else ""
    for port in ports[name]:
        asked = asked.replace(f"{LOOPBACK}:{port.target}/", f"{LOOPBACK}:{port.published}/")
    return Process(
        name=name,
        argv=tuple(interpolate(word, plan.environment) for word in service.command),
        cwd=plan.root / service.native.working_dir,
        environment=encoded(name, {**own, **more}),
        ports={port.name: port.published for port in ports[name]},
        targets={port.published: port.target for port in ports[name]},
        health=asked,
        start_order=0,
        depends_on=tuple(service.depends_on),
        proof_path=service.verify.path if service.verify else "",
        error_path=service.verify.error if service.verify else "",
        added=encoded(name, more),
    )


def _added(plan: Plan, name: str, service: Service) -> dict[str, str]:
    """Compose takes what stands under `environment` for the last word."""
    found = added(plan, name, service)
    return {key: value for key, value in found.items() if key not in service.environment}


def _native(plan: Plan, name: str, service: Service, ports: Ports) -> Process:
    container = _container(plan, name, service, ports)
    places = _places(plan, name, service, ports)
    own = environment_of(service, plan.root / COMPOSE_FILE.parent, plan.environment)
    python = _python(plan, service.native)
    environment = {
        **{key: _here(value, places) for key, value in own.items()},
        **_added(plan, name, service),
        **native_environment(service, plan.environment),
    }
    argv = [_here(word, places) for word in container.argv]
    if service.native.binary == COLLECTOR:
        argv = [str(plan.collector_binary), *argv]
    elif python:
        argv[0] = str(python.bin / argv[0])
        environment |= {
            "PATH": f"{python.bin}{os.pathsep}{os.defpath}",
            "PYTHONUNBUFFERED": "1",
        }
    return replace(
        container,
        argv=tuple(argv),
        environment=encoded(name, environment),
        ports={**container.ports, **own_ports(service, plan.environment)},
        python=python,
    )


def _python(plan: Plan, native: Native) -> PythonEnv | None:
    if native.venv is None:
        return None
    if native.requirements is None:
        raise StackError(f"{COMPOSE_FILE}: {native.venv} has no requirements", "name its lock file")
    return PythonEnv(
        plan.root / ".run" / native.venv,
        plan.root / native.requirements,
        native.what,
        tuple(plan.root / package for package in native.packages),
        native.unlocked,
    )


def _places(
    plan: Plan, name: str, service: Service, ports: Ports
) -> list[tuple[re.Pattern[str], str]]:
    """What in a container's variables and command is another place on this machine."""
    hosts = [
        (host, port)
        for service_name, group in ports.items()
        for port in group
        for host in ((service_name, EVERYWHERE) if service_name == name else (service_name,))
    ]
    return [
        *(
            (
                re.compile(rf"(?<![\w.-]){re.escape(host)}:{port.target}(?!\d)"),
                f"{LOOPBACK}:{port.published}",
            )
            for host, port in hosts
        ),
        (re.compile(rf"^{re.escape(EVERYWHERE)}$"), LOOPBACK),
        *(
            (
                re.compile(rf"(?<=/|=){re.escape(target)}(?=/|$)|^{re.escape(target)}(?=/|$)"),
                str(folder),
            )
            for target, folder in volumes(plan, service)
        ),
    ]


def _here(text: str, places: Iterable[tuple[re.Pattern[str], str]]) -> str:
    for pattern, place in places:
        # A path may hold a backslash, which means something in a replacement.
        text = place.join(pattern.split(text))
    return text
