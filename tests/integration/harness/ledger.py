"""The ledger of a plan that runs, by vendor and signal."""

from __future__ import annotations

from stack.applied_config import applied_config
from stack.ledger import Entry, read_ledger
from stack.routes import front_receivers, routes
from stack.services import Plan


def by_vendor(plan: Plan) -> dict[tuple[str, str], Entry]:
    config = applied_config(plan)
    entries = read_ledger(plan.metrics_url, routes(config), front_receivers(config))
    return {(entry.vendor, entry.signal): entry for entry in entries}
