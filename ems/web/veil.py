"""What a page may not show of the hours ahead: single values of personal zones. The core keeps its own snapshot so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class Veil:
    """Takes single values out of what is added to snapshots.

    Args:
        assets: whose planned powers and energies, and estimated powers, are left out.
    """

    def __init__(self, assets: frozenset[str] = frozenset()) -> None:
        self._assets = assets

    def cover(self, snapshot: dict[str, Any]) -> dict[str, Any]:
        """Give the snapshot without what is private."""
        covered = dict(snapshot)
        if snapshot.get("plan"):
            covered["plan"] = self._without(snapshot["plan"], "kw", "energy_kwh", "heat_kw")
        if snapshot.get("estimate"):
            covered["estimate"] = self._without(snapshot["estimate"], "loads")
        return covered

    def _without(self, part: Mapping[str, Any], *names: str) -> dict[str, Any]:
        told = {name: part[name] for name in names if name in part}
        return dict(part) | {
            name: {asset: value for asset, value in values.items() if asset not in self._assets}
            for name, values in told.items()
        }
