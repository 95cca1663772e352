"""Activities as the API shows them."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING, Any, cast

from flask import current_app

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from cruddur.models import Activity
    from cruddur.profiles_client import Profile, ProfilesClient
    from cruddur.store import Store


def store() -> Store:
    return cast("Store", current_app.extensions["cruddur.store"])


def with_profiles(activities: Iterable[Activity]) -> list[dict[str, Any]]:
    """The activities' JSON, with the names and pictures that profiles-flask knows."""
    activities = list(activities)
    handles = {one.handle for activity in activities for one in (activity, *activity.replies)}
    client = cast("ProfilesClient", current_app.extensions["cruddur.profiles"])
    profiles = client.find(handles)
    return [_activity(activity, profiles) for activity in activities]


def _activity(activity: Activity, profiles: Mapping[str, Profile]) -> dict[str, Any]:
    return {
        **_own(activity, profiles),
        "replies_count": len(activity.replies),
        "replies": [
            {
                **_own(reply, profiles),
                "reply_to_activity_uuid": str(activity.uuid),
                "replies_count": 0,
            }
            for reply in activity.replies
        ],
    }


def _own(activity: Activity, profiles: Mapping[str, Profile]) -> dict[str, Any]:
    profile = profiles.get(activity.handle)
    return {
        "uuid": str(activity.uuid),
        "handle": activity.handle,
        "display_name": profile.display_name if profile else None,
        "picture": profile.picture if profile else None,
        "message": activity.message,
        "created_at": _iso(activity.created_at),
        "expires_at": _iso(activity.expires_at),
        "likes_count": activity.likes_count,
        "reposts_count": activity.reposts_count,
    }


def _iso(time: datetime) -> str:
    return time.replace(tzinfo=UTC).isoformat()
