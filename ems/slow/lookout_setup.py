"""Puts the lookout of a site together: what came with the site, and the prepared feeder."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ems.config.binding import Bindings
from ems.config.site import Site
from ems.slow.lookout import Lookout
from ems.slow.planning_setup import balanced_limits, grid_path
from ems.slow.series_files import read_places
from ems.slow.warnings import Record, Rule
from optimization.grid_case import GridCase, load_case
from optimization.outlook import Kind
from optimization.outlook_cars import Visit

USUAL_CHARGE_KW = 11.0


def build_lookout(
    site: Site,
    bindings: Bindings,
    cache_dir: Path,
    record: Record,
    *,
    visits: Sequence[Visit] | None = None,
    rules: Mapping[Kind, Rule] | None = None,
    hides: Callable[[str], bool] = lambda _asset: False,
) -> Lookout:
    """Build the lookout of a site.

    Args:
        site: the site.
        bindings: which point measures what.
        cache_dir: where the prepared feeder will lie.
        record: takes a journal kind and a body.
        visits: of cars, as they came with the site; None to read them.
        rules: thresholds by kind; None for the usual ones.
        hides: whether nobody may see single values of an asset.

    Raises:
        SeriesError: a series file cannot be read.
    """
    return Lookout(
        site,
        bindings,
        visits=stored_visits(site) if visits is None else visits,
        case=case_source(site, cache_dir),
        record=record,
        rules=rules,
        hides=hides,
    )


def case_source(site: Site, cache_dir: Path) -> Callable[[], GridCase | None]:
    """Give a function that loads the prepared feeder, once it has been prepared, and keeps it."""
    kept: list[GridCase] = []

    def load() -> GridCase | None:
        if not kept and (case := load_case(grid_path(site), balanced_limits(site), cache_dir)) is not None:
            kept.append(case)
        return kept[0] if kept else None

    return load


def stored_visits(site: Site) -> tuple[Visit, ...]:
    """Read the stays of cars with their places; the power of one that says none is taken as usual.

    Raises:
        SeriesError: their file cannot be read.
    """
    name = site.file.series.ev_sessions
    stays = () if name is None else read_places(site.folder / "series" / name)
    return tuple(
        Visit(
            place,
            stay.arrival,
            stay.departure,
            stay.energy_kwh,
            USUAL_CHARGE_KW if stay.charge_kw is None else stay.charge_kw,
        )
        for place, stay in stays
    )
