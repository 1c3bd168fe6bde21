"""Stories of what can go wrong, one thing after the other in any order, for hypothesis to tell and to shorten."""

from __future__ import annotations

import shutil
import tempfile
from datetime import timedelta
from pathlib import Path

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ems.config.loading import load_site
from ems.slow.planning_setup import cache_dir, grid_limits, grid_path
from ems.store.requests import Request, submit
from hil.simulation.disk import RESERVE_BYTES
from hil.simulation.faults import JUMPS_S, LONGEST_STALL_S, Kind
from hil.simulation.simulate import Order
from hil.simulation.story import Story
from hil.simulation.variants import GATEWAY
from optimization.network_build import prepare

SITE = load_site(Path(__file__).parents[2] / "sites" / "demo_house")
SEEDS = st.integers(1, 24).map(lambda n: 2 * n)
"""Each draws an hour of the day, weather and the width of the connection; every even one has a grid operator."""
DEVICES = st.sampled_from([*sorted(SITE.file.devices), GATEWAY])
SECONDS = st.sampled_from([15.0, 60.0, 300.0, 900.0])
SPENT_BYTES = 1
"""So little is set aside that a full disk takes nothing at all."""
THEN_S = st.sampled_from([0.0, 15.0, 60.0, 300.0])
"""Every event may be followed at once by the next one."""


def prepared_in(folder: Path) -> Path:
    """Prepare the feeder of the site; gives the folder that a state folder links to."""
    prepare(grid_path(SITE), grid_limits(SITE), cache_dir(folder))
    return cache_dir(folder)


class Stories(RuleBasedStateMachine):
    """The demo house under a grid operator, without a planner."""

    prepared: Path
    plans = False
    story: Story

    @initialize(seed=SEEDS, reserve_bytes=st.sampled_from([SPENT_BYTES, RESERVE_BYTES]))
    def begin(self, seed: int, reserve_bytes: int) -> None:
        """Start the daemon in a world of its own."""
        self.state = Path(tempfile.mkdtemp(prefix="ems-story-"))
        cache_dir(self.state).symlink_to(self.prepared)
        self.story = Story(Order(SITE, seed, 86400.0, plans=self.plans, reserve_bytes=reserve_bytes), self.state)

    @rule(seconds=SECONDS)
    def wait(self, seconds: float) -> None:
        self.story.wait(seconds)

    @rule(
        device=DEVICES, kind=st.sampled_from([Kind.DROP_OUT, Kind.RESET, Kind.ONE_WAY]), seconds=SECONDS, then_s=THEN_S
    )
    def drop(self, device: str, kind: Kind, seconds: float, then_s: float) -> None:
        self.strike(then_s, kind, seconds, device)

    @rule(device=DEVICES, delay_s=st.sampled_from([0.3, 2.0, 20.0]), seconds=SECONDS, then_s=THEN_S)
    def slow_down(self, device: str, delay_s: float, seconds: float, then_s: float) -> None:
        self.strike(then_s, Kind.SLOW, seconds, device, delay_s)

    @rule(device=DEVICES, pattern=st.integers(1, 6), seconds=SECONDS, then_s=THEN_S)
    def corrupt(self, device: str, pattern: int, seconds: float, then_s: float) -> None:
        self.strike(then_s, Kind.GARBAGE, seconds, device, float(pattern))

    @rule(device=DEVICES, seconds=SECONDS, then_s=THEN_S)
    def freeze(self, device: str, seconds: float, then_s: float) -> None:
        self.strike(then_s, Kind.FREEZE, seconds, device)

    @rule(device=DEVICES, kind=st.sampled_from([Kind.REFUSE, Kind.IGNORE]), seconds=SECONDS, then_s=THEN_S)
    def disobey(self, device: str, kind: Kind, seconds: float, then_s: float) -> None:
        self.strike(then_s, kind, seconds, device)

    @rule(down_s=st.sampled_from([1.0, 8.0, 120.0]), killed=st.booleans(), then_s=THEN_S)
    def end(self, down_s: float, *, killed: bool, then_s: float) -> None:
        """Kill the daemon, or stop it in good order, and start another one."""
        self.story.end(down_s, killed=killed)
        self.story.wait(then_s)

    @rule(height_s=st.sampled_from(JUMPS_S), seconds=SECONDS, then_s=THEN_S)
    def jump(self, height_s: float, seconds: float, then_s: float) -> None:
        """Set the wall clock wrong."""
        self.strike(then_s, Kind.CLOCK_JUMP, seconds, size=height_s)

    @rule(seconds=st.sampled_from([1.0, 20.0, LONGEST_STALL_S]), then_s=THEN_S)
    def stall(self, seconds: float, then_s: float) -> None:
        self.strike(then_s, Kind.STALL, seconds)

    @rule(kind=st.sampled_from([Kind.DISK_FULL, Kind.DISK_FAILS]), seconds=SECONDS, then_s=THEN_S)
    def fill_disk(self, kind: Kind, seconds: float, then_s: float) -> None:
        """Fill the disk, or let every third row on it fail."""
        self.strike(then_s, kind, seconds, size=3.0)

    @rule(share=st.sampled_from([0.0, 0.5, -0.5, -1.0]), seconds=SECONDS, then_s=THEN_S)
    def limit(self, share: float, seconds: float, then_s: float) -> None:
        """The grid operator limits the import to a share, or the export by one."""
        self.strike(then_s, Kind.OPERATOR_LIMIT, seconds, GATEWAY, share)

    @rule(seconds=SECONDS, then_s=THEN_S)
    def silence(self, seconds: float, then_s: float) -> None:
        """The grid operator's heartbeat stops."""
        self.strike(then_s, Kind.OPERATOR_SILENT, seconds, GATEWAY)

    @rule(asset=st.sampled_from(["battery", "heat_pump", "wallbox", "pv"]), kw=st.sampled_from([0.0, 3.0, -3.0]),
          then_s=THEN_S)  # fmt: skip
    def ask(self, asset: str, kw: float, then_s: float) -> None:
        """Somebody overrides an asset for an hour."""
        at = self.story.setting.town.now()
        override = {"power_kw": kw}
        submit(self.state, Request("override", asset, override, "tried", "test", at, at + timedelta(hours=1)))
        self.story.wait(then_s)

    @precondition(lambda self: self.plans)
    @rule(kind=st.sampled_from([Kind.SOLVER_LATE, Kind.SOLVER_FAILS, Kind.SOLVER_LIES]), seconds=SECONDS, then_s=THEN_S)
    def fail_to_plan(self, kind: Kind, seconds: float, then_s: float) -> None:
        self.strike(then_s, kind, seconds)

    @rule()
    def second_daemon(self) -> None:
        """Start a second daemon on the same state folder."""
        self.story.second_daemon()

    def strike(self, then_s: float, kind: Kind, seconds: float, target: str = "", size: float = 0.0) -> None:
        """Let something go wrong for so long [s], and wait [s]."""
        self.story.strike(kind, seconds, target, size)
        self.story.wait(then_s)

    @invariant()
    def all_hold(self) -> None:
        """The judge has nothing to say."""
        assert not self.story.violations, str(self.story.violations[0])

    def teardown(self) -> None:
        """End in good order: what is on disk is judged, too."""
        try:
            self.story.wait(60.0)
            self.story.close()
            self.all_hold()
        finally:
            self.story.life.tidy_up()
            shutil.rmtree(self.state)


class PlannedStories(Stories):
    """The same with a planner."""

    plans = True
