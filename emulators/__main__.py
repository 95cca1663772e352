"""`python -m emulators`: run until SIGTERM or SIGINT.

Prints one JSON line with the ports once it is ready.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys

from emulators.core.settings import SettingsError
from emulators.registry import load_settings
from emulators.server import Emulators


async def serve(emulators: Emulators) -> None:
    """Serve until a signal comes."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await emulators.start()
    print(json.dumps(emulators.control.ports()), flush=True)
    await stop.wait()
    await emulators.stop()


def main() -> int:
    """Run; 1 with one line on standard error when settings or ports cannot be used."""
    try:
        emulators = Emulators(load_settings())
    except SettingsError as error:
        print(f"error: {error}.", file=sys.stderr)
        return 1
    except OSError as error:
        print(
            f"error: {error.strerror}. Set EMULATOR_<NAME>_PORT or EMULATOR_BIND.", file=sys.stderr
        )
        return 1
    asyncio.run(serve(emulators))
    # Python would wait for the thread that loads moto, 8 s on a busy machine; nothing is kept.
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
