"""The words of the way down: a wish becomes a decision becomes a leased setpoint.

Powers follow the sign law: positive into the asset. A photovoltaic plant is commanded by the least power it may take
(-limit), so for every asset a command nearer to zero is the reducing one.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from ems.config.binding import CommandKind


class Rung(StrEnum):
    """Who decides, highest first; also the ladder's rungs `plan`, `shifted_plan`, `rules`, `safe`.

    `demand` is the target of the running metering interval: a matter of price, moved by no more than it is worth.
    """

    LOCKOUT = "lockout"
    DEVICE = "device"
    BUILDING = "building"
    GRID = "grid"
    OPERATOR = "operator"
    DEMAND = "demand"
    PLAN = "plan"
    SHIFTED_PLAN = "shifted_plan"
    RULES = "rules"
    SAFE = "safe"


class AssetKind(StrEnum):
    """What sort of thing is commanded.

    A hybrid is told the power at the grid side of its inverter, modules and battery being its own affair.
    A wind turbine is one with a PV plant: both are told what they may give. What makes heat of power for a heat node is
    one with a heat pump; a chiller, and a pipe of cold, differ from what makes and carries heat in their words only.
    What burns fuel for heat alone has no power: its kW are those of its fuel, and no limit looks at it; nor does one at
    what a pipe is to send, but at its pump, which nobody moves.
    """

    BATTERY = "battery"
    HYBRID = "hybrid"
    CHARGE_POINT = "charge_point"
    HEAT_PUMP = "heat_pump"
    CHILLER = "chiller"
    GENSET = "genset"
    DEFERRABLE = "deferrable"
    PV = "pv"
    BOILER = "boiler"
    PIPE = "pipe"
    COLD_PIPE = "cold_pipe"


UNPOWERED = frozenset({AssetKind.BOILER, AssetKind.PIPE, AssetKind.COLD_PIPE})
"""What is told kW of something else than power: fuel to burn, heat or cold to send at the most."""
STORES = frozenset({AssetKind.BATTERY, AssetKind.HYBRID})
"""What has a battery, and takes or gives power as it is told."""
COMPRESSORS = frozenset({AssetKind.HEAT_PUMP, AssetKind.CHILLER})
"""What takes power for heat or cold."""


@dataclass(frozen=True, slots=True)
class Rest:
    """What spares a compressor or an engine: least times of running and standing [s], most starts an hour."""

    minimum_on_s: float
    minimum_off_s: float
    starts_per_h: int


@dataclass(frozen=True, slots=True)
class Switching:
    """A charge point that changes between one phase and three.

    Args:
        voltage_v: between phase and neutral [V].
        charge_kw: greatest power on any number of phases.
        minimum_a: least current at which a car charges [A].
        maximum_a: greatest current [A].
        safe_a: declared safe current [A]; None releases it to its own control.
        pause_s: it stands for so long before and after a change [s].
        every_s: least time between two changes [s].
        wanted_s: a change is wanted for so long before it is made [s].
    """

    voltage_v: float
    charge_kw: float
    minimum_a: float
    maximum_a: float
    safe_a: float | None
    pause_s: float
    every_s: float
    wanted_s: float


@dataclass(frozen=True, slots=True)
class Lever:
    """One asset that can be commanded.

    Args:
        asset: asset id.
        device: id of its device.
        kind: what sort of thing it is.
        command_kind: told its power, or a limit of it.
        lower_kw: least power it can be commanded to.
        upper_kw: greatest power.
        minimum_kw: least power at which it runs at all; between 0 and this it stands still.
        step_kw: the finest useful change.
        safe_kw: declared safe value; None releases it to its own control.
        rest: what spares its compressor or engine; None for one that has none.
        shed_rank: lower ones take less first where a limit presses; None for that of its kind.
        critical: no limit of the connection or the feeder lowers what it takes.
        levels_kw: the only powers it can be told, ascending from a standstill; empty where it takes any.
        dwell_s: a mere wish keeps each of these levels for so long [s].
        switching: how it changes its phases; None for one that cannot. Its powers follow the phases in force.
        phases: the phases in force, of a charge point that switches them; None for anything else.
        reserve_pct: charge that is kept for an outage, of a battery [%].
        is_whole: whether nothing interrupts a run of it that has begun.
        spins: whether it is a generating set that stands ready for an island while it runs.
    """

    asset: str
    device: str
    kind: AssetKind
    command_kind: CommandKind
    lower_kw: float
    upper_kw: float
    minimum_kw: float
    step_kw: float
    safe_kw: float | None
    rest: Rest | None = None
    shed_rank: int | None = None
    critical: bool = False
    levels_kw: tuple[float, ...] = ()
    dwell_s: float = 0.0
    switching: Switching | None = None
    phases: int | None = None
    reserve_pct: float = 0.0
    is_whole: bool = False
    spins: bool = False

    @property
    def side(self) -> float:
        """Sign of the power at which it runs: -1 for what gives power and never takes any, else 1."""
        return -1.0 if self.upper_kw <= 0.0 else 1.0

    @property
    def rating_kw(self) -> float:
        """Greatest power in either direction [kW]."""
        return max(abs(self.lower_kw), abs(self.upper_kw))


@dataclass(frozen=True, slots=True)
class Wish:
    """What a rung of the ladder wants of an asset; `kw` None releases it to its own control."""

    rung: Rung
    kw: float | None
    reason: str


@dataclass(frozen=True, slots=True)
class Bound:
    """A limit from a rung above the ladder."""

    rung: Rung
    lower_kw: float
    upper_kw: float
    reason: str


@dataclass(frozen=True, slots=True)
class PhaseOrder:
    """On how many phases a charge point shall charge, and why."""

    phases: int
    reason: str


@dataclass(frozen=True, slots=True)
class KvarOrder:
    """What reactive power an inverter shall take, below zero give [kvar], and why."""

    kvar: float
    reason: str


@dataclass(frozen=True, slots=True)
class Decision:
    """What an asset shall do now: power [kW] or None to release it, decided by whom and why.

    `phases` is what a charge point is told about its phases besides; None, nearly always, for nothing.
    `kvar` is what an inverter is told about its reactive power; with None it goes by its own settings.
    """

    asset: str
    kw: float | None
    rung: Rung
    reason: str
    phases: PhaseOrder | None = None
    kvar: KvarOrder | None = None


@dataclass(frozen=True, slots=True)
class Held:
    """The command in force: its power [kW] or None, since when [monotonic s], and whether a person ordered it."""

    kw: float | None
    since_s: float
    is_ordered: bool = False
