"""Base images where no registry answers: Python of Debian, Go and Node on top of it."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from shutil import which

from stack.collector_build import SOURCES as COLLECTOR
from stack.console import step
from stack.errors import StackError
from stack.images import default_argument, docker_build
from stack.locking import only_one
from stack.program import ProgramError, run
from stack.registry import image_id, try_pull
from stack.settings import ROOT
from tools.test_machine import debian

SUITE = "trixie"
"""Debian's release with Python 3.13, the version of the public image which it stands in for."""

PACKAGES = ("python3", "python3-venv", "ca-certificates")
"""Of Debian's, with what they need."""

PYTHON = f"otel-stack/python-base:{SUITE}"
NAMES = ("PYTHON_IMAGE", "GO_IMAGE", "NODE_IMAGE")

HERE = Path(__file__).parent
MAKE_SECONDS = 600
"""A minute where nothing else is busy."""


def ensure_base_images() -> dict[str, str]:
    """The settings that name base images made here; empty where the public ones can be had.

    What the environment names already stays. Raises StackError.
    """
    missing = [name for name in NAMES if name not in os.environ]
    if not missing:
        return {}
    public = default_argument(ROOT / "services/Dockerfile", "PYTHON_IMAGE")
    with only_one(ROOT / ".run/base-images.lock"):
        # One that was made is taken until it is removed: nobody waits twice for a registry.
        if image_id(PYTHON) is None:
            refusal = None if image_id(public) else try_pull(public)
            if refusal is None:
                return {}
            _make_python(public, refusal)
        made = {
            "PYTHON_IMAGE": PYTHON,
            "GO_IMAGE": _on_top("go", ROOT / COLLECTOR),
            "NODE_IMAGE": _on_top("node", HERE),
        }
    return {name: made[name] for name in missing}


def _on_top(target: str, context: Path) -> str:
    reference = f"otel-stack/{target}-base:{SUITE}"
    docker_build(
        ROOT,
        f"an image with {target}",
        context,
        f"--file={HERE / 'Dockerfile'}",
        f"--target={target}",
        f"--build-arg=PYTHON_IMAGE={PYTHON}",
        f"--tag={reference}",
    )
    return reference


def _make_python(public: str, refusal: str) -> None:
    """Make the base from Debian's packages and give it to the engine. Raises StackError."""
    if which("mmdebstrap") is None:
        if not debian.can_install():
            raise StackError(
                f"{public} cannot be pulled ({refusal}), and there is no mmdebstrap to make one",
                "set PYTHON_IMAGE, GO_IMAGE and NODE_IMAGE to images that the engine holds",
            )
        with step("installing mmdebstrap from Debian's packages"):
            debian.install(["mmdebstrap"])
    with (
        step(f"{public} cannot be pulled: making an image with Python from Debian packages"),
        tempfile.TemporaryDirectory(prefix="otel-stack-base-") as scratch,
    ):
        archive = Path(scratch) / "base.tar"
        try:
            run(_mmdebstrap(archive), seconds=MAKE_SECONDS)
            run(_import(archive), seconds=120)
        except ProgramError as failed:
            raise StackError(
                f"{public} cannot be pulled ({refusal}), and none could be made ({failed})",
                "set PYTHON_IMAGE, GO_IMAGE and NODE_IMAGE to images that the engine holds",
            ) from None


def _mmdebstrap(archive: Path) -> list[str]:
    unread = ("/usr/share/man/*", "/usr/share/locale/*", "/usr/share/doc/*", "/usr/share/info/*")
    return [
        "mmdebstrap",
        "--quiet",
        "--variant=minbase",
        f"--include={','.join(PACKAGES)}",
        *(f"--dpkgopt=path-exclude={pattern}" for pattern in unread),
        "--dpkgopt=path-include=/usr/share/doc/*/copyright",
        # The name by which the public image has it.
        '--customize-hook=ln -s /usr/bin/python3 "$1/usr/local/bin/python"',
        SUITE,
        str(archive),
        debian.mirror(),
    ]


def _import(archive: Path) -> list[str]:
    changes = (
        'CMD ["python3"]',
        "ENV LANG=C.UTF-8",
        "ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    )
    words = (word for change in changes for word in ("--change", change))
    return ["docker", "import", *words, str(archive), PYTHON]
