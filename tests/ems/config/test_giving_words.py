"""The words for a charge point that takes power back: what they mean, and what is refused, with its line and column."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_site import SITE, problems

from ems.config.binding import CommandKind, bind
from ems.config.loading import load_site

TEXT = (
    SITE.replace("amperfied_wallbox", "bidirectional_charger").replace("{limit_a: 6}", "{setpoint_kw: 4}")
    + "    discharge_kw: 10\n    least_soc_pct: 40\n    minimum_a: 2\n"
)


def test_it_is_told_a_power_either_way_and_offers_it(yard: Path) -> None:
    (yard / "site.yaml").write_text(TEXT, encoding="utf-8")
    bindings = bind(load_site(yard))
    command = bindings.command("charge_point")
    assert command is not None
    assert (command.role, command.kind, command.lower_kw, command.upper_kw) == (
        "setpoint_kw", CommandKind.LIMIT, -10.0, 22.0
    )  # fmt: skip
    told = {kw: command.to_point(kw) for kw in (-12.0, -5.0, -1.0, 0.0, 1.0, 5.0)}
    assert told == {-12.0: -10.0, -5.0: -5.0, -1.0: 0.0, 0.0: 0.0, 1.0: 0.0, 5.0: 5.0}
    assert bindings.safe_kw("charge_point") == 4.0


BROKEN = {
    "a box that only charges": (
        "bidirectional_charger", "amperfied_wallbox",
        "site.yaml:26:5  wallbox.profile: amperfied_wallbox has no role soc_pct nor capacity_kwh nor discharge_kwh"),
    "amperes": ("{setpoint_kw: 4}", "{limit_a: 6}",
                "site.yaml:29:12  wallbox.safe.limit_a: a charge_point is not commanded by limit_a; write setpoint_kw"),
    "a safe power that gives": (
        "{setpoint_kw: 4}", "{setpoint_kw: -4}",
        "site.yaml:29:12  wallbox.safe.setpoint_kw: -4 is outside what the charge_point takes; write 0 to 22"),
    "phases": ("    discharge_kw: 10\n", "    discharge_kw: 10\n    phases: [1, 3]\n",
               "discharge_kw: 10 stands beside `phases: [1, 3]`; one that takes power back switches none: write 3"),
    "less than nothing": ("discharge_kw: 10", "discharge_kw: -1",
                          "site.yaml:45:5  charge_point.discharge_kw: -1 is below 0; write the power in kW"),
    "too much to keep": ("least_soc_pct: 40", "least_soc_pct: 140",
                         "site.yaml:46:5  charge_point.least_soc_pct: 140 is above 100; write a percentage"),
}  # fmt: skip


@pytest.mark.parametrize(("old", "new", "words"), BROKEN.values(), ids=BROKEN)
def test_what_is_wrong_is_said_at_its_place(yard: Path, old: str, new: str, words: str) -> None:
    assert TEXT.count(old) == 1
    found = problems(yard, TEXT.replace(old, new))
    assert any(words in line for line in found), found
