"""A service's entry in the compose file: its text, and where it is put."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import yaml

from stack.compose_file import (
    COMPOSE_FILE,
    default_ports,
    defaults_of,
    environment_of,
    parse_services,
)
from stack.errors import StackError, quoted, read_committed
from stack.services.external import HEALTH_CHECKS
from stack.services.source import Source
from stack.whole_file import replace_text

FIRST_PORT = 4570
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


def port_name(name: str) -> str:
    """The variable that moves the service's port."""
    return f"{name.upper().replace('-', '_')}_PORT"


def add_entry(root: Path, name: str, source: Source, port: int | None, taken: set[int]) -> int:
    """Write the entry of `name` into the compose file, behind the others. Returns its port.

    `port`: None for the first that is free. `taken`: those of the collector. Raises StackError, and
    then the file is as it was.
    """
    if not _NAME.fullmatch(name):
        raise StackError(
            f"a service cannot be called {quoted(name)}",
            "begin with a letter, and use small letters, digits and single dashes",
        )
    path = root / COMPOSE_FILE
    text = read_committed(path)
    if name in parse_services(text):
        raise StackError(
            f"{COMPOSE_FILE} has a service {name} already", "give yours another NAME, or delete it"
        )
    defaults = default_ports(root)
    held = {number: setting for setting, number in defaults.items()}
    if port_name(name) in defaults_of(text):
        raise StackError(f"{port_name(name)} is another port's name", "give yours another NAME")
    if port in held or port in taken:
        holder = held.get(port or 0, "the collector")
        raise StackError(f"{port} is the port of {holder}", "give yours another by PORT=…")
    chosen = port or next(
        p for p in range(FIRST_PORT, 65536) if p not in held | dict.fromkeys(taken)
    )
    changed = _put(text, _entry(root, name, source, chosen))
    # What only one of the runtimes could read, of its .env too, is refused here.
    environment_of(parse_services(changed)[name], path.parent, {})
    replace_text(path, changed)
    return chosen


def _put(text: str, entry: str) -> str:
    """`text` with `entry` behind its last service; what stands there stays as it is."""
    tree: Any = yaml.compose(text, yaml.SafeLoader)
    services = next(value for key, value in tree.value if key.value == "services")
    lines = text.splitlines(keepends=True)
    last = _last_line(services) + 1
    return "".join([*lines[:last], "\n", entry, *lines[last:]])


def _last_line(node: Any) -> int:
    """Of what is written of a node; its own mark is behind the comments that follow."""
    if isinstance(node, yaml.ScalarNode) or node.flow_style:
        return int(node.end_mark.line)
    inner = [part for one in node.value for part in (one if isinstance(one, tuple) else (one,))]
    # An alias stands where its anchor does.
    return max(_last_line(part) for part in inner)


def _entry(root: Path, name: str, source: Source, port: int) -> str:
    folder, compose = source.folder.resolve(), (root / COMPOSE_FILE).parent.resolve()
    above = Path(os.path.commonpath([root.resolve(), folder]))
    stack, inside = (os.path.relpath(one, above) for one in (root.resolve(), folder))
    for shown in (stack, inside):
        if not re.fullmatch(r"[\w./ @+,-]+", shown):
            raise StackError(
                f"{quoted(shown)} cannot stand in {COMPOSE_FILE}",
                "give the folder a name of letters, digits and dashes",
            )
    modules = os.path.relpath(source.modules, source.folder)
    here, requirements = (
        os.path.relpath(one.resolve(), root.resolve())
        for one in (source.modules, source.requirements)
    )
    arguments = {
        "STACK": stack,
        "SOURCE": inside,
        "REQUIREMENTS": source.requirements.name,
        "SERVER": source.server,
    }
    given = ", ".join(f"{key}: {_text(value)}" for key, value in arguments.items())
    lines = [
        "  # Added by `make add-service`: docs/add-a-service.md. To take it out, delete it.",
        f"  {name}:",
        "    <<: *hardened",
        "    build:",
        "      <<: *python_build",
        "      # The folder that holds both; of it the build reads the service's and distro/.",
        f"      context: {_text(os.path.relpath(above, compose))}",
        f"      dockerfile: {_text(os.path.normpath(f'{stack}/services/python.Dockerfile'))}",
        f"      args: {{<<: *python_args, {given}}}",
        *([f"    working_dir: /app/{modules}"] if modules != "." else []),
        f"    command: [{', '.join(map(_text, _command(source)))}]",
        *_env_file(name, source, compose),
        *_environment(name, source),
        *_asked(name, source, port),
        '    volumes: ["${OTLP_CLIENT_SECRETS:-no-secrets}:/run/otlp-secrets:ro"]',
        '    tmpfs: ["/tmp:size=16m,mode=1777"]',
        "    mem_limit: 512m",
        "    pids_limit: 100",
        "    stop_grace_period: 15s",
        "    depends_on:",
        "      collector: {condition: service_started}",
        "    x-native:",
        f"      working_dir: {_text(here)}",
        f"      venv: {name}-venv",
        f"      requirements: {_text(requirements)}",
        f"      what: the packages of {name}",
        "      packages: [distro]",
        f"      unlocked: [{source.server}]",
        *_native_environment(name, source, port),
    ]
    return "".join(f"{line}\n" for line in lines)


def _text(value: str) -> str:
    return value if re.fullmatch(r"[\w/.][\w./@+-]*", value) else f'"{value}"'


def _command(source: Source) -> list[str]:
    run = ["opentelemetry-instrument", source.server]
    app = source.app.name
    if source.server == "celery":
        return [*run, f"--app={app}", "worker", "--loglevel=INFO"]
    if source.server == "uvicorn":
        factory = ["--factory"] if app.endswith("()") else []
        return [*run, *factory, app.removesuffix("()")]
    own = (source.modules / "gunicorn.conf.py").is_file()
    # `--config` would be ambiguous to opentelemetry-instrument, which has such options too.
    shipped = ("-c", "python:otel_stack_distro.gunicorn.conf")
    return [*run, *(["--bind=0.0.0.0:8000"] if own else shipped), app]


def _env_file(name: str, source: Source, compose: Path) -> list[str]:
    own = source.folder.resolve() / ".env"
    return [
        "    env_file:",
        *([f"      - {_text(os.path.relpath(own, compose))}"] if own.is_file() else []),
        f'      - {{path: "${{ENV_DIR:-.}}/{name}.env", required: false}}',
    ]


def _environment(name: str, source: Source) -> list[str]:
    lines = [
        "    environment:",
        "      <<: *sends",
        f"      OTEL_SERVICE_NAME: {name}",
        "      OTEL_PYTHON_DISTRO: otel_stack",
        "      OTEL_PYTHON_CONFIGURATOR: otel_stack",
    ]
    if source.server == "gunicorn":
        lines.append("      BIND: 0.0.0.0:8000")
    if source.server == "uvicorn":
        lines += [
            "      UVICORN_HOST: 0.0.0.0",
            '      UVICORN_PORT: "8000"',
            '      UVICORN_TIMEOUT_GRACEFUL_SHUTDOWN: "5"',
            "      # More workers of uvicorn's would be without instrumentation.",
            '      WEB_CONCURRENCY: "1"',
        ]
    if source.health != source.proof and not re.search(HEALTH_CHECKS, source.health):
        framework = source.app.framework.upper()
        lines.append(f"      OTEL_PYTHON_{framework}_EXCLUDED_URLS: {_text(source.health)}")
    return lines


def _asked(name: str, source: Source, port: int) -> list[str]:
    if not source.proof:
        return []
    probe = "[CMD, python3, -IS, /probe.py,"
    return [
        f'    ports: ["127.0.0.1:${{{port_name(name)}:-{port}}}:8000"]',
        "    healthcheck:",
        f'      test: {probe} "http://127.0.0.1:8000{source.health}"]',
        "      interval: 3s",
        "      timeout: 10s",
        "      start_period: 15s",
        "      retries: 3",
        f"    x-verify: {{path: {_text(source.proof)}}}",
    ]


def _native_environment(name: str, source: Source, port: int) -> list[str]:
    # Nothing is written into the service's folder.
    variables = ['PYTHONDONTWRITEBYTECODE: "1"']
    if source.server == "uvicorn":
        variables.append(f'UVICORN_PORT: "${{{port_name(name)}:-{port}}}"')
    return [f"      environment: {{{', '.join(variables)}}}"]
