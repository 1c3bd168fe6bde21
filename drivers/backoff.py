"""How long to leave an unreachable partner alone."""

from __future__ import annotations

from random import Random

FIRST_S = 0.5
LONGEST_S = 15.0


class Backoff:
    """Pauses that double from half a second to 15 s, jittered so that many links do not return in one step.

    The first failure is free: a single lost answer must not cost a poll, and an unknown write is read back at once.
    The jitter is seeded by a name, so that a replayed run pauses exactly as the first one did.
    """

    def __init__(self, name: str) -> None:
        self._random = Random(name)
        self._failures = 0
        self._until_s = 0.0

    def failed(self, now_s: float) -> None:
        """Note a failure at a monotonic instant [s]."""
        self._failures += 1
        if self._failures > 1:
            pause_s = min(LONGEST_S, FIRST_S * 2 ** min(self._failures - 2, 10))
            self._until_s = now_s + pause_s * self._random.uniform(0.5, 1.0)

    def succeeded(self) -> None:
        """Forget all failures."""
        self._failures = 0
        self._until_s = 0.0

    def remaining_s(self, now_s: float) -> float:
        """Tell for how long to leave it alone [s]."""
        return max(0.0, self._until_s - now_s)
