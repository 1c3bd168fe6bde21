"""One pretend world for all faults that are played in it."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "ems"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "ems" / "store"))

from fault_stage import fault_world, prepared_feeder, stage

__all__ = ["fault_world", "prepared_feeder", "stage"]
