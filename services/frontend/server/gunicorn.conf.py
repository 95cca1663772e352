import os
import sys
from pathlib import Path

from page import Config

wsgi_app = "page:create_app()"
bind = os.environ.get("BIND", "127.0.0.1:3000")
# Files come from memory and the page cache; a thread per open connection is enough.
workers = 1
worker_class = "gthread"
threads = 8
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108
graceful_timeout = 3
control_socket_disable = True
accesslog = None


def on_starting(_server: object) -> None:
    """A worker that cannot boot makes gunicorn print a traceback; this is one line."""
    try:
        Config.from_environ()
    except ValueError as wrong:
        sys.exit(f"error: {wrong}")
