"""All emulators in one process: started together, told what to do by the control port."""

from __future__ import annotations

from emulators.cloudwatch.api import Aws
from emulators.core.control import Control
from emulators.core.vendor import Vendor
from emulators.honeycomb.api import Honeycomb
from emulators.otlp.api import Otlp
from emulators.rollbar.api import Rollbar
from emulators.settings import Settings
from emulators.xray.api import XRay


class Emulators:
    """Every vendor and the control port. Ports are bound here, so OSError comes at once."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.honeycomb = Honeycomb(settings)
        self.xray = XRay(settings)
        self.aws = Aws(settings, self.xray.region)
        self.rollbar = Rollbar(settings)
        self.otlp = Otlp(settings)
        everyone = (self.honeycomb, self.xray, self.aws, self.rollbar, self.otlp)
        self.vendors: dict[str, Vendor] = {vendor.name: vendor for vendor in everyone}
        self.control = Control(settings, self)

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

    def ports(self) -> dict[str, int]:
        """The port of each vendor by name, of `otlp_grpc` and of `control`."""
        ports = {name: vendor.listener.port for name, vendor in self.vendors.items()}
        return {**ports, "otlp_grpc": self.otlp.grpc.port, "control": self.control.port}
