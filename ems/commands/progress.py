"""A line on stderr that says how far a long run is: redrawn on a terminal, rare lines elsewhere."""

from __future__ import annotations

import sys
from types import TracebackType


class ProgressLine:
    """Shows a share, 0..1.

    Args:
        title: what is under way.
    """

    def __init__(self, title: str) -> None:
        self._title = title
        self._shown = -1
        self._live = sys.stderr.isatty()

    def __enter__(self) -> ProgressLine:
        """Begin."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the line."""
        if self._live:
            sys.stderr.write("\n")

    def __call__(self, share: float) -> None:
        """Show a share, when it has moved on by a hundredth (a tenth without a terminal)."""
        step = int(share * (100 if self._live else 10))
        if step == self._shown:
            return
        self._shown = step
        end = "\r" if self._live else "\n"
        sys.stderr.write(f"{self._title}: {share:.0%}{end}")
        sys.stderr.flush()
