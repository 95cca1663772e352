"""A bench for each worker of pytest-xdist; results are written for `docs/reliability.md`."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterator

import pytest

from stack.settings import ROOT
from tests.faults.cases import drawn, quick, short, table
from tests.faults.harness.bench import Bench
from tests.faults.harness.disk import small_disk
from tests.faults.harness.far import Far
from tests.faults.harness.run import Result
from tests.integration.harness.plans import Runtime
from tools.test_machine.engine import engine_lease

RESULTS = ROOT / ".run/faults"


def pytest_addoption(parser: pytest.Parser) -> None:
    faults = parser.getgroup("faults", "the fault suite")
    faults.addoption(
        "--faults", choices=("quick", "short", "all"), default="quick", help="which table"
    )
    faults.addoption(
        "--faults-runtime",
        choices=("native", "docker"),
        default="native",
        help="what runs the collector of a bench",
    )
    faults.addoption("--runs", type=int, default=0, help="so many drawn cases instead")
    faults.addoption("--seed", type=int, default=0, help="the seed that they are drawn with")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "alone: needs the machine, for its times or its load")
    config.addinivalue_line("markers", "long: takes minutes; only with --faults=all")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--faults") == "all":
        return
    left_out = [item for item in items if item.get_closest_marker("long")]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "case" not in metafunc.fixturenames:
        return
    config = metafunc.config
    runs = config.getoption("--runs")
    if runs:
        cases = list(drawn(runs, config.getoption("--seed")))
        ids = [f"{number}: {case.id}" for number, case in enumerate(cases)]
    else:
        cases = {"quick": quick, "short": short, "all": table}[config.getoption("--faults")]()
        ids = [case.id for case in cases]
    metafunc.parametrize("case", cases, ids=ids)


@pytest.fixture(scope="session")
def runtime(request: pytest.FixtureRequest) -> Iterator[Runtime]:
    chosen: Runtime = request.config.getoption("--faults-runtime")
    with engine_lease("faults") if chosen == "docker" else contextlib.nullcontext():
        yield chosen


@pytest.fixture(scope="session")
def bench(tmp_path_factory: pytest.TempPathFactory, runtime: Runtime) -> Iterator[Bench]:
    with Bench(tmp_path_factory.mktemp("faults"), runtime=runtime) as started:
        yield started


@pytest.fixture(scope="session")
def rough_bench(tmp_path_factory: pytest.TempPathFactory, runtime: Runtime) -> Iterator[Bench]:
    """With names, TLS and a small disk between the collector and all else, as far as this user
    may make them.
    """
    folder = tmp_path_factory.mktemp("rough")
    with contextlib.ExitStack() as stack:
        disk = None
        with contextlib.suppress(pytest.skip.Exception):
            disk = stack.enter_context(small_disk(folder / "queues", 16))
        far = stack.enter_context(Far(folder / "far"))
        yield stack.enter_context(Bench(folder, far=far, disk=disk, runtime=runtime))


@pytest.fixture
def recorded() -> Callable[[Result, str], None]:
    worker = os.environ.get("PYTEST_XDIST_WORKER", "main")

    def write(result: Result, verdict: str) -> None:
        RESULTS.mkdir(parents=True, exist_ok=True)
        with (RESULTS / f"{worker}.jsonl").open("a") as file:
            file.write(json.dumps(result.as_json() | {"verdict": verdict}) + "\n")

    return write
