"""What no money outweighs: where every limit, load and heat node can be held, they are, whatever that costs.

A price, however high, gives way to a cost that is higher: to a start, to the demand of a whole month. No price is high
enough for all of them that the solver would still tell cents beside it. So where heat is missing or left over in the
cheapest solution, the question is asked once more with each of these columns at nothing:

    x[j] = 0 for every column j that is beyond a limit, unserved or unheated

What then has no solution was unavoidable, and is as its price has it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from optimization.affine import Lp
from optimization.exclusive import TOLERANCE_KW
from optimization.slots import Floats, Ints

HEAT = frozenset({"lacking_heat_kw", "surplus_heat_kw"})
BEYOND = HEAT | {
    "import_excess_kw",
    "export_excess_kw",
    "group_excess_kw",
    "flow_slack_kva",
    "v_slack",
    "inverter_over_kva",
    "unserved_kw",
}


def _none() -> Ints:
    return np.empty(0, dtype=np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class Beyond:
    """Places of columns that rank before money.

    Args:
        heat: what heat nodes lack or cannot get rid of.
        every: this and what is beyond a limit or unserved.
    """

    heat: Ints = field(default_factory=_none)
    every: Ints = field(default_factory=_none)

    def is_left(self, x: Floats) -> bool:
        """Say whether a heat node lacks heat or cannot get rid of it."""
        return bool((x[self.heat] > TOLERANCE_KW).any())

    def forbidden(self, lp: Lp) -> Lp:
        """Allow nothing of all this."""
        upper = lp.col_upper.copy()
        upper[self.every] = 0.0
        return replace(lp, col_upper=upper)


def beyond(models: Iterable[tuple[Mapping[str, slice], Ints | None]]) -> Beyond:
    """Find the columns by their names, of one model or of several with the places where they are joined."""
    heat, every = [_none()], [_none()]
    for columns, places in models:
        for name, at in columns.items():
            own = np.arange(at.start, at.stop) if places is None else places[at]
            last = name.rpartition(".")[2]
            heat += [own] * (last in HEAT)
            every += [own] * (last in BEYOND)
    return Beyond(np.unique(np.concatenate(heat)), np.unique(np.concatenate(every)))
