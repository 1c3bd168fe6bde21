"""How long to leave an unreachable partner alone."""

from __future__ import annotations

from random import Random

FIRST_S = 2.0
LONGEST_S = 15.0


class Backoff:
    """Pauses that double from 2 s to 15 s, jittered down to half of it so that many links do not return in one step.

    So two attempts that failed are never less than a second apart. The first failure is free where the partner had
    answered before: a single lost answer must not cost a poll, and an unknown write is read back at once.
    The jitter is seeded by a name, so that a replayed run pauses exactly as the first one did.
    """

    def __init__(self, name: str) -> None:
        self._random = Random(name)
        self._failures = 0
        self._until_s = 0.0

    def failed(self, now_s: float, *, first_is_free: bool = True) -> None:
        """Note a failure at a monotonic instant [s]; the first of them costs a pause unless it is free."""
        self._failures += 1
        if self._failures > 1 or not first_is_free:
            pause_s = min(LONGEST_S, FIRST_S * 2 ** min(max(self._failures - 2, 0), 10))
            self._until_s = now_s + pause_s * self._random.uniform(0.5, 1.0)

    def succeeded(self) -> None:
        """Forget all failures."""
        self._failures = 0
        self._until_s = 0.0

    def remaining_s(self, now_s: float) -> float:
        """Tell for how long to leave it alone [s]."""
        return max(0.0, self._until_s - now_s)
