"""The site as an island: its connection is open, and a battery holds the bus. Pure.

Law 1: nobody commands the battery that holds the bus: it takes and gives what the others leave, and every command would
oppose it. The plan was made for a site with a grid and is not followed.
Law 2: the battery stands where the grid stood. What may be taken from it is what fixed and critical loads take beyond
the sun: whatever can wait lives on the sun alone. What may be given to it is what it can take, less as it fills up.
Law 3: where nothing holds the bus, or the switch cannot be read and the meter shows no power, the site is safe.
Law 4: generating sets that the site file names go on beside the battery, at least at their least power, and carry what
fixed and critical loads take beyond the sun: what a running engine can take on is what the next load finds. They stand
where their least power finds nobody to take it.
Law 5: after the connection has closed every asset comes back by a tenth of its rating a minute. That is what the German
rule for plants on the low-voltage grid asks of generators (VDE-AR-N 4105); here it holds for all. A set of Law 4 that
runs does not stop for it, but goes on at its least power.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from drivers.registry import profile_points
from ems.config.assets import BatteryAsset, GensetAsset, PvAsset, WindAsset
from ems.config.binding import Bindings, role_points
from ems.config.placed import Sheddable
from ems.config.site import Site
from ems.fast.decisions import UNPOWERED, AssetKind, Bound, Lever, Rung, Wish
from ems.fast.ladder import action
from ems.fast.powers import Powers
from ems.limits.failsafe_machine import State
from ems.limits.in_force import Direction, InForce
from ems.process_image import Snapshot

ON = 0.5
SHOWS_KW = 0.5
"""A grid meter that shows so much proves that the connection is closed."""
RETURN_PER_S = 0.1 / 60.0
FILLING_PCT = 10.0
"""What a battery may be given falls to nothing over so much below its highest charge [%]."""


@dataclass(frozen=True, slots=True)
class Island:
    """How the connection is in one cycle.

    Args:
        is_open: whether the site is an island.
        unsafe: why nothing but safe values may be commanded; empty where others may.
        forming: the battery that holds the bus, not to be commanded; empty while it may be.
        limits: what may be taken from it and given to it, in place of the grid operator's.
        share: how far every asset may go, of its rating; 1 for no bound.
        words: for people, while it is open.
        sets_kw: what generating sets that go on shall take [kW], by asset; never positive.
    """

    is_open: bool = False
    unsafe: str = ""
    forming: str = ""
    limits: tuple[InForce, ...] = ()
    share: float = 1.0
    words: str = ""
    sets_kw: Mapping[str, float] = field(default_factory=dict)

    def bounds(self, lever: Lever, taken_kw: float) -> Iterable[Bound]:
        """Give the limit on an asset that takes a measured power [kW], after the connection has closed (Law 5)."""
        if self.share >= 1.0 or lever.kind in UNPOWERED:
            return ()
        why = f"the connection has closed: back by a tenth a minute, at {self.share:.0%} now"
        lower_kw = self.share * lever.lower_kw
        if lever.spins and taken_kw < 0.0:
            lower_kw = min(lower_kw, -lever.minimum_kw)
        return (Bound(Rung.GRID, lower_kw, self.share * lever.upper_kw, why),)

    def wishes(self) -> dict[str, Wish]:
        """Give what the sets that go on are wished (Law 4)."""
        said = {asset: action(AssetKind.GENSET, kw) for asset, kw in self.sets_kw.items()}
        return {asset: Wish(Rung.RULES, kw, f"{self.words}: {said[asset]}") for asset, kw in self.sets_kw.items()}


CONNECTED = Island()


class IslandWatch:
    """Looks at the connection's switch every cycle, and remembers when it closed.

    Args:
        site: one that says what an island is.
        bindings: where the battery is measured.
    """

    def __init__(self, site: Site, bindings: Bindings) -> None:
        spec = site.file.island
        assert spec is not None
        device = site.file.devices[spec.device]
        roles = role_points(spec.device, device, profile_points(device.protocol, device.profile))
        self._site, self._switch, self._forming = site, roles[spec.role], spec.forming
        self._sets = named_sets(site)
        self._soc = bindings.measure(spec.forming, "soc_pct")
        self._closed_s: float | None = None
        self._was_open = False

    def look(self, snapshot: Snapshot, powers: Powers) -> tuple[Island, Powers]:
        """Tell how the connection is, and what the powers are with the battery in the grid's place."""
        switch, now_s = snapshot.good(self._switch), snapshot.monotonic_s
        if switch is None:
            if abs(powers.grid_kw or 0.0) > SHOWS_KW:
                return CONNECTED, powers
            return Island(unsafe="the connection's switch cannot be read and its meter shows no power"), powers
        if switch < ON:
            return self._connected(now_s), powers
        self._was_open = True
        power_kw, soc_pct = powers.metered_kw.get(self._forming), snapshot.good(self._soc)
        if power_kw is None or soc_pct is None:
            words = f"the connection is open and {self._forming}, which would hold the bus, cannot be read"
            return Island(is_open=True, unsafe=words, forming=self._forming, words=words), powers
        words = f"the connection is open: {self._forming} holds the site as an island, at {soc_pct:.0f} % of its charge"
        others = {asset: kw for asset, kw in powers.metered_kw.items() if asset != self._forming}
        seen = replace(powers, grid_kw=-power_kw, metered_kw=others)
        firm_kw = self._firm_kw(seen)
        limits = self._limits(firm_kw, soc_pct, words)
        sets_kw = self._carrying(firm_kw, seen, self._filling(soc_pct))
        return Island(is_open=True, forming=self._forming, limits=limits, words=words, sets_kw=sets_kw), seen

    def _connected(self, now_s: float) -> Island:
        if self._was_open:
            self._was_open, self._closed_s = False, now_s
        if self._closed_s is None:
            return CONNECTED
        share = RETURN_PER_S * (now_s - self._closed_s)
        if share >= 1.0:
            self._closed_s = None
        return Island(share=min(share, 1.0))

    def _firm_kw(self, powers: Powers) -> float:
        """Give what fixed and critical loads take beyond the sun and the sets [kW]."""
        return (powers.grid_kw or 0.0) - sum(kw for asset, kw in powers.metered_kw.items() if self._waits(asset))

    def _carrying(self, firm_kw: float, powers: Powers, filling_kw: float) -> dict[str, float]:
        """Share over the sets, by their ratings, what fixed and critical loads take beyond the sun (Law 4).

        All of them stand while neither loads nor the battery could take their least power, were there no sun.
        """
        given_kw = {asset: kw for asset, kw in powers.metered_kw.items() if asset in self._sets}
        carried_kw = firm_kw - sum(given_kw.values())
        rated_kw = sum(self._sets[asset].rated_kw for asset in given_kw)
        sun_kw = -sum(kw for asset, kw in powers.metered_kw.items() if self._is_sun(asset))
        if sum(self._sets[asset].minimum_kw for asset in given_kw) > carried_kw + sun_kw + filling_kw:
            return dict.fromkeys(given_kw, 0.0)
        shares = {asset: carried_kw * self._sets[asset].rated_kw / rated_kw for asset in given_kw}
        return {
            asset: -min(max(kw, self._sets[asset].minimum_kw), self._sets[asset].rated_kw)
            for asset, kw in shares.items()
        }

    def _limits(self, firm_kw: float, soc_pct: float, words: str) -> tuple[InForce, ...]:
        """Limit what is taken from the battery and given to it (Law 2)."""
        spec = self._site.file.assets[self._forming]
        assert isinstance(spec, BatteryAsset)
        sun_only_kw = max(firm_kw, 0.0) if soc_pct > spec.soc_min_pct else 0.0
        return (
            InForce(Direction.IMPORT, State.LIMITED, min(sun_only_kw, spec.discharge_kw), "island", reason=words),
            InForce(Direction.EXPORT, State.LIMITED, self._filling(soc_pct), "island", reason=words),
        )

    def _filling(self, soc_pct: float) -> float:
        """Give what the battery may be given [kW], less as it fills up."""
        spec = self._site.file.assets[self._forming]
        assert isinstance(spec, BatteryAsset)
        return min(max((spec.soc_max_pct - soc_pct) / FILLING_PCT, 0.0), 1.0) * spec.charge_kw

    def _is_sun(self, asset: str) -> bool:
        return isinstance(self._site.file.assets[asset], PvAsset | WindAsset)

    def _waits(self, asset: str) -> bool:
        """Tell whether an asset lives on the sun alone: it can be commanded to take less, and is not critical."""
        spec = self._site.file.assets[asset]
        return isinstance(spec, Sheddable) and not spec.critical


def named_sets(site: Site) -> dict[str, GensetAsset]:
    """Give the generating sets that go on in an island, by id; none where the site file names none."""
    island = site.file.island
    asked = None if island is None else island.survives
    named = () if asked is None else asked.sets or ()
    return {name: spec for name in named if isinstance(spec := site.file.assets[name], GensetAsset)}
