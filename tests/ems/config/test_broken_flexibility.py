"""A table of bands and envelopes that cannot be: each said at its place."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_site import SITE, problems

BAND, WANT = "members: [battery], up_kw: 10, hold_s: 900, missing_per_kwh: 0.5", "price_per_kwh: 0.4"
BROKEN = {
    "reserves: {evening: {members: [], up_kw: 1, hold_s: 900, missing_per_kwh: 1}}": "members: names no asset",
    "reserves: {evening: {members: [batery], up_kw: 1, hold_s: 9, missing_per_kwh: 1}}": "members.0: there is no asset "
    "'batery' (did you mean `battery`?)",
    "reserves: {evening: {members: [houses], up_kw: 1, hold_s: 9, missing_per_kwh: 1}}": "members.0: a load spares no",
    "reserves: {evening: {members: [battery], hold_s: 900, missing_per_kwh: 1}}": ": keeps nothing ready; write",
    "reserves: {evening: {members: [battery], up_kw: 1, missing_per_kwh: 1}}": "hold_s: is missing",
    "reserves: {evening: {BAND, from_h: 17.1}}": "from_h: 17.1 is no quarter of an hour; write such as 17.25",
    "reserves: {evening: {BAND, from_h: 9, to_h: 9}}": "to_h: is 9 like `from_h`: the hours are empty",
    "reserves: {evening: {BAND, days: [7]}}": "days.0: 7 is above 6",
    "reserves: {evening: {BAND, days: []}}": "days: names no day; write such as",
    "reserves: {evening: {BAND, kw: 3}}": "kw: is not a known key here",
    "envelopes: {evening: {WANT}}": ": has no bound; write `low_kw` or `high_kw`",
    "envelopes: {evening: {WANT, low_kw: 5, high_kw: 1}}": "low_kw: 5 is above `high_kw`, which is 1; swap them",
    "envelopes: {evening: {high_kw: 5, price_per_kwh: 0}}": "price_per_kwh: 0 is not greater than 0",
}


@pytest.mark.parametrize("section", BROKEN)
def test_one_slip_gives_one_problem_at_its_place(yard: Path, section: str) -> None:
    line = section.replace("BAND", BAND).replace("WANT", WANT)
    (found,) = problems(yard, f"{SITE}{line}\n")
    assert found.startswith(f"site.yaml:{SITE.count(chr(10)) + 1}:"), found
    name, said = section.partition(":")[0], BROKEN[section]
    assert f"  {name}.evening{'' if said.startswith(':') else '.'}{said}" in found, found


def test_several_scenarios_and_a_band_are_too_much_yet(yard: Path) -> None:
    text = f"{SITE}reserves: {{evening: {{{BAND}}}}}\nplanning: {{uncertainty: {{scenarios: 3}}}}\n"
    assert any("know nothing of `reserves evening` yet" in found for found in problems(yard, text))
