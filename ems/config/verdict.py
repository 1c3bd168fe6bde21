"""The kept verdict of `ems check` on the worst case: the core asks for it and needs no power flow to know it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from ems.config.state import make_state_dir

FILE_NAME = "verdict.json"
SCHEMA = "ems.verdict/1"


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the grid stands all devices in failsafe at once.

    Args:
        config_hash: of the site it was given for; another hash means no verdict.
        at: UTC instant of the check.
        passed: whether control mode is allowed.
        cases: one sentence a case that was looked at.
        problems: what the grid would not stand: element, figure and remedy; empty if it passed.
    """

    config_hash: str
    at: datetime
    passed: bool
    cases: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


def write_verdict(state_dir: Path, verdict: Verdict) -> None:
    """Keep a verdict in a state directory; replaces the one before as a whole."""
    make_state_dir(state_dir)
    body = {"schema": SCHEMA, **asdict(verdict), "at": verdict.at.isoformat()}
    draft = state_dir / f"{FILE_NAME}.new"
    draft.write_text(json.dumps(body, indent=1), encoding="utf-8")
    draft.replace(state_dir / FILE_NAME)


def read_verdict(state_dir: Path, config_hash: str) -> Verdict | None:
    """Give the kept verdict on exactly this configuration; None if there is none."""
    try:
        body = json.loads((state_dir / FILE_NAME).read_text(encoding="utf-8"))
        if body.get("schema") != SCHEMA or body["config_hash"] != config_hash:
            return None
        at, passed = datetime.fromisoformat(body["at"]), body["passed"] is True
        return Verdict(config_hash, at, passed, tuple(body["cases"]), tuple(body["problems"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
