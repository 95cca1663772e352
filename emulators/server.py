"""All emulators in one process: started together, told what to do by the control port."""

from __future__ import annotations

from emulators.core.control import Control
from emulators.core.settings import Settings
from emulators.registry import make_emulators


class Emulators:
    """Every vendor and the control port. Ports are bound here, so OSError comes at once."""

    def __init__(self, settings: Settings) -> None:
        self.vendors = make_emulators(settings)
        self.control = Control(settings, self.vendors)

    async def start(self) -> None:
        """Listen on every port."""
        for vendor in self.vendors.values():
            await vendor.start()
        await self.control.start()

    async def stop(self) -> None:
        """Close every port."""
        await self.control.stop()
        for vendor in self.vendors.values():
            await vendor.stop()
