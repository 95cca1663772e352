"""A folder with a Python service in it, and what its files say of it."""

from __future__ import annotations

import ast
import os
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from stack.errors import StackError

FRAMEWORKS = {"Flask": "flask", "FastAPI": "fastapi", "Django": "django", "Celery": "celery"}
"""What their apps are made by, and the package that brings it."""

SERVERS = {"Flask": "gunicorn", "FastAPI": "uvicorn", "Django": "gunicorn", "Celery": "celery"}

FACTORIES = {"create_app", "make_app", "get_app"}

_HEALTH = re.compile(r"health|livez|readyz|alive|ping|status", re.IGNORECASE)
_NOT_SOURCES = {"tests", "test", "node_modules", "venv", "env", "build", "dist", "site-packages"}
_DEEPEST = 2
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class App:
    """`name`: module and attribute, as a server takes them. `paths`: the GET routes without a
    parameter that are seen in its module.
    """

    framework: str
    name: str
    paths: tuple[str, ...] = ()


@dataclass(frozen=True)
class Source:
    """`modules`: the folder that the app's module is imported from. `health`, `proof`: paths; ""
    for what serves nothing.
    """

    folder: Path
    modules: Path
    requirements: Path
    app: App
    health: str = ""
    proof: str = ""

    @property
    def server(self) -> str:
        return SERVERS[self.app.framework]


def look_at(folder: Path, app: str = "", health: str = "", proof: str = "") -> Source:
    """What is in `folder`. `app`, `health` and `proof`: what the user says of it instead.

    Raises StackError for a folder that leaves open what is to be run.
    """
    if not folder.is_dir():
        raise StackError(f"{folder} is no folder", "name the service's by SOURCE=…")
    requirements, packages = _requirements(folder)
    modules = folder / "src" if (folder / "src").is_dir() else folder
    found = _chosen(list(_apps(modules)), app, modules, packages)
    package = FRAMEWORKS[found.framework]
    if package not in packages:
        raise StackError(
            f"{found.name} is a {found.framework} app, and {requirements} does not name {package}",
            "name there all that the service needs",
        )
    if found.framework == "Celery":
        return Source(folder, modules, requirements, found)
    checks = [path for path in found.paths if _HEALTH.search(path)]
    others = [path for path in found.paths if path not in checks]
    proof = proof or next(iter((*others, *checks)), "")
    health = health or next(iter(checks), proof)
    for name, path in (("HEALTH", health), ("VERIFY", proof)):
        if not path:
            raise StackError(
                f"no route of {found.name} is seen that could be asked",
                f"name a path that answers 200 to a GET: {name}=/…",
            )
        if not re.fullmatch(r"/[\w./~%@+-]*", path):
            raise StackError(f"{name}={path} is no path", f"write it as {name}=/health")
    return Source(folder, modules, requirements, found, health, proof)


def _requirements(folder: Path) -> tuple[Path, set[str]]:
    """The file that names the packages, and their names as an index writes them."""
    file = folder / "requirements.txt"
    if file.is_file():
        return file, {_normal(name) for name in _names(file)}
    file = folder / "pyproject.toml"
    if not file.is_file():
        raise StackError(
            f"{folder} has neither requirements.txt nor pyproject.toml",
            "write what the service needs into requirements.txt",
        )
    try:
        wanted = tomllib.loads(file.read_text(encoding="utf-8"))["project"]["dependencies"]
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as broken:
        raise StackError(f"{file}: {broken}", "put it right") from None
    except KeyError:
        raise StackError(
            f"{file} has no dependencies under [project]",
            "write what the service needs there, or into requirements.txt",
        ) from None
    return file, {_normal(name[0]) for one in wanted if (name := _NAME.match(str(one)))}


def _names(file: Path) -> Iterator[str]:
    for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
        included = re.match(r"(?:-r|--requirement)[ =]*(\S+)", line)
        if included and (file.parent / included[1]).is_file():
            yield from _names(file.parent / included[1])
        elif name := _NAME.match(line):
            yield name[0]


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _chosen(apps: list[App], asked: str, modules: Path, packages: set[str]) -> App:
    if asked:
        module = asked.partition(":")[0]
        path = modules / module.replace(".", "/")
        if not re.fullmatch(r"[\w.]+:\w+(\(\))?", asked):
            raise StackError(f"APP={asked} is no app", "write it as APP=module:attribute")
        if not (path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()):
            raise StackError(f"{modules} has no module {module}", "put APP=module:attribute right")
        known = [app for app in apps if app.name == asked]
        named = [kind for kind, package in FRAMEWORKS.items() if package in packages]
        if not known and len(named) != 1:
            raise StackError(
                f"whether {asked} is of {', '.join(FRAMEWORKS)} is not seen",
                "name an app that its module makes by itself, as in app = Flask(…)",
            )
        return known[0] if known else App(named[0], asked)
    if len(apps) == 1:
        return apps[0]
    if apps:
        raise StackError(
            f"{modules} has several apps: {', '.join(app.name for app in apps)}",
            f"name one of them: APP={apps[0].name}",
        )
    raise StackError(
        f"{modules} has no app of {', '.join(FRAMEWORKS)} that can be seen",
        "name it: APP=module:attribute",
    )


def _apps(modules: Path) -> Iterator[App]:
    yield from _django(modules)
    for path in _sources(modules):
        try:
            tree = ast.parse(path.read_text(encoding="utf-8"))
        except (SyntaxError, ValueError, OSError):
            continue  # whoever starts it says what is wrong with it
        relative = path.relative_to(modules).with_suffix("")
        parts = relative.parts[:-1] if relative.name == "__init__" else relative.parts
        yield from _of_module(".".join(parts), tree)


def _sources(folder: Path) -> Iterator[Path]:
    for where, folders, names in os.walk(folder):
        depth = len(Path(where).relative_to(folder).parts)
        folders[:] = sorted(
            name
            for name in folders
            if name.isidentifier() and name not in _NOT_SOURCES and depth < _DEEPEST
        )
        yield from (
            Path(where, name)
            for name in sorted(names)
            if name.endswith(".py") and not name.startswith("test_")
        )


def _of_module(module: str, tree: ast.Module) -> Iterator[App]:
    """What `x = Flask(…)` makes in a module, and what a factory does."""
    made = {
        target.id: kind
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and (kind := _kind(node.value))
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    paths = tuple(dict.fromkeys(_paths(tree, made)))
    for node in tree.body:
        if isinstance(node, ast.Assign) and (kind := _kind(node.value)):
            for target in node.targets:
                if isinstance(target, ast.Name):
                    yield App(kind, f"{module}:{target.id}", paths)
        elif isinstance(node, ast.FunctionDef) and node.name in FACTORIES:
            kinds = {kind for inner in ast.walk(node) if (kind := _kind(inner))}
            if len(kinds) == 1:
                yield App(kinds.pop(), f"{module}:{node.name}()", paths)


def _kind(node: ast.AST) -> str:
    """The framework whose app a call makes; "" of any other."""
    if not isinstance(node, ast.Call):
        return ""
    name = node.func.attr if isinstance(node.func, ast.Attribute) else ""
    name = node.func.id if isinstance(node.func, ast.Name) else name
    return name if name in FRAMEWORKS else ""


def _paths(tree: ast.Module, apps: dict[str, str]) -> Iterator[str]:
    """Of `@app.get("/path")`, `@app.route("/path")` and `app.add_url_rule("/path", …)`."""
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args):
            continue
        owner, path = node.func.value, node.args[0]
        methods = [word.value for word in node.keywords if word.arg == "methods"]
        if (
            node.func.attr in {"get", "route", "api_route", "add_url_rule", "add_api_route"}
            and isinstance(owner, ast.Name)
            and owner.id in apps
            and isinstance(path, ast.Constant)
            and isinstance(path.value, str)
            and not {"<", "{"} & {*path.value}
            and all("GET" in ast.dump(method) for method in methods)
        ):
            yield path.value


def _django(modules: Path) -> Iterator[App]:
    manage = modules / "manage.py"
    if not manage.is_file():
        return
    found = re.search(r"DJANGO_SETTINGS_MODULE['\"],\s*['\"](\w+)\.", manage.read_text("utf-8"))
    if found is None or not (modules / found[1] / "wsgi.py").is_file():
        return
    urls = modules / found[1] / "urls.py"
    text = urls.read_text("utf-8") if urls.is_file() else ""
    routes = re.findall(r"\bpath\(\s*['\"]([^'\"<]*)['\"]\s*,(?!\s*(?:include|admin))", text)
    yield App("Django", f"{found[1]}.wsgi:application", tuple(f"/{route}" for route in routes))
