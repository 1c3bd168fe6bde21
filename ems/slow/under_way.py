"""What was sent into a pipe and has not arrived: read off its meter. What was not read counts as not sent."""

from __future__ import annotations

import numpy as np

from ems.config.binding import Bindings
from ems.config.heat_assets import PipeAsset
from ems.config.site import Site
from ems.slow.measured_past import Table
from optimization.forecast.past import Past, epoch_s
from optimization.slots import Floats, Slots


def under_way(site: Site, bindings: Bindings, table: Table, slots: Slots) -> dict[str, Floats]:
    """Give `arriving_kw` of every pipe of a site, by asset id."""
    pipes = {name: spec for name, spec in site.file.assets.items() if isinstance(spec, PipeAsset)}
    sent = {name: table.past(bindings.measure(name, "sent_kw")) for name in pipes}
    return {name: arriving_kw(sent[name], slots, spec.delay_s) for name, spec in pipes.items()}


def arriving_kw(past: Past, slots: Slots, delay_s: float) -> Floats:
    """Give what was sent before the horizon and arrives in each slot, before losses, shape (n,) [kW].

    Args:
        past: mean heat sent, gaps as nan; what comes after the horizon's start is left out.
        slots: the horizon.
        delay_s: how long the water is on its way.
    """
    start_s = epoch_s(slots.start)
    begins_s = past.at_s - start_s
    ends_s = np.minimum(begins_s + past.step_s, 0.0)
    sent_kw = np.where(np.isfinite(past.value) & (begins_s < 0.0), np.maximum(past.value, 0.0), 0.0)
    come_s, gone_s = begins_s + delay_s, ends_s + delay_s
    slot_end_s = slots.offset_s + slots.duration_s
    overlap_s = np.minimum(gone_s[None, :], slot_end_s[:, None]) - np.maximum(come_s[None, :], slots.offset_s[:, None])
    arrived: Floats = (np.maximum(overlap_s, 0.0) * sent_kw[None, :]).sum(axis=1) / slots.duration_s
    return arrived
