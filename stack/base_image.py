"""Which image ours begin with: pulled where a registry answers, made otherwise."""

from __future__ import annotations

import select
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from shutil import which
from typing import Literal

from stack import debian
from stack.console import step
from stack.errors import StackError
from stack.program import ProgramError, end_group, run

SUITE = "trixie"
"""Debian's release with Python 3.13, the version of the public image which it stands in for."""

PACKAGES = ("python3", "python3-venv", "ca-certificates")
"""Of Debian's, with what they need."""

MADE = f"otel-stack/python-base:{SUITE}"
MADE_WITH_NODE = f"otel-stack/node-base:{SUITE}"

REGISTRY_SECONDS = 10
"""How long a registry may take to answer at all. One that is out of reach must not cost more."""

PULL_SECONDS = 600
MAKE_SECONDS = 900
"""Node's npm is 400 packages: 330 s on two busy cores; Python's is a minute."""


@dataclass(frozen=True)
class BaseImage:
    """`identity` changes with the image's content."""

    reference: str
    identity: str
    origin: Literal["chosen", "public", "made"]


@dataclass(frozen=True)
class _Kind:
    """How an image is made from Debian's packages. `way_out`: what else the user can do."""

    language: str
    made: str
    packages: str
    hooks: tuple[str, ...]
    command: str
    way_out: str


_PYTHON = _Kind(
    "Python",
    MADE,
    "python3,python3-venv,ca-certificates",
    # The name by which the public image has it.
    ('--customize-hook=ln -s /usr/bin/python3 "$1/usr/local/bin/python"',),
    "python3",
    "set PYTHON_IMAGE to one that the engine holds, or use RUNTIME=native",
)
_NODE = _Kind(
    "Node",
    MADE_WITH_NODE,
    "nodejs,npm,ca-certificates",
    (),
    "node",
    "set NODE_IMAGE to one that the engine holds, install Node, or take PAGE=off",
)


def python_base(public: str, chosen: str | None = None) -> BaseImage:
    """An image with Python that this engine holds: `chosen`, else `public`, else one made here.

    Once one has been made it is used until it is removed: no command after the first one waits
    for a registry that does not answer. Raises StackError.
    """
    return _base(_PYTHON, public, chosen)


def node_base(public: str, chosen: str | None = None) -> BaseImage:
    """An image with Node and npm, found or made as `python_base` does. Raises StackError."""
    return _base(_NODE, public, chosen)


def _base(kind: _Kind, public: str, chosen: str | None) -> BaseImage:
    if chosen:
        return BaseImage(chosen, have(chosen), "chosen")
    if identity := image_id(public):
        return BaseImage(public, identity, "public")
    if identity := image_id(kind.made):
        return BaseImage(kind.made, identity, "made")
    refusal = try_pull(public)
    if refusal is None:
        return BaseImage(public, have(public), "public")
    _make(kind, public, refusal)
    return BaseImage(kind.made, have(kind.made), "made")


def have(reference: str) -> str:
    """The id of an image, pulled if the engine does not hold it yet. Raises StackError."""
    held = image_id(reference)
    if held is None:
        refusal = try_pull(reference)
        held = image_id(reference)
        if held is None:
            raise StackError(
                f"the image {reference} is not here and cannot be pulled ({refusal})",
                "check its name, and that its registry can be reached",
            )
    return held


def image_id(reference: str) -> str | None:
    """The id of an image that the engine holds, None when it holds none of that name."""
    try:
        shown = run(["docker", "image", "inspect", "--format", "{{.Id}}", reference], seconds=30)
    except ProgramError:
        return None
    return shown.strip()


def try_pull(reference: str) -> str | None:
    """Pull an image. Returns None when it is there, else the reason why it is not.

    A registry that says nothing for 10 s counts as out of reach; one that answers may take its
    time.
    """
    with step(f"asking for {reference} in its registry"):
        process = subprocess.Popen(
            ["docker", "pull", reference],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        assert process.stdout is not None  # noqa: S101 - asked for above
        try:
            answered, _, _ = select.select([process.stdout], [], [], REGISTRY_SECONDS)
            if not answered:
                end_group(process)
                return f"no answer within {REGISTRY_SECONDS} s"
            output, _ = process.communicate(timeout=PULL_SECONDS)
        except subprocess.TimeoutExpired:
            end_group(process)
            return f"not here within {PULL_SECONDS} s"
        except BaseException:
            end_group(process)
            raise
    if process.returncode == 0:
        return None
    lines = output.decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else f"exit code {process.returncode}"


def _make(kind: _Kind, public: str, refusal: str) -> None:
    """Make the base from Debian's packages and give it to the engine. Raises StackError."""
    if which("mmdebstrap") is None:
        if not debian.can_install():
            raise StackError(
                f"no image with {kind.language}: {public} cannot be pulled ({refusal}), "
                "and there is no mmdebstrap to make one",
                kind.way_out,
            )
        with step("installing mmdebstrap from Debian's packages"):
            debian.install(["mmdebstrap"])
    with (
        step(
            f"{public} cannot be pulled: making an image with {kind.language} from Debian packages"
        ),
        tempfile.TemporaryDirectory(prefix="otel-stack-base-") as scratch,
    ):
        archive = Path(scratch) / "base.tar"
        try:
            run(_mmdebstrap(kind, archive), seconds=MAKE_SECONDS)
            run(_import(kind, archive), seconds=120)
        except ProgramError as failed:
            raise StackError(
                f"no image with {kind.language}: {public} cannot be pulled ({refusal}), "
                f"and none could be made ({failed})",
                kind.way_out,
            ) from None


def _mmdebstrap(kind: _Kind, archive: Path) -> list[str]:
    unread = ("/usr/share/man/*", "/usr/share/locale/*", "/usr/share/doc/*", "/usr/share/info/*")
    return [
        "mmdebstrap",
        "--quiet",
        "--variant=minbase",
        f"--include={','.join(PACKAGES)}",
        *(f"--dpkgopt=path-exclude={pattern}" for pattern in unread),
        "--dpkgopt=path-include=/usr/share/doc/*/copyright",
        *kind.hooks,
        SUITE,
        str(archive),
        debian.mirror(),
    ]


def _import(kind: _Kind, archive: Path) -> list[str]:
    changes = (
        f'CMD ["{kind.command}"]',
        "ENV LANG=C.UTF-8",
        "ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    )
    return [
        "docker",
        "import",
        *(word for change in changes for word in ("--change", change)),
        str(archive),
        kind.made,
    ]
