"""The files that a collector reads: its config, and what a secret is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stack.collector_config.text import CONFIG_FILE, load
from stack.whole_file import replace_text

REDACTION_FILE = Path("collector/redaction.yaml")

APPENDED = ("service", "extensions")
"""The one list that fragments add to; any other that differs is a clash."""

NO_PATTERNS = "processors: {}\n"
"""In the place of `redaction.yaml` for a collector that has no use for it."""


@dataclass(frozen=True)
class ConfigTexts:
    """The texts of both."""

    config: str
    redaction: str = NO_PATTERNS

    def write(self, folder: Path) -> tuple[Path, ...]:
        """Write both into `folder`, each at once, readable by the containers' user."""
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o755)
        files = config_files(folder)
        for file, text in zip(files, (self.config, self.redaction), strict=True):
            replace_text(file, text)
        return files

    @classmethod
    def read(cls, folder: Path) -> ConfigTexts:
        """What `write` left in `folder`."""
        return cls(*(file.read_text() for file in config_files(folder)))


def config_files(folder: Path) -> tuple[Path, ...]:
    """Where `ConfigTexts.write` writes, in the order in which the collector reads."""
    return tuple(folder / file.name for file in (CONFIG_FILE, REDACTION_FILE))


def config_arguments(files: Iterable[Path | str]) -> Iterator[str]:
    """The collector's arguments for these files."""
    for file in files:
        yield from ("--config", str(file))


def wants_patterns(config: Mapping[str, Any]) -> bool:
    """Whether `redaction.yaml` completes this config: it has the processor, and no patterns in it.

    Read after a config with patterns of its own, the file would take their place.
    """
    processors = config.get("processors")
    if not isinstance(processors, dict) or "redaction" not in processors:
        return False
    own = processors["redaction"] or {}
    return not own.keys() & {"blocked_key_patterns", "blocked_values"}


def load_together(files: Iterable[Path]) -> dict[str, Any]:
    """The files as `merged` has them. Raises StackError as `load` does."""
    together: dict[str, Any] = {}
    for file in files:
        together = merged(together, load(file))
    return together


def merged(
    first: Mapping[str, Any], second: Mapping[str, Any], keys: tuple[str, ...] = ()
) -> dict[str, Any]:
    """Maps by key, of two lists the last, but for those at APPENDED."""
    result = dict(first)
    for key, value in second.items():
        known, below = result.get(key), (*keys, key)
        if isinstance(known, dict) and isinstance(value, dict):
            result[key] = merged(known, value, below)
        elif below == APPENDED and isinstance(known, list) and isinstance(value, list):
            result[key] = [*known, *value]
        else:
            result[key] = value
    return result
