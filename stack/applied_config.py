"""The config that the collector runs with: a copy, so that an edit takes effect when asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stack.plan import Plan


def apply_config(plan: Plan, text: str) -> None:
    """Replace the copy at once, never by half. It can be read by the containers' user."""
    file = plan.config_applied
    file.parent.mkdir(parents=True, exist_ok=True)
    file.parent.chmod(0o755)
    fresh = file.with_suffix(".new")
    fresh.write_text(text)
    fresh.chmod(0o644)
    fresh.replace(file)
