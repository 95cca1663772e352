"""Images that the engine holds, or pulls from their registries."""

from __future__ import annotations

import select
import subprocess

from stack.console import step
from stack.errors import StackError
from stack.program import ProgramError, end_group, run

REGISTRY_SECONDS = 10
"""How long a registry may take to answer at all. One that is out of reach must not cost more."""

PULL_SECONDS = 600


def have(reference: str, todo: str) -> str:
    """The id of an image, pulled if the engine does not hold it yet.

    Raises StackError, which says `todo`.
    """
    held = image_id(reference)
    if held is None:
        refusal = try_pull(reference)
        held = image_id(reference)
        if held is None:
            raise StackError(
                f"the image {reference} is not here and cannot be pulled ({refusal})", todo
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
