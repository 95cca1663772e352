"""A config that is tried beside a running collector: nobody takes the trial's ports meanwhile."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from stack.access import Access
from stack.collector_config.files import ConfigTexts
from stack.smoke import smoke
from tests.unit.collector.running import DEFAULTS, NO_VENDORS, PORTS, SHIPPED

pytestmark = pytest.mark.collector


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a port cannot be kept so")
def test_the_ports_are_kept_until_the_trial_is_over(
    binary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given somebody who wants a port at the wrong moment, as the kernel might give it away
    refused: list[str] = []
    start: Any = subprocess.Popen

    def meddle(*words: Any, env: dict[str, str], **more: Any) -> Any:
        for name in PORTS:
            with socket.socket() as other:
                try:
                    other.bind(("127.0.0.1", int(env[name])))
                except OSError:
                    refused.append(name)
        return start(*words, env=env, **more)

    monkeypatch.setattr("stack.smoke.subprocess.Popen", meddle)
    variables = {**DEFAULTS, **NO_VENDORS, "QUEUE_DIR": "", "TELEMETRY_DIR": ""}
    # when
    texts = ConfigTexts(*(file.read_text() for file in SHIPPED))
    smoke(binary, texts, variables, Access((), tmp_path, tmp_path))
    # then
    assert refused == list(PORTS)
