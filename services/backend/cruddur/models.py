"""What the store holds."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import DateTime, ForeignKey, String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

LONGEST_MESSAGE = 280


class Base(DeclarativeBase):
    pass


class Activity(Base):
    """Times are UTC; SQLite keeps them without a zone."""

    __tablename__ = "activities"

    uuid: Mapped[UUID] = mapped_column(primary_key=True)
    reply_to_uuid: Mapped[UUID | None] = mapped_column(ForeignKey("activities.uuid"), index=True)
    handle: Mapped[str] = mapped_column(String(32), index=True)
    message: Mapped[str] = mapped_column(String(LONGEST_MESSAGE))
    created_at: Mapped[datetime] = mapped_column(DateTime, index=True)
    expires_at: Mapped[datetime] = mapped_column(DateTime)
    likes_count: Mapped[int] = mapped_column(default=0)
    reposts_count: Mapped[int] = mapped_column(default=0)
    replies: Mapped[list[Activity]] = relationship(order_by=created_at)


def utc_now() -> datetime:
    """Now, UTC, without a zone: as the store keeps it."""
    return datetime.now(UTC).replace(tzinfo=None)
