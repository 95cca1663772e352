"""Activities in SQLite."""

from __future__ import annotations

import fcntl
import sqlite3
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opentelemetry import trace
from sqlalchemy import create_engine, select
from sqlalchemy.engine import make_url
from sqlalchemy.orm import Session, selectinload, sessionmaker

from cruddur.models import Activity, Base, utc_now
from cruddur.seed import seed_activities

if TYPE_CHECKING:
    from collections.abc import Iterator
    from uuid import UUID

    from sqlalchemy import Engine

tracer = trace.get_tracer("cruddur.store")

FEED_LENGTH = 50


class Store:
    """Reads give activities with their replies loaded, newest first, without the expired ones."""

    def __init__(self, sessions: sessionmaker[Session]) -> None:
        self._sessions = sessions

    def home(self) -> list[Activity]:
        return self._feed()

    def by_handle(self, handle: str) -> list[Activity]:
        return self._feed(Activity.handle == handle)

    def search(self, term: str) -> list[Activity]:
        return self._feed(Activity.message.icontains(term, autoescape=True))

    def get(self, uuid: UUID) -> Activity | None:
        query = (
            select(Activity)
            .where(Activity.uuid == uuid, Activity.expires_at > utc_now())
            .options(selectinload(Activity.replies))
        )
        with self._sessions() as session:
            return session.scalars(query).one_or_none()

    def add(self, activity: Activity) -> None:
        with self._sessions.begin() as session:
            session.add(activity)

    def _feed(self, *conditions: Any) -> list[Activity]:
        query = (
            select(Activity)
            .where(Activity.reply_to_uuid.is_(None), Activity.expires_at > utc_now(), *conditions)
            .order_by(Activity.created_at.desc(), Activity.uuid)
            .limit(FEED_LENGTH)
            .options(selectinload(Activity.replies))
        )
        with self._sessions() as session:
            return list(session.scalars(query))


def open_store(database_url: str) -> Store:
    """Open the store; make and seed it at the first start.

    Safe from several processes at once: one of them makes it, the others wait.
    """
    path = Path(make_url(database_url).database or "")
    path.parent.mkdir(parents=True, exist_ok=True)
    # The instrumentation names spans after the database in the URL: "SELECT cruddur", instead of a
    # path on this machine.
    engine = create_engine(f"sqlite:///{path.stem}", creator=partial(_connect, path))
    # SQLite answers "database is locked" at once, without its busy timeout, to two processes that
    # turn the write-ahead log on together; so a lock of our own.
    with _only_one(path.with_name(path.name + ".lock")):
        if not _is_made(path):
            with tracer.start_as_current_span("make-store"):
                _make(engine)
    return Store(sessionmaker(engine, expire_on_commit=False))


def _is_made(path: Path) -> bool:
    """Asked past SQLAlchemy: each worker's start would show up as a trace otherwise."""
    with closing(_connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return version > 0


def _make(engine: Engine) -> None:
    with engine.connect() as connection:
        Base.metadata.create_all(connection)
        with Session(connection) as session:
            session.add_all(seed_activities(utc_now()))
            session.flush()
            connection.exec_driver_sql("PRAGMA user_version=1")
            session.commit()
        connection.commit()


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=5, check_same_thread=False)
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.execute("PRAGMA foreign_keys=ON")
    return connection


@contextmanager
def _only_one(lock: Path) -> Iterator[None]:
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield
