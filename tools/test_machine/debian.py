"""What Debian's packages can give: programs for this machine, plugins, and a base for images.

The machine's own package sources are never changed. Packages of another release are fetched with
lists and state in a folder of their own.
"""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
from pathlib import Path

from stack.errors import StackError
from stack.program import ProgramError, run

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")

# A source that does not answer must cost seconds, not the minutes of apt's own default.
_PATIENCE = (
    "-o", "Acquire::http::Timeout=20",
    "-o", "Acquire::https::Timeout=20",
    "-o", "Acquire::Retries=2",
    "-o", "DPkg::Lock::Timeout=120",
)  # fmt: skip
_QUIET = {"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"}


def is_debian() -> bool:
    """Whether this machine is Debian itself, the only system whose packages are known here."""
    if shutil.which("apt-get") is None:
        return False
    try:
        return platform.freedesktop_os_release().get("ID") == "debian"
    except OSError:
        return False


def can_install() -> bool:
    return os.geteuid() == 0 and is_debian()


def installed(package: str) -> bool:
    try:
        status = run(["dpkg-query", "-W", "-f", "${db:Status-Abbrev}", package], seconds=10)
    except ProgramError:
        return False
    return status.startswith("ii")


def available(package: str) -> bool:
    """Whether the machine's sources know a package of this name."""
    try:
        shown = run(["apt-cache", "policy", package], seconds=20, environment=_QUIET)
    except ProgramError:
        return False
    return "Candidate: (none)" not in shown and "Candidate:" in shown


def install(packages: list[str]) -> None:
    """Install the packages that are not there yet, without what they only recommend.

    Raises StackError when apt-get cannot.
    """
    missing = [package for package in packages if not installed(package)]
    if not missing:
        return
    apt = ["apt-get", "-qq", "-y", "--no-install-recommends", *_PATIENCE]
    try:
        # Another source of this machine may be out of reach: what counts is the next step.
        _update(apt)
        run([*apt, "install", "--download-only", *missing], seconds=300, environment=_QUIET)
        # dpkg cut off half way leaves a machine on which apt refuses to work.
        run([*apt, "install", *missing], seconds=300, environment=_QUIET, uninterrupted=True)
    except ProgramError as failed:
        raise StackError(
            f"the packages {', '.join(missing)} could not be installed ({failed})",
            "install them by hand, then try again",
        ) from None


def _update(apt: list[str]) -> None:
    try:
        run([*apt, "update"], seconds=180, environment=_QUIET)
    except ProgramError as failed:
        if failed.reason.startswith("took"):
            raise


def mirror() -> str:
    """The address from which this machine takes Debian's main archive.

    Raises StackError when apt knows none.
    """
    for look in (_mirror_in_lists, _mirror_after_update):
        found = look()
        if found:
            return found
    raise StackError(
        "apt's sources name no Debian mirror",
        "give apt one, or use RUNTIME=native, or an engine and images of your own",
    )


def _mirror_after_update() -> str | None:
    # A machine on which `apt-get update` never ran lists nothing.
    if not can_install():
        return None
    _update(["apt-get", "-qq", *_PATIENCE])
    return _mirror_in_lists()


def _mirror_in_lists() -> str | None:
    try:
        listed = run(
            ["apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE)",
             "Created-By: Packages"],
            seconds=30,
            environment=_QUIET,
        )  # fmt: skip
        codename = platform.freedesktop_os_release().get("VERSION_CODENAME", "")
    except (ProgramError, OSError):
        return None
    for line in listed.splitlines():
        uri, _, release = line.partition(" ")
        if release == codename and "security" not in uri and uri.rstrip("/").endswith("/debian"):
            return uri.rstrip("/")
    return None


def fetch(packages: list[str], suite: str, target: Path) -> None:
    """Unpack `packages` of the release `suite` into the folder `target`, without installing them.

    Needs no rights beyond writing there. Raises ProgramError.
    """
    with tempfile.TemporaryDirectory(prefix="otel-stack-apt-") as scratch:
        root = Path(scratch)
        # apt fetches as a user of its own, who must be able to enter.
        root.chmod(0o755)
        for folder in ("lists/partial", "cache/archives/partial", "debs"):
            (root / folder).mkdir(parents=True)
        signed = f"[signed-by={KEYRING}] " if KEYRING.exists() else ""
        (root / "sources.list").write_text(f"deb {signed}{mirror()} {suite} main\n")
        (root / "status").touch()
        apt = [
            "apt-get", "-qq", *_PATIENCE,
            "-o", f"Dir::Etc::sourcelist={root}/sources.list",
            "-o", "Dir::Etc::sourceparts=-",
            "-o", "Dir::Etc::preferencesparts=-",
            "-o", f"Dir::State={root}",
            "-o", f"Dir::State::status={root}/status",
            "-o", f"Dir::Cache={root}/cache",
            "-o", "APT::Sandbox::User=",
        ]  # fmt: skip
        run([*apt, "update"], seconds=120, environment=_QUIET)
        run([*apt, "download", *packages], seconds=180, environment=_QUIET, cwd=root / "debs")
        for deb in sorted((root / "debs").glob("*.deb")):
            run(["dpkg", "-x", str(deb), str(target)], seconds=60)
