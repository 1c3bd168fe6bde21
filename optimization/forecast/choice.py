"""Which method serves: the one of the least recent loss, and not another one every day.

Law 1: a challenger takes over only after it was better by `MARGIN` on `DAYS` days in a row.
Law 2: the same losses give the same choice; of equals the simpler one, which is earlier on the ladder, is taken.
Law 3: one that has nothing to show for itself gives way at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

MARGIN = 0.03
DAYS = 3


@dataclass(frozen=True, slots=True)
class Choice:
    """The method that serves, and for how many days in a row another one was better by the margin."""

    method: str
    days: int = 0


def reconsider(choice: Choice, loss: Mapping[str, float]) -> Choice:
    """Look at the choice once a day.

    Args:
        choice: of the day before.
        loss: mean loss over the last days by method, simplest first; a method that was not scored is missing.
    """
    if not loss:
        return Choice(choice.method)
    best = min(loss, key=loss.__getitem__)
    if choice.method not in loss:
        return Choice(best)
    if loss[best] >= (1.0 - MARGIN) * loss[choice.method]:
        return Choice(choice.method)
    return Choice(best) if choice.days + 1 >= DAYS else Choice(choice.method, choice.days + 1)
