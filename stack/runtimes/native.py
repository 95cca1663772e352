"""The plan's processes under supervisor, with everything they write in the run folder."""

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
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import requests
from supervisor.xmlrpc import SupervisorTransport

from stack.applied_config import apply_config, check_access, wanted_file
from stack.collector_build import ensure_collector_binary
from stack.collector_config import validate
from stack.console import console, step
from stack.errors import StackError
from stack.page_build import ensure_page
from stack.plan import RUN_DIR_MARK
from stack.ports import check_free
from stack.private_file import write_private
from stack.python_env import ensure_env
from stack.runtimes.service import Service
from stack.waiting import DeadlineError, wait_for

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from stack.plan import Plan, Process

HEALTHY_SECONDS = 60
STOP_SECONDS = 12
"""Longer than gunicorn's graceful timeout; what still runs then is killed."""

PASSED_ON = re.compile(r"HOME|LANG|LC_.*|TZ|TMPDIR|SSL_CERT_(FILE|DIR)|(?i:(https?|no|all)_proxy)")
"""What processes see of the caller's environment. Credentials are not part of it: a laptop's
ambient AWS profile must not start a bill."""

SOCKET_PATH_LIMIT = 100
"""The kernel's is 108 bytes, supervisor adds its pid while it binds."""


def up(plan: Plan) -> None:
    """Start the plan's processes and wait until each is healthy. Harmless when they run already.

    Whatever goes wrong, also Ctrl-C, stops what this call started. Raises StackError.
    """
    check_access(plan)
    running = is_running(plan)
    if not running:
        _end_leftovers(plan)
        # First of all: what is missing can take minutes to build.
        check_free(plan.ports)
    prepare(plan)
    for folder in plan.folders.values():
        folder.mkdir(parents=True, exist_ok=True)
    apply_config(plan, checked_config(plan))
    try:
        with step("starting " + ", ".join(process.name for process in plan.processes)):
            if running:
                _update(plan)
            else:
                _start_supervisor(plan)
            for process in plan.processes:
                _wait_healthy(plan, process)
    except BaseException:
        if not running:
            down(plan)
        raise


def prepare(plan: Plan) -> None:
    """Make what the processes need: the collector's binary, Python environments.

    Raises StackError, also for a collector config that its binary refuses.
    """
    ensure_collector_binary(plan.root, plan.settings.collector_bin)
    checked_config(plan)
    if plan.page_url:
        ensure_page(plan.root)
    for env in {process.python for process in plan.processes if process.python}:
        ensure_env(env)


def checked_config(plan: Plan) -> str:
    """The config that is wanted now. Raises StackError when the collector's binary refuses it."""
    file = wanted_file(plan)
    environment = plan.process("collector").environment
    validate(plan.collector_binary, file, environment, plan.config_sources)
    return file.read_text()


def switch_config(plan: Plan, text: str) -> None:
    """Have the running collector, and nothing else, go on with `text`. Raises StackError."""
    apply_config(plan, text)
    _update(plan, only={"collector"})
    _wait_healthy(plan, plan.process("collector"))


def down(plan: Plan) -> bool:
    """Stop everything, in the order in which nothing is lost: the app first, the collector last.

    Returns whether anything ran. Raises StackError when a process survives, or is another user's.
    """
    running = is_running(plan)
    processes = _marked(plan)
    if not processes:
        _forget(plan)
        return False
    if running:
        longest = STOP_SECONDS * len(_rpc(plan).getAllProcessInfo()) + 5
        _rpc(plan).shutdown()
        _, processes = psutil.wait_procs(processes, timeout=longest)
    _end(plan, processes)
    _forget(plan)
    return True


def _forget(plan: Plan) -> None:
    """Remove what nobody needs any more: it holds keys."""
    _socket(plan).unlink(missing_ok=True)
    _config_file(plan).unlink(missing_ok=True)


def status(plan: Plan) -> list[Service]:
    """One entry a process. Empty when the stack is not up."""
    if not is_running(plan):
        return []
    ended = _ended(_supervisor_log(plan))
    services = []
    for info in _rpc(plan).getAllProcessInfo():
        ends = ended.get(info["name"], [])
        services.append(
            Service(
                name=info["name"],
                running=info["statename"] == "RUNNING",
                state=info["statename"].lower(),
                restarts=len(ends),
                detail=ends[-1] if ends else "",
            )
        )
    return services


def log_files(plan: Plan) -> dict[str, Path]:
    """The file that holds what a process printed, by the process's name."""
    folder = plan.folders["LOG_DIR"]
    return {process.name: folder / f"{process.name}.log" for process in plan.processes}


def output(plan: Plan, service: str) -> list[str]:
    """The lines that a service printed lately."""
    file = log_files(plan)[service]
    return file.read_text(errors="replace").splitlines() if file.exists() else []


def logs(plan: Plan, service: str | None, *, follow: bool, lines: int) -> None:
    """Print the last `lines` lines of each process, or of one; with `follow`, what comes too."""
    files = log_files(plan)
    chosen = [files[service]] if service else [*files.values()]
    tail = ["tail", f"--lines={lines}", *(["--follow=name", "--retry"] if follow else [])]
    subprocess.run([*tail, *map(str, chosen)], check=False)


def is_running(plan: Plan) -> bool:
    """Whether this run folder's supervisor answers.

    Raises StackError when it is another user's: taken for none, its socket would be removed.
    """
    try:
        _rpc(plan).getState()
    except PermissionError:
        raise StackError(
            f"another user started the stack in {plan.run_dir}",
            "`make down` as that user, or `sudo make down`",
        ) from None
    except OSError:
        return False
    return True


def stop_process(plan: Plan, name: str) -> None:
    """Stop one process and wait for its end; the others go on."""
    _rpc(plan).stopProcess(name, True)


def start_process(plan: Plan, name: str) -> None:
    """Start a stopped process and wait until it is healthy."""
    _rpc(plan).startProcess(name, True)
    _wait_healthy(plan, next(process for process in plan.processes if process.name == name))


def _start_supervisor(plan: Plan) -> None:
    config = _config_file(plan)
    _write_config(plan)
    _supervisor_log(plan).unlink(missing_ok=True)
    environment = _environment(plan)
    command = [sys.executable, "-m", "supervisor.supervisord", "--configuration", str(config)]
    started = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    if started.returncode != 0:
        reason = (started.stderr or started.stdout).strip().splitlines()
        raise StackError(f"supervisor did not start: {reason[-1] if reason else 'no reason given'}")
    wait_for("supervisor's answer", lambda: is_running(plan), seconds=30)


def _update(plan: Plan, only: Collection[str] = ()) -> None:
    """Bring the running processes, or `only` some, to what the plan says now."""
    _write_config(plan)
    rpc = _rpc(plan)
    # Compared with what runs, so that what an `only` left out is still found the next time.
    [[added, changed, removed]] = rpc.reloadConfig()
    begin, end = [*added, *changed], [*removed, *changed]
    if only:
        begin, end = [n for n in begin if n in only], [n for n in end if n in only]
    for name in end:
        rpc.stopProcessGroup(name)
        rpc.removeProcessGroup(name)
    check_free(
        {
            setting: port
            for process in plan.processes
            if process.name in begin
            for setting, port in process.ports.items()
        }
    )
    for name in begin:
        rpc.addProcessGroup(name)
    _restart_stopped(plan)


def _restart_stopped(plan: Plan) -> None:
    rpc = _rpc(plan)
    for info in rpc.getAllProcessInfo():
        if info["statename"] in {"STOPPED", "EXITED", "FATAL"}:
            rpc.startProcess(info["name"], False)


def _wait_healthy(plan: Plan, process: Process) -> None:
    def state() -> str:
        statename = str(_rpc(plan).getProcessInfo(process.name)["statename"])
        if statename in {"FATAL", "BACKOFF", "EXITED"}:
            return statename
        return "healthy" if requests.get(process.health, timeout=2).ok else statename

    try:
        found = wait_for(
            f"{process.name} on {process.health}",
            state,
            until=lambda seen: seen in {"healthy", "FATAL", "BACKOFF", "EXITED"},
            seconds=HEALTHY_SECONDS,
        )
    except DeadlineError as late:
        raise StackError(
            f"{process.name} did not become healthy within {HEALTHY_SECONDS} s: {late.seen}",
            f"its log is {log_files(plan)[process.name]}",
        ) from None
    if found != "healthy":
        raise StackError(
            f"{process.name} ended while it was starting: {_last_line(plan, process.name)}",
            f"its log is {log_files(plan)[process.name]}",
        )


def _last_line(plan: Plan, name: str) -> str:
    file = log_files(plan)[name]
    lines = file.read_text(errors="replace").strip().splitlines() if file.exists() else []
    return lines[-1] if lines else "it printed nothing"


def _write_config(plan: Plan) -> None:
    file = _config_file(plan)
    file.parent.mkdir(parents=True, exist_ok=True)
    # It holds the keys that processes get.
    write_private(file, _config_text(plan))


def _config_text(plan: Plan) -> str:
    config = configparser.RawConfigParser()
    folder = plan.folders["LOG_DIR"]
    config["supervisord"] = {
        "logfile": _escaped(str(_supervisor_log(plan))),
        "pidfile": _escaped(str(plan.run_dir / "supervisord.pid")),
        "childlogdir": _escaped(str(folder)),
        "directory": _escaped(str(plan.root)),
        "umask": "027",
    }
    config["unix_http_server"] = {"file": _escaped(str(_socket(plan))), "chmod": "0700"}
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
        content = plan.config_applied.read_bytes()
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


def _environment(plan: Plan) -> dict[str, str]:
    passed_on = {name: value for name, value in os.environ.items() if PASSED_ON.fullmatch(name)}
    return {"PATH": os.defpath, **passed_on, RUN_DIR_MARK: str(plan.run_dir)}


def _config_file(plan: Plan) -> Path:
    return plan.run_dir / "supervisord.conf"


def _supervisor_log(plan: Plan) -> Path:
    return plan.folders["LOG_DIR"] / "supervisord.log"


def _socket(plan: Plan) -> Path:
    inside = plan.run_dir / "supervisor.sock"
    if len(str(inside)) <= SOCKET_PATH_LIMIT:
        return inside
    name = hashlib.sha256(str(plan.run_dir).encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"otel-stack-{os.getuid()}-{name}.sock"


def _rpc(plan: Plan) -> Any:
    transport = SupervisorTransport(serverurl=f"unix://{_socket(plan)}")
    return xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport).supervisor


ENDED = re.compile(r"exited: (\S+) \((.*); not expected\)")


def _ended(log: Path) -> dict[str, list[str]]:
    """How each process ended by itself, oldest first, as supervisor's log tells it."""
    ends: dict[str, list[str]] = {}
    for found in ENDED.finditer(log.read_text(errors="replace") if log.exists() else ""):
        ends.setdefault(found[1], []).append(found[2])
    return ends


def _marked(plan: Plan) -> list[psutil.Process]:
    """Every process that belongs to this run folder, found by what stands in its environment."""
    return [
        process
        for process in psutil.process_iter()
        if process.pid != os.getpid() and _environ(process).get(RUN_DIR_MARK) == str(plan.run_dir)
    ]


def _end_leftovers(plan: Plan) -> None:
    """End what a killed supervisor left behind; its ports are needed."""
    leftovers = _marked(plan)
    if leftovers:
        console.print("  a supervisor was killed here: ending what it left running")
        _end(plan, leftovers)
    _socket(plan).unlink(missing_ok=True)


def _end(plan: Plan, processes: list[psutil.Process]) -> None:
    """End what has no supervisor, the last started first: the app's last spans need a collector."""
    config = configparser.RawConfigParser()
    config.read(_config_file(plan))
    orders = {
        section.removeprefix("program:"): config.getint(section, "priority")
        for section in config.sections()
        if section.startswith("program:")
    }
    by_order: dict[int, list[psutil.Process]] = {}
    for process in processes:
        order = orders.get(_environ(process).get("SUPERVISOR_PROCESS_NAME", ""), 0)
        by_order.setdefault(order, []).append(process)
    for order in sorted(by_order, reverse=True):
        _kill(by_order[order])


def _environ(process: psutil.Process) -> Mapping[str, str]:
    try:
        environment: Mapping[str, str] = process.environ()
    except (psutil.Error, OSError):
        return {}  # gone by now, or another user's
    return environment


def _kill(processes: list[psutil.Process]) -> None:
    for process in processes:
        try:
            process.terminate()
        except psutil.NoSuchProcess:
            continue
    _, alive = psutil.wait_procs(processes, timeout=STOP_SECONDS)
    for process in alive:
        process.kill()
    _, survivors = psutil.wait_procs(alive, timeout=5)
    if survivors:
        raise StackError(
            f"{survivors[0].name()} (pid {survivors[0].pid}) cannot be ended", "end it by hand"
        )
