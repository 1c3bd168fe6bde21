"""What an asset says of itself as the planner would plan with it, and whether groups name assets that have power."""

from __future__ import annotations

from collections.abc import Iterator, Set
from contextlib import suppress
from typing import Any, get_args

from pydantic import ValidationError

from ems.config.asset_models import asset_model
from ems.config.assets import ASSET_KINDS, PoweredAsset
from ems.config.documents import Key
from ems.config.parts import Complaint, Parts, text
from ems.config.site import with_zone_comfort
from ems.config.wording import did_you_mean, shown
from optimization.faults import own_numbers


def check_assets(parts: Parts, said: Set[Key]) -> Iterator[Complaint]:
    """Let every asset that takes or gives power check itself; `said` are those that something was said of already."""
    whole = with_zone_comfort(parts.raw)
    for name, part in parts.named("assets"):
        schema = ASSET_KINDS.get(text(part, "kind") or "")
        if schema is not None and schema in get_args(PoweredAsset) and name not in said:
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


def _own_faults(name: str, spec: Any) -> Iterator[Complaint]:
    model = asset_model(name, spec)
    for fault in (*own_numbers(model), *model.faults()):
        label, _, words = fault.partition(": ")
        key = label.removeprefix(f"{name}.")
        yield ("assets", name, *((key,) if key in type(spec).model_fields else ())), words
