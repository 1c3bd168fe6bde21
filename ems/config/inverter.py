"""What a site file may say of an inverter that sees to its reactive power by curves of its own."""

from __future__ import annotations

from ems.config.strict import Finite, NotNegative, Positive, Strict

Curve = tuple[tuple[NotNegative, NotNegative], ...]
SignedCurve = tuple[tuple[NotNegative, Finite], ...]


class InverterCurves(Strict):
    """The curves that are set in an inverter; equations as in optimization/reactive.py.

    Either `cos_phi_of_power`, pairs of a share of its rated power and cos phi, under-excited; or `reactive_of_voltage`,
    pairs of a voltage [pu] and a share of `most_kvar`, from -1 (gives reactive power) to 1 (takes it). The points of
    `power_of_voltage` are voltages [pu] and the share of its rated power that it may give there.
    """

    rated_kva: Positive
    cos_phi_of_power: Curve = ()
    reactive_of_voltage: SignedCurve = ()
    most_kvar: Positive | None = None
    power_of_voltage: Curve = ()
