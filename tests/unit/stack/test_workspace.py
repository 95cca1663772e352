"""Where the stack is in a cloud workspace, by the workspace's own variables."""

from __future__ import annotations

from pathlib import Path

import pytest

from stack.errors import StackError
from stack.services import Plan, make_plan
from stack.settings import ROOT, load_settings

GITPOD = {"GITPOD_WORKSPACE_URL": "https://name.ws-eu.gitpod.io"}
CODESPACES = {
    "CODESPACE_NAME": "name",
    "GITHUB_CODESPACES_PORT_FORWARDING_DOMAIN": "app.github.dev",
}


def planned(tmp_path: Path, runtime: str = "native", **environ: str) -> Plan:
    settings = load_settings(ROOT, {"RUN_DIR": str(tmp_path), "PAGE": "on", **environ})
    # Of a developer's own `.env` only the ports may be here.
    return make_plan(settings.model_copy(update={"port_offset": 0}), ROOT, runtime)


@pytest.mark.parametrize(
    ("environ", "address"),
    [
        (GITPOD, "https://{}-name.ws-eu.gitpod.io"),
        (CODESPACES, "https://name-{}.app.github.dev"),
        ({"CODESPACE_NAME": "name"}, "https://name-{}.app.github.dev"),
        ({"PUBLIC_URL": "https://{port}--a.gitpod.dev", **GITPOD}, "https://{}--a.gitpod.dev"),
    ],
    ids=["Gitpod", "Codespaces", "Codespaces without its domain", "a setting wins"],
)
@pytest.mark.parametrize("runtime", ["native", "docker"])
def test_the_page_asks_its_own_server_and_the_origins_are_exact(
    tmp_path: Path, environ: dict[str, str], address: str, runtime: str
) -> None:
    plan = planned(tmp_path, runtime, **environ)
    [port, backend] = (plan.settings.port(f"{name}_PORT") for name in ("FRONTEND", "BACKEND"))
    page = plan.process("frontend-react").environment
    inside = f"127.0.0.1:{backend}" if runtime == "native" else "backend-flask:8000"
    origins = [
        f"http://127.0.0.1:{port}",
        f"http://localhost:{port}",
        address.format(port),
        f"https://localhost:{port}",
    ]
    for name in ("frontend-react", "backend-flask"):
        assert plan.process(name).environment["FRONTEND_ORIGINS"].split(",") == origins
    assert page["BACKEND_UPSTREAM"] == f"http://{inside}"
    assert page["PAGE_URL"] == address.format(port)
    assert "OTEL_EXPORTER_OTLP_ENDPOINT" in page
    assert page["ROLLBAR_UPSTREAM"].endswith("/api/1/")
    trusted = plan.process("backend-flask").environment.get("FORWARDED_ALLOW_IPS")
    assert trusted == ("*" if runtime == "docker" else None)


def test_on_a_machine_of_ones_own_nothing_is_sent_on(tmp_path: Path) -> None:
    plan = planned(tmp_path)
    page = plan.process("frontend-react").environment
    assert not {name for name, value in page.items() if name.endswith("UPSTREAM") and value}
    assert "OTEL_EXPORTER_OTLP_ENDPOINT" not in page
    assert "https" not in page["FRONTEND_ORIGINS"]
    assert plan.settings.outside(3000) is None


def test_the_api_can_have_its_own_name(tmp_path: Path) -> None:
    plan = planned(tmp_path, PAGE_REQUESTS="direct", **GITPOD)
    page = plan.process("frontend-react").environment
    port = plan.settings.port("BACKEND_PORT")
    assert (page["BACKEND_URL"], page["BACKEND_UPSTREAM"]) == (
        f"https://{port}-name.ws-eu.gitpod.io",
        "",
    )
    # The spans have no port that a browser reaches.
    assert "OTEL_EXPORTER_OTLP_ENDPOINT" in page


def test_the_page_can_ask_its_own_server_anywhere(tmp_path: Path) -> None:
    page = planned(tmp_path, PAGE_REQUESTS="same-origin").process("frontend-react").environment
    assert page["BACKEND_UPSTREAM"]
    assert page["PAGE_URL"] == ""


@pytest.mark.parametrize(
    "value",
    [
        "https://name.gitpod.io",
        "http://{port}-a.example",
        "https://{port}-a/x",
        "*",
        "https://{port}",
    ],
)
def test_an_address_that_is_none_of_a_port_is_refused(tmp_path: Path, value: str) -> None:
    with pytest.raises(StackError, match="PUBLIC_URL"):
        planned(tmp_path, PUBLIC_URL=value)
