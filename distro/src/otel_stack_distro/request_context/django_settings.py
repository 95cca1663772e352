"""Django is instrumented once its settings are there.

Upstream does it at the interpreter's start. Where `wsgi.py` or `manage.py` names the settings, as
`django-admin startproject` writes them, there are none yet: upstream makes empty ones, and the app
runs with those.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def before_setup(instrument: Callable[[], None]) -> None:
    """Call `instrument` when the app calls `django.setup`, which wsgi, asgi and manage.py do."""
    import django  # noqa: PLC0415 - it need not be installed

    original = django.setup

    def setup(*args: Any, **named: Any) -> None:
        django.setup = original
        instrument()
        original(*args, **named)

    django.setup = setup
