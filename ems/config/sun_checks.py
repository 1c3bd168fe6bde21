"""What must hold of the planes of modules, of the place they stand at, and of a site without a weather feed."""

from __future__ import annotations

from collections.abc import Iterator

from ems.config.parts import Complaint, Parts, number, text

PLACE = ("latitude_deg", "longitude_deg")
SUN_KINDS = ("pv", "hybrid")
NEEDS_WEATHER = {
    "heat_pump": "needs the outdoor temperature",
    "heat_source": "needs the outdoor temperature",
    "wind": "is foreseen from the wind",
    **dict.fromkeys(SUN_KINDS, "has no `planes`, so that its power is foreseen from the published irradiance"),
}
TRIFLE = 1e-6


def check_sun(parts: Parts) -> Iterator[Complaint]:
    """Check place, planes and what needs a weather feed."""
    plants = [name for name, asset in parts.named("assets") if text(asset, "kind") in SUN_KINDS]
    facing = [name for name in plants if _planes(parts, name)]
    yield from _place(parts, facing)
    for name in plants:
        yield from _shares(parts, name)
        if facing and name not in facing and not parts.is_broken(("assets", name, "planes")):
            words = f"has no `planes`, but {facing[0]} has some; write those of every plant of the site, or of none"
            yield ("assets", name), words
    yield from _weather(parts, facing)


def _planes(parts: Parts, name: str) -> tuple[object, ...]:
    planes = getattr(parts.sections.get(("assets", name)), "planes", ())
    return tuple(planes) if isinstance(planes, list | tuple) else ()


def _place(parts: Parts, facing: list[str]) -> Iterator[Complaint]:
    site = parts.sections.get(("site",))
    missing = [key for key in PLACE if number(site, key) is None and not parts.is_broken(("site", key))]
    said = [key for key in PLACE if number(site, key) is not None]
    for key in missing if said else ():
        yield ("site", said[0]), f"stands without `{key}`; write both, in degrees, or none"
    for name in facing if len(missing) == len(PLACE) else ():
        words = f"need the place of the site; add {' and '.join(f'`{key}:`' for key in PLACE)} to `site`, in degrees"
        yield ("assets", name, "planes"), words


def _shares(parts: Parts, name: str) -> Iterator[Complaint]:
    path = ("assets", name, "planes")
    shares = [_share(plane) for plane in _planes(parts, name)]
    known = [share for share in shares if share is not None]
    if known and len(known) == len(shares) and not parts.is_broken(path) and abs(sum(known) - 1.0) > TRIFLE:
        yield path, f"have shares that add up to {sum(known):g}; write the `share` of each, together 1"


def _share(plane: object) -> float | None:
    share = plane.get("share", 1.0) if isinstance(plane, dict) else getattr(plane, "share", None)
    return float(share) if isinstance(share, int | float) else None


def _weather(parts: Parts, facing: list[str]) -> Iterator[Complaint]:
    feeds = parts.sections.get(("feeds",))
    if feeds is None or getattr(feeds, "weather", None) is not None or parts.is_broken(("feeds", "weather")):
        return
    for name, asset in parts.named("assets"):
        why = NEEDS_WEATHER.get(text(asset, "kind") or "")
        if why is not None and name not in facing:
            words = f"is missing; add `weather:` with its `source`, as {name} {why}"
            yield ("feeds", "weather"), words
