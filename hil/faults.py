"""What a scenario lets go wrong: which fault, on what, when and how long; by time, or drawn by seed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import StrEnum

from pydantic import Field

from ems.config.strict import NotNegative, Positive, Strict, Whole
from hil.plant.draws import stream

ANY = "any"
FEEDS = ("price", "carbon", "weather")


class FaultKind(StrEnum):
    """What can go wrong: the first five on a wire, then on a feed, by a gateway, at the connection, on the feeder."""

    UNPLUG = "unplug"
    REFUSE = "refuse"
    GARBAGE = "garbage"
    DELAY = "delay"
    IGNORE = "ignore"
    FEED_MISSING = "feed_missing"
    OPERATOR_LIMIT = "operator_limit"
    OPERATOR_SILENT = "operator_silent"
    GRID_LOSS = "grid_loss"
    OPEN_CONNECTION = "open_connection"
    POWER_CUT = "power_cut"
    OUTAGE = "outage"


ON_A_WIRE = (FaultKind.UNPLUG, FaultKind.REFUSE, FaultKind.GARBAGE, FaultKind.DELAY, FaultKind.IGNORE)
AT_A_GATEWAY = (FaultKind.OPERATOR_LIMIT, FaultKind.OPERATOR_SILENT)
AT_THE_CONNECTION = (FaultKind.GRID_LOSS, FaultKind.OPEN_CONNECTION, FaultKind.POWER_CUT)


class Fault(Strict):
    """A trouble in its course: from when [s since the start], on what, which, how long [s].

    Args:
        at_s: when it begins [s since the start].
        device: the device, feed or outage of the site's grid; empty at the connection.
        kind: what goes wrong.
        seconds: how long [s].
        import_limit_kw: what a grid operator allows meanwhile [kW]; None for the connection's own limit.
        export_limit_kw: likewise.
    """

    at_s: NotNegative
    kind: FaultKind
    seconds: Positive
    device: str = ""
    import_limit_kw: NotNegative | None = None
    export_limit_kw: NotNegative | None = None


class OrderedFault(Strict):
    """A fault that a scenario orders.

    Args:
        at_s: when it begins [s since the start]; or
        between_s: two instants between which the seed draws it [s since the start].
        device: the device, `any` for one that the seed draws; the feed of `feed_missing`; the name of an `outage`.
        kind: what goes wrong.
        seconds: how long [s].
        times: how many of them are drawn between the two instants.
        import_limit_kw: of `operator_limit` [kW]. export_limit_kw: likewise.
    """

    kind: FaultKind
    seconds: Positive
    at_s: NotNegative | None = None
    between_s: tuple[NotNegative, NotNegative] | None = None
    device: str = ""
    times: Whole = Field(default=1, gt=0)
    import_limit_kw: NotNegative | None = None
    export_limit_kw: NotNegative | None = None

    def complaints(self) -> Iterator[tuple[str, str]]:
        """Say what contradicts itself: the key, and what to write instead."""
        if (self.at_s is None) == (self.between_s is None):
            yield "kind", "a fault begins at one instant or between two; write `at_s:` or `between_s: [from, to]`"
        if self.between_s is not None and self.between_s[0] > self.between_s[1]:
            yield "between_s", "ends before it begins; write the earlier instant first"
        if self.times > 1 and self.between_s is None:
            yield "times", "only what is drawn happens more than once; write `between_s: [from, to]`"
        if self.kind is FaultKind.FEED_MISSING and self.device not in (*FEEDS, ANY):
            yield "device", f"{self.device!r} is no feed; write one of {', '.join(FEEDS)} or {ANY}"
        if self.kind in (*ON_A_WIRE, *AT_A_GATEWAY) and not self.device:
            yield "kind", f"{self.kind} happens to a device; add `device:` with its id"
        if self.kind is FaultKind.OUTAGE and self.device in ("", ANY):
            yield "device", "an outage is one of the site's `grid.outages`; write its name"
        if self.kind in AT_THE_CONNECTION and self.device:
            yield "device", f"{self.kind} happens at the connection; leave `device:` out"
        limits = (self.import_limit_kw, self.export_limit_kw)
        if (self.kind is FaultKind.OPERATOR_LIMIT) == (limits == (None, None)):
            yield "kind", "`import_limit_kw:` and `export_limit_kw:` belong to `operator_limit`, at least one of them"

    def drawn(self, number: int, seed: int, devices: Sequence[str]) -> Iterator[Fault]:
        """Make faults of it.

        Args:
            number: its place among the scenario's faults.
            seed: of chance.
            devices: what `any` may fall on.
        """
        rng = stream(seed, f"fault {number}")
        for _ in range(self.times):
            at_s = self.at_s if self.between_s is None else round(float(rng.uniform(*self.between_s)), 1)
            pool = FEEDS if self.kind is FaultKind.FEED_MISSING else devices
            device = str(pool[int(rng.integers(len(pool)))]) if self.device == ANY else self.device
            yield Fault(
                at_s=at_s or 0.0, kind=self.kind, seconds=self.seconds, device=device,
                import_limit_kw=self.import_limit_kw, export_limit_kw=self.export_limit_kw,
            )  # fmt: skip


def drawn_faults(ordered: Sequence[OrderedFault], seed: int, devices: Sequence[str]) -> tuple[Fault, ...]:
    """Draw all faults of a scenario, in the order in which they begin."""
    faults = [fault for number, one in enumerate(ordered) for fault in one.drawn(number, seed, devices)]
    return tuple(sorted(faults, key=lambda fault: fault.at_s))
