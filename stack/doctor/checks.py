"""Every check, in the order in which people put things right."""

from __future__ import annotations

from collections.abc import Mapping

from stack.doctor.access import check_senders
from stack.doctor.chosen import check_settings
from stack.doctor.clock import check_clock
from stack.doctor.collector import check_collector, check_config, check_dead_letters, check_delivery
from stack.doctor.examination import Check
from stack.doctor.machine import check_folders, check_ports, check_runtime
from stack.doctor.receivers import check_refusals
from stack.doctor.services import check_services
from stack.doctor.telemetry import check_telemetry
from stack.doctor.versions import check_versions
from stack.vendors import checks

CHECKS: Mapping[str, Check] = {
    "settings": check_settings,
    "runtime": check_runtime,
    "versions": check_versions,
    "ports": check_ports,
    "folders": check_folders,
    "access": check_senders,
    "config": check_config,
    "collector": check_collector,
    "delivery": check_delivery,
    "receivers": check_refusals,
    "services": check_services,
    "telemetry": check_telemetry,
    "dead letters": check_dead_letters,
    **checks(),
    "clock": check_clock,
}
