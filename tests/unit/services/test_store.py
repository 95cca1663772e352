"""The store's first start."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

from cruddur.seed import SEEDS
from cruddur.store import open_store
from flask.testing import FlaskClient
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tests.unit.services.conftest import MakeClient

SERVICES = Path(__file__).resolve().parents[3] / "services"
SEEDED = len(SEEDS) + sum(len(seed.replies) for seed in SEEDS)
WORKERS = 3


def count(database: Path) -> int:
    with sqlite3.connect(database) as store:
        found: int = store.execute("SELECT count(*) FROM activities").fetchone()[0]
    return found


def test_processes_that_start_together_seed_it_once(tmp_path: Path) -> None:
    # given: processes that are ready, and wait for the same word
    database = tmp_path / "deep/er/cruddur.db"
    script = (
        "import sys; from cruddur.store import open_store; print('ready', flush=True);"
        "sys.stdin.readline(); print(len(open_store(sys.argv[1]).home()))"
    )
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", script, f"sqlite:///{database}"],
            env={"PYTHONPATH": f"{SERVICES}/backend"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(WORKERS)
    ]
    for worker in workers:
        assert worker.stdout
        assert worker.stdout.readline() == "ready\n"

    # when
    for worker in workers:
        assert worker.stdin
        worker.stdin.write("go\n")
        worker.stdin.flush()
    ends = [worker.communicate(timeout=60) for worker in workers]

    # then
    assert ends == [(f"{len(SEEDS)}\n", "")] * WORKERS
    assert count(database) == SEEDED
    with sqlite3.connect(database) as store:
        assert store.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_what_was_posted_is_there_after_a_restart(make_client: MakeClient, tmp_path: Path) -> None:
    before: FlaskClient = make_client()
    before.post("/api/activities", json={"handle": "worf", "message": "Still here."})

    feed = make_client().get("/api/activities/home").json

    assert feed
    assert feed[0]["message"] == "Still here."
    assert count(tmp_path / "cruddur.db") == SEEDED + 1


def test_a_start_that_was_cut_short_is_made_good(tmp_path: Path) -> None:
    database = tmp_path / "cruddur.db"
    sqlite3.connect(database).close()

    open_store(f"sqlite:///{database}")

    assert count(database) == SEEDED


def test_only_the_first_start_makes_a_trace(tmp_path: Path, spans: InMemorySpanExporter) -> None:
    url = f"sqlite:///{tmp_path}/cruddur.db"

    open_store(url)
    assert [span.name for span in spans.get_finished_spans()] == ["make-store"]

    spans.clear()
    open_store(url)
    assert spans.get_finished_spans() == ()
