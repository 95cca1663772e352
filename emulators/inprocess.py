"""The emulators in a thread of this process: for tests."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from emulators.client import Client
from emulators.core.settings import Settings
from emulators.registry import settings_kinds
from emulators.server import Emulators


@contextmanager
def running(settings: Settings | None = None) -> Iterator[Client]:
    """Run the emulators on any free ports until the block ends; yields their client.

    moto's state belongs to the process: two of these share log groups and metrics.
    """
    emulators = Emulators((settings or Settings()).on_any_ports(settings_kinds()))
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="emulators", daemon=True)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(emulators.start(), loop).result(timeout=300)
        # The first call waits for moto: 1.5 s, but 127 on two cores with 25 processes beside.
        with Client(f"http://127.0.0.1:{emulators.control.port}", timeout=300) as client:
            yield client
    finally:
        asyncio.run_coroutine_threadsafe(emulators.stop(), loop).result(timeout=300)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(timeout=300)
        loop.close()
