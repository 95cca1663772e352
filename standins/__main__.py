"""`python -m standins`: run until SIGTERM or SIGINT.

Prints one JSON line with the ports once it is ready.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys

from standins.server import StandIns
from standins.settings import Settings, SettingsError


async def serve(standins: StandIns) -> None:
    """Serve until a signal comes."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await standins.start()
    print(json.dumps(standins.ports()), flush=True)
    await stop.wait()
    await standins.stop()


def main() -> int:
    """Run; 1 with one line on standard error when settings or ports cannot be used."""
    try:
        standins = StandIns(Settings.from_env())
    except SettingsError as error:
        print(f"error: {error}.", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"error: {error.strerror}. Set STANDIN_<NAME>_PORT or STANDIN_BIND.", file=sys.stderr)
        return 1
    asyncio.run(serve(standins))
    # Python would wait for the thread that loads moto, 8 s on a busy machine; nothing is kept.
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
