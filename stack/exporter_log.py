"""Why an exporter could not deliver, in the words of the collector's log."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

from stack.errors import cut
from stack.ledger import Entry

LONGEST = 240
STARTED = "Starting otelcol"
LINE = re.compile(r"^(?P<at>\S+)\s+(?P<level>\w+)\s+\S+\s+(?P<message>[^\t]*)\t(?P<fields>\{.*\})$")


def last_errors(lines: Iterable[str], entries: Iterable[Entry]) -> dict[str, str]:
    """The last error of each exporter in trouble, by its id: something queued, failed or dropped,
    or a queue whose file is gone.

    An exporter that has delivered everything since has nothing worth telling.
    """
    troubled = {
        name
        for entry in entries
        if entry.queued or entry.failed or entry.dropped or entry.missing
        for name in (entry.queue, entry.exporter)
    }
    owner = {entry.exporter: entry.queue for entry in entries}
    found: dict[str, str] = {}
    for line in lines:
        if STARTED in line:
            found.clear()  # what follows is another process's
            continue
        match = LINE.match(line.strip())
        if not match or match["level"] not in {"error", "warn", "info"}:
            continue
        try:
            fields = json.loads(match["fields"])
        except ValueError:
            continue  # a line that was cut
        exporter = fields.get("otelcol.component.id", "")
        # A receiver may have the same id: awsxray is both.
        if fields.get("otelcol.component.kind") != "exporter":
            continue
        if "error" in fields and exporter in troubled:
            found[owner.get(exporter, exporter)] = cut(str(fields["error"]), LONGEST)
    return found
