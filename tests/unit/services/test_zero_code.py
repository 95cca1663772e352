"""No service imports OpenTelemetry's SDK, an exporter or an instrumentor: only the API. Nor does
what it uses of the distro.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
SERVICES = ROOT / "services"
SOURCES = sorted(
    path for folder in ("backend", "profiles") for path in (SERVICES / folder).rglob("*.py")
)

# Every import goes through sys.meta_path, however it is written: what is not the API is refused
# there, as it would be where only the API is installed.
RUN_WITH_THE_API_ALONE = """
import sys

class ApiAlone:
    refused = []

    def find_spec(self, name, path=None, target=None):
        allowed = ("opentelemetry.trace", "opentelemetry.context", "opentelemetry.util",
                   "opentelemetry.attributes", "opentelemetry.environment_variables",
                   "opentelemetry.version")
        if name.startswith("opentelemetry.") and not name.startswith(allowed):
            self.refused.append(name)
            raise ImportError(f"{name} is not the API")
        return None

sys.meta_path.insert(0, ApiAlone())
import cruddur, profiles

config = cruddur.Config(
    database_url=sys.argv[1], profiles_url="http://127.0.0.1:1", debug_routes=True
)
backend = cruddur.create_app(config).test_client()
statuses = [
    backend.get("/api/activities/home").status_code,
    backend.get("/api/activities/@worf").status_code,
    backend.get("/api/activities/search?term=a").status_code,
    backend.post("/api/activities", json={"handle": "worf", "message": "x"}).status_code,
    backend.get("/api/debug/error").status_code,
    profiles.create_app().test_client().get("/api/profiles?handles=worf").status_code,
]
loaded = sorted(name for name in sys.modules if name.startswith("opentelemetry."))
print(statuses, ApiAlone.refused, any("sdk" in name for name in loaded), file=sys.stderr)
"""


def test_they_serve_where_only_the_api_is_installed(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", RUN_WITH_THE_API_ALONE, f"sqlite:///{tmp_path}/cruddur.db"],
        env={"PYTHONPATH": f"{SERVICES}/backend:{SERVICES}/profiles:{ROOT}/distro/src"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert done.stderr == "[200, 200, 200, 201, 500, 200] [] False\n"


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: str(path.relative_to(SERVICES)))
def test_a_source_imports_trace_and_nothing_else_of_opentelemetry(source: Path) -> None:
    assert imported(ast.parse(source.read_text())) <= {"opentelemetry.trace"}


@pytest.mark.parametrize(
    "line",
    [
        "import opentelemetry.sdk.trace",
        "from opentelemetry import metrics",
        "from opentelemetry import trace, sdk",
        "from opentelemetry.instrumentation.flask import FlaskInstrumentor",
        "def f():\n    import opentelemetry.exporter.otlp",
        "import opentelemetry",
    ],
)
def test_the_check_sees_the_others(line: str) -> None:
    assert not imported(ast.parse(line)) <= {"opentelemetry.trace"}


def imported(tree: ast.Module) -> set[str]:
    """The names under `opentelemetry` that a module imports, anywhere in it."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module == "opentelemetry":
            found |= {f"opentelemetry.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return {name for name in found if name.partition(".")[0] == "opentelemetry"}
