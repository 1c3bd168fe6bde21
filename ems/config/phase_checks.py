"""What must hold of the phases that a site file tells of."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ems.config.on_phase import phase_of
from ems.config.parts import Complaint, Parts
from ems.config.wording import shown
from optimization.network import GridError
from optimization.phase_reading import lacking_zero_sequence


def check_phases(parts: Parts, grid_path: Path) -> Iterator[Complaint]:
    """Check the phases of assets, and that the grid file tells what they do to each other."""
    known = {name: phase for name, asset in parts.named("assets") if (phase := phase_of(asset)) is not None}
    per_phase = getattr(parts.sections.get(("grid",)), "per_phase", None)
    if not known:
        if per_phase:
            yield (
                ("grid", "per_phase"),
                "true, yet no asset has a `phase`; write it where an asset is connected at one, or leave this out",
            )
        return
    yield from _grid(grid_path, next(iter(known.items())))
    yield from _charge_points(parts)
    if parts.raw.get("island"):
        yield ("island",), f"an island is taken as balanced, but {next(iter(known))} is on one phase; leave one out"


def _grid(grid_path: Path, known: tuple[str, str]) -> Iterator[Complaint]:
    try:
        lacking = lacking_zero_sequence(grid_path)
    except GridError as error:
        yield ("grid", "file"), str(error)
        return
    if lacking:
        name, phase = known
        words = f"has no zero sequence ({'; '.join(lacking)}), which `phase: {phase}` of {name} needs"
        yield ("grid", "file"), f"{grid_path.name} {words}; add the columns with pandapower, or leave out every `phase`"


def _charge_points(parts: Parts) -> Iterator[Complaint]:
    for name, asset in parts.named("assets"):
        phases = getattr(asset, "phases", None)
        if phase_of(asset) is not None and phases is not None and phases != 1:
            words = f"{shown(phases)} stands beside `phase`; a charge point at one phase has one: write 1"
            yield ("assets", name, "phases"), words
