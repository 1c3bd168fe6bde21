"""What devices take at the most: how it is learned, and which commands it bounds."""

from __future__ import annotations

from dataclasses import replace

import pytest
from stage import SceneMaker, levers_of, make_site, make_standing

from ems.config.binding import bind
from ems.fast.ceilings import Tapers, is_towards_end, learn_ceiling
from ems.fast.steering import Steering

SITE = make_site()
LEVERS = levers_of(SITE)
BATTERY = LEVERS["battery"]


@pytest.mark.parametrize(
    ("ceiling", "measured", "held", "held_for_s", "expect"),
    [
        (22.0, 7.0, 20.0, 10.0, 22.0),
        (22.0, 7.0, 20.0, 20.0, 8.0),
        (22.0, 7.0, 8.5, 20.0, 22.0),
        (8.0, 7.0, 8.0, 20.0, 8.0),
        (8.0, 7.5, 8.0, 20.0, 9.5),
        (8.0, 30.0, 30.0, 20.0, 22.0),
    ],
)
def test_ceilings(ceiling, measured, held, held_for_s, expect):
    assert learn_ceiling(ceiling, measured, held, held_for_s, step_kw=1.0, rating_kw=22.0) == pytest.approx(expect)


@pytest.mark.parametrize(
    ("soc_pct", "told_kw", "expect"),
    [
        (90.0, 5.0, True),
        (90.0, -5.0, False),
        (90.0, 0.0, False),
        (10.0, -5.0, True),
        (10.0, 5.0, False),
        (50.0, 5.0, False),
        (None, 5.0, False),
    ],
)
def test_a_battery_tapers_only_towards_the_end_that_it_is_near(soc_pct, told_kw, expect):
    assert is_towards_end(soc_pct, told_kw) is expect


class TestTapers:
    def learned(self, soc_pct, measured_kw, told_kw, tapers=None) -> dict[str, float]:
        tapers = tapers or Tapers()
        tapers.see(BATTERY, soc_pct, measured_kw, None if told_kw is None else (told_kw, 0.0), 60.0)
        return tapers.kw

    def test_what_is_taken_near_an_end_is_learned_for_the_way_to_it(self):
        assert self.learned(90.0, 3.0, 20.0) == {"battery": 4.0}
        assert self.learned(10.0, -3.0, -20.0) == {"battery": 4.0}

    @pytest.mark.parametrize(("soc_pct", "told_kw"), [(90.0, -20.0), (10.0, 20.0), (10.0, 0.0), (90.0, None)])
    def test_other_commands_teach_nothing(self, soc_pct, told_kw):
        assert self.learned(soc_pct, 0.0, told_kw) == {}

    def test_what_was_learned_stays_while_the_end_is_near(self):
        tapers = Tapers()
        self.learned(90.0, 3.0, 20.0, tapers)
        assert self.learned(90.0, -20.0, -20.0, tapers) == {"battery": 4.0}
        assert self.learned(70.0, 3.0, 20.0, tapers) == {}

    @pytest.mark.parametrize(
        ("soc_pct", "asked_kw", "given_kw"),
        [
            (15.0, 20.0, 20.0),
            (15.0, -20.0, -1.0),
            (85.0, -20.0, -20.0),
            (85.0, 20.0, 1.0),
            (79.9, -20.0, -20.0),
            (79.9, 20.0, 20.0),
        ],
    )
    def test_what_was_learned_bounds_one_way_only_and_only_near_the_end(self, soc_pct, asked_kw, given_kw):
        asked = make_standing(SITE, overrides={"battery": asked_kw})
        now = SceneMaker(SITE)({"store.soc_pct": soc_pct}, standing=asked)
        steering = Steering(SITE, bind(SITE), LEVERS)
        assert steering.decide(replace(now, tapers_kw={"battery": 1.0})).decisions["battery"].kw == given_kw
