"""Where compilers keep what they fetched, where the caller has no home that can be written."""

from __future__ import annotations

import os
from pathlib import Path

FOLDER = Path(".run/cache")

OF_A_HOME = {
    "GOCACHE": "go-build",
    "GOMODCACHE": "go-mod",
    "npm_config_cache": "npm",
    "UV_CACHE_DIR": "uv",
}
"""Variables that name a cache, and its folder's name here. Go ends without a home, npm too."""


def own_caches(root: Path) -> dict[str, str]:
    """Variables that put the caches into the run folder of `root`; empty where the caller has a
    home that can be written. What the caller set stays.
    """
    home = os.environ.get("HOME")
    if home and os.access(home, os.W_OK):
        return {}
    return {
        name: str(root / FOLDER / folder)
        for name, folder in OF_A_HOME.items()
        if name not in os.environ
    }
