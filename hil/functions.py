"""What a scenario tests: functions of a microgrid controller, in the words of the standards that test them.

The dispatch and transition functions are those of IEEE 2030.7, whose tests IEEE 2030.8 describes. The others belong to
monitoring, control and energy management as IEC TS 62898-3-5 tests them; no clause of either is quoted here.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class Function(StrEnum):
    """A test function."""

    DISPATCH_CONNECTED = "dispatch_connected"
    DISPATCH_ISLANDED = "dispatch_islanded"
    PLANNED_ISLANDING = "planned_islanding"
    UNPLANNED_ISLANDING = "unplanned_islanding"
    RECONNECTION = "reconnection"
    BLACK_START = "black_start"
    EMERGENCY_LIMIT = "emergency_limit"
    DEVICE_FAILURE = "device_failure"
    INFORMATION_LOSS = "information_loss"
    OPERATOR_LOSS = "operator_loss"


WORDS: Mapping[Function, tuple[str, str]] = {
    Function.DISPATCH_CONNECTED: ("IEEE 2030.8", "dispatch while connected to the grid"),
    Function.DISPATCH_ISLANDED: ("IEEE 2030.8", "dispatch as an island"),
    Function.PLANNED_ISLANDING: ("IEEE 2030.8", "transition to an island, planned"),
    Function.UNPLANNED_ISLANDING: ("IEEE 2030.8", "transition to an island, unplanned"),
    Function.RECONNECTION: ("IEEE 2030.8", "reconnection to the grid"),
    Function.BLACK_START: ("IEEE 2030.8", "black start"),
    Function.EMERGENCY_LIMIT: ("IEC TS 62898-3-5", "control: a limit of the grid operator is obeyed, loads are shed"),
    Function.DEVICE_FAILURE: ("IEC TS 62898-3-5", "monitoring: devices fail, are slow, lie, refuse or do not follow"),
    Function.INFORMATION_LOSS: ("IEC TS 62898-3-5", "energy management: prices and weather are missing"),
    Function.OPERATOR_LOSS: ("IEC TS 62898-3-5", "communication: the grid operator's gateway is lost"),
}
"""The standard whose tests a function belongs to, and what it is."""
