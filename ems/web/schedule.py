"""The plan in force as the page draws it, read from the journal."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from itertools import accumulate
from pathlib import Path
from typing import Any

from ems.store.database import StoreError
from ems.store.journal import latest_record

log = logging.getLogger(__name__)


def read_schedule(journal: Path, plan_id: str) -> dict[str, Any]:
    """Read the schedule of a plan.

    Args:
        journal: the core's journal.
        plan_id: the plan in force.

    Returns:
        `id`, `starts` (instant of each slot), `ends` (of the last one), `kw` (power of each slot by asset), `net_kw`
        (at the grid connection, import positive), `energy_kwh` (held at the end of each slot, by asset), `heat_kw` (of
        each slot by asset, positive into it; where there is heat), `price` (of import); nothing if the newest plan of
        the journal is another one.
    """
    try:
        record = latest_record(journal, "plan")
    except StoreError as error:
        log.debug("%s", error)
        return {}
    if record is None or record.body.get("id") != plan_id:
        return {}
    return _schedule(record.body)


def _schedule(body: Mapping[str, Any]) -> dict[str, Any]:
    start = datetime.fromisoformat(body["start"])
    *offsets_s, length_s = accumulate(body["duration_s"], initial=0.0)
    net_kw = [bought - sold for bought, sold in zip(body["import_kw"], body["export_kw"], strict=True)]
    states = body.get("states", {})
    return {
        "id": body["id"],
        "starts": [(start + timedelta(seconds=s)).isoformat() for s in offsets_s],
        "ends": (start + timedelta(seconds=length_s)).isoformat(),
        "kw": body["power_kw"],
        "net_kw": net_kw,
        "energy_kwh": _of_all(states, "energy_kwh"),
        **({"heat_kw": heat_kw} if (heat_kw := _of_all(states, "heat_kw")) else {}),
        "price": body.get("import_price", []),
    }


def _of_all(states: Mapping[str, Mapping[str, Any]], key: str) -> dict[str, Any]:
    return {name: series[key] for name, series in states.items() if key in series}
