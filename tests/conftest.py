"""What holds for all tests: laws are examined with the same examples in every run, however slow the machine is.

New examples are looked for with `pytest --hypothesis-profile=default`.
"""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile(
    "repeatable", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile("repeatable")
