"""Reading, searching and writing activities over the API."""

from __future__ import annotations

import sqlite3
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

ACTIVITY = {
    "uuid",
    "handle",
    "display_name",
    "picture",
    "message",
    "created_at",
    "expires_at",
    "likes_count",
    "replies_count",
    "reposts_count",
    "replies",
}
NEW = {"handle": "bayko", "message": "The collector is up."}


def test_home_gives_activities_in_cruddurs_shape(client: FlaskClient) -> None:
    feed = client.get("/api/activities/home").json

    assert feed
    assert all(set(activity) == ACTIVITY for activity in feed)
    for activity in feed:
        assert activity["replies_count"] == len(activity["replies"])
        for reply in activity["replies"]:
            assert set(reply) == ACTIVITY - {"replies"} | {"reply_to_activity_uuid"}
            assert reply["reply_to_activity_uuid"] == activity["uuid"]
    assert any(activity["replies"] for activity in feed)


def test_home_is_newest_first_with_times_that_carry_a_zone(client: FlaskClient) -> None:
    feed = client.get("/api/activities/home").json

    assert feed
    created = [datetime.fromisoformat(activity["created_at"]) for activity in feed]
    assert created == sorted(created, reverse=True)
    assert all(time.utcoffset() == timedelta(0) for time in created)


def test_a_handles_feed_holds_that_handle_only(client: FlaskClient) -> None:
    feed = client.get("/api/activities/@worf").json

    assert feed
    assert {activity["handle"] for activity in feed} == {"worf"}


@pytest.mark.parametrize("handle", ["nobody_has_this_one", "NOBODY"])
def test_a_handle_without_activities_has_an_empty_feed(client: FlaskClient, handle: str) -> None:
    assert client.get(f"/api/activities/@{handle}").json == []


def test_an_impossible_handle_is_not_found(client: FlaskClient) -> None:
    answer = client.get("/api/activities/@worf%20or%20not")

    assert (answer.status_code, answer.json) == (
        404,
        {"error": "Not Found", "message": "no such handle", "status": 404},
    )


def test_one_activity_is_found_by_its_uuid(client: FlaskClient) -> None:
    first = client.get("/api/activities/home").json[0]  # type: ignore[index]

    assert client.get(f"/api/activities/{first['uuid']}").json == first


def test_an_unknown_uuid_is_not_found(client: FlaskClient) -> None:
    answer = client.get("/api/activities/00000000-0000-4000-8000-000000000000")

    assert answer.status_code == 404
    assert answer.json
    assert "no such activity" in answer.json["message"]


def test_search_takes_any_case_and_no_wildcards(client: FlaskClient) -> None:
    found = client.get("/api/activities/search?term=P90").json
    assert [activity["handle"] for activity in found or []] == ["londo"]

    assert client.get("/api/activities/search?term=%25").json == []


@pytest.mark.parametrize(
    "query", ["", "?term=", "?term=%20", "?term=a&term=b", "?term=" + "x" * 101]
)
def test_a_search_without_a_usable_term_is_refused(client: FlaskClient, query: str) -> None:
    answer = client.get(f"/api/activities/search{query}")

    assert answer.status_code == 422
    assert answer.json
    assert set(answer.json["fields"]) == {"term"}


def test_a_posted_activity_is_first_in_the_feed(client: FlaskClient) -> None:
    posted = client.post("/api/activities", json=NEW | {"message": "  Fresh.  ", "ttl": "1-hour"})

    assert posted.status_code == 201
    assert posted.json
    assert posted.json["message"] == "Fresh."
    lifetime = datetime.fromisoformat(posted.json["expires_at"]) - datetime.fromisoformat(
        posted.json["created_at"]
    )
    assert lifetime == timedelta(hours=1)
    assert client.get(posted.headers["Location"]).json == posted.json
    assert client.get("/api/activities/home").json[0] == posted.json  # type: ignore[index]


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, {"handle", "message"}),
        (NEW | {"handle": "no spaces please"}, {"handle"}),
        (NEW | {"handle": 7}, {"handle"}),
        (NEW | {"message": "   "}, {"message"}),
        (NEW | {"message": "x" * 281}, {"message"}),
        (NEW | {"message": ["x"]}, {"message"}),
        (NEW | {"ttl": "2-weeks"}, {"ttl"}),
        (NEW | {"ttl": ["1-day"]}, {"ttl"}),
        (NEW | {"likes_count": 9}, {"likes_count"}),
        ([], {"body"}),
        ("text", {"body"}),
    ],
)
def test_what_is_wrong_with_a_post_is_said_field_by_field(
    client: FlaskClient, body: Any, fields: set[str]
) -> None:
    answer = client.post("/api/activities", json=body)

    assert answer.status_code == 422
    assert answer.json
    assert set(answer.json["fields"]) == fields
    assert all(answer.json["fields"].values())


@pytest.mark.parametrize(
    "sent",
    [
        {"data": "handle=bayko"},
        {"data": "{", "content_type": "application/json"},
        {"data": b"\xff", "content_type": "application/json"},
        {},
    ],
)
def test_a_post_that_is_not_json_is_a_bad_request(
    client: FlaskClient, sent: dict[str, Any]
) -> None:
    answer = client.post("/api/activities", **sent)

    assert answer.status_code == 400
    assert answer.json
    assert "JSON" in answer.json["message"]


def test_the_longest_message_is_taken(client: FlaskClient) -> None:
    assert client.post("/api/activities", json=NEW | {"message": "é" * 280}).status_code == 201


def test_an_expired_activity_is_gone(client: FlaskClient, tmp_path: Path) -> None:
    uuid = client.post("/api/activities", json=NEW).json["uuid"]  # type: ignore[index]

    with sqlite3.connect(tmp_path / "cruddur.db") as store:
        past = "2020-01-01 00:00:00.000000"
        changed = store.execute(
            "UPDATE activities SET expires_at = ? WHERE uuid = ?", (past, uuid.replace("-", ""))
        )
    assert changed.rowcount == 1

    assert client.get(f"/api/activities/{uuid}").status_code == 404
    feed = client.get("/api/activities/home").json
    assert uuid not in {activity["uuid"] for activity in feed or []}
