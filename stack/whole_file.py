"""A file that is replaced in one step: whoever reads it has the old text or the new one."""

from __future__ import annotations

from pathlib import Path


def replace_text(path: Path, text: str, mode: int = 0o644) -> None:
    """Give `path` this text and these rights; it has never other ones."""
    fresh = path.with_name(f"{path.name}.new")
    fresh.touch(mode=mode)
    fresh.chmod(mode)
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(path)
