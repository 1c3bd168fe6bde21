"""The independent verifier: every equation written again, from the assets' docstrings; one file a kind of asset."""

from ems.plan_check.plan import check_plan

__all__ = ["check_plan"]
