"""What gunicorn.conf.py of each service sets."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from serving.json_logging import logging_config

if TYPE_CHECKING:
    from collections.abc import Callable

WORKER_SECONDS = 6
MASTER_SECONDS = 2


def settings(app: str, port: int, check: Callable[[], object]) -> dict[str, Any]:
    """Settings of gunicorn, by name.

    `app`: served where the command names none. `port`: used where BIND is not set. `check`: reads
    the service's own settings; a ValueError from it ends the start with one line. It is called
    before there are workers, because a worker that cannot boot makes gunicorn print a traceback.
    `RELOAD=true` starts the workers anew when a source file changes.
    """

    def on_starting(_server: object) -> None:
        try:
            check()
        except ValueError as wrong:
            sys.exit(f"error: {wrong}")

    return {
        "wsgi_app": app,
        "bind": os.environ.get("BIND", f"127.0.0.1:{port}"),
        "workers": int(os.environ.get("WEB_CONCURRENCY", "2")),
        "reload": os.environ.get("RELOAD", "").lower() == "true",
        # The worker's heartbeat is a file; on a disk under load it stalls, and the master kills it.
        "worker_tmp_dir": "/dev/shm" if Path("/dev/shm").is_dir() else None,  # noqa: S108
        # Docker kills after 10 s. With no collector the SDK's flush at exit lasts as long as the
        # exporter's timeout (40 s): after WORKER_SECONDS the master ends the worker, and
        # `on_exit` below the master.
        "graceful_timeout": WORKER_SECONDS,
        "control_socket_disable": True,
        # The access log is ours: this one would write query strings, and has no trace id.
        "accesslog": None,
        "logconfig_dict": logging_config(),
        "on_starting": on_starting,
        "on_exit": _bound_exit,
    }


def _bound_exit(_server: object) -> None:
    """End this process after MASTER_SECONDS whatever the SDK's exit handlers still wait for."""
    timer = threading.Timer(MASTER_SECONDS, os._exit, args=(0,))
    timer.daemon = True
    timer.start()
