"""What supervisor is told of the plan's processes, and how it is asked."""

from __future__ import annotations

import configparser
import hashlib
import io
import os
import re
import subprocess
import sys
import tempfile
import xmlrpc.client
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from supervisor.xmlrpc import SupervisorTransport

from stack.errors import StackError
from stack.private_file import write_private
from stack.services import Plan, Process

RUN_DIR_MARK = "OTEL_STACK_RUN_DIR"
"""Set in every process of a native stack, so that one is found also when supervisor was killed."""

STOP_SECONDS = 12
"""Longer than gunicorn's graceful timeout; what still runs then is killed."""

PASSED_ON = re.compile(r"HOME|LANG|LC_.*|TZ|TMPDIR|SSL_CERT_(FILE|DIR)|(?i:(https?|no|all)_proxy)")
"""What processes see of the caller's environment. Credentials are not part of it: a laptop's
ambient AWS profile must not start a bill."""

SOCKET_PATH_LIMIT = 100
"""The kernel's is 108 bytes, supervisor adds its pid while it binds."""

ENDED = re.compile(r"exited: (\S+) \((.*); not expected\)")


def start(plan: Plan) -> None:
    """Start supervisor, and with it the processes. Raises StackError that repeats its reason."""
    config = config_file(plan)
    write_config(plan)
    log_file(plan).unlink(missing_ok=True)
    command = [sys.executable, "-m", "supervisor.supervisord", "--configuration", str(config)]
    started = subprocess.run(
        command, env=environment(plan), capture_output=True, text=True, check=False, timeout=60
    )
    if started.returncode != 0:
        reason = (started.stderr or started.stdout).strip().splitlines()
        raise StackError(f"supervisor did not start: {reason[-1] if reason else 'no reason given'}")


def rpc(plan: Plan) -> Any:
    """Supervisor's own interface; an OSError of its calls says that nobody answers."""
    transport = SupervisorTransport(serverurl=f"unix://{socket(plan)}")
    return xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport).supervisor


def log_files(plan: Plan) -> dict[str, Path]:
    """The file that holds what a process printed, by the process's name."""
    folder = plan.folders["LOG_DIR"]
    return {process.name: folder / f"{process.name}.log" for process in plan.processes}


def ended(log: Path) -> dict[str, list[str]]:
    """How each process ended by itself, oldest first, as supervisor's log tells it."""
    ends: dict[str, list[str]] = {}
    for found in ENDED.finditer(log.read_text(errors="replace") if log.exists() else ""):
        ends.setdefault(found[1], []).append(found[2])
    return ends


def write_config(plan: Plan) -> None:
    """Write what supervisor reads. Raises StackError for a value that it cannot read."""
    file = config_file(plan)
    file.parent.mkdir(parents=True, exist_ok=True)
    # It holds the keys that processes get.
    write_private(file, config_text(plan))


def config_text(plan: Plan) -> str:
    """The plan as a file of supervisor's."""
    config = configparser.RawConfigParser()
    folder = plan.folders["LOG_DIR"]
    config["supervisord"] = {
        "logfile": _escaped(str(log_file(plan))),
        "pidfile": _escaped(str(plan.run_dir / "supervisord.pid")),
        "childlogdir": _escaped(str(folder)),
        "directory": _escaped(str(plan.root)),
        "umask": "027",
    }
    config["unix_http_server"] = {"file": _escaped(str(socket(plan))), "chmod": "0700"}
    config["rpcinterface:supervisor"] = {
        "supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"
    }
    for process in plan.processes:
        config[f"program:{process.name}"] = _program(plan, process)
    text = io.StringIO()
    config.write(text)
    return text.getvalue()


def _program(plan: Plan, process: Process) -> dict[str, str]:
    return {
        "command": _escaped(" ".join(_quoted(word) for word in process.argv)),
        "directory": _escaped(str(process.cwd)),
        "environment": ",".join(
            f"{name}={_escaped(_quoted_value(name, value))}"
            for name, value in _variables(plan, process)
        ),
        "priority": str(process.start_order),
        "autorestart": "true",
        "startsecs": "1",
        # A service that dies at each start is given up after about 15 s (the pauses grow by 1 s).
        "startretries": "5",
        "stopwaitsecs": str(STOP_SECONDS),
        "stopasgroup": "false",
        "killasgroup": "true",
        "redirect_stderr": "true",
        "stdout_logfile": _escaped(str(log_files(plan)[process.name])),
        "stdout_logfile_maxbytes": "20MB",
        "stdout_logfile_backups": "2",
    }


def _variables(plan: Plan, process: Process) -> Iterable[tuple[str, str]]:
    yield from process.environment.items()
    if process.name == "collector":
        # An edited config changes supervisor's file, so that `up` restarts the collector.
        content = b"".join(file.read_bytes() for file in plan.config_applied)
        yield "COLLECTOR_CONFIG_SHA256", hashlib.sha256(content).hexdigest()


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _quoted_value(name: str, value: str) -> str:
    """Supervisor knows no escapes here, strips quotes from a value's ends, and takes what
    follows a blank and # or ; for a comment.
    """
    quote = "'" if '"' in value else '"'
    if quote in value or value != value.strip("'\"") or re.search(r"\n|\s[#;]", value):
        raise StackError(
            f"{name} cannot be handed to a process: it begins or ends with a quote, or holds "
            "both kinds of them, a line break, or # or ; after a blank",
            "write it without",
        )
    return f"{quote}{value}{quote}"


def _escaped(value: str) -> str:
    return value.replace("%", "%%")


def environment(plan: Plan) -> dict[str, str]:
    """What each process has of the caller's variables, beside its own."""
    passed_on = {name: value for name, value in os.environ.items() if PASSED_ON.fullmatch(name)}
    return {"PATH": os.defpath, **passed_on, RUN_DIR_MARK: str(plan.run_dir)}


def config_file(plan: Plan) -> Path:
    """Where supervisor's config is; it holds keys."""
    return plan.run_dir / "supervisord.conf"


def log_file(plan: Plan) -> Path:
    """What supervisor itself writes."""
    return plan.folders["LOG_DIR"] / "supervisord.log"


def socket(plan: Plan) -> Path:
    """In the run folder, or in the temporary one where that path would be too long."""
    inside = plan.run_dir / "supervisor.sock"
    if len(str(inside)) <= SOCKET_PATH_LIMIT:
        return inside
    name = hashlib.sha256(str(plan.run_dir).encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"otel-stack-{os.getuid()}-{name}.sock"
