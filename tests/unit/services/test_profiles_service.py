"""profiles-flask's own API."""

from __future__ import annotations

import pytest
from cruddur.seed import SEEDS
from flask.testing import FlaskClient
from profiles import create_app


@pytest.fixture
def profiles() -> FlaskClient:
    return create_app().test_client()


def test_it_knows_everybody_who_speaks_in_a_new_store(profiles: FlaskClient) -> None:
    handles = {one.handle for seed in SEEDS for one in (seed, *seed.replies)}

    found = profiles.get(f"/api/profiles?handles={','.join(handles)}").json

    assert found
    assert set(found["profiles"]) == handles
    for person in found["profiles"].values():
        assert set(person) == {"display_name", "picture"}
        assert person["picture"].startswith("data:image/svg+xml,")


def test_a_handle_that_nobody_has_is_left_out(profiles: FlaskClient) -> None:
    found = profiles.get("/api/profiles?handles=worf,nobody,,").json

    assert found
    assert set(found["profiles"]) == {"worf"}


@pytest.mark.parametrize("query", ["", "?handles=", "?handles=,", "?handles=" + "a," * 201])
def test_a_list_that_cannot_be_answered_is_refused(profiles: FlaskClient, query: str) -> None:
    answer = profiles.get(f"/api/profiles{query}")

    assert answer.status_code == 422
    assert answer.json
    assert set(answer.json["fields"]) == {"handles"}


def test_the_health_check_answers(profiles: FlaskClient) -> None:
    assert profiles.get("/api/health-check").json == {"success": True}
