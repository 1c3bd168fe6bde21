"""What must hold of a site with several grid connections: each has its meter, and what it cannot have yet is said."""

from __future__ import annotations

from collections.abc import Iterator

from ems.config.documents import Keys
from ems.config.parts import Complaint, Parts, text
from ems.config.wording import did_you_mean, shown
from optimization.tariff import Tariff

POWERLESS = ("heat_load", "cold_load", "tank", "cold_tank", "boiler", "heat_meter", "building_automation")
"""Kinds without a power of their own: they hang on no connection."""
FIRST = "the connection of `grid`"


def check_connections(parts: Parts) -> Iterator[Complaint]:
    """Check the meters and the assets of each connection."""
    yield from _meters(parts)
    known = parts.raw.get("connections")
    known = known if isinstance(known, dict) else {}
    for name, asset in parts.named("assets"):
        at, kind, path = text(asset, "connection"), text(asset, "kind"), ("assets", name, "connection")
        if at is None:
            continue
        if at not in known:
            names = f"known are {', '.join(known)}" if known else f"add a block `connections:` with `{at}:` in it"
            yield path, f"there is no connection {shown(at)}{did_you_mean(at, known)}; {names}, or leave it out"
        elif kind in POWERLESS:
            yield path, f"a {kind} takes no power and hangs on none; leave it out"
        elif kind == "load":
            words = "what no meter shows is told by the meter of `grid` alone yet; give it a meter: kind metered_load"
            yield path, words
    if known:
        yield from _apart(parts)


def check_own_tariff(parts: Parts, at: str, tariff: Tariff | None) -> Iterator[Complaint]:
    """Check the tariff of a connection beside the first one, which may be that of the site."""
    if tariff is not None and tariff.imbalance is not None:
        words = f"has a price of imbalance, and what was bought is known of {FIRST} alone yet; give it a tariff without"
        yield ("connections", at, "tariff"), words
    if tariff is not None and tariff.reactive is not None:
        for name, _ in parts.named("assets"):
            if ("assets", name, "inverter") in parts.sections:
                words = f"follows curves of its own, which `reactive` in the tariff of {at} does not know yet"
                yield ("assets", name, "inverter"), f"{words}; leave one of both out"


def _meters(parts: Parts) -> Iterator[Complaint]:
    """Look for the one meter of each connection."""
    assets = list(parts.named("assets"))
    raw, known = parts.raw.get("assets"), parts.raw.get("connections")
    if len(assets) != (len(raw) if isinstance(raw, dict) else 0):
        return
    meters: dict[str | None, list[str]] = {}
    for name, asset in assets:
        if text(asset, "kind") == "grid_meter":
            meters.setdefault(text(asset, "connection"), []).append(name)
    if None not in meters and "assets" in parts.raw:
        yield ("assets",), "no asset is of kind grid_meter; the meter at the grid connection is needed: add it"
    for at, names in meters.items():
        has = "a site has one connection" if at is None else f"a connection has one, and {at} has it"
        for name in names[1:]:
            yield ("assets", name, "kind"), f"is a second grid_meter beside {names[0]}; {has}: remove it"
    for at in known if isinstance(known, dict) else {}:
        if at not in meters:
            words = f"has no meter; add an asset of kind grid_meter with `connection: {at}`"
            yield ("connections", str(at)), words


def _apart(parts: Parts) -> Iterator[Complaint]:
    """Refuse what would join two connections, and what knows one alone yet."""
    at = {name: text(asset, "connection") for name, asset in parts.named("assets")}
    for name, group in parts.named("groups"):
        if len({at[member] for member in getattr(group, "members", ()) if member in at}) > 1:
            words = "names assets of several connections, and a fuse is behind one; write one group for each"
            yield ("groups", name, "members"), words
    for name, band in parts.named("reserves"):
        for place, member in enumerate(getattr(band, "members", ())):
            if at.get(member) is not None:
                path: Keys = ("reserves", name, "members", place)
                yield path, f"{member} hangs on {at[member]}, and reserve is held at {FIRST} alone yet; leave it out"
    if parts.raw.get("island"):
        yield ("island",), "a site with several connections does not stand alone yet; leave out one of both"
    if isinstance(planning := parts.raw.get("planning"), dict) and planning.get("uncertainty"):
        words = "plans for several scenarios know one connection yet; leave out this or `connections`"
        yield ("planning", "uncertainty"), words
    yield from _phases(parts)


def _phases(parts: Parts) -> Iterator[Complaint]:
    asked = getattr(parts.sections.get(("grid",)), "per_phase", None)
    words = "phase by phase one connection is known yet; leave out `connections`, or write `per_phase: false` in `grid`"
    if asked is True:
        yield ("grid", "per_phase"), words
    for name, asset in parts.named("assets") if asked is None else ():
        if getattr(asset, "phase", None) is not None:
            yield ("assets", name, "phase"), words
