"""Feeders drawn from a seed, closed loops and lines without current among them."""

from __future__ import annotations

import numpy as np

from optimization.network import Network


def drawn_feeder(form, now, *, key):
    """Draw a feeder or none: the network, the buses where things stand, and what is special about it.

    Args:
        form: gives what a frame shares: the tree, what closes loops in it, and the impedances.
        now: gives the limits.
        key: of its structure.
    """
    if form.random() < 0.55:
        return None, [-1], set()
    m = int(form.integers(3, 7))
    upper = np.array([form.integers(0, k + 1) for k in range(m - 1)])
    upper[0] = 0
    loops = int(form.choice(3, p=[0.6, 0.3, 0.1]))
    ends = np.array([sorted(form.choice(m, 2, replace=False)) for _ in range(loops)], dtype=int).reshape(loops, 2)
    branches = m - 1 + loops
    limit = np.full(branches, now.choice([10.0, 40.0, 200.0]))
    dead = now.random(branches) < 0.1
    feeder = Network(
        bus_ids=10 + np.arange(m),
        upper=np.concatenate([upper, ends[:, 0]]),
        r_pu_per_kw=form.choice([1e-5, 2e-4, 6e-4], branches),
        x_pu_per_kvar=form.choice([1e-5, 2e-4], branches),
        flow_limit_kw=np.where(dead, 0.0, limit),
        v_min_pu=np.full(m, 0.95),
        v_max_pu=np.full(m, float(now.choice([1.02, 1.05]))),
        slack_pu=float(form.choice([1.0, 1.03])),
        branch_names=tuple(f"line {k}" for k in range(branches)),
        key=key,
        loop_lower=ends[:, 1],
    )
    words = {"meshed feeders" if loops else "radial feeders"} | ({"dead lines"} if dead.any() else set())
    return feeder, feeder.bus_ids[1:].tolist(), words
