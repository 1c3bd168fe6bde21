"""What people hold an asset at, as a band of power that its state allows: a plan is never refused for it. Numpy only.

    target[s] = kw within what the asset can do;   low[s] = (1 - f[s]) * least[s] + f[s] * target[s], high[s] likewise

Symbols: f the share of slot s before the end of the holding, least and most [kW] what the asset can do in slot s. Then
a battery's band gives way where the store would leave its planning band (or go further out of it), and a charge
point's where the car that stands there wants no more. The slots follow each other in time.
"""

from __future__ import annotations

from datetime import datetime

import numpy as np

from optimization.assets.asset import Asset, Inputs, PowerBand, nobodys_choice
from optimization.slots import Floats, Slots


def hold(asset: Asset, inputs: Inputs, slots: Slots, kw: float, until: datetime | None) -> PowerBand:
    """Hold an asset from the start of the horizon.

    Args:
        asset: what is held; a limit (PV, charge point) is held at the power it leads to.
        inputs: its state and what is foreseen of it.
        slots: the horizon, a chain.
        kw: power into the asset [kW], taken to the nearest that it can do.
        until: end of the holding; None for beyond the horizon.

    Raises:
        TypeError: the asset cannot be steered.
    """
    if not asset.is_chosen:
        raise nobodys_choice(asset)
    share, reach = held_share(slots, until), asset.reach(inputs, slots)
    target = share * np.clip(asset.settable_kw(np.array(kw)), reach.low_kw, reach.high_kw)
    band = PowerBand((1.0 - share) * reach.low_kw + target, (1.0 - share) * reach.high_kw + target)
    return asset.as_held(inputs, slots, band, share)


def limited(asset: Asset, inputs: Inputs, slots: Slots, limit_kw: Floats, band: PowerBand | None) -> PowerBand:
    """Narrow what an asset can do, or is held at, to a limit on the magnitude of its power.

    Args:
        asset: what is limited; a car pauses where the limit is below the least power at which it charges.
        inputs: what is foreseen of it.
        slots: the horizon.
        limit_kw: greatest magnitude, inf where there is no limit, shape (n,) [kW].
        band: where it is held; None where it is free.

    Raises:
        TypeError: the asset cannot be steered.
    """
    if not asset.is_chosen:
        raise nobodys_choice(asset)
    limit_kw = asset.settable_kw(limit_kw)
    free = asset.carries(inputs, slots) if band is None else band
    return PowerBand(np.clip(free.low_kw, -limit_kw, limit_kw), np.clip(free.high_kw, -limit_kw, limit_kw))


def held_share(slots: Slots, until: datetime | None) -> Floats:
    """Share of each slot that lies before an instant, shape (n,); all of it where there is none."""
    if until is None:
        return np.ones(len(slots))
    share: Floats = np.clip(((until - slots.start).total_seconds() - slots.offset_s) / slots.duration_s, 0.0, 1.0)
    return share
