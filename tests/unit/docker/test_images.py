"""What Compose is told to build, what images begin with, and what a build is told."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from stack import images, packages, registry
from stack.collector_build import NoGoError
from stack.compose_file import COMPOSE_FILE, interpolate
from stack.errors import StackError
from stack.program import ProgramError
from stack.services import PAGE, Plan, make_plan
from stack.settings import ROOT, load_settings

Client = Callable[..., Path]

PUBLIC = images.default_argument(ROOT / "services/Dockerfile", "PYTHON_IMAGE")
GO = images.default_argument(ROOT / "collector/Dockerfile", "GO_IMAGE")
NOT_HERE = 'echo "No such image" >&2; exit 1'
REFUSED = 'echo "lookup registry: no such host" >&2; exit 1'


def inspect(reference: str) -> str:
    return f"image inspect --format {{{{.Id}}}} {reference}"


def planned(folder: Path, **env: str) -> Plan:
    settings = load_settings(ROOT, {"RUN_DIR": str(folder), "PROJECT": "unit", "PAGE": "on", **env})
    return make_plan(settings, ROOT, "docker")


@pytest.fixture(autouse=True)
def files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Nothing is compiled, and no setting is this clone's."""
    folder = tmp_path / "files"
    folder.mkdir()
    monkeypatch.setattr("stack.settings.ENV_FILE", "absent.env")
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr(images, "ensure_image_files", lambda *_: folder)
    monkeypatch.setattr(images, "ensure_image_files_of_page", lambda _: folder)
    return folder


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The variables that a build was given, in place of the build."""
    found: dict[str, str] = {}
    monkeypatch.setattr(images, "_build", lambda _plan, _names, variables: found.update(variables))
    return found


def test_each_service_has_an_image_of_its_clones_own(
    docker_client: Client, tmp_path: Path, told: dict[str, str], files: Path
) -> None:
    docker_client({inspect(PUBLIC): "echo sha256:1"})

    made = images.ensure_images(planned(tmp_path))

    assert made["backend-flask"] == "unit-backend-flask"
    assert made.keys() >= {"collector", "profiles-flask", "emulators", PAGE}
    # What was made outside: it is what runs natively too.
    assert (told["COLLECTOR_TARGET"], told["PAGE_TARGET"]) == ("prebuilt", "prebuilt")
    assert told["COLLECTOR_CONTEXT"] == told["PAGE_CONTEXT"] == str(files)
    assert (files / "Dockerfile").exists()


def test_each_image_is_the_stage_that_runs(
    docker_client: Client, tmp_path: Path, told: dict[str, str]
) -> None:
    """The others have a shell, pip and tools for who develops, or want what is not built."""
    docker_client({inspect(PUBLIC): "echo sha256:1"})
    services = yaml.safe_load((ROOT / COMPOSE_FILE).read_text())["services"]

    images.ensure_images(planned(tmp_path))

    by_hand, by_make = (
        {
            name: interpolate(service["build"]["target"], variables)
            for name, service in services.items()
        }
        for variables in ({}, told)
    )
    python = dict.fromkeys(("backend-flask", "profiles-flask", "emulators"), "production")
    assert by_hand == {**python, "collector": "from-source", PAGE: "production"}
    assert by_make == {**python, "collector": "prebuilt", PAGE: "prebuilt"}


def test_the_image_that_the_user_chose_is_taken(
    docker_client: Client, tmp_path: Path, told: dict[str, str]
) -> None:
    asked = docker_client({inspect("mine/python:1"): "echo sha256:1"})

    images.ensure_images(planned(tmp_path, PYTHON_IMAGE="mine/python:1"), ["emulators"])

    assert "pull" not in asked.read_text()
    assert told is not None


def test_an_image_that_cannot_be_had_is_one_line_that_says_how_to_name_another(
    docker_client: Client, tmp_path: Path
) -> None:
    docker_client({"image inspect": NOT_HERE, f"pull {PUBLIC}": REFUSED})

    with pytest.raises(StackError) as refused:
        images.ensure_images(planned(tmp_path), ["emulators"])

    assert str(refused.value) == (
        f"the image {PUBLIC} is not here and cannot be pulled (lookup registry: no such host); "
        "name one that the engine holds by PYTHON_IMAGE=…, or run natively (RUNTIME=native)"
    )


def test_the_collectors_image_needs_no_base(
    docker_client: Client, tmp_path: Path, told: dict[str, str]
) -> None:
    asked = docker_client({})

    images.ensure_images(planned(tmp_path), ["collector"])

    assert asked.read_text() == ""
    assert told["COLLECTOR_TARGET"] == "prebuilt"


def test_where_no_go_is_an_image_with_go_compiles_the_collector(
    docker_client: Client,
    tmp_path: Path,
    told: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def no_go(*_: object) -> Path:
        raise NoGoError("no Go compiler")

    docker_client({inspect(GO): "echo sha256:1"})
    monkeypatch.setattr(images, "ensure_image_files", no_go)

    images.ensure_images(planned(tmp_path), ["collector"])

    # The compose file's own default is the stage that compiles.
    assert "COLLECTOR_TARGET" not in told


def test_another_distribution_is_not_built(docker_client: Client, tmp_path: Path) -> None:
    chosen = "otel/opentelemetry-collector-contrib:1"
    asked = docker_client({inspect(chosen): "echo sha256:1"})

    made = images.ensure_images(planned(tmp_path, COLLECTOR_IMAGE=chosen), ["collector"])

    assert made == {"collector": chosen}
    assert "build" not in asked.read_text()


def test_a_registry_that_says_nothing_costs_its_deadline_and_no_more(
    docker_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "REGISTRY_SECONDS", 0.2)
    docker_client({"pull": "exec sleep 30"})

    assert registry.try_pull(PUBLIC) == "no answer within 0.2 s"


def test_a_registry_that_answers_may_take_its_time(
    docker_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A busy machine may not get as far as the answer within the first of them.
    for seconds in (1, 5, 20):
        monkeypatch.setattr(registry, "REGISTRY_SECONDS", seconds)
        docker_client({"pull": f"echo Pulling; sleep {seconds + 0.2}"})
        told = registry.try_pull(PUBLIC)
        if told is None:
            break

    assert told is None


def test_a_failed_build_is_the_line_that_tells_most(docker_client: Client, tmp_path: Path) -> None:
    log = (
        "#9 4.20 ERROR: No matching distribution found for flask==9\\n"
        "#9 ERROR: process did not complete successfully: exit code: 1\\n"
        "ERROR: failed to solve: exit code: 1\\n"
    )
    docker_client({"image": "echo sha256:1", "compose": f'printf "{log}"; exit 1'})

    with pytest.raises(StackError) as failed:
        images.ensure_images(planned(tmp_path), ["emulators"])

    assert "No matching distribution found for flask==9" in failed.value.what
    assert "build-images.log" in failed.value.todo


def test_a_proxy_is_passed_on_without_its_password_in_the_arguments(
    docker_client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = docker_client({"image": "echo sha256:1", "compose": "true"})
    monkeypatch.setenv("HTTPS_PROXY", "http://user:secret@proxy.example:3128")

    images.ensure_images(planned(tmp_path), ["emulators"])

    # Compose passes a name without a value on.
    text = (ROOT / "compose/compose.yaml").read_text()
    assert re.search(r"^  HTTPS_PROXY:$", text, re.MULTILINE)
    assert "build emulators" in asked.read_text()
    assert "secret@" not in asked.read_text()


def test_the_bundle_named_first_is_the_one_that_builds_trust(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("PIP_CERT", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)
    bundle = tmp_path / "bundle.pem"
    bundle.write_text("a certificate")
    monkeypatch.setenv("PIP_CERT", str(tmp_path / "gone.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))

    assert images.ca_bundle() == bundle


def test_pips_settings_are_those_that_say_where_packages_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    listed = (
        "global.index-url='https://packages.example/simple'\n"
        ":env:.timeout='180'\n"
        "global.cert='/etc/bundle.pem'\n"
        "install.find-links='/opt/wheels'\n"
    )
    monkeypatch.setattr(packages, "run", lambda *_, **__: listed)
    monkeypatch.setattr(packages, "_settings", packages._settings.__wrapped__)

    assert images.pip_settings() == {
        "index-url": "https://packages.example/simple",
        "timeout": "180",
    }


def test_without_pip_there_are_no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_pip(*_: object, **__: object) -> str:
        raise ProgramError(["python", "-m", "pip"], "ended with exit code 1", "No module named pip")

    monkeypatch.setattr(packages, "run", no_pip)
    monkeypatch.setattr(packages, "_settings", packages._settings.__wrapped__)

    assert images.pip_settings() == {}


def test_the_default_of_a_dockerfiles_argument_is_written_once(tmp_path: Path) -> None:
    dockerfile = tmp_path / "Dockerfile"
    dockerfile.write_text("ARG PYTHON_IMAGE=python:3.13-slim\nFROM ${PYTHON_IMAGE}\n")

    assert images.default_argument(dockerfile, "PYTHON_IMAGE") == "python:3.13-slim"
    with pytest.raises(StackError, match="no line ARG GO_IMAGE"):
        images.default_argument(dockerfile, "GO_IMAGE")
