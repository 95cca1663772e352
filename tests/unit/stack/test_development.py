"""What `make dev` changes of the plan, and what it leaves."""

from __future__ import annotations

from stack.development import for_development
from stack.services import PAGE, make_plan
from stack.settings import ROOT, load_settings


def test_sources_are_followed_and_nothing_else_changes() -> None:
    plan = make_plan(load_settings(ROOT, {"PAGE": "on", "FRONTEND_PORT": "3456"}), ROOT, "native")

    followed = for_development(plan)

    changed = {
        new.name for old, new in zip(plan.processes, followed.processes, strict=True) if old != new
    }
    assert changed == {"backend-flask", "profiles-flask", PAGE}
    assert followed.process("backend-flask").environment["RELOAD"] == "true"
    assert followed.process(PAGE).environment["FRONTEND_PORT"] == "3456"
    assert followed.ports == plan.ports
