"""The words for cars that leave earlier than told: what they mean, and what is refused, with its line and column."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_site import SITE, problems

from ems.config.asset_models import asset_model
from ems.config.loading import load_site

TEXT = SITE + "    leaves_early_h: [[0.5, 0.2], [2, 0.05]]\n"


def test_a_plan_has_room_for_it(yard: Path) -> None:
    (yard / "site.yaml").write_text(TEXT, encoding="utf-8")
    spec = load_site(yard).file.assets["charge_point"]
    assert spec.leaves_early_h == ((0.5, 0.2), (2.0, 0.05))
    assert asset_model("charge_point", spec).leaves_early
    (yard / "site.yaml").write_text(SITE, encoding="utf-8")
    assert not asset_model("charge_point", load_site(yard).file.assets["charge_point"]).leaves_early


BROKEN = {
    "more than all": ("[2, 0.05]", "[2, 0.85]", "has shares that add up to 1.05; no more than all cars leave early"),
    "none earlier": ("[2, 0.05]", "[0, 0.05]", "names 0 h, which is the told departure itself"),
    "twice": ("[2, 0.05]", "[0.5, 0.05]", "names a time twice; add up its shares"),
    "too many": ("[[0.5, 0.2], [2, 0.05]]", "[[1, 0.1], [2, 0.1], [3, 0.1], [4, 0.1], [5, 0.1]]",
                 "names 5 times; at most 4 are told apart, so join some"),
    "later": ("[2, 0.05]", "[-2, 0.05]", "-2 is below 0"),
    "no pair": ("[2, 0.05]", "[2]", "a pair of numbers is expected; write `[a, b]`"),
}  # fmt: skip


@pytest.mark.parametrize(("old", "new", "words"), BROKEN.values(), ids=BROKEN)
def test_what_is_wrong_is_said_at_its_place(yard: Path, old: str, new: str, words: str) -> None:
    assert TEXT.count(old) == 1
    (found,) = problems(yard, TEXT.replace(old, new))
    assert found.startswith("site.yaml:45:")
    assert words in found
