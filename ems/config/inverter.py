"""What a site file may say of an inverter: curves by which it sees to its reactive power, and what a plan may set."""

from __future__ import annotations

from ems.config.strict import Finite, NotNegative, Positive, Share, Strict, later

Curve = tuple[tuple[NotNegative, NotNegative], ...]
SignedCurve = tuple[tuple[NotNegative, Finite], ...]


class InverterCurves(Strict):
    """The curves that are set in an inverter; equations as in optimization/reactive.py.

    Either `cos_phi_of_power`, pairs of a share of its rated power and cos phi, under-excited; or `reactive_of_voltage`,
    pairs of a voltage [pu] and a share of `most_kvar`, from -1 (gives reactive power) to 1 (takes it). The points of
    `power_of_voltage` are voltages [pu] and the share of its rated power that it may give there.
    `setpoint_kvar` and `setpoint_cos_phi` limit the reactive power that a plan may set in place of the first two (in
    SunSpec's model 704 the function VarSet). Without a plan these then are what the device does by itself.
    """

    rated_kva: Positive
    cos_phi_of_power: Curve = ()
    reactive_of_voltage: SignedCurve = ()
    most_kvar: Positive | None = None
    power_of_voltage: Curve = ()
    setpoint_kvar: Positive | None = later(None)
    setpoint_cos_phi: Share | None = later(None)

    @property
    def is_set(self) -> bool:
        """Tell whether a plan may set its reactive power."""
        return self.setpoint_kvar is not None or self.setpoint_cos_phi is not None
