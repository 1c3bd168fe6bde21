"""Several feeders of one pandapower file, each at an external grid of its own, merged at their heads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from optimization.network import GridError


def join_heads(net: Any, path: Path, *, per_phase: bool) -> None:
    """Merge the external grids of feeders that no branch joins; raises `GridError` where they cannot be.

    Args:
        net: the grid, without the branches that carry nothing; it is changed.
        path: its file, for messages.
        per_phase: whether its phases are to be told apart.
    """
    from pandapower.toolbox import fuse_buses  # noqa: PLC0415 - takes 5 s and 300 MB; a warm start finds the case in the cache instead

    count, heads = len(net.ext_grid), net.ext_grid.bus.tolist()
    part = _parts(net)
    if len({part[bus] for bus in heads}) < count:
        raise GridError(
            f"{path}: {count} external grids; leave exactly one in each part that no line and no transformer joins "
            "to another: what flows between two sources is their voltages' doing, and no plan's"
        )
    kv = net.bus.vn_kv.loc[heads]
    for column, unit, values in (
        ("vm_pu", "pu", net.ext_grid.vm_pu),
        ("va_degree", "degrees", net.ext_grid.va_degree),
        ("vn_kv", "kV", kv),
    ):
        if values.nunique() > 1:
            raise GridError(
                f"{path}: its {count} external grids have {column} {values.tolist()} {unit}; feeders are planned "
                "together only at sources of one voltage: give them the same, and a transformer its ratio"
            )
    if per_phase:
        raise GridError(f"{path}: {count} external grids; phase by phase one is known yet: leave out the phases")
    for bus in heads[1:]:
        fuse_buses(net, heads[0], bus)
    net.ext_grid = net.ext_grid.iloc[:1]


def _parts(net: Any) -> dict[int, int]:
    """Number the parts that lines and transformers join, by bus."""
    part = {int(bus): int(bus) for bus in net.bus.index}
    ends = [
        *zip(net.line.from_bus, net.line.to_bus, strict=True),
        *zip(net.trafo.hv_bus, net.trafo.lv_bus, strict=True),
    ]
    for one, other in ends:
        old, new = part[int(one)], part[int(other)]
        part = {bus: new if each == old else each for bus, each in part.items()}
    return part
