"""How long `ems --help` takes, as whoever types it waits: a new process each time, and a bare Python beside it.

The budget is 0.4 s of the wall on an idle machine; the time of the processor hardly depends on who else is busy. Prints
one JSON object.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from typing import Any

RUNS = 15
BUDGET_S = 0.4
COMMANDS = {"bare": ["-c", "pass"], "help": ["-m", "ems.cli", "--help"], "version": ["-m", "ems.cli", "--version"]}


def once(words: list[str]) -> tuple[float, float]:
    """Start one process; gives the time on the wall and that of the processor [s]."""
    before, begun = os.times(), time.perf_counter()
    subprocess.run([sys.executable, *words], stdout=subprocess.DEVNULL, check=True)
    wall_s, after = time.perf_counter() - begun, os.times()
    spent = after.children_user + after.children_system - before.children_user - before.children_system
    return wall_s, spent


def main() -> None:
    """Measure each command in turn, so that a busy minute meets all of them."""
    samples: dict[str, list[tuple[float, float]]] = {name: [] for name in COMMANDS}
    for _ in range(RUNS):
        for name, words in COMMANDS.items():
            samples[name].append(once(words))
    figures: dict[str, Any] = {"runs": RUNS, "budget_s": BUDGET_S}
    for name, pairs in samples.items():
        walls, spent = zip(*pairs, strict=True)
        figures[name] = {
            "wall_median_s": statistics.median(walls),
            "wall_max_s": max(walls),
            "cpu_median_s": statistics.median(spent),
        }
    figures["help_over_budget"] = figures["help"]["wall_median_s"] / BUDGET_S
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
