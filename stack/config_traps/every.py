"""Every trap in a config."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from stack.collector_config.resolved import read
from stack.config_traps import addresses, delivery, wiring
from stack.config_traps.look import Look, Trap

_TRAPS: tuple[Callable[[Look], Iterator[Trap]], ...] = (
    wiring.empty_keys,
    wiring.undefined_helpers,
    wiring.missing_files,
    addresses.no_url,
    delivery.retention,
    delivery.queues,
    wiring.unused,
    addresses.too_open,
    delivery.batch_processor,
    delivery.truncating_files,
    delivery.twice,
    delivery.uncleaned,
)


def find_traps(
    files: Sequence[Path], variables: Mapping[str, str], root: Path, *, native: bool
) -> list[Trap]:
    """Every trap in the config that `files` make together: the config, then vendors' fragments.

    `variables` are those that the collector gets; paths in the config are seen from `root`.
    Without `native` the config runs in a container: its files are not looked for here, and it has
    to listen beyond loopback. Raises StackError for a file that cannot be read as YAML.
    """
    config = read(files, variables)
    look = Look(config, root, native=native)
    traps = [trap for find in _TRAPS for trap in find(look)]
    return sorted(traps, key=lambda trap: (trap.severity, _natural(trap.where)))


def _natural(where: str) -> tuple[str, int]:
    file, _, line = where.rpartition(":")
    return (file, int(line)) if line.isdigit() else (where, 0)
