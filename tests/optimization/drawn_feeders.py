"""Feeders drawn from a seed, lines without current among them."""

from __future__ import annotations

import numpy as np

from optimization.network import Network


def drawn_feeder(form, now, *, key):
    """Draw a feeder or none: the network, the buses where things stand, and what is special about it.

    Args:
        form: gives what a frame shares: the tree and its impedances.
        now: gives the limits.
        key: of its structure.
    """
    if form.random() < 0.55:
        return None, [-1], set()
    m = int(form.integers(3, 7))
    upper = np.array([form.integers(0, k + 1) for k in range(m - 1)])
    upper[0] = 0
    limit = np.full(m - 1, now.choice([10.0, 40.0, 200.0]))
    dead = now.random(m - 1) < 0.1
    feeder = Network(
        bus_ids=10 + np.arange(m),
        upper=upper,
        r_pu_per_kw=form.choice([1e-5, 2e-4, 6e-4], m - 1),
        x_pu_per_kvar=form.choice([1e-5, 2e-4], m - 1),
        flow_limit_kw=np.where(dead, 0.0, limit),
        v_min_pu=np.full(m, 0.95),
        v_max_pu=np.full(m, float(now.choice([1.02, 1.05]))),
        slack_pu=float(form.choice([1.0, 1.03])),
        branch_names=tuple(f"line {k}" for k in range(m - 1)),
        key=key,
    )
    return feeder, feeder.bus_ids[1:].tolist(), {"radial feeders"} | ({"dead lines"} if dead.any() else set())
