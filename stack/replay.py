"""Dead letters: what a vendor refused for good, kept by our collector, sent again when asked."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from stack.errors import StackError
from stack.routes import vendor
from stack.services import Plan
from stack.waiting import DeadlineError, wait_for

FOLDER = "dead-letters"
OUTBOX = "replay"
"""The folder inside an exporter's that the collector empties (collector/build/durable)."""

TAKEN_SECONDS = 30


class Header(BaseModel):
    """A letter's first line. `items` are in it, `refused` of them by the vendor.

    `service`: who sent the first of them.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    exporter: str
    signal: str
    items: int
    refused: int
    status: int
    reason: str
    service: str = ""
    at: str


@dataclass(frozen=True)
class Letter:
    """One batch that a vendor refused; `path` is its file."""

    path: Path
    header: Header

    @property
    def vendor(self) -> str:
        """What people call the vendor: `xray`, also for the hop that led there once."""
        return vendor(self.header.exporter).removeprefix("to_")

    @property
    def in_part(self) -> bool:
        """Whether the vendor took the rest of the batch and did not say which: again is twice."""
        return self.header.refused < self.header.items

    @property
    def data(self) -> bytes:
        """The batch as an OTLP export request, protobuf."""
        return self.path.read_bytes().partition(b"\n")[2]


def letters_folder(plan: Plan) -> Path:
    """Where the collector of this plan keeps its dead letters."""
    return plan.folders["QUEUE_DIR"] / FOLDER


def read_letters(folder: Path) -> list[Letter]:
    """Every letter that waits for somebody's decision, the oldest first.

    Raises StackError for a file that is no letter.
    """
    found = []
    for path in sorted(folder.glob("*/*.letter"), key=lambda path: path.name):
        try:
            with path.open("rb") as file:
                header = Header.model_validate_json(file.readline())
        except FileNotFoundError:
            continue  # taken by now
        except ValidationError:
            raise StackError(f"{path} is no dead letter", "move it away") from None
        found.append(Letter(path, header))
    return found


def send_again(letters: Iterable[Letter]) -> None:
    """Have the running collector send these again, and wait until its queues have them.

    Raises StackError when it does not take them; they stay and it takes them later.
    """
    moved = []
    for letter in letters:
        outbox = letter.path.parent / OUTBOX
        outbox.mkdir(mode=0o700, exist_ok=True)
        moved.append(letter.path.rename(outbox / letter.path.name))
    try:
        wait_for(
            "the collector to take the letters",
            lambda: [path.name for path in moved if path.exists()],
            until=lambda left: not left,
            seconds=TAKEN_SECONDS,
            pause=0.1,
        )
    except DeadlineError:
        left = sum(path.exists() for path in moved)
        raise StackError(
            f"the collector has not taken {left} of {len(moved)} letters",
            "see `make logs SERVICE=collector`; it goes on trying. Only our own build does this",
        ) from None


def as_json(letters: Iterable[Letter]) -> str:
    """The letters without their data."""
    return json.dumps(
        [
            {"vendor": one.vendor, "file": str(one.path), **one.header.model_dump()}
            for one in letters
        ]
    )
