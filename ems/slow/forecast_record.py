"""What the journal keeps of a load's forecasts: what was foreseen when, by which method, and what came.

It is enough to go on after a restart, and to say later how good a method was and what its errors cost.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

import numpy as np

from optimization.forecast.choice import Choice
from optimization.forecast.issues import Issue
from optimization.forecast.past import QUARTER_S
from optimization.forecast.score import skill
from optimization.slots import Floats

RECORD, CHANGE = "forecast", "forecast_method"
"""Journal kinds: an issue of a load, and another method that speaks from now on."""
QUARTERS, THIN = 144, 4
"""An issue reaches over so many quarter-hours; methods are judged by every so manyth of them."""
HORIZON_S = QUARTERS * QUARTER_S
REFERENCE = "persistence"
DECIMALS, FINE_DECIMALS, SHARE_DECIMALS = 3, 6, 4


@dataclass(frozen=True, slots=True)
class Standing:
    """Which method is chosen for a load.

    Args:
        choice: the method, and for how many days in a row another one was better.
        day: the local date on which that was last looked at [days since 1970]; None where it never was.
        since: UTC instant at which the method took over.
        young: whether only hours of the load are known.
    """

    choice: Choice
    day: int | None
    since: datetime
    young: bool


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """One issue of one series, and how things stand then.

    Args:
        point: a load, a plant, `price` or `carbon`.
        standing: which method is chosen.
        levels: of the quantiles.
        issue: what every method said, at every fourth quarter-hour.
        first_s: start of the first quarter-hour [s since 1970].
        served: what is planned with, shape (QUARTERS,).
        reference: what persistence foresees, shape (QUARTERS,).
        method: by how many of `served`, by method.
        silent: why a method says nothing, in words.
        loss: mean loss over the last weeks, by method.
        coverage: what lately came within the outer quantiles, by method [1].
        came: what came after issues that are over now, by their `first_s`, shape (QUARTERS,) each.
        unit: of all these values.
        at_s: when it was issued, where it was read from the journal; a price is issued at the end of what is published,
            which lies ahead [s since 1970].
    """

    point: str
    standing: Standing
    levels: tuple[float, ...]
    issue: Issue
    first_s: float
    served: Floats
    reference: Floats
    method: Mapping[str, int]
    silent: Mapping[str, str]
    loss: Mapping[str, float]
    coverage: Mapping[str, float]
    came: Mapping[float, Floats] = field(default_factory=dict)
    unit: str = "kW"
    at_s: float | None = None

    @property
    def skill(self) -> float | None:
        """By which part the chosen method's loss is less than that of persistence [1]; None where that is not known."""
        return skill_of(self.standing.choice.method, self.loss)


def skill_of(method: str, loss: Mapping[str, float]) -> float | None:
    """Give by which part a method's loss is less than that of persistence [1]; None where that is not known."""
    if method not in loss or not loss.get(REFERENCE):
        return None
    return float(skill(loss[method], loss[REFERENCE]))


def quarters_s(first_s: float) -> Floats:
    """Give the middles of an issue's quarter-hours [s since 1970], shape (QUARTERS,)."""
    return np.asarray(first_s + QUARTER_S * (np.arange(QUARTERS) + 0.5), dtype=np.float64)


def issue_body(judged: Judged) -> dict[str, Any]:
    """Write an issue down: the body of a `forecast` record; powers rounded to 1 W, prices to a millionth."""
    standing, issue, rounded = judged.standing, judged.issue, partial(_rounded, unit=judged.unit)
    return {
        "point": judged.point,
        "unit": judged.unit,
        "issued_s": issue.issued_s,
        "first_s": judged.first_s,
        "levels": list(judged.levels),
        "chosen": standing.choice.method,
        "days": standing.choice.days,
        "day": standing.day,
        "since": standing.since,
        "young": standing.young,
        "skill": None if judged.skill is None else round(judged.skill, SHARE_DECIMALS),
        "loss": {name: round(loss, FINE_DECIMALS) for name, loss in judged.loss.items()},
        "coverage": {name: round(share, SHARE_DECIMALS) for name, share in judged.coverage.items()},
        "method": dict(judged.method),
        "silent": dict(judged.silent),
        "served": rounded(judged.served),
        "reference": rounded(judged.reference),
        "raw": {name: rounded(_told(value)) for name, value in issue.raw.items()},
        "issued": {name: rounded(value) for name, value in issue.issued.items()},
        "came": [{"first_s": at_s, "value": rounded(value)} for at_s, value in judged.came.items()],
    }


def read_issue(body: Mapping[str, Any]) -> Judged:
    """Read such a body; raises `KeyError`, `TypeError` or `ValueError` where it is none."""
    levels, first_s = tuple(float(level) for level in body["levels"]), float(body["first_s"])
    shape = (len(levels), QUARTERS // THIN)
    raw = {name: np.array(np.broadcast_to(_numbers(value), shape)) for name, value in body["raw"].items()}
    issued = {name: _numbers(value).reshape(shape) for name, value in body["issued"].items()}
    issue = Issue(float(body["issued_s"]), quarters_s(first_s)[::THIN], raw, issued, np.full(shape[1], np.nan))
    day = body["day"]
    return Judged(
        str(body["point"]),
        Standing(
            Choice(str(body["chosen"]), int(body["days"])),
            None if day is None else int(day),
            datetime.fromisoformat(body["since"]),
            bool(body["young"]),
        ),
        levels,
        issue,
        first_s,
        _numbers(_named(body, "served")).reshape(QUARTERS),
        _numbers(_named(body, "reference")).reshape(QUARTERS),
        dict(body["method"]),
        dict(body["silent"]),
        {name: float(loss) for name, loss in body["loss"].items()},
        {name: float(share) for name, share in body["coverage"].items()},
        {float(each["first_s"]): _numbers(_came(each)).reshape(QUARTERS) for each in body["came"]},
        str(body["unit"]),
    )


def _named(body: Mapping[str, Any], name: str) -> Sequence[Any]:
    """Give a series that was written of loads alone once, with their unit in its name."""
    value: Sequence[Any] = body[name] if name in body else body[f"{name}_kw"]
    return value


def _came(body: Mapping[str, Any]) -> Sequence[Any]:
    value: Sequence[Any] = body["value"] if "value" in body else body["kw"]
    return value


def _rounded(value: Floats, unit: str) -> Floats:
    return np.round(value, DECIMALS if unit == "kW" else FINE_DECIMALS)


def _told(value: Floats) -> Floats:
    """Write a point forecast once for all its quantiles."""
    is_point = bool((np.isnan(value) | (value == value[0])).all())
    return value[:1] if is_point else value


def _numbers(value: Sequence[Any]) -> Floats:
    """Read numbers of any shape; what is none is `nan`."""
    return np.array(value, dtype=object).astype(np.float64) if len(value) else np.empty(0)
