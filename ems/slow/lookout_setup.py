"""Puts the lookout of a site together: what came with the site, and the prepared feeder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from ems.config.assets import LoadAsset, MeteredLoad
from ems.config.binding import Bindings
from ems.config.site import Site
from ems.slow.lookout import Lookout
from ems.slow.measured_past import STEP_S
from ems.slow.planning_setup import balanced_limits, grid_path
from ems.slow.scenarios import Stored
from ems.slow.series_files import read_load_file, read_places
from ems.slow.warnings import Record, Rule
from optimization.forecast.past import empty
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
    stored: Stored | None = None,
    rules: Mapping[Kind, Rule] | None = None,
    hides: Callable[[str], bool] = lambda _asset: False,
) -> Lookout:
    """Build the lookout of a site.

    Args:
        site: the site.
        bindings: which point measures what.
        cache_dir: where the prepared feeder will lie.
        record: takes a journal kind and a body.
        stored: what came with the site; None to read it.
        rules: thresholds by kind; None for the usual ones.
        hides: whether nobody may see single values of an asset.

    Raises:
        SeriesError: a series file cannot be read.
    """
    return Lookout(
        site,
        bindings,
        stored=stored_series(site) if stored is None else stored,
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


def stored_series(site: Site) -> Stored:
    """Read what came with the site: loads on steps of the measured past, and visits; raises `SeriesError`."""
    series, folder, assets = site.file.series, site.folder / "series", site.file.assets
    visits = () if series.ev_sessions is None else _visits(folder / series.ev_sessions)
    if series.load is None:
        return Stored(empty(STEP_S), visits=visits)
    file = read_load_file(folder / series.load)
    loads = [name for name, spec in assets.items() if isinstance(spec, LoadAsset)]
    metered = [name for name, spec in assets.items() if isinstance(spec, MeteredLoad)]
    return Stored(file.residual(loads, STEP_S), {name: file.metered(name, STEP_S) for name in metered}, visits)


def _visits(path: Path) -> tuple[Visit, ...]:
    """Read the stays of cars with their places; the power of one that says none is taken as usual."""
    return tuple(
        Visit(
            place,
            stay.arrival,
            stay.departure,
            stay.energy_kwh,
            USUAL_CHARGE_KW if stay.charge_kw is None else stay.charge_kw,
        )
        for place, stay in read_places(path)
    )
