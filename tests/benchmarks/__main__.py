"""`make bench [ONLY=solver|grid|wires|loop|points|store|queue]`: runs the benchmarks, keeps their figures, shows a few.

Each runs in a process of its own and leaves `bench-results/<name>.json`, with the versions it ran on. A ratio compares
two things measured in the same run, so that it means something on a shared machine too. Nothing is judged here.
"""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "bench-results"
PACKAGES = (
    "district-ems", "numpy", "scipy", "pyomo", "highspy", "pandapower", "pymodbus", "bacpypes3", "pydantic",
)  # fmt: skip

MODULES = {"queue": "score_queue"}
RATIOS: dict[str, tuple[tuple[str, str], ...]] = {
    "startup": (
        ("help_over_budget", "`ems --help` on the wall / its budget of 0.4 s"),
        ("help.cpu_median_s", "CPU of `ems --help` [s]"),
    ),
    "solver": (
        ("resolve_over_highs_M", "a re-solve for 30 devices / HiGHS alone"),
        ("resolve_over_highs_L", "the same for 300 devices"),
        ("resolve_over_raw_M", "a re-solve / matrices written by hand"),
        ("rebuild_over_resolve_M", "the model built anew through Pyomo's interface / our re-solve"),
        ("ring_over_plain_M", "a re-solve in a ring / our re-solve of a chain"),
        ("ring_over_devex_M", "the same with the ring's pricing in the chain"),
        ("ring_overhead_ms_M", "CPU of a re-solve in a ring, HiGHS left out [ms]"),
        ("ring_growth_exponent", "a re-solve in a ring grows with the devices to the power of"),
        ("week_over_day_M", "a re-solve of 128 slots for a week / of 96 for a day"),
        ("hedged_over_plain_M", "a re-solve for five scenarios / for what is foreseen alone"),
        ("milp_p95_s_M", "CPU with whole gensets and cars to a gap of 0.5 %, 95th percentile [s]"),
    ),
    "grid": (
        ("ac96_over_runpp_loop", "AC check of 96 slots, 129 buses, with currents / a loop of pandapower's runpp"),
        ("ac_max_abs_dv_pu", "greatest difference of a voltage between the two [pu]"),
    ),
    "wires": (
        ("driver_over_raw_socket", "a meter's read through the driver / the same block on a bare socket"),
        ("bacnet.driver_over_raw_socket", "an air handler's read through the driver / the same bytes on a bare socket"),
        ("bacnet.bacpypes3_over_driver", "the same read through bacpypes3 / through our own codec"),
        ("in_memory.point_cpu_us", "CPU of a point of a device in memory [us]"),
    ),
    "loop": (
        ("cycle_cpu_median_ms", "CPU of a control cycle without wires [ms]"),
        ("district.cycle_cpu_median_ms", "the same for the district's assets and devices [ms]"),
        ("lockstep.warm_speed_vs_real_time", "lock-step over sockets, times real time, once warm"),
    ),
    "points": tuple(
        (f"{name}.{key}", f"30,000 points at 1 Hz, {name}: {words}")
        for name in ("alone", "followed")
        for key, words in (
            ("missed_pct", "missed deadlines [%]"),
            ("cpu_pct_of_a_core", "CPU [% of a core]"),
            ("peak_memory_mb", "memory [MB]"),
        )
    ),
    "store": (
        ("samples_per_s", "samples a second into the history, each scan on the disk"),
        ("written_bytes_per_sample", "written to the disk for a sample [bytes]"),
        ("kept_bytes_per_sample", "kept of a sample [bytes]"),
        ("point_year_ms", "reading a year of minutes of one point [ms]"),
        ("a_row_a_sample.samples_per_s", "samples a second into a row each"),
        ("a_row_a_sample.written_bytes_per_sample", "written to the disk for a row [bytes]"),
        ("a_row_a_sample.kept_bytes_per_sample", "kept of a row [bytes]"),
        ("a_row_a_sample.point_year_ms", "reading a year of minutes of one point from rows [ms]"),
    ),
    "queue": (("median_fewer_short_pct", "drivers short, fewer than by first-come, median of real weeks [%]"),),
}


def main() -> int:
    """Run what is asked for, or all."""
    asked = sys.argv[1:] or list(RATIOS)
    if unknown := [name for name in asked if name not in RATIOS]:
        print(f"no benchmark is called {', '.join(unknown)}: choose from {', '.join(RATIOS)}", file=sys.stderr)
        return 2
    RESULTS.mkdir(exist_ok=True)
    for name in asked:
        print(f"{name} ...", file=sys.stderr)
        figures = run(name)
        document = {"schema_version": 1, "benchmark": name, "at": datetime.now(UTC).isoformat(), **_machine()}
        (RESULTS / f"{name}.json").write_text(json.dumps(document | {"figures": figures}, indent=1) + "\n")
        for key, words in RATIOS[name]:
            print(f"{name:8}{_find(figures, key):>12.4g}  {words}")
    return 0


def run(name: str) -> dict[str, Any]:
    """Run one benchmark and give its figures."""
    line = [sys.executable, "-m", f"tests.benchmarks.{MODULES.get(name, f'bench_{name}')}"]
    told = subprocess.run(line, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(told.stdout)


def _machine() -> dict[str, Any]:
    return {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "versions": {name: version(name) for name in PACKAGES},
    }


def _find(figures: dict[str, Any], key: str) -> float:
    found: Any = figures
    for part in key.split("."):
        found = found[part]
    return float(found)


if __name__ == "__main__":
    sys.exit(main())
