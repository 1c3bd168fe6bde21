"""The four operating states of a heat pump with the SG Ready label. Pure.

    state 1  blocked            0 kW, for two hours at the most
    state 2  normal             its own control: released
    state 3  recommended on     about `recommended_kw`, as far as its own controller agrees
    state 4  forced on          its rating, as far as its settings allow

The states, and that a block lasts two hours at the most, are those of the label's rules by Bundesverband Waermepumpe
(waermepumpe.de, "SG Ready"). How long a state is kept at least is the site's own figure.

Rule 1: a block ends after two hours, whoever wants it, and is followed by the normal state for the least time of a
state. That is a bound of the device: it outranks a limit, as a pump that is not asked then runs all the same.
Rule 2: how long it was blocked goes by the commands in force. A block that is found at the start has just begun.
"""

from __future__ import annotations

from dataclasses import dataclass

from ems.fast.decisions import Held, Lever

LONGEST_BLOCK_S = 7200.0


@dataclass(frozen=True, slots=True)
class Block:
    """How a pump is blocked; instants are monotonic [s].

    Args:
        since_s: since when it is blocked; None while it is not.
        over_s: when its last full block ended; None where none did.
    """

    since_s: float | None = None
    over_s: float | None = None


def follow(before: Block, held: Held | None, now_s: float) -> Block:
    """Take in the command in force; without one nothing is known to have changed."""
    if held is None:
        return before
    if held.kw == 0.0:
        return Block(held.since_s if before.since_s is None else before.since_s, before.over_s)
    if before.since_s is not None and now_s - before.since_s >= LONGEST_BLOCK_S:
        return Block(None, now_s)
    return Block(None, before.over_s)


def why_released(block: Block, lever: Lever, now_s: float) -> str:
    """Say why a pump must be left to its own control now; empty where it may be told what to do."""
    if block.since_s is not None and now_s - block.since_s >= LONGEST_BLOCK_S:
        return f"SG Ready: a heat pump is blocked for {LONGEST_BLOCK_S / 3600.0:g} h at the most"
    if block.over_s is not None and now_s - block.over_s < lever.dwell_s:
        return f"SG Ready: it is left to itself for {lever.dwell_s / 60.0:g} min after a full block"
    return ""
