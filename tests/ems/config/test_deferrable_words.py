"""The words for a load whose run may wait: what they mean, and what is refused, with its line and column."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_site import SITE, problems

from ems.config.binding import CommandKind, bind
from ems.config.loading import load_site

DEVICE = """\
  machine: {protocol: modbus, profile: deferrable_load, port: 15024, mode: control, safe: {run_state: 0}}
assets:
"""
WASHER = """\
  washer:
    kind: deferrable
    device: machine
    bus: houses
    run: [[2, 900], [0.3, 2700]]
    run_from_h: 22
    run_to_h: 6
    not_run_cost: 5
"""
PUMP = """\
  washer:
    kind: deferrable
    device: machine
    bus: houses
    run: [[2, 7200]]
    piece_s: 1800
    not_run_cost: 5
"""
TEXT = SITE.replace("assets:\n", DEVICE, 1)


def test_it_is_told_to_run_or_to_wait(yard: Path) -> None:
    (yard / "site.yaml").write_text(TEXT + WASHER, encoding="utf-8")
    bindings = bind(load_site(yard))
    command = bindings.command("washer")
    assert command is not None
    assert (command.point, command.role, command.kind) == ("machine.run_state", "run_state", CommandKind.LIMIT)
    assert (command.lower_kw, command.upper_kw, command.states) == (0.0, 2.0, ((0.0, 0.0), (2.0, 1.0)))
    told = {kw: command.to_point(kw) for kw in (-1.0, 0.0, 1.9, 2.0, 9.0, None)}
    assert told == {-1.0: 0.0, 0.0: 0.0, 1.9: 0.0, 2.0: 1.0, 9.0: 1.0, None: None}
    assert bindings.safe_kw("washer") == 0.0


@pytest.mark.parametrize(("safe", "expected"), [("1", 2.0), ("null", None)])
def test_it_may_run_or_go_by_itself_when_nobody_steers(yard: Path, safe: str, expected: float | None) -> None:
    (yard / "site.yaml").write_text(TEXT.replace("run_state: 0", f"run_state: {safe}") + WASHER, encoding="utf-8")
    assert bind(load_site(yard)).safe_kw("washer") == expected


BROKEN = {
    "no step": (WASHER, "[[2, 900], [0.3, 2700]]", "[]", "50:5  washer.run: names nothing; write at least one"),
    "no pair": (WASHER, "[2, 900]", "[2]", "50:11  washer.run.0.1: a pair of numbers is expected; write `[a, b]`"),
    "no power": (WASHER, "[0.3, 2700]", "[0, 2700]", "50:22  washer.run.1.0: 0 is not greater than 0; write a number"),
    "too long": (WASHER, "run_to_h: 6", "run_to_h: 22.5",
                 "50:5  washer.run: takes 60 min, which do not fit between 22 and 22.5 o'clock; write a longer window"),
    "no such hour": (WASHER, "run_to_h: 6", "run_to_h: 25",
                     "52:5  washer.run_to_h: 25 is above 24; write the local hour of the day, 0 to 24"),
    "another unit": (WASHER, "run_to_h: 6", "run_to_min: 360",
                     "52:5  washer.run_to_min: is not known, for this file wants the local hour of the day, 0 to 24"),
    "no cost": (WASHER, "    not_run_cost: 5\n", "", "46:3  washer.not_run_cost: is missing; add `not_run_cost:`"),
    "no run": (WASHER, "    run: [[2, 900], [0.3, 2700]]\n", "",
               "46:3  washer.run: is missing; add `run:` with pairs of numbers, `[[a, b], ...]`"),
    "pieces of steps": (WASHER, "run_from_h: 22", "piece_s: 900",
                        "51:5  washer.piece_s: stands beside 2 steps; a run that may pause has one power: write one"),
    "a long piece": (PUMP, "piece_s: 1800", "piece_s: 7200",
                     "51:5  washer.piece_s: 7200 s are no piece of a run of 7200 s; write less, or null"),
    "a safe power": (WASHER, "run_state: 0", "run_state: 0.5",
                     "30:92  machine.safe.run_state: 0.5 is neither 0, which waits, nor 1, which runs; write one of "
                     "them, or null to release it"),
    "no safe value": (WASHER, ", safe: {run_state: 0}", "", "30:3  machine.safe: declares no safe run_state"),
    "a meter": (WASHER, "profile: deferrable_load", "profile: sunspec_meter",
                "30:31  machine.profile: sunspec_meter has no role state nor run_s, which a deferrable needs"),
}  # fmt: skip


@pytest.mark.parametrize(("asset", "old", "new", "words"), BROKEN.values(), ids=BROKEN)
def test_what_is_wrong_is_said_at_its_place(yard: Path, asset: str, old: str, new: str, words: str) -> None:
    text = TEXT + asset
    assert text.count(old) == 1
    found = problems(yard, text.replace(old, new))
    assert any(f"site.yaml:{words}" in line for line in found), found
