"""The form for collectors whose awsxray and awsemf have no queue, as upstream's have none."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from stack.collector_config.distribution import component_type
from stack.errors import StackError

HOPS = {"awsxray": "to_xray", "awsemf": "to_cloudwatch"}
"""The exporter that leads to each. Our build takes over what waits under these names
(collector/build/durable)."""

QUEUE_KEYS = ("sending_queue", "retry_on_failure")
RECEIVER = "otlp/aws"
ADDRESS = "127.0.0.1:${env:AWS_HOP_PORT:-4319}"

LOSSES = """\
a queue of their own for {names}: another exporter's leads there over AWS_HOP_PORT of this machine
another try for what X-Ray throttles or leaves unprocessed, and for the rest of a refused batch
dead letters: what a vendor refuses is counted and gone
a full queue that the app does not notice: it is refused then, and sends again, to every vendor
"""


def through_a_hop(config: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """`config` for upstream's exporters, and a sentence for each thing that is lost by it.

    Raises StackError where two exporters would need the one receiver for the same signal.
    """
    form: dict[str, Any] = copy.deepcopy(dict(config))
    exporters: dict[str, Any] = {}
    hops: dict[str, str] = {}
    for name, body in (form.get("exporters") or {}).items():
        kind = component_type(name)
        queue = {key: body[key] for key in QUEUE_KEYS if kind in HOPS and key in (body or {})}
        if queue.get("sending_queue"):
            # awsxray/ireland: otlp_http/to_xray_ireland
            hops[name] = "_".join((f"otlp_http/{HOPS[kind]}", *name.split("/")[1:]))
            way = {"endpoint": f"http://{ADDRESS}", "compression": "none"}
            exporters[hops[name]] = way | queue
        exporters[name] = (
            {key: value for key, value in body.items() if key not in queue} if queue else body
        )
    if exporters:
        form["exporters"] = exporters
    if not hops:
        return form, []
    form["receivers"][RECEIVER] = {"protocols": {"http": {"endpoint": ADDRESS}}}
    _lead_there(form["service"]["pipelines"], hops)
    return form, LOSSES.format(names=" and ".join(hops)).splitlines()


def _lead_there(pipelines: dict[str, Any], hops: Mapping[str, str]) -> None:
    behind: dict[str, str] = {}
    for pipeline_name, pipeline in pipelines.items():
        signal = component_type(pipeline_name)
        for exporter in filter(hops.get, pipeline.get("exporters") or ()):
            if behind.setdefault(signal, exporter) != exporter:
                raise StackError(
                    f"{behind[signal]} and {exporter} would both get the {signal} of {RECEIVER}",
                    "leave one of them out for this collector",
                )
        if pipeline.get("exporters"):
            pipeline["exporters"] = [hops.get(name, name) for name in pipeline["exporters"]]
    for signal, exporter in behind.items():
        vendor = HOPS[component_type(exporter)].removeprefix("to_")
        pipelines[f"{signal}/behind_the_queue_to_{vendor}"] = {
            "receivers": [RECEIVER],
            "exporters": [exporter],
        }
