"""What `add-service` sees in a folder, what it writes, and what it refuses without writing."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from stack.compose_file import COMPOSE_FILE, default_ports, parse_services
from stack.errors import StackError
from stack.services import make_plan
from stack.services.entry import add_entry
from stack.services.source import look_at
from stack.settings import ROOT, load_settings

FLASK = """\
from flask import Flask
app = Flask(__name__)

@app.get("/items/<int:item>")
def item(item): return {}

@app.post("/items")
def add(): return {}

@app.get("/items")
def items(): return []

@app.get("/healthz")
def healthz(): return "ok"
"""
FACTORY = """\
from fastapi import FastAPI

def create_app():
    app = FastAPI()
    @app.get("/items")
    def items(): return []
    return app
"""
CELERY = "from celery import Celery\nqueue = Celery('mail')\n"
DJANGO = {
    "manage.py": "os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'site_.settings')\n",
    "site_/wsgi.py": "application = None\n",
    "site_/urls.py": "urlpatterns = [path('admin/', admin.site.urls), path('health/', ok)]\n",
    "requirements.txt": "Django==5.2\n",
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project, of which the service's folder is a neighbour."""
    shutil.copytree(ROOT / "compose", tmp_path / "project/compose")
    shutil.copytree(
        ROOT / "services", tmp_path / "project/services", ignore=lambda *_: ["node_modules"]
    )
    return tmp_path / "project"


def service(tmp_path: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (tmp_path / "orders" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "orders" / name).write_text(text)
    return tmp_path / "orders"


@pytest.mark.parametrize(
    ("files", "seen"),
    [
        (
            {"shop.py": FLASK, "requirements.txt": "Flask>=3\n"},
            ("Flask", "shop:app", "/healthz", "/items"),
        ),
        (
            {"src/shop.py": FACTORY, "pyproject.toml": "[project]\ndependencies=['fastapi[all]']"},
            ("FastAPI", "shop:create_app()", "/items", "/items"),
        ),
        (DJANGO, ("Django", "site_.wsgi:application", "/health/", "/health/")),
        (
            {"mail/app.py": CELERY, "requirements.txt": "-r base.txt\n", "base.txt": "celery\n"},
            ("Celery", "mail.app:queue", "", ""),
        ),
    ],
)
@pytest.mark.parametrize("runtime", ["native", "docker"])
def test_what_a_folder_holds_is_run_by_both_runtimes(
    root: Path, tmp_path: Path, files: dict[str, str], seen: tuple[str, ...], runtime: str
) -> None:
    # given
    folder = service(tmp_path, files)
    before = (root / COMPOSE_FILE).read_text()
    # when
    found = look_at(folder)
    add_entry(root, "orders", found, None, {4317, 4570})
    # then it was understood
    assert (found.app.framework, found.app.name, found.health, found.proof) == seen
    # and what stood in the file stands there still
    after = (root / COMPOSE_FILE).read_text().splitlines()
    kept = iter(after)
    assert all(line in kept for line in before.splitlines())
    # and it is planned, under its name
    settings = load_settings(ROOT, {"PAGE": "off"})
    process = make_plan(settings, root, runtime).process("orders")
    assert process.service_name == "orders"
    assert process.proof_path == found.proof
    # with a port that nobody has
    assert [*process.ports.values()] == ([4571] if found.proof else [])
    told = " ".join((*process.argv, *process.environment.values()))
    everywhere = "0.0.0.0"  # noqa: S104
    assert (everywhere in told) is (runtime == "docker" and bool(found.proof))


@pytest.mark.parametrize(
    ("files", "asked", "told"),
    [
        ({"shop.py": FLASK}, {}, "neither requirements.txt nor pyproject.toml"),
        ({"shop.py": FLASK, "requirements.txt": "requests\n"}, {}, "does not name flask"),
        ({"shop.py": "app = make()\n", "requirements.txt": "flask\n"}, {}, "no app of Flask"),
        (
            {"a.py": FLASK, "b.py": FLASK, "requirements.txt": "flask\n"},
            {},
            "several apps: a:app, b:app; name one of them: APP=a:app",
        ),
        ({"a.py": FLASK, "requirements.txt": "flask\n"}, {"app": "b:app"}, "no module b"),
        ({"a.py": FLASK, "requirements.txt": "flask\n"}, {"app": "a"}, "write it as APP=module"),
        (
            {"a.py": "from flask import Flask\napp = Flask('a')\n", "requirements.txt": "flask\n"},
            {},
            "no route of a:app is seen",
        ),
        ({"a.py": FLASK, "requirements.txt": "flask\n"}, {"health": "up"}, "HEALTH=up is no path"),
        ({"a.py": FLASK, "pyproject.toml": "[tool.poetry]\n"}, {}, "no dependencies under"),
    ],
)
def test_what_a_folder_leaves_open_is_one_line(
    tmp_path: Path, files: dict[str, str], asked: dict[str, str], told: str
) -> None:
    with pytest.raises(StackError) as refused:
        look_at(service(tmp_path, files), **asked)
    assert told in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "port", "told"),
    [
        ("backend-flask", None, "has a service backend-flask already"),
        ("Orders!", None, "cannot be called"),
        ("profiles", None, "PROFILES_PORT is another port's name"),
        ("orders", 4567, "4567 is the port of BACKEND_PORT"),
        ("orders", 4317, "4317 is the port of the collector"),
    ],
)
def test_a_name_or_a_port_that_is_taken_is_refused_and_nothing_is_written(
    root: Path, tmp_path: Path, name: str, port: int | None, told: str
) -> None:
    found = look_at(service(tmp_path, {"a.py": FLASK, "requirements.txt": "flask\n"}))
    before = (root / COMPOSE_FILE).read_text()

    with pytest.raises(StackError) as refused:
        add_entry(root, name, found, port, {4317})

    assert told in str(refused.value)
    assert (root / COMPOSE_FILE).read_text() == before


def test_a_dotenv_that_one_runtime_would_read_otherwise_is_refused(
    root: Path, tmp_path: Path
) -> None:
    files = {"a.py": FLASK, "requirements.txt": "flask\n", ".env": "KEY=a$b\n"}
    before = (root / COMPOSE_FILE).read_text()

    with pytest.raises(StackError, match="cannot be read by both runtimes"):
        add_entry(root, "orders", look_at(service(tmp_path, files)), None, set())

    assert (root / COMPOSE_FILE).read_text() == before


def test_two_services_have_two_ports(root: Path, tmp_path: Path) -> None:
    found = look_at(service(tmp_path, {"a.py": FLASK, "requirements.txt": "flask\n"}))

    made = [add_entry(root, name, found, None, set()) for name in ("orders", "shop")]

    assert len({*made, *default_ports(ROOT).values()}) == 2 + len(default_ports(ROOT))
    assert [*parse_services((root / COMPOSE_FILE).read_text())][-2:] == ["orders", "shop"]


def test_a_health_check_that_the_distro_does_not_know_is_left_out_of_the_traces(
    root: Path, tmp_path: Path
) -> None:
    source = FLASK.replace('"/healthz"', '"/healthy"')
    folder = service(tmp_path, {"shop.py": source, "requirements.txt": "flask\n"})

    add_entry(root, "orders", look_at(folder), None, set())

    assert "OTEL_PYTHON_FLASK_EXCLUDED_URLS: /healthy\n" in (root / COMPOSE_FILE).read_text()
