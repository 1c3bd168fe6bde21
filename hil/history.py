"""`ems hil history`: lets a site's pretend world live through months and leaves what a site would have recorded.

The files say that they are simulated, with seed and generator. The same seed gives the same bytes.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import io
import json
import logging
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.parquet as pq

from ems.commands.output import emit
from ems.commands.progress import ProgressLine
from ems.config.loading import load_site
from ems.config.site import Site
from ems.config.sites import find_site
from ems.exit_codes import CommandError, Exit
from ems.slow.feed_desk import is_windy
from hil.baselines import steer_by_rules
from hil.history_published import Press
from hil.history_rows import ROW_S, Chronicle, Row, outages
from hil.plant.market import Market
from hil.plant.weather import Kind, Weather
from hil.scenario import Scenario
from hil.world import World

GENERATOR = "ems hil history 1"
SUBSTEP_S = 30.0
CYCLE_S = 300.0
FETCH_S = 3600.0
LEASE_CYCLES = 4.0
LONGEST_DAYS = 400
PUBLISHED = ("price", "carbon", "weather")


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be lived through.

    Args:
        site: the site. seed: of chance. controller: `none` or `rules`.
        first: local day on which it begins. last: local day before which it ends.
        cycle_s: of the rules [s].
    """

    site: Site
    seed: int
    first: datetime
    last: datetime
    controller: str
    cycle_s: float

    @property
    def zone(self) -> ZoneInfo:
        """The site's local time."""
        return ZoneInfo(self.site.file.site.timezone)

    @property
    def start(self) -> datetime:
        """UTC instant of the beginning."""
        return self.first.replace(tzinfo=self.zone).astimezone(UTC)

    @property
    def end(self) -> datetime:
        """UTC instant of the end."""
        return self.last.replace(tzinfo=self.zone).astimezone(UTC)

    def month(self, at: datetime) -> str:
        """Name the local month of an instant; what lies at or beyond the ends belongs to the first and the last one."""
        inside = min(max(at, self.start), self.end - timedelta(seconds=1))
        return inside.astimezone(self.zone).strftime("%Y-%m")

    def scenario(self) -> Scenario:
        """Give the season as a scenario of the pretend world."""
        return Scenario(
            name="history", title="A season", start=self.first, duration_s=(self.end - self.start).total_seconds(),
            weather=Kind.SEASON, price="winter",
        )  # fmt: skip

    def facts(self) -> dict[str, str]:
        """Say what the files are: the metadata of each."""
        return {
            "ems.simulated": "true",
            "ems.generator": GENERATOR,
            "ems.seed": str(self.seed),
            "ems.controller": self.controller
            + (f", a cycle of {self.cycle_s:g} s" if self.controller == "rules" else ""),
            "ems.site": self.site.file.site.id,
            "ems.config_hash": self.site.config_hash,
            "ems.from": self.start.isoformat(),
            "ems.to": self.end.isoformat(),
            "ems.row": "at is UTC; registers and states as read at that instant, powers, weather.*, market.*, load.* "
            "and grid.* as means over the 15 minutes before it; weather.*, market.*, load.* and grid.* are the pretend "
            "world's truth, not measurements",
        }


def command(argv: Sequence[str]) -> int:
    """Write a history; gives the exit status."""
    options = argparse.ArgumentParser(prog="ems hil history", description="Write a simulated past of a site.")
    options.add_argument("site", metavar="SITE", help="a site folder, a site file, or the name of a site in ./sites")
    options.add_argument("--seed", type=int, default=1, metavar="N", help="seed of chance (default: 1)")
    options.add_argument("--from", dest="first", type=_day, required=True, metavar="DAY", help="first local day")
    options.add_argument("--to", dest="last", type=_day, required=True, metavar="DAY", help="local day after the last")
    options.add_argument("--controller", choices=("none", "rules"), default="none", help="who steers (default: none)")
    options.add_argument("--cycle", dest="cycle_s", type=float, default=CYCLE_S, metavar="S", help="of the rules [s]")
    options.add_argument("--out", type=Path, metavar="DIR", help="folder for the files (default: the site's)")
    options.add_argument("--json", action="store_true", help="print one JSON object on stdout")
    given = options.parse_args(argv)
    order = Order(
        load_site(find_site(given.site)), given.seed, given.first, given.last, given.controller, given.cycle_s
    )
    _check(order)
    with ProgressLine(f"{order.site.file.site.id}, {order.first:%Y-%m-%d} to {order.last:%Y-%m-%d}") as progress:
        files = write_history(order, given.out or order.site.folder, progress)
    body = {"ok": True, "site": order.site.file.site.id, "seed": order.seed, "files": files, **order.facts()}
    emit("history", body, [f"{name}  {size} bytes" for name, size in files.items()], as_json=given.json)
    return Exit.OK


def _day(text: str) -> datetime:
    try:
        return datetime.strptime(text, "%Y-%m-%d")  # noqa: DTZ007 - a local day; the site's zone comes later
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no day; write it like 2025-02-01") from error


def _check(order: Order) -> None:
    days = (order.last - order.first).days
    if not 0 < days <= LONGEST_DAYS:
        words = f"--from {order.first:%Y-%m-%d} to --to {order.last:%Y-%m-%d} are {days} days"
        raise CommandError(f"{words}; write 1 to {LONGEST_DAYS} days, the later one behind --to", Exit.USAGE)
    if not 1.0 <= order.cycle_s <= ROW_S or ROW_S % order.cycle_s:
        raise CommandError(f"--cycle {order.cycle_s:g} does not divide {ROW_S:g} s; write 60, 180 or 300", Exit.USAGE)


def write_history(
    order: Order, folder: Path, progress: Callable[[float], None] = lambda _share: None
) -> dict[str, int]:
    """Let the world live and write its files.

    Args:
        order: what is to be lived through.
        folder: gets `history/<YYYY-MM>.parquet` and `series/published/<what>-<YYYY-MM>.json.gz`.
        progress: told the share that is done, 0..1.

    Returns:
        Size of each file by name [bytes].

    Raises:
        CommandError: the site's series do not cover the time.
    """
    try:
        world = World(order.site, order.scenario(), order.seed, witness=False)
    except ValueError as error:
        raise CommandError(f"{order.site.file.site.id}: {error}", Exit.CONFIG) from error
    world.plant.substep_s = SUBSTEP_S
    files = _write_published(order, world, folder / "series" / "published")
    shelf = folder / (order.site.file.series.history or "history")
    books = _Books(order, shelf, progress)
    asyncio.run(_live(order, world, books))
    return dict(sorted((files | books.close()).items()))


async def _live(order: Order, world: World, books: _Books) -> None:
    spans = outages(order.site, order.start, order.end, order.seed)
    chronicle = Chronicle(order.site, world, outages=spans, seed=order.seed, keep=books.keep)
    seconds = (order.end - order.start).total_seconds()
    await chronicle.begin()
    if order.controller == "none":
        await chronicle.advance(seconds)
        return
    logging.disable(logging.WARNING)  # that nobody plans is meant
    try:
        with tempfile.TemporaryDirectory(prefix="ems-history-") as state:
            await steer_by_rules(
                _unhurried(order.site, order.cycle_s), world, Path(state),
                seconds=seconds, cycle_s=order.cycle_s, advance=chronicle.advance,
            )  # fmt: skip
    finally:
        logging.disable(logging.NOTSET)


def _unhurried(site: Site, cycle_s: float) -> Site:
    """Give a site whose daemon lives at a calm pace: leases outlast its cycles.

    Its slow loop looks at the feeds once an hour: without a planner its forecasts are for nobody.
    """
    file = site.file
    control = file.control.model_copy(update={"lease_s": max(file.control.lease_s, LEASE_CYCLES * cycle_s)})
    planning = file.planning.model_copy(update={"every_s": FETCH_S})
    return site.model_copy(update={"file": file.model_copy(update={"control": control, "planning": planning})})


class _Books:
    """Collects the rows of a local month and writes its file: no more than a month is ever in memory."""

    def __init__(self, order: Order, shelf: Path, progress: Callable[[float], None]) -> None:
        self._order, self._shelf, self._progress = order, shelf, progress
        self._rows: list[tuple[datetime, Row]] = []
        self._month = ""
        self._sizes: dict[str, int] = {}

    def keep(self, at: datetime, row: Row) -> None:
        """Take a row; the closing one belongs to the last month, which would not be whole without it."""
        month = self._order.month(at)
        if month != self._month:
            self.close()
            self._month = month
        self._rows.append((at, row))
        self._progress((at - self._order.start) / (self._order.end - self._order.start))

    def close(self) -> dict[str, int]:
        """Write what is left and give the sizes of all files [bytes]."""
        if self._rows:
            path = self._shelf / f"{self._month}.parquet"
            _put(path, _parquet(self._rows, self._order.facts()))
            self._sizes[f"{self._shelf.name}/{path.name}"] = path.stat().st_size
            self._rows = []
        return self._sizes


def _parquet(rows: Sequence[tuple[datetime, Row]], facts: Mapping[str, str]) -> bytes:
    """Write rows as one Parquet file: registers in double precision, for a float cannot tell Wh of a large one."""
    names = sorted({name for _, row in rows for name in row})
    columns = [pa.array([at for at, _ in rows], pa.timestamp("us", "UTC"))]
    kinds = [pa.float64() if name.endswith("_kwh") and "_per_" not in name else pa.float32() for name in names]
    columns += [pa.array([row.get(name) for _, row in rows], kind) for name, kind in zip(names, kinds, strict=True)]
    table = pa.table(columns, names=["at", *names]).replace_schema_metadata(dict(facts))
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd", compression_level=15)
    return sink.getvalue()


def _write_published(order: Order, world: World, shelf: Path) -> dict[str, int]:
    sizes = {}
    weather, market = world.plant.weather, world.plant.market
    if not isinstance(weather, Weather) or not isinstance(market, Market):
        raise CommandError(f"{order.site.file.site.id}: its weather is recorded; only a drawn one can be foreseen")
    press = Press(weather, market, order.zone, windy=is_windy(order.site))
    for what in PUBLISHED:
        issues = press.issues(what, order.end)
        months = groupby(issues, lambda issue: order.month(issue[0]))
        for month, group in months:
            path = shelf / f"{what}-{month}.json.gz"
            _put(path, _gzip(json.dumps([document for _, document in group], separators=(",", ":")).encode()))
            sizes[f"series/published/{path.name}"] = path.stat().st_size
    return sizes


def _gzip(data: bytes) -> bytes:
    sink = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=sink, mtime=0) as file:
        file.write(data)
    return sink.getvalue()


def _put(path: Path, content: bytes) -> None:
    """Write a file so that it is there whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(content)
    part.replace(path)
