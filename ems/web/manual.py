"""What people hold by hand: the requests in force that take something out of the plan's hands."""

from __future__ import annotations

import logging
from datetime import datetime
from pathlib import Path
from typing import Any

from ems.store.database import StoreError
from ems.store.requests import read_active

log = logging.getLogger(__name__)

KINDS = ("override", "mode", "lockout", "release_all")


def read_manual(state_dir: Path, at: str) -> list[dict[str, Any]]:
    """List kind, target, value, reason, who and until when of each; nothing where the requests cannot be read.

    Args:
        state_dir: the site's state folder.
        at: the core's present instant, ISO 8601.
    """
    try:
        active = read_active(state_dir, datetime.fromisoformat(at))
    except StoreError as error:
        log.warning("%s", error)
        return []
    return [
        {
            "id": one.id,
            "kind": one.kind,
            "target": one.target,
            "value": dict(one.value),
            "reason": one.reason,
            "by": one.by,
            "expires_at": None if one.expires_at is None else one.expires_at.isoformat(),
        }
        for one in active
        if one.kind in KINDS
    ]
