"""The pretend world has one grid connection: a site with several is refused before anything is drawn."""

from __future__ import annotations

import pytest

from ems.config.loading import load_site
from ems.config.site import GridConnection
from ems.config.sites import find_site
from hil.plant_build import build_plant
from hil.scenario import Scenario, ScenarioError


def test_a_site_with_several_connections_is_refused_in_words() -> None:
    site = load_site(find_site("demo_feeder"))
    more = {"north": GridConnection(import_limit_kw=20.0, export_limit_kw=5.0)}
    several = site.model_copy(update={"file": site.file.model_copy(update={"connections": more})})
    with pytest.raises(ScenarioError, match="demo_feeder: the pretend world has one grid connection yet"):
        build_plant(several, Scenario.model_construct(), 1)
