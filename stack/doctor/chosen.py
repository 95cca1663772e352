"""What the user chose."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stack.doctor.finding import About, Finding
from stack.settings import ENV_FILE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stack.doctor.setup import Setup


def check_settings(setup: Setup) -> Iterator[Finding]:
    """Which vendors the settings make live. That they could be read is known by now."""
    about = About("settings")
    file = setup.root / ENV_FILE
    source = ENV_FILE if file.exists() else f"no {ENV_FILE}, so everything has its default"
    live = [vendor.name for vendor in setup.vendors if vendor.live]
    played = [vendor.name for vendor in setup.vendors if not vendor.live]
    parts = [f"live: {', '.join(live)}"] if live else []
    parts += [f"played by stand-ins: {', '.join(played)}"] if played else []
    yield about.ok(f"{source}; {'; '.join(parts)}")
    if file.exists() and file.stat().st_mode & 0o077 and live:
        yield about.warning(
            f"other users of this machine may read {ENV_FILE}, which holds keys",
            f"chmod 600 {ENV_FILE}",
        )
