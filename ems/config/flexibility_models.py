"""Turns the bands and envelopes of a site file into what the planner is asked, and says what cannot be."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import tzinfo

import numpy as np

from ems.config.assets import ASSET_KINDS
from ems.config.flexibility import Hours
from ems.config.parts import Complaint, Parts, number, text
from ems.config.site import SiteFile
from ems.config.wording import did_you_mean, shown
from optimization.assets import Asset
from optimization.bands import Reserve
from optimization.calendar_windows import CalendarWindow, window_shares
from optimization.problem import Envelope
from optimization.reserves import SPARING
from optimization.slots import Floats, Slots

SPARING_KINDS = ("battery", "genset", "pv", "wind", "charge_point")


def reserves(file: SiteFile, slots: Slots, zone: tzinfo, assets: Sequence[Asset]) -> tuple[Reserve, ...]:
    """Give the bands of a question: asked for in every slot that their hours touch, of members that are steered.

    A band none of whose members is steered is left out.
    """
    able = {asset.id for asset in assets if isinstance(asset, SPARING)}
    found = []
    for name, band in file.reserves.items():
        asked = _share(band, slots, zone) > 0.0
        members = tuple(member for member in band.members if member in able)
        if members:
            up_kw, down_kw = np.where(asked, band.up_kw, 0.0), np.where(asked, band.down_kw, 0.0)
            found.append(Reserve(name, members, up_kw, down_kw, band.hold_s, band.missing_per_kwh))
    return tuple(found)


def envelopes(file: SiteFile, slots: Slots, zone: tzinfo) -> tuple[Envelope, ...]:
    """Give the envelopes of a question; of a slot that is partly within their hours that part is priced."""
    grid = file.grid
    found = []
    for name, envelope in file.envelopes.items():
        low_kw = -grid.export_limit_kw if envelope.low_kw is None else envelope.low_kw
        high_kw = grid.import_limit_kw if envelope.high_kw is None else envelope.high_kw
        flat = np.ones(len(slots))
        price = envelope.price_per_kwh * _share(envelope, slots, zone)
        found.append(Envelope(low_kw * flat, high_kw * flat, price, f"envelopes.{name}"))
    return tuple(found)


def _share(hours: Hours, slots: Slots, zone: tzinfo) -> Floats:
    window = CalendarWindow(days=hours.days, from_h=hours.from_h, to_h=hours.to_h)
    return np.asarray(window_shares([window], slots, zone)[0])


def check_flexibility(parts: Parts) -> Iterator[Complaint]:
    """Check the bands and envelopes of a site file."""
    kinds = {name: text(part, "kind") or "" for name, part in parts.named("assets")}
    able = [name for name, kind in kinds.items() if kind in SPARING_KINDS]
    for name, band in parts.named("reserves"):
        yield from _hours(("reserves", name), band)
        for place, member in enumerate(members := getattr(band, "members", ())):
            path = ("reserves", name, "members", place)
            if member in members[:place]:
                yield path, f"{member} stands here twice; write each asset once"
            elif member in kinds and kinds[member] in ASSET_KINDS and member not in able:
                yield path, f"a {kinds[member]} spares no power; name one of kind {', '.join(SPARING_KINDS)}"
            elif member not in kinds:
                yield path, f"there is no asset {shown(member)}{did_you_mean(member, able)}"
        if not members and not parts.is_broken(("reserves", name)):
            yield ("reserves", name, "members"), "names no asset; write the ids of those that keep the power ready"
        if number(band, "up_kw") == number(band, "down_kw") == 0.0:
            yield ("reserves", name), "keeps nothing ready; write `up_kw` or `down_kw` above 0"
    for name, envelope in parts.named("envelopes"):
        yield from _hours(("envelopes", name), envelope)
        low, high = number(envelope, "low_kw"), number(envelope, "high_kw")
        if low is None and high is None and not parts.is_broken(("envelopes", name)):
            yield ("envelopes", name), "has no bound; write `low_kw` or `high_kw`"
        if low is not None and high is not None and low > high:
            yield ("envelopes", name, "low_kw"), f"{low:g} is above `high_kw`, which is {high:g}; swap them"
    named = next((f"{kind} {name}" for kind in ("reserves", "envelopes") for name, _ in parts.named(kind)), None)
    if named is not None and parts.raw.get("planning", {}).get("uncertainty"):
        words = f"plans for several scenarios know nothing of `{named}` yet; leave one of both out"
        yield ("planning", "uncertainty"), words


def _hours(path: tuple[str, str], part: object) -> Iterator[Complaint]:
    if not isinstance(part, Hours):
        return
    for key in ("from_h", "to_h"):
        hour = number(part, key)
        if hour is not None and (4.0 * hour) % 1.0:
            yield (*path, key), f"{hour:g} is no quarter of an hour; write such as 17.25"
    if not part.days:
        yield (*path, "days"), "names no day; write such as [0, 1, 2, 3, 4], or leave it out for every day"
    if part.from_h == part.to_h:
        yield (*path, "to_h"), f"is {part.to_h:g} like `from_h`: the hours are empty; for the whole day write 0 and 24"
