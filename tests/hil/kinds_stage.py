"""A site of the demo house with other things in it, steered by the whole daemon for some hours, without sockets."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import yaml

from ems.config.loading import load_site
from ems.config.site import Site
from ems.config.sites import find_site
from ems.study.arms import Arm, Controller, run_arm
from ems.study.bench import Period
from hil.bench_site import merged
from hil.scenario import Scenario
from hil.scenario_file import load_scenario
from hil.study_bench import PretendBench
from hil.world import World


def site_with(folder: Path, changes: Mapping[str, Any], base: str = "demo_house") -> Site:
    """Copy a shipped site with some keys of its site file other or more; blocks are merged, None leaves one out."""
    shutil.copytree(find_site(base), folder, ignore=shutil.ignore_patterns("history", "published"))
    file = folder / "site.yaml"
    content = merged(yaml.safe_load(file.read_text(encoding="utf-8")), changes)
    for group in ("devices", "assets"):
        content[group] = {name: each for name, each in content[group].items() if each is not None}
    content["series"].pop("history", None)
    file.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return load_site(folder)


def steered(
    site: Site,
    hours: float,
    scenario: str = "sunny_day",
    seed: int = 1,
    by: Controller = Controller.PLAN,
    **nature: Any,
) -> tuple[Arm, World]:
    """Let the daemon steer a site's pretend world from a scenario's start on."""
    told: Scenario = load_scenario(scenario).model_copy(update={"duration_s": hours * 3600.0, **nature})
    world = World(site, told, seed, witness=False)
    start = told.starts_at(ZoneInfo(site.file.site.timezone))
    period = Period(start, start + timedelta(hours=hours))
    return run_arm(site, PretendBench(site, world), period, by, lambda _: None), world
