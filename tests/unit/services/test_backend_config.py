"""The backend's settings."""

from __future__ import annotations

import pytest
from cruddur import Config


def test_every_setting_has_a_default() -> None:
    assert Config.from_environ({}) == Config()


def test_settings_are_read() -> None:
    config = Config.from_environ(
        {
            "DATABASE_URL": "sqlite:////data/c.db",
            "PROFILES_URL": "http://profiles-flask:4568/",
            "FRONTEND_ORIGINS": " https://a.example , http://b.example:3000/ ,",
            "DEBUG_ROUTES": "True",
        }
    )

    assert config == Config(
        database_url="sqlite:////data/c.db",
        profiles_url="http://profiles-flask:4568",
        frontend_origins=("https://a.example", "http://b.example:3000"),
        debug_routes=True,
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "postgresql://user:hunter2@db/x"),
        ("DATABASE_URL", "sqlite:///"),
        ("DATABASE_URL", "sqlite:///:memory:"),
        ("PROFILES_URL", "127.0.0.1:4568"),
        ("PROFILES_URL", "ftp://x"),
        ("FRONTEND_ORIGINS", "*"),
        ("FRONTEND_ORIGINS", "http://a.example/page"),
        ("DEBUG_ROUTES", "yes"),
    ],
)
def test_a_wrong_setting_is_named_in_one_line(name: str, value: str) -> None:
    with pytest.raises(ValueError, match=f"^{name} ") as wrong:
        Config.from_environ({name: value})

    assert "\n" not in str(wrong.value)
    assert "hunter2" not in str(wrong.value)
