"""Several futures in one plan: what is done first is the same in all of them, what comes later waits for what comes.

    minimise  (1 - weight) * sum over k of p[k] * cost[k] + weight * CVaR
    CVaR = least over eta of  eta + sum over k of p[k] * z[k] / tail,    z[k] >= cost[k] - eta,  z[k] >= 0
    u[k, s] = u[0, s] in every slot s that begins within `SHARED_S` of the end of the first one

Symbols: k the scenarios, 0 the nominal one, which is what was foreseen; p their probabilities; cost[k] [currency] the
objective of a plan for scenario k alone, prices of elastic limits included; CVaR the mean cost of the worst `tail` of
the probability; u all that stands in a slot. While the slots are shared every scenario is as foreseen, so that nothing
has to be told apart there: the slots are a tree with one stem. Published is the stem with the nominal branch; every
later question has a stem of its own. `optimization.scenario_tree` joins the programmes.

Sources: Rockafellar and Uryasev, Optimization of conditional value-at-risk, Journal of Risk 2(3), 2000; the stem and
its branches, Birge and Louveaux, Introduction to Stochastic Programming, 2nd edition, Springer 2011, chapters 2 to 4.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from optimization.assets.asset import Asset, Inputs
from optimization.faults import array, number
from optimization.slots import Floats, Slots

SHARED_S = 2 * 3600.0
"""How long what is done is the same in all scenarios [s]."""
MOST_SCENARIOS = 5
"""The nominal one included."""
MOST_WEIGHT = 0.95
"""What is foreseen has to count for something besides the tail, or nothing would say what to do if it comes."""
NOMINAL = "nominal"
PROBABILITY_TOLERANCE = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class Scenario:
    """One way in which the future may turn out otherwise than foreseen.

    Args:
        name: in words and records; `nominal` is what is foreseen.
        probability: above 0.
        inputs: the forecasts that turn out otherwise, by asset id and by the name of the array in its inputs, shape
            (n,) each. In the shared slots what is foreseen counts.
        has_network: whether the feeder's limits are kept in it too; where they are not, AC power flow is not asked.
    """

    name: str
    probability: float
    inputs: Mapping[str, Mapping[str, Floats]]
    has_network: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Uncertainty:
    """What besides the foreseen may come, and how much its worst part counts.

    Args:
        scenarios: beside the nominal one, which has what is left of the probability; may be empty.
        weight: of the tail against the expected cost, 0..0.95; at 0 only the expected cost counts.
        tail: share of the probability whose mean cost the tail is, above 0 and up to 1.
    """

    scenarios: tuple[Scenario, ...] = ()
    weight: float = 0.0
    tail: float = field(default=0.2)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all scenarios, the nominal one first."""
        return (NOMINAL, *(each.name for each in self.scenarios))

    @property
    def probability(self) -> Floats:
        """Of each scenario, the nominal one first, shape (scenarios,)."""
        others = np.array([each.probability for each in self.scenarios])
        return np.append(1.0 - others.sum(), others)


def shared_slots(slots: Slots) -> int:
    """Count the slots, from the first on, that all scenarios share.

    Counted from the end of the first slot, whose length changes from plan to plan: a structure must not.
    """
    return int((slots.offset_s - slots.duration_s[0] < SHARED_S).sum())


def turned_out(foreseen: Mapping[str, Inputs], scenario: Scenario, shared: int) -> dict[str, Inputs]:
    """Give the inputs of a scenario: those foreseen, but for its own series after the shared slots."""
    inputs: dict[str, Any] = dict(foreseen)
    for name, series in scenario.inputs.items():
        later = {key: np.append(getattr(inputs[name], key)[:shared], value[shared:]) for key, value in series.items()}
        inputs[name] = replace(inputs[name], **later)
    return inputs


def tail_mean(cost: Sequence[float] | Floats, probability: Floats, tail: float) -> float:
    """Give the mean of the worst share of outcomes (CVaR), by adding them up from the worst on.

    Args:
        cost: of each outcome.
        probability: of each, adding up to 1.
        tail: share of the probability, above 0.
    """
    worst = np.argsort(cost, kind="stable")[::-1]
    before = np.concatenate([[0.0], np.cumsum(probability[worst])])
    inside = np.diff(np.minimum(before, tail))
    return float(np.asarray(cost)[worst] @ inside / inside.sum())


def risk_adjusted(cost: Sequence[float] | Floats, uncertainty: Uncertainty) -> float:
    """Give the objective of a plan for several scenarios from what each of them costs [currency]."""
    p, weight = uncertainty.probability, uncertainty.weight
    expected = float(np.asarray(cost) @ p)
    return expected if weight == 0.0 else (1.0 - weight) * expected + weight * tail_mean(cost, p, uncertainty.tail)


def uncertainty_faults(
    uncertainty: Uncertainty | None, assets: Sequence[Asset], inputs: Mapping[str, Inputs], n: int
) -> Iterator[str]:
    """Say what is wrong with scenarios."""
    if uncertainty is None:
        return
    yield from number("uncertainty.weight", uncertainty.weight, low=0.0, high=MOST_WEIGHT)
    yield from number("uncertainty.tail", uncertainty.tail, above=0.0, high=1.0)
    names = uncertainty.names
    if len(names) > MOST_SCENARIOS:
        yield f"uncertainty: {len(names)} scenarios with the nominal one; at most {MOST_SCENARIOS} are planned for"
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"uncertainty: the scenario {name!r} is given more than once; names are unique, and {NOMINAL!r} is taken"
    for scenario in uncertainty.scenarios:
        yield from number(f"scenario {scenario.name}.probability", scenario.probability, above=0.0, high=1.0)
        yield from _series_faults(scenario, {asset.id for asset in assets}, inputs, n)
    if not uncertainty.probability[0] > PROBABILITY_TOLERANCE:
        yield (
            f"uncertainty: the scenarios have {1.0 - uncertainty.probability[0]:g} of the probability; leave some to "
            "the nominal one, or its branch is nobody's plan"
        )


def _series_faults(scenario: Scenario, known: set[str], inputs: Mapping[str, Inputs], n: int) -> Iterator[str]:
    for name, series in scenario.inputs.items():
        label = f"scenario {scenario.name}: {name}"
        if name not in known or name not in inputs:
            yield f"{label} is no asset; the assets are {', '.join(sorted(known))}"
            continue
        for key, value in series.items():
            if not isinstance(getattr(inputs[name], key, None), np.ndarray):
                yield f"{label}.{key} is no series of its inputs"
            else:
                yield from array(f"{label}.{key}", value, n, not_negative=key in inputs[name].not_negative)
