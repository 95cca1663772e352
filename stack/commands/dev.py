"""`make dev`: the stack with a page and services that follow their sources."""

from __future__ import annotations

from stack.announce import addresses, announce
from stack.config_check import lint
from stack.console import console
from stack.development import for_development
from stack.errors import StackError
from stack.page_build import ensure_node_packages
from stack.runtimes import docker, native
from stack.services import make_plan
from stack.settings import ROOT, load_settings


def run() -> None:
    """Start everything natively; the page and the Flask services reload on a change."""
    plan = make_plan(load_settings(ROOT), ROOT, "native")
    if docker.is_running(make_plan(load_settings(ROOT), ROOT, "docker")):
        raise StackError("the stack runs on the docker runtime", "`make down` first")
    if plan.page_url:
        ensure_node_packages(plan.root)
    plan = for_development(plan)
    announce(plan, running=False)
    lint(plan, refuse=False)
    native.up(plan)
    for name, url in addresses(plan):
        console.print(f" {name}  {url}", soft_wrap=True)
    console.print(" next  edit a source · make logs · make up (as it is shipped) · make down")
