"""PORT_OFFSET: one number that moves a whole stack beside another one."""

from __future__ import annotations

import itertools
import shutil
from pathlib import Path

import pytest

from stack.collector_config.text import CONFIG_FILE
from stack.env_file import ENV_FILE
from stack.errors import StackError
from stack.fragments import VENDORS
from stack.services import Plan, make_plan
from stack.settings import ROOT, load_settings


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project's folder without an `.env` of its own."""
    shutil.copytree(ROOT / VENDORS, tmp_path / VENDORS)
    shutil.copyfile(ROOT / CONFIG_FILE, tmp_path / CONFIG_FILE)
    return tmp_path


def _plan(root: Path, runtime: str, **environ: str) -> Plan:
    given = {"WITH": "xray-daemon", "PAGE": "on", **environ}
    return make_plan(load_settings(root, given), ROOT, runtime)


@pytest.mark.parametrize("runtime", ["native", "docker"])
def test_every_port_moves(root: Path, runtime: str) -> None:
    # when
    before, after = _plan(root, runtime), _plan(root, runtime, PORT_OFFSET="300")
    # then
    assert len(before.ports) >= 15
    assert after.ports == {name: port + 300 for name, port in before.ports.items()}
    variables = {
        name: (value, process.environment[name])
        for process in after.processes
        for name, value in before.process(process.name).environment.items()
        if name.endswith("_PORT")
    }
    assert {"AWS_HOP_PORT", "XRAY_DAEMON_UDP_PORT", "FRONTEND_PORT"} <= variables.keys()
    assert all(int(moved) == int(was) + 300 for was, moved in variables.values()), variables


def test_a_port_with_a_number_of_its_own_stays(root: Path) -> None:
    # given
    (root / ENV_FILE).write_text("PORT_OFFSET=100\nBACKEND_PORT=5000\nXRAY_DAEMON_UDP_PORT=2001\n")
    # when
    plan = _plan(root, "native", OTLP_HTTP_PORT="5001")
    # then
    assert plan.ports["BACKEND_PORT"] == 5000
    assert plan.ports["OTLP_HTTP_PORT"] == 5001
    assert plan.ports["OTLP_GRPC_PORT"] == 4417
    assert plan.process("collector").environment["XRAY_DAEMON_UDP_PORT"] == "2001"


def test_the_offsets_that_are_recommended_keep_stacks_apart(root: Path) -> None:
    # given: with those of the collector that containers do not publish
    stacks = [
        {*_plan(root, "native", PORT_OFFSET=str(offset)).ports.values()}
        for offset in range(0, 1000, 100)
    ]
    # then
    for one, other in itertools.combinations(stacks, 2):
        assert one.isdisjoint(other)


def test_an_offset_that_leaves_the_range_says_which_port_and_how_far(root: Path) -> None:
    # given
    (root / ENV_FILE).write_text("\nPORT_OFFSET=9857\n")
    # when
    with pytest.raises(StackError) as told:
        load_settings(root, {})
    # then
    assert str(told.value) == (
        "PORT_OFFSET 9857 moves COLLECTOR_ZPAGES_PORT from 55679 to 65536 (.env line 2), and 65535 "
        "is the last port; choose at most 9856, or give COLLECTOR_ZPAGES_PORT a number of its own"
    )
    # when
    settings = load_settings(root, {"COLLECTOR_ZPAGES_PORT": "55679"})
    # then
    assert settings.port("COLLECTOR_HEALTH_PORT") == 22990


@pytest.mark.parametrize("offset", ["-1", "65536", "x", "1.5"])
def test_an_offset_that_is_none_is_one_line(root: Path, offset: str) -> None:
    with pytest.raises(StackError, match=rf"^PORT_OFFSET cannot be '{offset}' \(environment\)"):
        load_settings(root, {"PORT_OFFSET": offset})
