"""`make patterns`: the services' and the page's patterns for secrets, from the collector's.

What a secret is stands in `collector/redaction.yaml`, and what gitleaks knows of vendors' tokens in
`collector/build/redaction/gitleaks.json`. Services and page are built without the collector's
folder, so each has a copy.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
REDACTION = Path("collector/redaction.yaml")
GITLEAKS = Path("collector/build/redaction/gitleaks.json")
MADE = (
    Path("distro/src/otel_stack_distro/patterns.json"),
    Path("services/frontend/src/telemetry/patterns.json"),
)


def made_patterns(root: Path) -> str:
    """The text of either copy: `names`, `values`, and gitleaks' `rules`, one a line."""
    redaction = yaml.safe_load((root / REDACTION).read_text())["processors"]["redaction"]
    gitleaks = json.loads((root / GITLEAKS).read_text())
    parts = {
        "names": map(_plain, redaction["blocked_key_patterns"]),
        "values": map(_plain, redaction["blocked_values"]),
        "rules": (
            {"keywords": rule["keywords"], "pattern": rule["pattern"]} for rule in gitleaks["rules"]
        ),
    }
    source = f"Made by `make patterns` from {REDACTION} and {GITLEAKS}."
    head = f'"source": {json.dumps(source)},\n"licence": {json.dumps(gitleaks["licence"])},\n'
    body = ",\n".join(f'"{name}": [\n{_lines(items)}\n]' for name, items in parts.items())
    return f"{{\n{head}{body}\n}}\n"


def _plain(pattern: str) -> str:
    """The collector reads `$$` as `$`."""
    return pattern.replace("$$", "$")


def _lines(items: Iterable[Any]) -> str:
    return ",\n".join(json.dumps(item, ensure_ascii=False) for item in items)


def main() -> None:
    text = made_patterns(ROOT)
    for file in MADE:
        (ROOT / file).write_text(text, encoding="utf-8")
        print(f"{file} is up to date")


if __name__ == "__main__":
    main()
