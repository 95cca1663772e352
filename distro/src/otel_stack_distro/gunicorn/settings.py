"""What a service's gunicorn.conf.py sets."""

from __future__ import annotations

import ctypes
import importlib
import logging
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from otel_stack_distro.client_address import ClientAddress
from otel_stack_distro.crash_output import clean_stderr
from otel_stack_distro.json_logging import console_handler

GRACEFUL_SECONDS = 5
_PR_SET_PDEATHSIG = 1

USED_BY_APPS = tuple(
    f"otel_stack_distro.{name}"
    for name in (
        "client_address",
        "crash_output",
        "flask",
        "json_logging",
        "printable",
        "redaction",
        "rollbar",
        "watchtower",
    )
)
"""The distro's own that `RELOAD=true` follows too. What the SDK was set up with in the master has
state, and stays.
"""


def settings(
    app: str | None = None, port: int = 8000, check: Callable[[], object] | None = None
) -> dict[str, Any]:
    """Settings of gunicorn, by name.

    `app`: served where the command names none. `port`: used where BIND is not set. `check`: reads
    the service's own settings; a ValueError from it ends the start with one line. It is called
    before there are workers, because a worker that cannot boot makes gunicorn print a traceback.
    `RELOAD=true` starts the workers again when a source of the app's package changes.
    """

    def on_starting(_server: object) -> None:
        try:
            if check:
                check()
            ClientAddress.from_environ()
        except ValueError as wrong:
            sys.exit(f"error: {wrong}")

    clean_stderr()
    reload = os.environ.get("RELOAD", "").lower() == "true"

    def post_fork(server: Any, _worker: object) -> None:
        _end_with(server.pid)
        if reload:
            _forget(server.app.app_uri.partition(":")[0], *USED_BY_APPS)
        _log_as_worker()

    return {
        **({"wsgi_app": app} if app else {}),
        "bind": os.environ.get("BIND", f"127.0.0.1:{port}"),
        "workers": int(os.environ.get("WEB_CONCURRENCY", "2")),
        "worker_class": "otel_stack_distro.gunicorn.worker.Worker",
        "reload": reload,
        # The worker's heartbeat is a file; on a disk under load it stalls, and the master kills it.
        "worker_tmp_dir": "/dev/shm" if Path("/dev/shm").is_dir() else None,  # noqa: S108
        # Docker kills after 10 s. A worker's exit takes 2 s with no collector (otlp_retry);
        # where one hangs the master has to end it.
        "graceful_timeout": GRACEFUL_SECONDS,
        # Of a trusted proxy's headers only the scheme is taken, none that names another path.
        "forwarder_headers": "",
        "control_socket_disable": True,
        # The access log is ours: this one would write query strings, and has no trace id.
        "accesslog": None,
        "logconfig_dict": _master_logging(),
        "on_starting": on_starting,
        "post_fork": post_fork,
        "worker_exit": _free_the_port,
    }


def _master_logging() -> dict[str, Any]:
    """The master's own lines as JSON on the console, and not to OTLP.

    An exporter that the master has used leaves its open connection to every worker forked later:
    five processes were seen with one TCP connection to the collector after four workers had died.
    """
    console = {"handlers": ["console"], "level": "INFO"}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "handlers": {"console": {"()": console_handler}},
        "root": {"handlers": [], "level": "INFO"},
        "loggers": {"gunicorn.error": {**console, "propagate": False}},
    }


def _forget(*packages: str) -> None:
    """Have this worker import `packages` from their sources.

    The settings' check imported it in the master: a worker that was started anew because a source
    had changed went on with the master's modules, and served what was there before.
    """
    for name in list(sys.modules):
        if any(name == package or name.startswith(f"{package}.") for package in packages):
            del sys.modules[name]


def _end_with(master: int) -> None:
    """Have the kernel send this worker SIGTERM when its master dies, however it does.

    An idle worker of gunicorn's looks at its parent once in 15 s: after a kill -9 of the master the
    port was taken for 14 to 17 s, now for 0.3 s.
    """
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != master:
        sys.exit(0)  # it died before the kernel was asked


def _free_the_port(_server: object, worker: Any) -> None:
    """The next master need not wait for what this worker's exit still sends."""
    for listener in worker.sockets:
        listener.close()


def _log_as_worker() -> None:
    """A worker's lines go the way of all others; "Error handling request" is one to find."""
    # As it is by now, where the app's and this one's sources are followed.
    importlib.import_module("otel_stack_distro.json_logging").configure_logging()
    logger = logging.getLogger("gunicorn.error")
    logger.handlers.clear()
    logger.propagate = True
