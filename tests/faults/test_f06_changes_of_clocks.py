"""F6: the clocks change, a day is leapt, a year ends: quarter-hours, energy, prices and cycles stay right."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from fault_stage import MORNING, SITE, FaultStage
from stage import Journal

from ems.fast.prices import PriceBook
from ems.health import Alarms
from ems.reports.period import PeriodError, parse_period
from ems.wall_watch import WallWatch
from hil.world import World
from optimization.bill import bill
from optimization.forecast.past import local_days_and_quarters
from optimization.tariff import Tariff
from optimization.tariff_file import load_tariff

BERLIN, LORD_HOWE = ZoneInfo("Europe/Berlin"), ZoneInfo("Australia/Lord_Howe")
DAYS = [
    (BERLIN, date(2026, 3, 29), 92),
    (BERLIN, date(2026, 10, 25), 100),
    (BERLIN, date(2026, 10, 26), 96),
    (BERLIN, date(2028, 2, 29), 96),
    (BERLIN, date(2026, 12, 31), 96),
    (ZoneInfo("America/New_York"), date(2026, 3, 8), 92),
    (ZoneInfo("Asia/Kathmandu"), date(2026, 3, 29), 96),
    (LORD_HOWE, date(2026, 10, 4), 94),
    (LORD_HOWE, date(2026, 4, 5), 98),
]


def bounds(zone: ZoneInfo, day: date) -> list[datetime]:
    """Give the bounds of a local day's quarter-hours."""
    first, after = (datetime.combine(each, time(), zone).astimezone(UTC) for each in (day, day + timedelta(days=1)))
    return [first + n * timedelta(minutes=15) for n in range(round((after - first) / timedelta(minutes=15)) + 1)]


@pytest.mark.parametrize(("zone", "day", "quarters"), DAYS, ids=str)
def test_f06_a_local_day_has_its_own_number_of_quarter_hours(zone: ZoneInfo, day: date, quarters: int) -> None:
    times = bounds(zone, day)
    assert len(times) - 1 == quarters
    at_s = np.array([at.timestamp() for at in times])
    days, numbers = local_days_and_quarters(at_s, zone)
    assert len(set(days[:-1])) == 1 and days[-1] == (days[0] + 1) % 7
    assert numbers[0] == numbers[-1] == 0
    if quarters % 4 == 0:
        period = parse_period(day.isoformat(), zone)
        assert (period.start, period.end, 4 * len(period.hours)) == (times[0], times[-1], quarters)
    else:
        with pytest.raises(PeriodError, match=f"has {quarters / 4:g} hours"):
            parse_period(day.isoformat(), zone)


@pytest.mark.parametrize(("zone", "day", "quarters"), DAYS, ids=str)
def test_f06_a_days_bill_is_exactly_that_of_its_quarter_hours(zone: ZoneInfo, day: date, quarters: int) -> None:
    """Energy counts in whole watt-hours, so that sums are exact; each UTC hour has a price of its own."""
    times, rng = bounds(zone, day), np.random.default_rng(6)
    wh = rng.integers(0, 4000, quarters)
    price = np.array([round(0.2 + at.hour / 1000.0, 3) for at in times[:-1]])
    tariff, none = Tariff(), np.zeros(quarters)
    whole = bill(tariff, times, wh / 1000.0, none, price, zone=zone)
    each = [slice(n, n + 1) for n in range(quarters)]
    parts = [bill(tariff, times[n.start : n.stop + 1], wh[n] / 1000.0, none[n], price[n]) for n in each]
    register_wh = np.concatenate([[10**9], 10**9 + np.cumsum(wh)])
    assert int(register_wh[-1] - register_wh[0]) == int(np.diff(register_wh).sum()) == int(wh.sum())
    assert whole.energy == pytest.approx(sum(part.energy for part in parts), abs=1e-9)
    assert round(whole.energy * 1e6) == int((wh * np.round(price * 1000).astype(int)).sum())


class Desk:
    """Publishes the hour of the day in UTC as a price."""

    def published(self, point: str, start_s, step_s: float):
        return start_s % 86400.0 // 3600.0 / 100.0


@pytest.mark.parametrize(
    ("zone", "local", "hours_utc"),
    [
        (BERLIN, "2026-10-25T02:30", (0, 1)),
        (ZoneInfo("America/New_York"), "2026-11-01T01:30", (5, 6)),
        (LORD_HOWE, "2026-04-05T01:45", (14, 15)),
    ],
    ids=str,
)
def test_f06_an_hour_that_comes_twice_has_two_prices(zone: ZoneInfo, local: str, hours_utc: tuple[int, int]) -> None:
    tariff = load_tariff({"schema_version": 1, "import": {"energy": "feed"}})
    found = []
    for fold in (0, 1):
        at = datetime.fromisoformat(local).replace(tzinfo=zone, fold=fold).astimezone(UTC)
        found.append(PriceBook(tariff, Desk(), zone).at(at).import_price)
    assert found == pytest.approx([hour / 100.0 for hour in hours_utc])


async def test_f06_a_smeared_leap_second_is_no_step() -> None:
    class Smeared:
        elapsed_s = 0.0

        def now(self) -> datetime:
            return datetime(2026, 12, 31, tzinfo=UTC) + timedelta(seconds=self.elapsed_s)

        def monotonic(self) -> float:
            return self.elapsed_s

        def wall_step_s(self) -> float:
            return -min(1.0, self.elapsed_s / 86400.0)

        def adopt_wall_step(self) -> None:
            raise AssertionError

    clock, alarms = Smeared(), Alarms(Journal().record)
    watch = WallWatch(clock, alarms)
    for minute in range(2 * 1440):
        clock.elapsed_s = 60.0 * minute
        await watch.check()
        assert alarms.active == ()


@pytest.mark.soak
@pytest.mark.faults
@pytest.mark.parametrize("night", ["2025-03-30", "2024-12-31T21:00"])
def test_f06_control_goes_through_the_night(stage: FaultStage, night: str) -> None:
    """The demo house from midnight (UTC) on, with plans: no cycle is missed, no interval is empty or twice."""
    stage.world = World(SITE, MORNING.model_copy(update={"start": datetime.fromisoformat(night)}), 3, witness=False)
    run = stage.run(4 * 3600.0, cycle_s=10.0, plans=True)
    assert run.counters["missed_deadlines"] == 0
    walls = [one.wall for one in run.seen]
    assert all(9.0 <= (b - a).total_seconds() <= 12.0 for a, b in pairwise(walls))
    assert run.counters["plans"] >= 40
