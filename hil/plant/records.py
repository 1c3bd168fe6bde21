"""What really happened, every 10 s, in one compact table: the evidence that a verdict rests on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from hil.plant.draws import Floats

RECORD_S = 10.0


@dataclass(slots=True, eq=False)
class Records:
    """Rows of floats; a row describes the 10 s that end at its time.

    Columns: `time_s` (end of the step, since the start), `import_kw` and `import_kwh`, `export_kwh`, `reactive_kvarh`
    (signed) at the meter (the registers run from the start of the world), `v:<bus>` and `loading:<branch>` (means of
    the step), and `<asset>:<quantity>` for everything an asset tells.
    """

    columns: tuple[str, ...]
    _rows: Floats = field(init=False)
    _count: int = field(init=False, default=0)
    _place: Mapping[str, int] = field(init=False)

    def __post_init__(self) -> None:
        self._rows = np.empty((1024, len(self.columns)))
        self._place = {name: i for i, name in enumerate(self.columns)}

    def __len__(self) -> int:
        """Count the rows."""
        return self._count

    def append(self, row: Sequence[float]) -> None:
        """Add a row, in the order of the columns."""
        if self._count == len(self._rows):
            self._rows = np.concatenate([self._rows, np.empty_like(self._rows)])
        self._rows[self._count] = row
        self._count += 1

    def forget(self) -> None:
        """Drop all rows: whoever lives through months takes them out piece by piece."""
        self._count = 0

    def __getitem__(self, column: str) -> Floats:
        """Give one column, shape (rows,)."""
        return self._rows[: self._count, self._place[column]]

    def starting(self, prefix: str) -> dict[str, Floats]:
        """Give all columns of a prefix, by the rest of their name."""
        return {name.removeprefix(prefix): self[name] for name in self.columns if name.startswith(prefix)}

    def ending(self, suffix: str) -> dict[str, Floats]:
        """Give one quantity of every asset that has it, by asset."""
        return {name.removesuffix(suffix): self[name] for name in self.columns if name.endswith(suffix)}
