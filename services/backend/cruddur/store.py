"""Activities in SQLite."""

from __future__ import annotations

import fcntl
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import create_engine, event, select
from sqlalchemy.engine import make_url
from sqlalchemy.orm import Session, selectinload, sessionmaker

from cruddur.models import Activity, Base, utc_now
from cruddur.seed import seed_activities

if TYPE_CHECKING:
    from collections.abc import Iterator
    from uuid import UUID

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
    engine = create_engine(database_url)
    event.listen(engine, "connect", _prepare_connection)
    sessions = sessionmaker(engine, expire_on_commit=False)
    # SQLite answers "database is locked" at once, without its busy timeout, to two processes that
    # turn the write-ahead log on together; so a lock of our own.
    with _only_one(path.with_name(path.name + ".lock")), engine.connect() as connection:
        version = connection.exec_driver_sql("PRAGMA user_version").scalar_one()
        if version == 0:
            connection.exec_driver_sql("PRAGMA journal_mode=WAL")
            Base.metadata.create_all(connection)
            with Session(connection, expire_on_commit=False) as session:
                session.add_all(seed_activities(utc_now()))
                session.flush()
            connection.exec_driver_sql("PRAGMA user_version=1")
            connection.commit()
    return Store(sessions)


def _prepare_connection(connection: Any, _record: object) -> None:
    connection.execute("PRAGMA busy_timeout=5000")
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.execute("PRAGMA foreign_keys=ON")


@contextmanager
def _only_one(lock: Path) -> Iterator[None]:
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield
