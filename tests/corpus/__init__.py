"""What is masked and what is kept, for every cleaner there is: one list for all of them."""

from __future__ import annotations

import json
from pathlib import Path

_CORPUS = json.loads((Path(__file__).parent / "secrets.json").read_text().replace("~", ""))

MASKED: list[tuple[str, str]] = [(text, clean) for text, clean in _CORPUS["masked"]]
"""What comes in, and what leaves."""

KEPT: list[str] = _CORPUS["kept"]

HIDDEN_NAMES: list[str] = _CORPUS["names"]["hidden"]
"""Whatever stands under these names is a secret."""

SHOWN_NAMES: list[str] = _CORPUS["names"]["shown"]
