"""The settings of tests with made-up examples: each run of the same sources has the same ones."""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from hypothesis.internal.conjecture import providers

quick = settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    derandomize=True,
)

# Hypothesis draws from the constants of all modules of the project that are loaded, and none of its
# settings ends that: with one module more 231 of 300 derandomized texts were others, and which are
# loaded depends on the files that a worker of pytest-xdist had before.
_of_nobody = providers._local_constants
vars(providers)["_get_local_constants"] = lambda: _of_nobody
