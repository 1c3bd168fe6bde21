"""A feeder prepared for planning, and its file in a cache: needs numpy and nothing heavier."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from optimization.ac_check import AcGrid, Complex
from optimization.network import GridError, GridLimits, Mutual, Network
from optimization.phase_grid import PhaseGrid
from optimization.slots import Floats
from optimization.switching import Outage, declared

CACHE_VERSION = 3


@dataclass(frozen=True, slots=True, eq=False)
class GridCase:
    """One feeder with one set of limits, for the planner and for the AC check.

    Args:
        network: the linear operator, with the *planned* limits (less the margin).
        ac: the same feeder for AC power flow.
        limits: what the site allows.

    Where every phase keeps the limits by itself, both have three places for each bus but the slack.
    """

    network: Network
    ac: AcGrid
    limits: GridLimits

    @property
    def rating_kva(self) -> Floats:
        """Rated apparent power of each branch at 1 pu [kVA], shape (b,)."""
        return 100.0 * self.ac.base_kva / self.ac.pct_lower

    def losses_kva(self, voltage: Complex) -> Complex:
        """Give what branches lose, active and reactive, half of it at each of their ends, shape (m, slots).

        A phase of a branch loses what enters it and does not arrive; what the other phases take or bring is in it. What
        is lost without any load is not: the linear operator begins at the voltage that this leaves.

        Args:
            voltage: of the buses [pu], shape (m, slots); nan where unconverged, where nothing is told of losses.
        """
        entering, arriving = self._ends_kva(voltage)
        return self.network.at_ends((entering - arriving) / 2.0)

    def flows_kva(self, voltage: Complex) -> Complex:
        """Give what flows down each branch in its middle, P + jQ, shape (b, slots), for voltages as above."""
        entering, arriving = self._ends_kva(voltage)
        return (entering + arriving) / 2.0

    def _ends_kva(self, voltage: Complex) -> tuple[Complex, Complex]:
        """Give what enters each branch and what arrives, beyond what does without any load."""
        ac, upper = self.ac, self.network.upper
        none = ac.no_load
        entering = ac.entering_kva(voltage, upper) - ac.entering_kva(none, upper)
        return np.nan_to_num(entering), np.nan_to_num(ac.arriving_kva(voltage) - ac.arriving_kva(none))

    def network_within(self, limits: GridLimits) -> Network:
        """Give the linear operator with other limits."""
        return replace(
            self.network,
            flow_limit_kw=self.rating_kva * limits.loading_max_pct / 100.0,
            v_min_pu=np.full_like(self.network.v_min_pu, limits.voltage_min_pu),
            v_max_pu=np.full_like(self.network.v_max_pu, limits.voltage_max_pu),
        )


def bus_numbers(grid_path: Path) -> dict[str, int]:
    """Read the names and indices of the buses from a pandapower JSON file; raises `GridError` naming the file."""
    return dict(declared(grid_path).buses)


def case_key(grid_path: Path, limits: GridLimits, outage: Outage | None = None) -> str:
    """Hash a grid's content with its limits and what has failed; raises `GridError` if the file cannot be read."""
    try:
        content = grid_path.read_bytes()
    except OSError as error:
        raise GridError(f"cannot read the grid {grid_path}: {error.strerror}; name an existing file") from error
    return hashlib.sha256(content + f"{CACHE_VERSION} {limits} {outage}".encode()).hexdigest()[:32]


def load_case(grid_path: Path, limits: GridLimits, cache_dir: Path, outage: Outage | None = None) -> GridCase | None:
    """Load a prepared feeder from the cache; None where `prepare` has put none there, or it was damaged since."""
    key = case_key(grid_path, limits, outage)
    try:
        with _cache_file(cache_dir, key).open("rb") as file, np.load(file) as stored:
            case = _case(dict(stored), key, grid_path, limits)
            return replace(case, ac=replace(case.ac, outage=outage))
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):
        return None


def store_case(case: GridCase, cache_dir: Path) -> None:
    """Put a prepared feeder into the cache, whole or not at all."""
    cache_dir.mkdir(parents=True, exist_ok=True)
    target = _cache_file(cache_dir, case.network.key)
    partial = target.with_suffix(".partial.npz")
    np.savez(partial, **_arrays(case))
    partial.replace(target)


def _cache_file(cache_dir: Path, key: str) -> Path:
    return cache_dir / f"grid-{key}.npz"


NETWORK_ARRAYS = (
    "bus_ids", "upper", "r_pu_per_kw", "x_pu_per_kvar", "flow_limit_kw", "v_min_pu", "v_max_pu", "loop_lower",
)  # fmt: skip
MUTUAL_ARRAYS = ("branches", "r_pu_per_kw", "x_pu_per_kvar")
AC_ARRAYS = ("bus_ids", "lower", "y_bus", "y_upper", "y_lower", "pct_upper", "pct_lower", "own_kva")


def _arrays(case: GridCase) -> dict[str, Any]:
    arrays = {name: getattr(case.network, name) for name in NETWORK_ARRAYS}
    arrays |= {name: getattr(case.ac, name) for name in AC_ARRAYS}
    if (mutual := case.network.mutual) is not None:
        arrays |= {f"mutual_{name}": getattr(mutual, name) for name in MUTUAL_ARRAYS}
    scalars = {"slack_pu": case.network.slack_pu, "slack": case.ac.slack, "base_kva": case.ac.base_kva}
    names = {"bus_names": np.array(case.ac.bus_names), "branch_names": np.array(case.ac.branch_names)}
    return arrays | scalars | names


def _case(stored: dict[str, Any], key: str, grid_path: Path, limits: GridLimits) -> GridCase:
    branch_names = tuple(stored["branch_names"].tolist())
    network = Network(
        **{name: stored[name] for name in NETWORK_ARRAYS},
        slack_pu=float(stored["slack_pu"]),
        branch_names=branch_names,
        key=key,
        mutual=Mutual(*(stored[f"mutual_{name}"] for name in MUTUAL_ARRAYS)) if limits.per_phase else None,
    )
    ac = (PhaseGrid if limits.per_phase else AcGrid)(
        **{name: stored[name] for name in AC_ARRAYS},
        source=grid_path,
        bus_names=tuple(stored["bus_names"].tolist()),
        branch_names=branch_names,
        base_kva=float(stored["base_kva"]),
        slack=complex(stored["slack"]),
    )
    return GridCase(network, ac, limits)


def planned_network(ac: AcGrid, upper: Any, impedance: Floats, limits: GridLimits, key: str) -> Network:
    """Write the linear operator of a feeder.

    Args:
        ac: the feeder for AC power flow; gives the ratings and the no-load voltage.
        upper: upper bus of each branch, shape (b,).
        impedance: resistance and reactance of each branch on `ac.base_kva` [pu], shape (2, b).
        limits: what the site allows; the network gets the planned ones.
        key: hash of the grid's content and limits.
    """
    planned = limits.planned
    buses = len(ac.bus_ids)
    no_load = ac.check(np.zeros((buses, 1)), np.zeros((buses, 1))).v_pu[1:, 0]
    return Network(
        bus_ids=ac.bus_ids,
        upper=upper,
        r_pu_per_kw=impedance[0] / ac.base_kva,
        x_pu_per_kvar=impedance[1] / ac.base_kva,
        flow_limit_kw=planned.loading_max_pct / ac.pct_lower * ac.base_kva,
        v_min_pu=np.full(buses, planned.voltage_min_pu),
        v_max_pu=np.full(buses, planned.voltage_max_pu),
        slack_pu=float(no_load.mean()),
        branch_names=ac.branch_names,
        key=key,
        loop_lower=ac.lower[buses - 1 :],
    )
