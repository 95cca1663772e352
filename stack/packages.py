"""The packages of a lock, installed by uv from where the user's pip would take them.

`make` installs the operator's own packages with it: this module and what it imports have to do with
the standard library.
"""

from __future__ import annotations

import functools
import os
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from stack.caches import own_caches
from stack.disk import full_disk
from stack.errors import StackError
from stack.program import ProgramError, run

INSTALL_SECONDS = 600
ASK_SECONDS = 60

ROOT = Path(__file__).resolve().parents[1]

_PIP_NAMES = {
    "UV_DEFAULT_INDEX": "index-url",
    "UV_INDEX": "extra-index-url",
    "UV_FIND_LINKS": "find-links",
    "UV_INSECURE_HOST": "trusted-host",
    "UV_HTTP_TIMEOUT": "timeout",
    "UV_HTTP_RETRIES": "retries",
    "HTTP_PROXY": "proxy",
    "HTTPS_PROXY": "proxy",
    "SSL_CERT_FILE": "cert",
    "SSL_CLIENT_CERT": "client-cert",
}
"""uv's variables, and what pip calls the same."""

_NO = {"0", "false", "no", "off"}

_PERMISSION = re.compile(r"permission denied|read-only file system", re.IGNORECASE)


class InstallError(StackError):
    """Packages that could not be had, or that are not what the lock says."""


def install(lock: Path, what: str, *, into: Path) -> None:
    """Install what `lock` pins, its hashes checked, into the Python environment `into`; or, where
    that is none, as plain files. `what` names the packages for people.

    Raises InstallError, StackError where the disk is full; what is there by then stays.
    """
    locked = ("--require-hashes", "--no-deps", "--only-binary=:all:")
    _install(what, into, *locked, f"--requirement={lock}")


def install_folder(folder: Path, what: str, *, into: Path) -> None:
    """Install the package in `folder` so that an edit of it is seen at once. What builds it, and
    what it depends on, has to be there: `into` was filled from a lock.

    Raises as `install` does.
    """
    _install(what, into, "--no-deps", "--no-build-isolation", f"--editable={folder}")


def install_unlocked(
    requirements: Path, what: str, folders: Iterable[Path], more: Iterable[str], *, into: Path
) -> None:
    """Install what a service names in `requirements`, which need not be locked; with it the
    packages in `folders`, those called `more`, and the instrumentation of what is there.

    Raises as `install` does, also for packages that cannot be together.
    """
    # Hashes are asked of what has one, and then of nothing: what is added has none.
    _install(what, into, f"--requirement={requirements}")
    own = [f"--editable={folder}" for folder in folders]
    together = ["--no-verify-hashes", f"--requirement={requirements}", *own, *more]
    _install(what, into, *together)
    bootstrap = [str(into / "bin/opentelemetry-bootstrap"), "--action=requirements"]
    _install(what, into, *together, *run(bootstrap, seconds=ASK_SECONDS).split())


def _install(what: str, into: Path, *words: str) -> None:
    pip = pip_settings()
    command = [str(Path(sys.executable).with_name("uv")), "pip", "install", "--quiet"]
    if (into / "pyvenv.cfg").exists():
        command += [f"--python={into}"]
    else:
        command += [f"--python={sys.executable}", f"--target={into}"]
    command += words
    if pip.get("no-index", "0") not in _NO:
        command += ["--no-index"]
    try:
        run(
            command,
            seconds=INSTALL_SECONDS,
            environment={**own_caches(ROOT), **uv_environment(pip)},
        )
    except ProgramError as failed:
        raise _refusal(failed, what) from None


def _refusal(failed: ProgramError, what: str) -> StackError:
    failure = f"{what} could not be installed"
    if full := full_disk(failure, failed.output):
        return full
    lines = [line.strip() for line in failed.output.splitlines()]
    errors = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    causes = [line.removeprefix("cause: ") for line in lines if line.startswith("cause: ")]
    reason = ": ".join([*errors[:1], *causes[-1:]]) or failed.last_line or failed.reason
    if "Hash mismatch" in reason:
        todo = "the index has another file than the one that was locked: ask whoever runs it"
    elif "No solution found" in reason:
        todo = "have the service's requirements allow what is named here"
    elif _PERMISSION.search(reason):
        todo = "run make as the owner of that file, or in a clone of your own"
    else:
        todo = "check that Python's package index can be reached, then try again"
    return InstallError(f"{failure}: {reason}", todo)


def uv_environment(pip: Mapping[str, str]) -> dict[str, str]:
    """What pip is set to, in uv's variables. What the user set for uv itself stands."""
    found = {
        # As pip does: the machine's certificates, and the best of all indexes. The hashes decide.
        "UV_SYSTEM_CERTS": "true",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
    }
    for ours in ("CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE"):
        if bundle := os.environ.get(ours):
            found["SSL_CERT_FILE"] = bundle
    for name, pips in _PIP_NAMES.items():
        values = pip.get(pips, "").split()
        if pips == "find-links":
            # pip passes over a folder that is not there.
            values = [one for one in values if "://" in one or Path(one).exists()]
        if values:
            found[name] = ("," if pips == "find-links" else " ").join(values)
    return {
        name: value
        for name, value in found.items()
        if not (name.startswith("UV_") and name in os.environ)
    }


def pip_settings() -> dict[str, str]:
    """The settings of this user's pip, from its files and the environment. Empty without a pip."""
    return _settings(*(f"{name}={os.environ[name]}" for name in os.environ if "PIP" in name))


@functools.cache
def _settings(*_environment: str) -> dict[str, str]:
    try:
        listed = run([sys.executable, "-m", "pip", "config", "list"], seconds=ASK_SECONDS)
    except ProgramError:
        return {}
    found = re.findall(r"^[\w:.]*\.(?:default-)?([\w-]+)='(.*)'$", listed, re.MULTILINE)
    return {name: value.replace(r"\n", " ") for name, value in found}


def main() -> None:
    """Install what the command line names, locks and packages' folders, into the environment that
    this runs in.
    """
    try:
        for path in map(Path, sys.argv[1:]):
            if path.is_dir():
                install_folder(path, f"{path}/", into=Path(sys.prefix))
            else:
                install(path, f"the packages of {path}", into=Path(sys.prefix))
    except StackError as failed:
        sys.exit(f"error: {failed}")
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
