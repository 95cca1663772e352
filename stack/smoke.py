"""A collector config tried out: started beside the running one, on ports and folders of its own."""

from __future__ import annotations

import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import requests

from stack.access import Access
from stack.collector_config.files import ConfigTexts, config_arguments
from stack.errors import StackError
from stack.otlp_json import local_session
from stack.waiting import DeadlineError, wait_for

START_SECONDS = 60
STOP_SECONDS = 10
LOOPBACK_ONLY = {"COLLECTOR_BIND": "127.0.0.1", "OTLP_BIND": "127.0.0.1"}


def smoke(binary: Path, config: ConfigTexts, variables: Mapping[str, str], access: Access) -> None:
    """Start `binary` with `config` until it is healthy and takes an empty export of each signal.

    Every `…_PORT` of `variables` is replaced by a free port and every folder by a temporary one,
    so that it meets nothing of the running collector. Nothing is sent to a vendor.
    Raises StackError with the collector's own reason.
    """
    with (
        tempfile.TemporaryDirectory(prefix="otel-stack-smoke-") as folder,
        _free_ports(variables) as ports,
    ):
        own = {
            **variables,
            **LOOPBACK_ONLY,
            # As this process sees it, whichever runtime the config is for.
            "OTLP_SERVER_SECRETS": str(access.server),
            **ports,
            **_folders(folder, variables),
        }
        files = config.write(Path(folder))
        printed = Path(folder) / "printed"
        with printed.open("w") as output:
            process = subprocess.Popen(
                [str(binary), *config_arguments(files)],
                env=own,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            _wait_healthy(process, own, printed)
            _send_empty(own, access)
        finally:
            _stop(process)


@contextmanager
def _free_ports(variables: Mapping[str, str]) -> Iterator[dict[str, str]]:
    names = [name for name in variables if name.endswith("_PORT")]
    with ExitStack() as held:
        # All are held until the last is known, or two names could get the same.
        sockets = [held.enter_context(socket.socket()) for _ in names]
        for one in sockets:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            one.bind(("127.0.0.1", 0))
        ports = {name: str(one.getsockname()[1]) for name, one in zip(names, sockets, strict=True)}
        # On Linux a server that reuses addresses, as those in Go do, may listen where a socket is
        # only bound, and the kernel gives such a port to nobody else who asks for any, before the
        # collector gets there.
        if sys.platform != "linux":
            held.close()
        yield ports


def _folders(base: str, variables: Mapping[str, str]) -> dict[str, str]:
    folders = {name: str(Path(base) / name) for name in variables if name.endswith("_DIR")}
    for folder in folders.values():
        Path(folder).mkdir()
    return folders


def _wait_healthy(process: subprocess.Popen[bytes], own: Mapping[str, str], printed: Path) -> None:
    url = f"http://127.0.0.1:{own['COLLECTOR_HEALTH_PORT']}/"

    def state() -> str:
        if process.poll() is not None:
            return "ended"
        return "healthy" if requests.get(url, timeout=2).ok else "starting"

    try:
        seen = wait_for(
            "the new config's collector",
            state,
            until=lambda found: found in {"healthy", "ended"},
            seconds=START_SECONDS,
        )
    except DeadlineError as late:
        raise StackError(
            f"a collector with the new config was not healthy within {START_SECONDS} s "
            f"({late.seen})",
            "`make validate` may say more",
        ) from None
    if seen == "ended":
        raise StackError(f"the collector does not start with the new config: {_reason(printed)}")


def _reason(printed: Path) -> str:
    lines = printed.read_text(errors="replace").strip().splitlines()
    errors = [line for line in lines if "rror" in line] or lines or ["it printed nothing"]
    return " ".join(errors[-1].split())


def _send_empty(own: Mapping[str, str], access: Access) -> None:
    for signal in ("traces", "metrics", "logs"):
        url = f"{access.scheme}://127.0.0.1:{own['OTLP_HTTP_PORT']}/v1/{signal}"
        kind = {"content-type": "application/x-protobuf"}
        try:
            with local_session(access) as session:
                answer = session.post(url, data=b"", headers=kind, timeout=20)
        except requests.RequestException as failed:
            raise StackError(
                f"the new config takes no {signal} over OTLP/HTTP ({failed})"
            ) from None
        if not answer.ok:
            raise StackError(
                f"the new config takes no {signal} over OTLP/HTTP (status {answer.status_code})",
                f"name the otlp receiver in a {signal} pipeline",
            )


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(STOP_SECONDS)
