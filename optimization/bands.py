"""Power that stands ready, and what a plan holds of it: `optimization.reserves`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from optimization.slots import Floats


@dataclass(frozen=True, slots=True, eq=False)
class Reserve:
    """Power that stands ready, for somebody who has bought it or for the site itself.

    Args:
        id: of the band, unique.
        members: ids of the assets that hold it.
        up_kw: by how much less the connection must be able to take, shape (n,), never negative.
        down_kw: by how much more, likewise.
        hold_s: for how long [s].
        missing_per_kwh: of what is not held, each hour [currency/kWh].
    """

    id: str
    members: tuple[str, ...]
    up_kw: Floats
    down_kw: Floats
    hold_s: float
    missing_per_kwh: float


@dataclass(frozen=True, slots=True, eq=False)
class Held:
    """What a plan holds of a band.

    Args:
        up_kw: by member, shape (n,) each.
        down_kw: likewise.
        up_missing_kw: of what was asked for, shape (n,).
        down_missing_kw: likewise.
    """

    up_kw: Mapping[str, Floats]
    down_kw: Mapping[str, Floats]
    up_missing_kw: Floats
    down_missing_kw: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Survival:
    """For how long a site shall stand alone, whenever its connection opens: `optimization.survival`.

    Args:
        members: ids of the batteries and generating sets that would carry it, at least one battery.
        carried_kw: what they would have to carry in each slot, shape (n,), never negative.
        hold_s: for how long [s].
        missing_per_kwh: of energy that is missing for it, each hour [currency/kWh].
        pickup_factor: what the loads take just after the connection has opened, as a multiple of what they take later.
        pickup_s: for how long that lasts, at most `hold_s` [s].
    """

    members: tuple[str, ...]
    carried_kw: Floats
    hold_s: float
    missing_per_kwh: float
    pickup_factor: float = 1.0
    pickup_s: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Spinning:
    """What generating sets that run stand ready with for it, shape (n,) each.

    Args:
        by_set_kw: what each could give; nothing while it stands.
        rests_kw: what of the loads' power the batteries cannot give, so that it rests on the sets.
        rests_kwh: likewise of their energy.
    """

    by_set_kw: Mapping[str, Floats]
    rests_kw: Floats
    rests_kwh: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Survived:
    """What a plan keeps for it, shape (n,) each.

    Args:
        need_kwh: what the loads would take, at the worst instant of each slot.
        missing_kwh: of the energy for it.
        missing_kw: of the power for it.
        spinning: what rests on generating sets; None where none is a member.
    """

    need_kwh: Floats
    missing_kwh: Floats
    missing_kw: Floats
    spinning: Spinning | None = None
