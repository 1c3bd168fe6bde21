"""`ems prove` on a running site: the meters of the pretend feeder are right, and the battery follows the plan again."""

from __future__ import annotations

import json
import subprocess

import pytest
from town import World, ems, live, running, steers, told, until

pytestmark = [pytest.mark.soak, pytest.mark.timeout(600)]


def test_steps_of_the_battery_prove_its_meter_and_the_connections(world: World) -> None:
    with running(world, "run"):
        until(lambda: live(world.state) and steers(world), "every device is steered")
        status, out, _ = _prove(world, "--hold", "90s")
        proof = json.loads(out)
        assert (status, proof["ok"]) == (0, True), out
        assert [finding["meter"] for finding in proof["findings"]] == ["battery", "connection"]
        assert all(abs(finding["share"] - 1.0) < 0.2 for finding in proof["findings"])
        assert len(proof["levels"]) == 7
        assert told("override", "list", world.site, "--state", world.state)["overrides"] == []
        assert "beyond the rating" in _prove(world, "--to-kw", "500")[2]
        assert "needs two powers" in _prove(world, "--to-kw", "0")[2]


def _prove(world: World, *options: str) -> tuple[int, str, str]:
    order = ("prove", world.site, "battery", "--state", world.state, "--json", *options)
    process = ems(*order, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    out, err = process.communicate(timeout=300)
    return process.returncode, out, err
