"""What a feeder carries where no meter is: weighted least squares on its AC model, with pseudo-measurements.

    x = (p, q of every injection, |V| of the source, e of every branch)
    minimise  sum ((z - h(x)) / sigma)^2 + sum ((x - expected) / sigma_x)^2
    cov(x) = (H' W H + diag(1 / sigma_x^2))^-1,      H = dh/dx at the expected state

Symbols: z readings with their sigma, h the AC power flow, e [1] by how much the voltage drop along a branch is off,
because nobody knows the length of a cable to the last metre; its expectation is 0. The estimate is found by
Gauss-Newton steps, so it lies on the AC power flow; the bands are taken about the expected state, so that one more
reading can only narrow them. A band spans 90 % of a Gaussian; that of a power which cannot change its sign ends at 0.

A quantity is observable where the readings alone determine it, without any pseudo-measurement: its gradient is a
combination of the readings' rows. There the network's impedances and the power factors count as known.

Source: Abur and Gomez Exposito, Power System State Estimation (2004), chapters 2 (least squares) and 4
(observability); pseudo-measurements as Gaussian conditioning, own derivation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from optimization.ac_check import Complex
from optimization.grid_case import GridCase
from optimization.slots import Floats

BAND_SIGMAS = 1.6449
"""Half of the width of a 90 % band, in standard deviations."""
MOST_STEPS = 20
CLOSE = 1e-9
TYPICAL_KW, TYPICAL_PU = 100.0, 0.01
"""Powers and the source's voltage are compared in these units, so that neither hides the other."""
SAME = 1e-6
"""A gradient that the readings' rows leave so small a share of is determined by them ..."""
NEARLY = 0.02
"""... and of a loading so small a share, because voltages move currents a little."""


class EstimationError(Exception):
    """No estimate can be made: the message names what is missing and the remedy."""


class Kind(StrEnum):
    """What a reading is of, and what its `at` counts."""

    POWER = "power"  # kW into an injection, by its number
    REACTIVE = "reactive"  # kvar into an injection, by its number
    FLOW = "flow"  # kW that arrive at the lower end of a branch, by its number
    FLOW_REACTIVE = "flow_reactive"  # kvar likewise
    VOLTAGE = "voltage"  # pu at a bus, by its place in the grid


@dataclass(frozen=True, slots=True)
class Injection:
    """Something that takes or gives power at a bus, as it is expected before anything is read.

    Args:
        id: its name.
        bus: place of its bus in the grid, 0..m-1.
        expected_kw: power into it.
        sigma_kw: standard deviation of that.
        reactive_per_active: expected reactive over active power.
        sigma_kvar: standard deviation of the reactive power.
        sign: 1 for what never gives power, -1 for what never takes any, 0 for what does both.
    """

    id: str
    bus: int
    expected_kw: float
    sigma_kw: float
    reactive_per_active: float = 0.0
    sigma_kvar: float = 0.0
    sign: int = 0


@dataclass(frozen=True, slots=True)
class Reading:
    """One reading: what of, which one, its value and its standard deviation [kW, kvar or pu]."""

    kind: Kind
    at: int
    value: float
    sigma: float


@dataclass(frozen=True, slots=True, eq=False)
class Band:
    """Estimates with the ends of their 90 % bands and whether the readings alone determine them, shape (n,) each."""

    value: Floats
    low: Floats
    high: Floats
    observable: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Estimate:
    """The state of a feeder.

    Args:
        power_kw: of the injections, in their order.
        voltage_pu: of the buses, shape (m,).
        loading_pct: of the branches, shape (m-1,).
        sigma_pu: standard deviation of the voltages, shape (m,).
        cost: sum of the squared residuals [1].
    """

    power_kw: Band
    voltage_pu: Band
    loading_pct: Band
    sigma_pu: Floats
    cost: float


def estimate(
    case: GridCase,
    injections: Sequence[Injection],
    readings: Sequence[Reading],
    *,
    source_sigma_pu: float = 0.01,
    branch_share: float = 0.025,
) -> Estimate:
    """Estimate what the feeder carries.

    Args:
        case: the prepared feeder.
        injections: what is connected, with its pseudo-measurement.
        readings: what is measured.
        source_sigma_pu: standard deviation of the voltage above the transformer; its expectation is the grid file's.
        branch_share: standard deviation of a branch's voltage drop as a share of it; 0 to trust the grid file.

    Raises:
        EstimationError: nothing says how great something is, or the feeder cannot carry what is expected.
    """
    model = _Model(case, injections, branch_share, source_sigma_pu)
    expected = model.look(model.expected)
    state, look = _fit(model, readings, expected)
    return _bands(model, readings, expected, state, look)


@dataclass(frozen=True, slots=True, eq=False)
class _Look:
    """The power flow at a state with its slopes against x.

    Args:
        v_pu: magnitude of the voltages, shape (m,). v_slope: shape (m, len(x)).
        kva: power that arrives at the branches, shape (b,). kva_slope: shape (b, len(x)).
        flow_slope: of the complex loading [pct], shape (b, len(x)).
        loading_pct: shape (b,).
    """

    v_pu: Floats
    v_slope: Floats
    kva: Complex
    kva_slope: Complex
    flow_slope: Complex
    loading_pct: Floats


class _Model:
    """The feeder with its injections, as a function of x."""

    def __init__(self, case: GridCase, injections: Sequence[Injection], branch_share: float, source_sigma: float):
        self.ac, self.injections, self.n = case.ac, tuple(injections), len(injections)
        buses = len(case.ac.bus_ids)
        self._at_bus = np.zeros((buses, self.n))
        self._at_bus[[i.bus for i in injections], np.arange(self.n)] = 1.0
        self.tan = np.array([i.reactive_per_active for i in injections])
        power_kw = np.array([i.expected_kw for i in injections])
        self.expected = np.concatenate([power_kw, self.tan * power_kw, [abs(case.ac.slack)], np.zeros(buses - 1)])
        spread = [[i.sigma_kw for i in injections], [i.sigma_kvar for i in injections], [source_sigma]]
        self.sigma = np.concatenate([*spread, np.full(buses - 1, branch_share)])
        self.free = self.sigma > 0.0
        # What an impedance is wrong by counts along the tree: how a loop would share it is neglected.
        self._upper = case.network.upper[: buses - 1]
        self._below = _below(self._upper)

    def look(self, x: Floats) -> _Look:
        """Solve the power flow at x and linearise it."""
        n, ac = self.n, self.ac
        p_kw, q_kvar = (self._at_bus @ part for part in (x[:n], x[n : 2 * n]))
        solved, converged = ac.voltages(p_kw[:, None], q_kvar[:, None], float(x[2 * n]))
        if not converged[0]:
            raise EstimationError(
                f"the feeder cannot carry the {p_kw.sum():.1f} kW that are expected on it: check the readings' signs"
            )
        v, result = solved[:, 0], ac.result(solved, converged)
        slope = self._voltage_slope(v, p_kw, q_kvar)
        size = np.abs(v)
        size_slope = np.real(np.conj(v)[:, None] * slope) / size[:, None]
        current, current_slope = -(ac.y_lower @ v), -(ac.y_lower @ slope)
        lower = ac.lower
        kva_slope = (slope[lower] * np.conj(current)[:, None] + v[lower, None] * np.conj(current_slope)) * ac.base_kva
        drop = size[self._upper] - size[1:]
        lost = -self._below * drop
        branches = np.zeros((len(lower), len(drop)))
        return _Look(
            v_pu=size + lost @ x[2 * n + 1 :],
            v_slope=np.hstack([size_slope, lost]),
            kva=ac.arriving_kva(solved)[:, 0],
            kva_slope=np.hstack([kva_slope, branches]),
            flow_slope=np.hstack([kva_slope / ac.base_kva / size[lower, None] * ac.pct_lower[:, None], branches]),
            loading_pct=result.loading_pct[:, 0],
        )

    def _voltage_slope(self, v: Complex, p_kw: Floats, q_kvar: Floats) -> Complex:
        """Differentiate the complex voltages by p, q and the source's magnitude, shape (m, 2 n + 1)."""
        ac = self.ac
        z = np.linalg.inv(ac.y_bus[1:, 1:])
        below = v[1:]
        injected = -(p_kw[1:] + 1j * q_kvar[1:]) / ac.base_kva
        per_kw = z / np.conj(below) @ self._at_bus[1:] / -ac.base_kva
        source = ac.slack / abs(ac.slack)
        given = np.hstack([per_kw, -1j * per_kw, (-z @ ac.y_bus[1:, 0] * source)[:, None]])
        # dV + A conj(dV) = given, written in real and imaginary parts
        a = z * np.conj(injected / below**2)
        one = np.eye(len(below))
        matrix = np.block([[one + a.real, a.imag], [a.imag, one - a.real]])
        parts = np.linalg.solve(matrix, np.vstack([given.real, given.imag]))
        first = np.zeros((1, given.shape[1]), dtype=complex)
        first[0, -1] = source
        return np.vstack([first, parts[: len(below)] + 1j * parts[len(below) :]])

    def rows(self, look: _Look, x: Floats, readings: Sequence[Reading]) -> tuple[Floats, Floats]:
        """Give what the model says of each reading, shape (r,), and its slope, shape (r, len(x))."""
        own, n = np.eye(len(x)), self.n
        said = {
            Kind.POWER: (x[:n], own[:n]),
            Kind.REACTIVE: (x[n : 2 * n], own[n : 2 * n]),
            Kind.FLOW: (look.kva.real, look.kva_slope.real),
            Kind.FLOW_REACTIVE: (look.kva.imag, look.kva_slope.imag),
            Kind.VOLTAGE: (look.v_pu, look.v_slope),
        }
        value = np.array([said[r.kind][0][r.at] for r in readings])
        return value, np.array([said[r.kind][1][r.at] for r in readings]).reshape(len(readings), len(x))


def _below(upper: NDArray[np.int64]) -> Floats:
    """Mark which buses lie below which branch, shape (m, m-1)."""
    below = np.zeros((len(upper) + 1, len(upper)))
    for branch, bus in enumerate(upper):
        below[branch + 1] = below[bus]
        below[branch + 1, branch] = 1.0
    return below


def _fit(model: _Model, readings: Sequence[Reading], look: _Look) -> tuple[Floats, _Look]:
    """Walk Gauss-Newton steps from the expected state to the least squares."""
    x, free, sigma = model.expected.copy(), model.free, model.sigma[model.free]
    read = np.array([r.value for r in readings])
    weight = 1.0 / np.array([r.sigma for r in readings])
    for _ in range(MOST_STEPS):
        value, rows = model.rows(look, x, readings)
        pseudo = (model.expected - x)[free] / sigma
        left = np.vstack([rows[:, free] * weight[:, None] * sigma, np.eye(len(sigma))])
        right = np.concatenate([(read - value) * weight, pseudo])
        step = np.linalg.lstsq(left, right, rcond=None)[0]
        x[free] += step * sigma
        look = model.look(x)
        if np.abs(step).max(initial=0.0) < CLOSE:
            return x, look
    raise EstimationError("the readings contradict each other so much that no state fits them: check units and signs")


def _bands(model: _Model, readings: Sequence[Reading], expected: _Look, x: Floats, look: _Look) -> Estimate:
    spread = _spread(model, expected, readings)
    seen = _Sight(model, expected, readings)
    n = model.n
    own = np.eye(len(x))[:n]
    power_sigma, voltage_sigma = (np.linalg.norm(slope @ spread, axis=1) for slope in (own, expected.v_slope))
    flow = expected.flow_slope @ spread
    loading_sigma = np.array([np.linalg.norm(np.vstack([f.real, f.imag]), 2) for f in flow])
    sign = np.array([i.sign for i in model.injections])
    power = _band(x[:n], power_sigma, seen(own))
    power = Band(
        power.value,
        np.where(sign > 0, np.maximum(power.low, 0.0), power.low),
        np.where(sign < 0, np.minimum(power.high, 0.0), power.high),
        power.observable,
    )
    loading = _band(look.loading_pct, loading_sigma, seen(expected.flow_slope.real, NEARLY))
    value, _ = model.rows(look, x, readings)
    residual = [(r.value - v) / r.sigma for r, v in zip(readings, value, strict=True)]
    return Estimate(
        power_kw=power,
        voltage_pu=_band(look.v_pu, voltage_sigma, seen(expected.v_slope)),
        loading_pct=Band(loading.value, np.maximum(loading.low, 0.0), loading.high, loading.observable),
        sigma_pu=voltage_sigma,
        cost=float(np.sum(np.square(residual))),
    )


def _band(value: Floats, sigma: Floats, observable: NDArray[np.bool_]) -> Band:
    return Band(value, value - BAND_SIGMAS * sigma, value + BAND_SIGMAS * sigma, observable)


def _spread(model: _Model, look: _Look, readings: Sequence[Reading]) -> Floats:
    """Give a matrix L with cov(x) = L L', shape (len(x), free)."""
    free, sigma = model.free, model.sigma[model.free]
    _, rows = model.rows(look, model.expected, readings)
    weight = 1.0 / np.array([r.sigma for r in readings])
    stacked = np.vstack([rows[:, free] * weight[:, None] * sigma, np.eye(len(sigma))])
    root = np.linalg.qr(stacked, mode="r")
    spread = np.zeros((len(model.sigma), len(sigma)))
    spread[free] = sigma[:, None] * np.linalg.inv(root)
    return spread


class _Sight:
    """Tells which gradients the readings alone determine: power factors, impedances and the like count as known."""

    def __init__(self, model: _Model, look: _Look, readings: Sequence[Reading]) -> None:
        self._model = model
        powers = [r for r in readings if r.kind not in {Kind.REACTIVE, Kind.FLOW_REACTIVE}]
        rows = self._known(model.rows(look, model.expected, powers)[1])
        size = np.linalg.norm(rows, axis=1, keepdims=True)
        rows = rows / np.where(size > 0.0, size, 1.0)
        _, strength, right = np.linalg.svd(rows, full_matrices=True)
        rank = int((strength > SAME).sum())
        self._unseen = right[rank:]

    def __call__(self, slope: Floats, but_for: float = SAME) -> NDArray[np.bool_]:
        """Tell for each gradient, shape (k, len(x)), whether it is determined but for a share, shape (k,)."""
        known = self._known(slope)
        left = np.linalg.norm(known @ self._unseen.T, axis=1)
        size = np.linalg.norm(known, axis=1)
        return np.asarray(left <= but_for * np.maximum(size, 1e-300))

    def _known(self, slope: Floats) -> Floats:
        """Turn slopes against x into slopes against powers and source voltage, power factors being known."""
        n, model = self._model.n, self._model
        by_power = slope[:, :n] + slope[:, n : 2 * n] * model.tan
        return np.hstack([by_power * TYPICAL_KW, TYPICAL_PU * slope[:, 2 * n : 2 * n + 1]])
