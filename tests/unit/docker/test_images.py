"""Which image the services begin with, when an image is made anew, and what a build is told."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from stack import images, registry
from stack.collector_build import NoGoError
from stack.errors import StackError
from stack.images import BaseImage
from stack.program import ProgramError
from stack.settings import Settings

Client = Callable[..., Path]

SETTINGS = Settings()
PUBLIC = "python:3.13-slim-bookworm"
NOT_HERE = 'echo "No such image" >&2; exit 1'
REFUSED = 'echo "lookup registry: no such host" >&2; exit 1'


def inspect(reference: str) -> str:
    return f"image inspect --format {{{{.Id}}}} {reference}"


@pytest.fixture
def dockerfile(tmp_path: Path) -> Path:
    file = tmp_path / "Dockerfile"
    file.write_text(f"ARG PYTHON_IMAGE={PUBLIC}\nFROM ${{PYTHON_IMAGE}}\n")
    return file


def test_the_image_that_the_user_chose_is_taken(docker_client: Client, dockerfile: Path) -> None:
    asked = docker_client({inspect("mine/python:1"): "echo sha256:1"})

    base = images.base_image(dockerfile, "PYTHON_IMAGE", "mine/python:1")

    assert base == BaseImage("mine/python:1", "sha256:1")
    assert "pull" not in asked.read_text()


def test_the_public_image_is_taken_where_nobody_chose(
    docker_client: Client, dockerfile: Path
) -> None:
    docker_client({inspect(PUBLIC): "echo sha256:2"})

    assert images.base_image(dockerfile, "PYTHON_IMAGE", None) == BaseImage(PUBLIC, "sha256:2")


def test_an_image_that_cannot_be_had_is_one_line_that_says_how_to_name_another(
    docker_client: Client, dockerfile: Path
) -> None:
    docker_client({"image inspect": NOT_HERE, f"pull {PUBLIC}": REFUSED})

    with pytest.raises(StackError) as refused:
        images.base_image(dockerfile, "PYTHON_IMAGE", None)

    assert str(refused.value) == (
        f"the image {PUBLIC} is not here and cannot be pulled (lookup registry: no such host); "
        "name one that the engine holds by PYTHON_IMAGE=…, or run natively (RUNTIME=native)"
    )


def test_the_collectors_image_needs_no_base(
    docker_client: Client, asked: dict[str, images.Recipe], monkeypatch: pytest.MonkeyPatch
) -> None:
    docker_client({})
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr(images, "have", lambda *_: pytest.fail("an image was asked for"))

    images.ensure_images(settings=SETTINGS, names=("collector",))

    assert {*asked} == {"collector"}


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


@pytest.fixture
def recipe(tmp_path: Path) -> images.Recipe:
    context = tmp_path / "services"
    (context / "backend/app").mkdir(parents=True)
    (context / "backend/Dockerfile").write_text("FROM scratch\n")
    (context / "backend/app/main.py").write_text("pass\n")
    return images.Recipe(
        "backend",
        context,
        context / "backend/Dockerfile",
        (context / "backend",),
        arguments={"PYTHON_IMAGE": "base:1"},
        identity="sha256:1",
    )


def test_an_unchanged_tree_keeps_its_tag(recipe: images.Recipe) -> None:
    before = images.digest(recipe)

    (recipe.context / "backend/app/main.py").touch()
    (recipe.context / "backend/app/__pycache__").mkdir()
    (recipe.context / "backend/app/__pycache__/main.pyc").write_text("made by running")
    (recipe.context / "backend/otel.env").write_text("OTEL_SERVICE_NAME=other\n")

    assert images.digest(recipe) == before


@pytest.mark.parametrize("change", ["content", "name", "new file", "mode", "Dockerfile", "base"])
def test_whatever_goes_into_an_image_changes_its_tag(recipe: images.Recipe, change: str) -> None:
    before = images.digest(recipe)
    main = recipe.context / "backend/app/main.py"

    if change == "content":
        main.write_text("pass \n")
    elif change == "name":
        main.rename(main.with_name("other.py"))
    elif change == "new file":
        main.with_name("empty.py").touch()
    elif change == "mode":
        main.chmod(0o755)
    elif change == "Dockerfile":
        recipe.dockerfile.write_text("FROM scratch\nUSER 1\n")
    else:
        recipe = images.Recipe(**{**vars(recipe), "identity": "sha256:2"})

    assert images.digest(recipe) != before


def test_an_image_that_the_engine_holds_is_not_built(
    docker_client: Client, recipe: images.Recipe, tmp_path: Path
) -> None:
    asked = docker_client({"tag": "true"})

    reference = images.ensure_image(recipe, tmp_path)

    assert reference == f"otel-stack/backend:{images.digest(recipe)}"
    assert "build" not in asked.read_text()


def test_the_image_of_this_tree_is_the_latest(
    docker_client: Client, recipe: images.Recipe, tmp_path: Path
) -> None:
    asked = docker_client({"tag": "true"})

    reference = images.ensure_image(recipe, tmp_path)

    assert asked.read_text() == f"tag {reference} otel-stack/backend:latest\n"


def test_an_engine_that_fails_is_not_taken_for_a_missing_image(
    docker_client: Client, recipe: images.Recipe, tmp_path: Path
) -> None:
    docker_client({"tag": 'echo "Cannot connect to the Docker daemon" >&2; exit 1'})

    with pytest.raises(StackError, match="Cannot connect"):
        images.ensure_image(recipe, tmp_path)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, images.Recipe]:
    """The recipes by which images are asked for, in place of the engine."""
    found: dict[str, images.Recipe] = {}

    def note(recipe: images.Recipe, _root: Path) -> str:
        found[recipe.name] = recipe
        return recipe.repository

    monkeypatch.setattr(images, "ensure_image", note)
    monkeypatch.setattr(images, "ensure_image_files", lambda *_: tmp_path)
    monkeypatch.setattr(images, "ensure_image_files_of_page", lambda _: tmp_path)
    monkeypatch.setattr(images, "have", lambda *_: "sha256:2")
    return found


def test_each_image_is_the_stage_that_runs(
    asked: dict[str, images.Recipe], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others have a shell, pip and tools for who develops, or want what is not built."""
    monkeypatch.setattr("sys.platform", "linux")
    images.ensure_images(settings=SETTINGS, names=(*images.NAMES, "frontend", "emulators"))

    assert {name: recipe.target for name, recipe in asked.items()} == {
        "backend": "production",
        "profiles": "production",
        "frontend": "production",
        "collector": "prebuilt",
        "emulators": None,
    }
    # Without a stage of that name an engine takes the last one.
    stages = re.findall(
        r"^FROM .* AS (\S+)$", asked["emulators"].dockerfile.read_text(), re.MULTILINE
    )
    assert stages[-1] == "production"


def test_where_no_go_is_an_image_with_go_compiles_the_collector(
    asked: dict[str, images.Recipe], monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_go(*_: object) -> Path:
        raise NoGoError("no Go compiler")

    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr(images, "ensure_image_files", no_go)
    images.ensure_images(settings=SETTINGS, names=("collector",))

    assert asked["collector"].target == "from-source"
    assert asked["collector"].arguments["GO_IMAGE"].startswith("golang:")


def test_a_failed_build_is_the_line_that_tells_most(
    docker_client: Client, recipe: images.Recipe, tmp_path: Path
) -> None:
    log = (
        "#9 4.20 ERROR: No matching distribution found for flask==9\\n"
        "#9 ERROR: process did not complete successfully: exit code: 1\\n"
        "ERROR: failed to solve: exit code: 1\\n"
    )
    docker_client({"tag": NOT_HERE, "build": f'printf "{log}"; exit 1'})

    with pytest.raises(StackError) as failed:
        images.ensure_image(recipe, tmp_path)

    assert "No matching distribution found for flask==9" in failed.value.what
    assert "build-backend.log" in failed.value.todo


def test_a_proxy_is_passed_on_without_its_password_in_the_arguments(
    docker_client: Client,
    recipe: images.Recipe,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = docker_client({"tag": NOT_HERE, "build": "true"})
    monkeypatch.setenv("HTTPS_PROXY", "http://user:secret@proxy.example:3128")

    images.ensure_image(recipe, tmp_path)

    assert "--build-arg=HTTPS_PROXY " in asked.read_text()
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
    monkeypatch.setattr(images, "run", lambda *_, **__: listed)

    assert images.pip_settings() == {
        "index-url": "https://packages.example/simple",
        "timeout": "180",
    }


def test_without_pip_there_are_no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_pip(*_: object, **__: object) -> str:
        raise ProgramError(["python", "-m", "pip"], "ended with exit code 1", "No module named pip")

    monkeypatch.setattr(images, "run", no_pip)

    assert images.pip_settings() == {}


def test_the_default_of_a_dockerfiles_argument_is_written_once(tmp_path: Path) -> None:
    dockerfile = tmp_path / "Dockerfile"
    dockerfile.write_text("ARG PYTHON_IMAGE=python:3.13-slim\nFROM ${PYTHON_IMAGE}\n")

    assert images.default_argument(dockerfile, "PYTHON_IMAGE") == "python:3.13-slim"
    with pytest.raises(StackError, match="no line ARG GO_IMAGE"):
        images.default_argument(dockerfile, "GO_IMAGE")
