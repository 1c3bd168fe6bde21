"""The judge of standing powers against the daemon's own: never the stricter of the two, and not silent for ever."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.points import Measurement, Quality
from ems.config.binding import bind
from ems.config.loading import load_site
from ems.fast.standstill import Standstill
from hil.simulation.stillness import Stillness

SITE = load_site(Path(__file__).parents[2] / "sites" / "demo_house")
POWER, INTO, OUT = "grid_meter.power_kw", "grid_meter.import_kwh", "grid_meter.export_kwh"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
STEP_S = 10.0
PARTS = st.tuples(
    st.sampled_from(["moves", "stands", "frozen", "stuck", "lost"]),
    st.sampled_from([4.0, -3.0, 0.5, 0.0]),
    st.sampled_from([60.0, 200.0, 600.0, 2400.0]),
)


@dataclass
class Meter:
    """A meter and both who look at it."""

    step_kwh: float
    at_s: float = 0.0
    told_kw: float = 0.0
    kwh: dict[str, float] = field(default_factory=lambda: {INTO: 10.0, OUT: 20.0})
    shown: dict[str, float] = field(default_factory=dict)
    found: list[tuple[bool, bool]] = field(default_factory=list)

    def __post_init__(self) -> None:
        bindings = bind(SITE)
        self._daemon, self._judge = Standstill(SITE, bindings), Stillness(SITE, bindings)
        self._newest: dict[str, Measurement] = {}

    def live(self, part: str, kw: float, seconds: float) -> None:
        """Let a part of the story pass; who is frozen shows what was true before."""
        for n in range(int(seconds / STEP_S)):
            self.at_s += STEP_S
            true_kw = kw + (0.001 * (n % 7) if part == "moves" else 0.0)
            self.kwh[INTO if true_kw > 0.0 else OUT] += abs(true_kw) * STEP_S / 3600.0
            if part != "frozen" or not self.shown:
                self.shown = {each: kwh // self.step_kwh * self.step_kwh for each, kwh in self.kwh.items()}
                self.told_kw = self.told_kw if part == "stuck" else true_kw
            self.look(lost=part == "lost")

    def look(self, *, lost: bool) -> None:
        told = {POWER: self.told_kw, **self.shown}
        quality = Quality.BAD if lost else Quality.GOOD
        scan = [Measurement(p, None if lost else v, NOW, self.at_s, quality) for p, v in told.items()]
        self._newest |= {} if lost else {one.point: one for one in scan}
        self._judge.saw(scan, {})
        doubted = self._daemon.look(self._newest.get)
        self.found.append((POWER in doubted, bool(self._judge.why(POWER, self.at_s))))


@given(st.lists(PARTS, min_size=2, max_size=6), st.sampled_from([0.001, 0.01, 0.1]))
@settings(max_examples=60)
def test_whatever_the_judge_doubts_the_daemon_has_doubted_before(story, step_kwh: float) -> None:
    meter = Meter(step_kwh)
    for part in story:
        meter.live(*part)
    for (before, _), (_, judged) in pairwise(meter.found):
        assert before or not judged


def test_the_judge_doubts_what_is_frozen_and_believes_it_again_when_it_moves() -> None:
    meter = Meter(0.001)
    meter.live("moves", 4.0, 600.0)
    meter.live("frozen", 4.0, 600.0)
    judged = [judged for _, judged in meter.found]
    assert not any(judged[:80])
    assert all(judged[90:120])
    meter.live("moves", 4.0, 60.0)
    assert not any(judged for _, judged in meter.found[120:])
