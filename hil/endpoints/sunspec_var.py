"""A PV inverter whose model 704 has the function VarSet too: a reactive power that holds until its time is up."""

from __future__ import annotations

from hil.endpoints.sunspec_devices import FULL, PERCENT_EXPONENT, PlantFace, PvInverter, Reversion

W_MAX_PCT = 0
"""The mode in which 100 % are the greatest active power."""
VAR_REGISTERS = {
    "704.VarSetEna": (0, 1),
    "704.VarSetMod": (W_MAX_PCT, W_MAX_PCT),
    "704.VarSetPct": (-FULL, FULL),
    "704.VarSetPctRvrt": (-FULL, FULL),
    "704.VarSetEnaRvrt": (0, 1),
    "704.VarSetRvrtTms": (0, 0xFFFFFFFE),
}


class VarInverter(PvInverter):
    """As `PvInverter`; reactive power that it gives is above zero in its registers."""

    def __init__(self, plant: PlantFace, asset: str, bus: str, rated_kw: float) -> None:
        super().__init__(plant, asset, bus, rated_kw)
        self._writable = {**self._writable, **VAR_REGISTERS}
        self._var_timer = Reversion()
        self.image.put(dict.fromkeys(VAR_REGISTERS, 0) | {"704.VarSetPct_SF": PERCENT_EXPONENT})

    def refresh(self) -> None:
        """Tell the time left of the reactive power's lease besides."""
        super().refresh()
        self.image.put({"704.VarSetRvrtRem": self._var_timer.left_s(self.plant.elapsed_s)})

    def obey(self, touched: frozenset[str]) -> None:
        """Take a new limit or a new reactive power; each has a timer of its own."""
        of_var = touched & VAR_REGISTERS.keys()
        if touched - of_var:
            super().obey(touched - of_var)
        if of_var:
            enabled = self.image.get("704.VarSetEna") == 1
            seconds = self.image.get("704.VarSetRvrtTms") if enabled else 0
            self._var_timer.restart(self.plant.elapsed_s, seconds)
            self._apply_var()

    def tick(self, now_s: float) -> None:
        """Revert each when its lease ends."""
        super().tick(now_s)
        if self._var_timer.ended(now_s):
            revert = {name: self.image.get(f"704.VarSet{name}Rvrt") for name in ("Pct", "Ena")}
            self.image.put({f"704.VarSet{name}": raw for name, raw in revert.items()})
            self._apply_var()

    def _apply_var(self) -> None:
        enabled = self.image.get("704.VarSetEna") == 1
        taken_kvar = 0.0 - self._rated_kw * self.image.get("704.VarSetPct") / FULL
        self.plant.command_kvar(self.asset, taken_kvar if enabled else None)
