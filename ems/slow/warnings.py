"""Early warnings: one for each expected breach, raised and closed once, kept while it only moves.

Law 1: a warning is raised when its probability passes a threshold, and withdrawn only below a much lower one.
Law 2: what overlaps an open warning of the same danger extends it; nothing is told twice.
Law 3: every warning ends: it came true, it did not, or it was withdrawn.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from optimization.outlook import Concern, Kind

Record = Callable[[str, Mapping[str, Any]], object]


@dataclass(frozen=True, slots=True)
class Rule:
    """When a warning is raised and withdrawn.

    Args:
        soon: least probability for a breach that begins within `soon_for`.
        later: least probability for one that begins later.
        sudden: least probability for one that begins within `sudden_within`: it is hardly early any more.
        hold: a warning whose probability stays below this is withdrawn.
        soon_for: how long before the beginning the lower of the two suffices.
        late_by: a warning ends so long after its window has passed.
    """

    soon: float = 0.55
    later: float = 0.65
    sudden: float = 0.95
    hold: float = 0.15
    sudden_within: timedelta = timedelta(minutes=25)
    soon_for: timedelta = timedelta(minutes=90)
    late_by: timedelta = timedelta(minutes=60)


USUAL: Mapping[Kind, Rule] = {Kind.COMFORT: Rule(soon=0.75, later=0.8)}
"""Chosen on weeks that are not scored. A zone that reaches its floor just in time is no news."""


class Outcome(StrEnum):
    """How a warning ends."""

    OPEN = "open"
    CAME_TRUE = "came_true"
    DID_NOT = "did_not"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class Expected:
    """One expected breach.

    Args:
        danger: which. concerns: the kinds of limits, the likeliest first.
        begins, ends: UTC, of the window. onset: when it is expected to begin.
        probability: of a breach of 10 minutes or more within the window.
        limit: of the first concern, in `unit`. worst: quantiles 5, 50 and 95 % of its worst value.
        cause: in words.
        foreseen_at: UTC, when what it rests on was foreseen; None where nobody says.
        foreseen_by: the method that each load was foreseen by.
    """

    danger: str
    concerns: tuple[Concern, ...]
    begins: datetime
    ends: datetime
    onset: datetime
    probability: float
    limit: float
    unit: str
    worst: tuple[float, ...]
    cause: str
    foreseen_at: datetime | None = None
    foreseen_by: Mapping[str, str] = field(default_factory=dict)

    @property
    def kind(self) -> Kind:
        """The kind of limit that is the likeliest to be exceeded."""
        return self.concerns[0].kind

    @property
    def element(self) -> str:
        """The element most often beyond it."""
        return self.concerns[0].element


@dataclass(frozen=True, slots=True)
class EarlyWarning:
    """One warning, from its raising to its end.

    Args:
        expected: the newest expectation.
        raised_at: UTC. lead_s: from the raising to the onset that was expected then [s].
        outcome: how it ended, or that it has not. ended_at: UTC.
        seen_at: when the breach was first seen; None while it was not.
        highest: the highest probability that it had.
    """

    expected: Expected
    raised_at: datetime
    lead_s: float
    outcome: Outcome = Outcome.OPEN
    ended_at: datetime | None = None
    seen_at: datetime | None = None
    last_seen_at: datetime | None = None
    highest: float = 0.0

    @property
    def key(self) -> str:
        """Name it as its alarm is named."""
        return f"warning:{self.expected.danger}"

    @property
    def text(self) -> str:
        """Say it in a sentence."""
        e = self.expected
        worst = f"{e.worst[1]:.3f}" if e.unit == "pu" else f"{e.worst[1]:.1f}"
        limit = f"{e.limit:g} {e.unit}"
        also = "".join(
            f", {WORDS[c.kind].lower()} at {c.element} ({100 * c.probability:.0f} %)" for c in e.concerns[1:]
        )
        return (
            f"{WORDS[e.kind]} expected at {e.element} from {e.onset:%H:%M} to {e.ends:%H:%M} UTC "
            f"({100 * e.probability:.0f} %): {worst} {e.unit}, limit {limit}{also}; {e.cause}"
        )

    def as_json(self) -> dict[str, Any]:
        """Write it for the live view and the journal."""
        e = self.expected
        return {
            "key": self.key,
            "danger": e.danger,
            "kind": e.kind.value,
            "element": e.element,
            "concerns": [
                {"kind": c.kind.value, "element": c.element, "probability": round(c.probability, 3)} for c in e.concerns
            ],
            "raised_at": self.raised_at.isoformat(),
            "begins": e.begins.isoformat(),
            "onset": e.onset.isoformat(),
            "ends": e.ends.isoformat(),
            "probability": round(e.probability, 3),
            "limit": e.limit,
            "unit": e.unit,
            "worst": {"q05": round(e.worst[0], 4), "q50": round(e.worst[1], 4), "q95": round(e.worst[2], 4)},
            "lead_s": round(self.lead_s),
            "cause": e.cause,
            "foreseen_at": None if e.foreseen_at is None else e.foreseen_at.isoformat(),
            "foreseen_by": dict(e.foreseen_by),
            "text": self.text,
            "outcome": self.outcome.value,
            "ended_at": None if self.ended_at is None else self.ended_at.isoformat(),
        }


WORDS: Mapping[Kind, str] = {
    Kind.IMPORT: "Too much import",
    Kind.EXPORT: "Too much export",
    Kind.OVERLOAD: "Overload",
    Kind.VOLTAGE_HIGH: "Voltage too high",
    Kind.VOLTAGE_LOW: "Voltage too low",
    Kind.RESERVE: "Too little reserve",
    Kind.COMFORT: "Temperature out of its band",
}


class WarningDesk:
    """Keeps the warnings of one site.

    Args:
        rules: thresholds by kind; None for the usual ones, a missing kind takes the default ones.
        record: takes a journal kind and a body.
    """

    def __init__(self, record: Record, rules: Mapping[Kind, Rule] | None = None) -> None:
        self._record, self._rules = record, USUAL if rules is None else rules
        self.open: list[EarlyWarning] = []

    def update(self, now: datetime, expected: Sequence[Expected], present: Mapping[str, bool]) -> list[EarlyWarning]:
        """Take the newest expectations.

        Args:
            now: UTC.
            expected: what may come.
            present: which dangers are there now, as far as is measured or estimated.

        Returns:
            The warnings that have ended now.
        """
        kept: list[EarlyWarning] = []
        used: set[int] = set()
        for warning in self.open:
            match = self._match(warning, expected)
            used |= {id(e) for e in expected if self._overlap(warning, e)}
            kept.append(self._renewed(warning, match, now, present))
        self.open = [w for w in kept if w.outcome is Outcome.OPEN]
        for each in expected:
            if id(each) not in used and self._due(each, now, present):
                self._raise(each, now)
        return [w for w in kept if w.outcome is not Outcome.OPEN]

    def _overlap(self, warning: EarlyWarning, each: Expected) -> bool:
        old, late = warning.expected, self._rule(each.kind).late_by
        return each.danger == old.danger and each.begins <= old.ends + late and each.ends >= old.begins - late

    def _match(self, warning: EarlyWarning, expected: Sequence[Expected]) -> Expected | None:
        """Find the likeliest expectation that continues a warning."""
        found = [e for e in expected if self._overlap(warning, e)]
        return max(found, key=lambda e: e.probability, default=None)

    def _renewed(
        self, warning: EarlyWarning, match: Expected | None, now: datetime, present: Mapping[str, bool]
    ) -> EarlyWarning:
        old = warning.expected
        rule = self._rule(old.kind)
        if present.get(old.danger, False):
            warning = replace(warning, seen_at=warning.seen_at or now, last_seen_at=now)
        if match is not None and match.probability >= rule.hold:
            newer = replace(match, begins=min(old.begins, match.begins))
            return replace(warning, expected=newer, highest=max(warning.highest, match.probability))
        if warning.last_seen_at is not None:
            over = now - warning.last_seen_at >= rule.late_by / 2
            return self._end(warning, Outcome.CAME_TRUE, now) if over else warning
        if now > old.ends + rule.late_by:
            return self._end(warning, Outcome.DID_NOT, now)
        if now < old.begins and match is None:
            return self._end(warning, Outcome.WITHDRAWN, now)
        return warning

    def _end(self, warning: EarlyWarning, outcome: Outcome, now: datetime) -> EarlyWarning:
        ended = replace(warning, outcome=outcome, ended_at=now)
        self._record("warning", {"event": "closed", **ended.as_json()})
        return ended

    def _due(self, each: Expected, now: datetime, present: Mapping[str, bool]) -> bool:
        """Tell whether it is to be raised; what is there already is an alarm and no warning."""
        if present.get(each.danger, False) or each.onset <= now:
            return False
        rule = self._rule(each.kind)
        lead = each.onset - now
        least = rule.sudden if lead < rule.sudden_within else rule.soon if lead <= rule.soon_for else rule.later
        return each.probability >= least

    def _raise(self, each: Expected, now: datetime) -> None:
        lead_s = (each.onset - now).total_seconds()
        warning = EarlyWarning(each, now, lead_s, highest=each.probability)
        self.open.append(warning)
        self._record("warning", {"event": "raised", **warning.as_json()})

    def _rule(self, kind: Kind) -> Rule:
        return self._rules.get(kind, Rule())
