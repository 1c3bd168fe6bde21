"""What a page may not show: single values of personal zones. Their sums are the core's to tell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class Veil:
    """Takes single values out of snapshots.

    Args:
        assets: whose powers, states, commands and reasons are left out.
        devices: whose points are left out.
    """

    def __init__(self, assets: frozenset[str] = frozenset(), devices: frozenset[str] = frozenset()) -> None:
        self._assets = assets
        self._prefixes = tuple(f"{device}." for device in devices)

    def cover(self, snapshot: dict[str, Any]) -> dict[str, Any]:
        """Give the snapshot without what is private; the kind of an asset stays, and that its device answers."""
        if not self._assets:
            return snapshot
        covered = dict(snapshot)
        if "assets" in snapshot:
            covered["assets"] = {name: self._asset(name, asset) for name, asset in snapshot["assets"].items()}
        if "points" in snapshot and self._prefixes:
            points = snapshot["points"].items()
            covered["points"] = {name: point for name, point in points if not name.startswith(self._prefixes)}
        if snapshot.get("plan"):
            covered["plan"] = self._plan(snapshot["plan"])
        if "loads" in (snapshot.get("estimate") or {}):
            covered["estimate"] = snapshot["estimate"] | {"loads": self._without(snapshot["estimate"]["loads"])}
        return covered

    def _asset(self, name: str, asset: Mapping[str, Any]) -> Mapping[str, Any]:
        if name not in self._assets:
            return asset
        return {"kind": asset.get("kind"), "device": asset.get("device"), "private": True}

    def _plan(self, plan: Mapping[str, Any]) -> dict[str, Any]:
        per_asset = ("kw", "energy_kwh")
        return dict(plan) | {key: self._without(plan[key]) for key in per_asset if key in plan}

    def _without(self, series: Mapping[str, Any]) -> dict[str, Any]:
        return {name: values for name, values in series.items() if name not in self._assets}
