"""What a new store holds, so that there is something to see and to trace."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import NAMESPACE_URL, uuid5

from cruddur.models import Activity

# A stack that somebody leaves running keeps its feed.
LIFETIME = timedelta(days=365)


@dataclass(frozen=True)
class Seed:
    handle: str
    message: str
    age: timedelta
    likes: int = 0
    reposts: int = 0
    replies: tuple[Seed, ...] = ()


SEEDS = (
    Seed(
        "andrewbrown",
        "Traces first, then opinions about where the time went.",
        timedelta(minutes=40),
        likes=5,
        reposts=2,
        replies=(
            Seed("worf", "An opinion without a trace has no honor.", timedelta(minutes=12)),
            Seed("bayko", "I have both!", timedelta(minutes=4), likes=1),
        ),
    ),
    Seed(
        "worf",
        "A collector that drops spans is a bad place to hide.",
        timedelta(hours=3),
        likes=17,
        reposts=6,
        replies=(Seed("andrewbrown", "Give it a queue on disk.", timedelta(hours=2), likes=3),),
    ),
    Seed(
        "garek",
        "My dear doctor, I am only a plain tailor who reads other people's baggage headers.",
        timedelta(hours=9),
        likes=2,
    ),
    Seed(
        "bayko",
        "Moved my exporter and touched no line of the app. It took one restart.",
        timedelta(days=1, hours=2),
        likes=8,
        reposts=1,
    ),
    Seed(
        "londo",
        "My servant says the p90 is fine. It was not fine, and it was the p99.",
        timedelta(days=2),
        likes=4,
    ),
)


def seed_activities(now: datetime) -> list[Activity]:
    """`now`: UTC without a zone. The uuids are the same in every store."""
    return [_activity(seed, now) for seed in SEEDS]


def _activity(seed: Seed, now: datetime) -> Activity:
    return Activity(
        uuid=uuid5(NAMESPACE_URL, f"cruddur:{seed.handle}:{seed.message}"),
        handle=seed.handle,
        message=seed.message,
        created_at=now - seed.age,
        expires_at=now + LIFETIME,
        likes_count=seed.likes,
        reposts_count=seed.reposts,
        replies=[_activity(reply, now) for reply in seed.replies],
    )
