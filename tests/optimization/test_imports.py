"""The control process imports assets, coefficients and tariffs; none of them may load a modeller or a solver."""

from __future__ import annotations

import subprocess
import sys

LIGHT = (
    "assets", "coefficients", "problem", "slots", "structure",
    "bill", "invoice", "tariff", "tariff_file", "validation", "network",
)  # fmt: skip
HEAVY = ("pyomo", "highspy", "scipy", "sklearn", "pandas", "pandapower")


def test_the_light_modules_stay_light():
    lines = [f"import optimization.{name}" for name in LIGHT]
    lines += ["import sys", f"print([m for m in {HEAVY} if m in sys.modules])"]
    out = subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
