"""Devices that move in steps, put into a pandapower grid as its own elements: what `runpp` is asked about."""

from __future__ import annotations

from typing import Any

from optimization.network import GridError
from optimization.steps import CapacitorBank, Standing, TapChanger
from optimization.switching import branch_labels


def stood_at(net: Any, standing: Standing) -> Any:
    """Set the tap changers of a grid and add its capacitor banks; raises `GridError` for a transformer it lacks."""
    for device, position in standing:
        if isinstance(device, TapChanger):
            _set_tap(net, device, position)
        else:
            _add_bank(net, device, position)
    return net


def _set_tap(net: Any, device: TapChanger, position: int) -> None:
    labels, lines = branch_labels(net), len(net.line)
    if device.branch not in labels[lines:]:
        raise GridError(f"transformer {device.branch!r} is not in the grid; its transformers are {labels[lines:]}")
    trafo = net.trafo.index[labels.index(device.branch) - lines]
    side = "hv" if int(net.trafo.hv_bus.at[trafo]) == device.tapped_bus else "lv"
    told = {"tap_side": side, "tap_neutral": device.neutral, "tap_step_percent": device.step_pct, "tap_pos": position}
    if "tap_changer_type" in net.trafo:
        told["tap_changer_type"] = "Ratio"
    for column, value in told.items():
        net.trafo.at[trafo, column] = value


def _add_bank(net: Any, device: CapacitorBank, steps: int) -> None:
    import pandapower  # noqa: PLC0415 - takes 5 s and 300 MB, and few processes ever need it

    pandapower.create_shunt(net, device.bus, q_mvar=-device.step_kvar / 1e3, step=steps, max_step=device.most)
