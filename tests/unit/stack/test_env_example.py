"""`.env.example` is the reference of every name that `.env` may hold."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from stack.collector_config.text import CONFIG_FILE, env_defaults, env_required
from stack.env_file import ENV_FILE, EXAMPLE_FILE, documented_names
from stack.errors import StackError
from stack.fragments import VENDORS
from stack.settings import ROOT, SET_BY_THE_STACK, given_names, load_settings, own_names

ONLY_ITS_DEFAULT = {"COLLECTOR_BIND"}
"""Any other value is refused: it would open the port that signs for AWS."""


def test_it_has_every_name_that_settings_take_and_no_other() -> None:
    """Those of `collector/vendors` stand on the top of their own files."""
    config = (ROOT / CONFIG_FILE).read_text()
    taken = own_names() | {*env_defaults(config)} | {*env_required(config)}

    assert documented_names(ROOT) == taken - SET_BY_THE_STACK.keys() - ONLY_ITS_DEFAULT


def test_the_ports_in_it_are_the_defaults() -> None:
    settings = load_settings(ROOT, {"PORT_OFFSET": "0"})
    shown = dict(
        re.findall(r"^#(\w+_PORT)=(\d+)$", (ROOT / EXAMPLE_FILE).read_text(), re.MULTILINE)
    )

    assert len(shown) >= 15
    for name, port in shown.items():
        assert port == (given_names(settings) | settings.collector)[name], name


@pytest.mark.parametrize("name", SET_BY_THE_STACK)
def test_what_the_stack_sets_itself_is_refused_and_not_ignored(tmp_path: Path, name: str) -> None:
    # given
    shutil.copytree(ROOT / VENDORS, tmp_path / VENDORS)
    shutil.copyfile(ROOT / CONFIG_FILE, tmp_path / CONFIG_FILE)
    (tmp_path / ENV_FILE).write_text(f"\n{name}=x\n")
    # then
    with pytest.raises(StackError) as told:
        load_settings(tmp_path, {})
    assert str(told.value) == (
        f"{name} does not belong in .env (line 2); {SET_BY_THE_STACK[name]} decides it"
    )
