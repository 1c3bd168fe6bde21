"""From devices that move in steps and the last AC round to the numbers of `optimization.steps_block`: pure numpy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from optimization.assets.asset import Values
from optimization.network import Network
from optimization.slots import Floats, Ints, Slots
from optimization.step_flow import is_tapped_above, tap_branch
from optimization.steps import DAY_S, CapacitorBank, Stepped, StepShape, TapChanger


def step_shapes(steps: Mapping[str, Stepped], network: Network, slots: Slots) -> tuple[StepShape, ...]:
    """Find what of some devices decides the shape of their equations; raises `GridError` where one has no place."""
    return tuple(_shape(stepped, network, slots) for stepped in steps.values())


def _shape(stepped: Stepped, network: Network, slots: Slots) -> StepShape:
    device = stepped.device
    # One more than the horizon is long, so that the shape does not change as midnight comes nearer.
    days = int(np.ceil(slots.duration_s.sum() / DAY_S)) + 1 if device.moving.most_per_day is not None else 0
    is_tap = isinstance(device, TapChanger)
    place = tap_branch(network, device) if isinstance(device, TapChanger) else network.position(device.bus)
    return StepShape(is_tap, place, device.most - device.least if is_tap else 1, days)


def step_terms(
    steps: Mapping[str, Stepped], network: Network, slots: Slots, v_pu: Floats, about: Mapping[str, Ints]
) -> Values:
    """Derive the values of the block's Params.

    Args:
        steps: the devices.
        network: the feeder.
        slots: the horizon.
        v_pu: voltages of the last AC round, shape (m, n).
        about: their positions there, shape (n,) each, by name.
    """
    devices = {name: stepped.device for name, stepped in steps.items()}
    taps = [_tap(d, network, v_pu, about[name]) for name, d in devices.items() if isinstance(d, TapChanger)]
    banks = [_bank(d, network, v_pu, about[name]) for name, d in devices.items() if isinstance(d, CapacitorBank)]
    none = np.zeros((0, len(slots)))

    def stacked(rows: list[Values], *names: str) -> Values:
        return {name: np.vstack([row[name] for row in rows]) if rows else none for name in names}

    terms = stacked(taps, "tap_ratio", "tap_least_pu2", "tap_gain_pu2")
    terms |= stacked(banks, "bank_kvar_at_nothing", "bank_kvar_per_step", "bank_kvar_per_pu2")
    return terms | _moving(steps, slots)


def lifted(network: Network, steps: Mapping[str, Stepped], taken: Mapping[str, Ints]) -> Network:
    """Give a linear operator whose voltages are those at some positions, shape (n,) each, as its programme has them."""
    assert network.governed is not None
    terms = network.governed.terms
    n = terms["step_keep"].shape[0]
    ratio, added = np.ones((len(network.upper), n)), np.zeros((len(network.upper), n))
    row = part = 0
    for name, stepped in steps.items():
        device = stepped.device
        if not isinstance(device, TapChanger):
            continue
        branch, span = tap_branch(network, device), device.most - device.least
        filled = np.arange(span)[:, None] < (taken[name] - device.least)[None, :]
        ratio[branch] = terms["tap_ratio"][row]
        added[branch] = terms["tap_least_pu2"][row] + (terms["tap_gain_pu2"][part : part + span] * filled).sum(axis=0)
        row, part = row + 1, part + span
    return replace(network, lifts=(ratio, added))


def bank_kvar(network: Network, steps: Mapping[str, Stepped], taken: Mapping[str, Ints], v_pu: Floats) -> Floats:
    """Give the reactive power into the banks of each bus at voltages, shape (m, n) both [kvar]."""
    kvar = np.zeros_like(v_pu)
    for name, stepped in steps.items():
        device = stepped.device
        if isinstance(device, CapacitorBank):
            place = network.position(device.bus)
            kvar[place] -= taken[name] * device.step_kvar * v_pu[place] ** 2
    return kvar


def squared_ratio(network: Network, device: TapChanger, position: Ints) -> Floats:
    """Give by what a position multiplies the squared voltage below its transformer, of that of the grid file."""
    return np.asarray(device.ratio(position) ** (-2.0 if is_tapped_above(network, device) else 2.0))


def _tap(device: TapChanger, network: Network, v_pu: Floats, about: Ints) -> Values:
    above = int(network.upper[tap_branch(network, device)])
    v2 = v_pu[above] ** 2 if above else np.full(len(about), network.slack_pu**2)
    each = squared_ratio(network, device, np.arange(device.least, device.most + 1))
    at = squared_ratio(network, device, about)
    return {"tap_ratio": at, "tap_least_pu2": (each[0] - at) * v2, "tap_gain_pu2": np.diff(each)[:, None] * v2}


def _bank(device: CapacitorBank, network: Network, v_pu: Floats, about: Ints) -> Values:
    v2 = v_pu[network.position(device.bus)] ** 2
    return {
        "bank_kvar_at_nothing": device.step_kvar * about * v2,
        "bank_kvar_per_step": -device.step_kvar * v2,
        "bank_kvar_per_pu2": -device.step_kvar * about.astype(float),
    }


def _moving(steps: Mapping[str, Stepped], slots: Slots) -> Values:
    each, n = list(steps.values()), len(slots)
    days = int(np.ceil(slots.duration_s.sum() / DAY_S)) + 1
    bound = [stepped for stepped in each if stepped.device.moving.most_per_day is not None]
    in_day = [stepped.day_of(slots) == day for stepped in bound for day in range(days)]
    free = np.vstack([np.outer(_room(s), s.may_move(slots)) for s in each])
    return {
        "step_keep": slots.link,
        "step_begin": np.vstack([np.outer(s.filled, 1.0 - slots.link) for s in each]),
        "step_room": np.vstack([np.outer(_room(s), np.ones(n)) for s in each]),
        "step_most": free,
        "step_cost": np.vstack([np.full((len(_room(s)), n), s.device.moving.cost) for s in each]),
        "step_in_day": np.array(in_day, dtype=float).reshape(len(in_day), n),
        "step_left": np.array([left for s in bound for left in s.moves_left(days)]),
    }


def _room(stepped: Stepped) -> Floats:
    """Give the most of each part of a device."""
    most = 1.0 if isinstance(stepped.device, TapChanger) else float(stepped.device.most)
    return np.full(len(stepped.filled), most)


def still(steps: Mapping[str, Stepped], slots: Slots) -> Floats:
    """Give the parts of devices that stay where they are, shape (parts, n)."""
    return np.vstack([np.outer(stepped.filled, np.ones(len(slots))) for stepped in steps.values()])
