"""`ems check`: say everything that is wrong with a site, what was understood of it, and whether its grid stands it."""

from __future__ import annotations

from collections.abc import Sequence

from ems.clock import SystemClock
from ems.commands.options import opened, parser
from ems.commands.output import emit, note
from ems.commands.understood import describe, understood
from ems.config.binding import bind
from ems.config.running import changes
from ems.config.site import Site
from ems.config.step_models import nobody_sets
from ems.config.verdict import Verdict, write_verdict
from ems.exit_codes import CommandError, Exit
from ems.failsafe import is_steered, judge
from ems.slow.planning_setup import cache_dir, grid_limits, grid_path, outages, year_of
from ems.slow.series_files import SeriesError
from optimization.network import GridError
from optimization.network_build import prepare


def command(argv: Sequence[str]) -> int:
    """Check a site; the verdict on its grid is kept in the state directory for the core."""
    options = parser("check", "Check a site's files and whether its grid stands all devices in failsafe at once.")
    arguments = options.parse_args(argv)
    site, state = opened(arguments)
    now = SystemClock().now()
    facts = understood(site, bind(site), now)
    note("checking the grid with all devices in failsafe ...")
    try:
        year_of(site)
        for outage in outages(site):
            prepare(grid_path(site), outage.limits or grid_limits(site), cache_dir(state), outage)
        verdict = judge(site, state, now)
        write_verdict(state, verdict)
    except (GridError, SeriesError) as error:
        raise CommandError(str(error), Exit.CONFIG) from error
    except OSError as error:
        raise CommandError(f"{state} cannot be written ({error.strerror}); give another with --state") from error
    refused = not verdict.passed and bool(steered(site))
    changed = changes(site, state)
    body = {"ok": not refused, **facts, "changes": changed, "failsafe": verdict, "problems": []}
    told = [f"change    at the next start: {one}" for one in changed]
    emit("check", body, [*describe(facts), *told, *_failsafe_lines(site, verdict)], as_json=arguments.json)
    return Exit.INFEASIBLE if refused else Exit.OK


def steered(site: Site) -> list[str]:
    """List the devices in control mode."""
    return [name for name in site.file.devices if is_steered(site, name)]


def _failsafe_lines(site: Site, verdict: Verdict) -> list[str]:
    lines = [f"failsafe  {case}" for case in verdict.cases]
    if verdict.passed:
        return [*lines, "verdict   the grid stands all devices in failsafe at once; control mode is allowed"]
    lines += [f"problem   {words}" for words in verdict.problems]
    refused = ", ".join(steered(site))
    allowed = f"control mode is refused for {refused}" if refused else "no device may be set to control"
    is_unset = verdict.problems == (nobody_sets(site),)
    why = "nobody sets what plans move" if is_unset else "the grid would not stand all devices in failsafe at once"
    return [*lines, f"verdict   {why}; {allowed}"]
