"""What an asset says of itself as the planner would plan with it, and whether groups name assets that have power."""

from __future__ import annotations

from collections.abc import Iterator, Set
from contextlib import suppress
from typing import Any, get_args

from pydantic import ValidationError

from ems.config.asset_models import asset_model
from ems.config.assets import ASSET_KINDS, ChargePointAsset, DeferrableAsset, PoweredAsset
from ems.config.documents import Key
from ems.config.heat_assets import HeatOnly
from ems.config.parts import Complaint, Parts, text
from ems.config.site import with_zone_comfort
from ems.config.wording import did_you_mean, shown
from optimization.assets.ev_session import MOST_EARLIER
from optimization.faults import own_numbers

TRIFLE = 1e-9


def check_assets(parts: Parts, said: Set[Key]) -> Iterator[Complaint]:
    """Let every asset that the planner plans with check itself; `said` are those that something was said of already."""
    whole = with_zone_comfort(parts.raw)
    for name, part in parts.named("assets"):
        schema = ASSET_KINDS.get(text(part, "kind") or "")
        if schema is not None and schema in get_args(PoweredAsset | HeatOnly) and name not in said:
            with suppress(ValidationError):
                yield from _own_faults(name, schema.model_validate(whole["assets"][name]))


def check_groups(parts: Parts) -> Iterator[Complaint]:
    """Check that every group names assets that take or give power, each once."""
    kinds = {name: ASSET_KINDS.get(text(part, "kind") or "") for name, part in parts.named("assets")}
    powered = [name for name, kind in kinds.items() if kind in get_args(PoweredAsset)]
    for name, group in parts.named("groups"):
        members = getattr(group, "members", ())
        if not members and not parts.is_broken(("groups", name)):
            yield ("groups", name, "members"), "names no asset; write the ids of those behind the limit"
        for place, member in enumerate(members):
            path = ("groups", name, "members", place)
            if member in members[:place]:
                yield path, f"{member} stands here twice; write each asset once"
            elif member in kinds and member not in powered:
                yield path, f"{member} has no power of its own; name what takes or gives power"
            elif member not in kinds:
                yield path, f"there is no asset {shown(member)}{did_you_mean(member, powered)}"


def _run_faults(name: str, spec: DeferrableAsset) -> Iterator[Complaint]:
    """Check that a run fits into its window, and that one that may pause has pieces and one power."""
    said, length_min = ("assets", name), spec.length_s / 60.0
    if spec.length_s > spec.window_s:
        hours = f"{spec.run_from_h:g} and {spec.run_to_h:g} o'clock"
        yield (*said, "run"), f"takes {length_min:g} min, which do not fit between {hours}; write a longer window"
    if spec.piece_s is not None and len(spec.run) > 1:
        words = f"stands beside {len(spec.run)} steps; a run that may pause has one power: write one step, or null"
        yield (*said, "piece_s"), words
    elif spec.piece_s is not None and spec.piece_s >= spec.length_s:
        words = f"{spec.piece_s:g} s are no piece of a run of {spec.length_s:g} s; write less, or null"
        yield (*said, "piece_s"), words


def _giving_faults(name: str, spec: ChargePointAsset) -> Iterator[Complaint]:
    """Check that a charge point that takes power back is told kW, which knows no phases."""
    if spec.discharge_kw > 0.0 and spec.least_phases < spec.most_phases:
        words = (
            f"{spec.discharge_kw:g} stands beside `phases: [1, 3]`; one that takes power back switches none: write 3"
        )
        yield ("assets", name, "discharge_kw"), words


def _early_faults(name: str, spec: ChargePointAsset) -> Iterator[Complaint]:
    """Check that early departures are few, each another time before the told one, and no more than all cars."""
    said, early = ("assets", name, "leaves_early_h"), spec.leaves_early_h
    if len(early) > MOST_EARLIER:
        yield said, f"names {len(early)} times; at most {MOST_EARLIER} are told apart, so join some"
    if any(hours <= 0.0 for hours, _ in early):
        yield said, "names 0 h, which is the told departure itself; write how many hours earlier, or leave it out"
    if len({hours for hours, _ in early}) < len(early):
        yield said, "names a time twice; add up its shares"
    if (total := sum(share for _, share in early)) > 1.0 + TRIFLE:
        yield said, f"has shares that add up to {total:g}; no more than all cars leave early, so write shares up to 1"


def _own_faults(name: str, spec: Any) -> Iterator[Complaint]:
    if isinstance(spec, DeferrableAsset):
        yield from _run_faults(name, spec)
    if isinstance(spec, ChargePointAsset):
        yield from _giving_faults(name, spec)
        yield from _early_faults(name, spec)
    model = asset_model(name, spec)
    for fault in (*own_numbers(model), *model.faults()):
        label, _, words = fault.partition(": ")
        key = label.removeprefix(f"{name}.")
        yield ("assets", name, *((key,) if key in type(spec).model_fields else ())), words
