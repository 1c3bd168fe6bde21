"""Turns what a site file says of inverters into what the planner plans with, and says what cannot be."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace

from ems.config.assets import BatteryAsset, PvAsset, WindAsset
from ems.config.inverter import InverterCurves
from ems.config.parts import Complaint, Parts
from ems.config.site import Site
from optimization.assets import Asset, Load
from optimization.reactive import Chosen, FactorOfPower, Inverter, ReactiveOfVoltage, inverter_faults

Governed = PvAsset | WindAsset | BatteryAsset
"""What an inverter may stand before."""
KEYS = {"factor_of_power": "cos_phi_of_power", "least_cos_phi": "setpoint_cos_phi"}
"""Where a key of the site file has another name than the planner's."""


def inverters(site: Site) -> dict[str, Inverter]:
    """Give the inverters as they behave by themselves, by asset id: those that follow curves of their own."""
    return {name: found for name, spec in _behind(site) if (found := inverter_model(spec)) is not None}


def set_inverters(site: Site) -> dict[str, Inverter]:
    """Give the inverters whose reactive power a plan may set, as it may set it, by asset id."""
    return {name: found for name, spec in _behind(site) if (found := set_model(spec)) is not None}


def planned_inverters(
    of_site: Mapping[str, Inverter],
    assets: Sequence[Asset],
    may_set: Mapping[str, Inverter] | None = None,
    unset: Collection[str] = (),
) -> dict[str, Inverter]:
    """Give those of a question; what nobody steers is a load there, whose power no voltage lowers.

    Args:
        of_site: as they behave by themselves, by asset id.
        assets: of the question.
        may_set: those of them that a plan may set, as it may.
        unset: those that do not take what they are told now; they behave by themselves.
    """
    fixed = {asset.id for asset in assets if isinstance(asset, Load)}
    alone = {name: replace(one, power_of_voltage=()) if name in fixed else one for name, one in of_site.items()}
    return alone | {name: one for name, one in (may_set or {}).items() if name not in fixed and name not in unset}


def inverter_model(spec: Governed) -> Inverter | None:
    """Give the planner's description of an asset's inverter; None where it has a power factor and no curves."""
    curves = spec.inverter
    if curves is None:
        return None
    if curves.reactive_of_voltage:
        rule: FactorOfPower | ReactiveOfVoltage = ReactiveOfVoltage(curves.reactive_of_voltage)
    else:
        rule = FactorOfPower(curves.cos_phi_of_power)
    most_kvar = curves.rated_kva if curves.most_kvar is None else curves.most_kvar
    return Inverter(curves.rated_kva, _rated_kw(spec), most_kvar, rule, curves.power_of_voltage)


def set_model(spec: Governed) -> Inverter | None:
    """Give the planner's description of an inverter whose reactive power a plan may set; None where it may not."""
    curves = spec.inverter
    if curves is None or not curves.is_set:
        return None
    least = curves.setpoint_cos_phi or 0.0
    most_kvar = curves.rated_kva if curves.setpoint_kvar is None else curves.setpoint_kvar
    return Inverter(curves.rated_kva, _rated_kw(spec), most_kvar, Chosen(least), curves.power_of_voltage)


def _rated_kw(spec: Governed) -> float:
    return max(spec.charge_kw, spec.discharge_kw) if isinstance(spec, BatteryAsset) else spec.rated_kw


def _behind(site: Site) -> Iterator[tuple[str, Governed]]:
    return ((name, spec) for name, spec in site.file.assets.items() if isinstance(spec, Governed))


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
    if curves.setpoint_kvar is not None and curves.setpoint_kvar > curves.rated_kva:
        words = f"{curves.setpoint_kvar:g} is above its rated_kva of {curves.rated_kva:g}; write what it can do"
        yield ("setpoint_kvar",), words


def _own_faults(name: str, spec: Governed, curves: InverterCurves) -> Iterator[Complaint]:
    whole = spec.model_copy(update={"inverter": curves})
    models = [model for model in (inverter_model(whole), set_model(whole)) if model is not None]
    only_gives = {name: not isinstance(spec, BatteryAsset)}
    for fault in dict.fromkeys(fault for model in models for fault in inverter_faults({name: model}, only_gives)):
        thing, _, words = fault.partition(": ")
        key = thing.removeprefix(f"{name}.")
        place = () if key == "rated_kw" else (KEYS.get(key, key),)
        yield ("assets", name, "inverter", *place), f"{key}: {words}" if key == "rated_kw" else words
