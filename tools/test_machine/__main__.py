"""Docker for tests that are run by hand, for as long as a lease on it is held.

`eval "$(.venv/bin/python -m tools.test_machine NAME)"` takes a lease and names the base images in
the environment; `.venv/bin/python -m tools.test_machine -r NAME` ends it.
"""

from __future__ import annotations

import sys

from tools.test_machine.base_images import ensure_base_images
from tools.test_machine.engine import ensure_engine, release

if sys.argv[1:2] == ["-r"]:
    release(sys.argv[2])
else:
    ensure_engine(sys.argv[1])
    for name, reference in ensure_base_images().items():
        print(f"export {name}={reference}")
