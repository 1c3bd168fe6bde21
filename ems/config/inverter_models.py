"""Turns what a site file says of inverters into what the planner plans with, and says what cannot be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from ems.config.assets import BatteryAsset, PvAsset, WindAsset
from ems.config.inverter import InverterCurves
from ems.config.parts import Complaint, Parts
from ems.config.site import Site
from optimization.assets import Asset, Load
from optimization.reactive import FactorOfPower, Inverter, ReactiveOfVoltage, inverter_faults

Governed = PvAsset | WindAsset | BatteryAsset
"""What an inverter may stand before."""
KEYS = {"factor_of_power": "cos_phi_of_power"}
"""Where a key of the site file has another name than the planner's."""


def inverters(site: Site) -> dict[str, Inverter]:
    """Give the inverters that follow curves of their own, by asset id."""
    assets = site.file.assets.items()
    found = ((name, inverter_model(spec)) for name, spec in assets if isinstance(spec, Governed))
    return {name: inverter for name, inverter in found if inverter is not None}


def planned_inverters(of_site: Mapping[str, Inverter], assets: Sequence[Asset]) -> dict[str, Inverter]:
    """Give those of a question; what nobody steers is a load there, whose power no voltage lowers."""
    fixed = {asset.id for asset in assets if isinstance(asset, Load)}
    return {name: replace(one, power_of_voltage=()) if name in fixed else one for name, one in of_site.items()}


def inverter_model(spec: Governed) -> Inverter | None:
    """Give the planner's description of an asset's inverter; None where it has a power factor and no curves."""
    curves = spec.inverter
    if curves is None:
        return None
    rated_kw = max(spec.charge_kw, spec.discharge_kw) if isinstance(spec, BatteryAsset) else spec.rated_kw
    if curves.reactive_of_voltage:
        rule: FactorOfPower | ReactiveOfVoltage = ReactiveOfVoltage(curves.reactive_of_voltage)
    else:
        rule = FactorOfPower(curves.cos_phi_of_power)
    most_kvar = curves.rated_kva if curves.most_kvar is None else curves.most_kvar
    return Inverter(curves.rated_kva, rated_kw, most_kvar, rule, curves.power_of_voltage)


def check_inverters(parts: Parts) -> Iterator[Complaint]:
    """Check the inverters of a site file, each that was read whole."""
    found = [
        (name, spec, curves)
        for name, spec in parts.named("assets")
        if isinstance(spec, Governed)
        and isinstance(curves := parts.sections.get(("assets", name, "inverter")), InverterCurves)
        and not parts.is_broken(("assets", name))
    ]
    for name, spec, curves in found:
        wrong = list(_curve_faults(curves))
        yield from ((("assets", name, "inverter", *key), words) for key, words in wrong)
        if "power_factor" in spec.model_fields_set:
            yield ("assets", name, "power_factor"), "plays no part beside `inverter`, whose curves decide; leave it out"
        if not wrong:
            yield from _own_faults(name, spec, curves)
    if found and parts.raw.get("grid", {}).get("outages"):
        yield ("grid", "outages"), f"plans cannot survive outages with the curves of {found[0][0]} yet; leave one out"
    if found and parts.raw.get("planning", {}).get("uncertainty"):
        words = f"plans for several scenarios know no curves such as those of {found[0][0]} yet; leave one out"
        yield ("planning", "uncertainty"), words


def _curve_faults(curves: InverterCurves) -> Iterator[tuple[tuple[str, ...], str]]:
    """Say which curves are too many or too few: the key within the inverter, and what to write."""
    if curves.cos_phi_of_power and curves.reactive_of_voltage:
        yield ("reactive_of_voltage",), "stands beside `cos_phi_of_power`; one of them decides: leave the other out"
    elif not (curves.cos_phi_of_power or curves.reactive_of_voltage):
        words = "says nothing of its reactive power; write `cos_phi_of_power` or `reactive_of_voltage` with the points "
        yield (), f"{words}that are set in it, or `cos_phi_of_power: [[1, 1]]` for none"
    if curves.reactive_of_voltage and curves.most_kvar is None:
        yield ("reactive_of_voltage",), "gives shares of `most_kvar`, which is missing; write it"
    if curves.most_kvar is not None and not curves.reactive_of_voltage:
        yield ("most_kvar",), "belongs to `reactive_of_voltage`; leave it out"


def _own_faults(name: str, spec: Governed, curves: InverterCurves) -> Iterator[Complaint]:
    inverter = inverter_model(spec.model_copy(update={"inverter": curves}))
    assert inverter is not None
    for fault in inverter_faults({name: inverter}, {name: not isinstance(spec, BatteryAsset)}):
        thing, _, words = fault.partition(": ")
        key = thing.removeprefix(f"{name}.")
        place = () if key == "rated_kw" else (KEYS.get(key, key),)
        yield ("assets", name, "inverter", *place), f"{key}: {words}" if key == "rated_kw" else words
