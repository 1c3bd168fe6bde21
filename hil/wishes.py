"""What a car says when it plugs in, as the Request that the daemon reads."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ems.store.requests import Request


def car_request(event: Mapping[str, Any]) -> Request:
    """Turn a plug-in event of the world into a request; it ends when the car leaves."""
    departure = datetime.fromisoformat(event["departure"])
    value = {key: event[key] for key in ("energy_kwh", "departure", "charge_kw")}
    at = datetime.fromisoformat(event["at"])
    return Request("ev", event["asset"], value, "told by the car at plug-in", "car", at, departure)
