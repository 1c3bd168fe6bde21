"""`ems prove`: what it refuses before it steps anything."""

from __future__ import annotations

from pathlib import Path

import pytest

from ems.cli import main
from ems.clock import SystemClock
from ems.exit_codes import Exit
from ems.store.requests import read_active

FEEDER = Path(__file__).resolve().parents[3] / "sites" / "demo_feeder"
REFUSED = {
    "beyond the rating": (["battery", "--to-kw", "500"], Exit.DENIED, "500 kW is beyond the rating of battery"),
    "a load": (["houses_near"], Exit.DENIED, "houses_near takes no commands"),
    "no such asset": (["batery"], Exit.USAGE, "has no asset `batery` (did you mean `battery`?)"),
    "no step": (["battery", "--to-kw", "0"], Exit.USAGE, "a step needs two powers and at least two rounds"),
    "one round": (["battery", "--rounds", "1"], Exit.USAGE, "a step needs two powers and at least two rounds"),
    "no core": (["battery"], Exit.UNREACHABLE, "is `ems run` running with this state folder?"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_it_refuses_and_asks_for_nothing(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options, status, words = REFUSED[name]
    assert main(["prove", str(FEEDER), "--state", str(tmp_path), *options]) == status
    assert words in capsys.readouterr().err
    assert read_active(tmp_path, SystemClock().now()) == []


def test_what_somebody_holds_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    held = [
        "override",
        "set",
        str(FEEDER),
        "battery",
        "3",
        "--for",
        "30m",
        "--reason",
        "a test",
        "--state",
        str(tmp_path),
    ]
    assert main(held) == Exit.OK
    assert main(["prove", str(FEEDER), "battery", "--state", str(tmp_path)]) == Exit.DENIED
    assert "a test; release that first" in capsys.readouterr().err
