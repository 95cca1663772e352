"""The plan's processes under supervisor, with everything they write in the run folder."""

from __future__ import annotations

import subprocess
from collections.abc import Collection
from functools import partial
from xmlrpc.client import Fault

import psutil
from supervisor.xmlrpc import Faults

from stack.applied_config import apply_config, check_access, in_form, staged, wanted_config
from stack.collector_build import ensure_collector_binary
from stack.collector_config.distribution import distribution_of
from stack.collector_config.files import ConfigTexts
from stack.collector_config.validation import validate
from stack.console import step
from stack.errors import StackError
from stack.page_build import ensure_page
from stack.ports import check_free
from stack.python_env import ensure_env
from stack.runtimes import supervisor
from stack.runtimes.health import ENDED, wait_answers
from stack.runtimes.leftovers import end_leftovers, end_processes, marked
from stack.runtimes.service import Service
from stack.runtimes.supervisor import STOP_SECONDS, log_files
from stack.services import Plan, Process
from stack.side_by_side import side_by_side
from stack.waiting import wait_for


def up(plan: Plan) -> None:
    """Start the plan's processes and wait until each is healthy. Harmless when they run already.

    Whatever goes wrong, also Ctrl-C, stops what this call started. Raises StackError.
    """
    check_access(plan)
    running = is_running(plan)
    if not running:
        end_leftovers(plan)
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
                supervisor.start(plan)
                wait_for("supervisor's answer", lambda: is_running(plan), seconds=30)
            for process in plan.processes:
                wait_healthy(plan, process)
    except BaseException:
        if not running:
            down(plan)
        raise


def prepare(plan: Plan) -> None:
    """Make what the processes need, side by side: binary, page, Python environments.

    Raises StackError, also for a collector config that the binary refuses.
    """

    def collector() -> None:
        ensure_collector_binary(plan.root, plan.settings.collector_bin)
        checked_config(plan)

    def environments() -> None:
        for python in {process.python for process in plan.processes if process.python}:
            ensure_env(python)

    side_by_side(
        collector, environments, *([partial(ensure_page, plan.root)] if plan.page_url else [])
    )


def checked_config(plan: Plan) -> ConfigTexts:
    """The config that is wanted now. Raises StackError when the collector's binary refuses it."""
    wanted = wanted_config(plan)
    if plan.settings.collector_bin:
        wanted = in_form(plan, wanted, distribution_of([str(plan.collector_binary)]))
    environment = plan.process("collector").environment
    validate(plan.collector_binary, staged(plan, wanted), environment, plan.config_sources)
    return wanted


def switch_config(plan: Plan, texts: ConfigTexts) -> None:
    """Have the running collector, and nothing else, go on with `texts`. Raises StackError."""
    apply_config(plan, texts)
    _update(plan, only={"collector"})
    wait_healthy(plan, plan.process("collector"))


def restart(plan: Plan, process: Process) -> None:
    """Stop one process, start it and wait until it is healthy. Raises StackError."""
    try:
        supervisor.rpc(plan).stopProcess(process.name)
    except Fault as fault:
        if fault.faultCode != Faults.NOT_RUNNING:
            raise
    _restart_stopped(plan)
    wait_healthy(plan, process)


def down(plan: Plan) -> bool:
    """Stop everything, in the order in which nothing is lost: the app first, the collector last.

    Returns whether anything ran. Raises StackError when a process survives, or is another user's.
    """
    running = is_running(plan)
    processes = marked(plan)
    if not processes:
        _forget(plan)
        return False
    if running:
        longest = STOP_SECONDS * len(supervisor.rpc(plan).getAllProcessInfo()) + 5
        supervisor.rpc(plan).shutdown()
        _, processes = psutil.wait_procs(processes, timeout=longest)
    end_processes(plan, processes)
    _forget(plan)
    return True


def _forget(plan: Plan) -> None:
    """Remove what nobody needs any more: it holds keys."""
    supervisor.socket(plan).unlink(missing_ok=True)
    supervisor.config_file(plan).unlink(missing_ok=True)


def status(plan: Plan) -> list[Service]:
    """One entry a process. Empty when the stack is not up."""
    if not is_running(plan):
        return []
    ended = supervisor.ended(supervisor.log_file(plan))
    services = []
    for info in supervisor.rpc(plan).getAllProcessInfo():
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


def output(plan: Plan, service: str) -> list[str]:
    """The lines that a service printed lately; also those of a stack that is not up any more."""
    file = log_files(plan)[service]
    return file.read_text(errors="replace").splitlines() if file.exists() else []


def logs(plan: Plan, service: str | None, *, follow: bool, lines: int) -> None:
    """Print the last `lines` lines of each process, or of one; with `follow`, what comes too."""
    files = log_files(plan)
    chosen = [files[service]] if service else [file for file in files.values() if file.exists()]
    tail = ["tail", f"--lines={lines}", *(["--follow=name", "--retry"] if follow else [])]
    subprocess.run([*tail, *map(str, chosen)], check=False)


def is_running(plan: Plan) -> bool:
    """Whether this run folder's supervisor answers.

    Raises StackError when it is another user's: taken for none, its socket would be removed.
    """
    try:
        supervisor.rpc(plan).getState()
    except PermissionError:
        raise StackError(
            f"another user started the stack in {plan.run_dir}",
            "`make down` as that user, or `sudo make down`",
        ) from None
    except OSError:
        return False
    return True


def _update(plan: Plan, only: Collection[str] = ()) -> None:
    """Bring the running processes, or `only` some, to what the plan says now."""
    supervisor.write_config(plan)
    rpc = supervisor.rpc(plan)
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
    rpc = supervisor.rpc(plan)
    for info in rpc.getAllProcessInfo():
        if info["statename"] in {"STOPPED", "EXITED", "FATAL"}:
            try:
                rpc.startProcess(info["name"], False)
            except Fault as fault:
                # Supervisor itself starts what ended by itself, perhaps since it was asked.
                if fault.faultCode != Faults.ALREADY_STARTED:
                    raise


def wait_healthy(plan: Plan, process: Process) -> None:
    """Wait until the process answers its health check. Raises StackError with its last words."""

    def state() -> str:
        name = str(supervisor.rpc(plan).getProcessInfo(process.name)["statename"])
        return ENDED if name in {"FATAL", "BACKOFF", "EXITED"} else name

    log = log_files(plan)[process.name]
    wait_answers(plan, process, state, lambda: (log, output(plan, process.name)))
