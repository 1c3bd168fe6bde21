"""`ems hil simulate`: the daemon and its world in one process by a seed, with everything that can go wrong."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence

from ems.commands.output import note
from ems.config.loading import load_site
from ems.config.sites import find_site
from ems.exit_codes import CommandError, Exit
from ems.store.encoding import to_json
from hil.scenario import ScenarioError
from hil.simulation.faults import Rates
from hil.simulation.simulate import Order, Outcome, simulate

DAY_S = 86400.0
SITE = "demo_house"


def command(argv: Sequence[str]) -> int:
    """Run one seed; exit status 1 where an invariant does not hold."""
    arguments = _parser().parse_args(argv)
    logging.disable(logging.CRITICAL)
    try:
        outcome = simulate(_order(arguments))
    except ScenarioError as error:
        raise CommandError(str(error), Exit.CONFIG) from error
    finally:
        logging.disable(logging.NOTSET)
    if arguments.schedule:
        for fault in outcome.schedule:
            note(str(fault))
    sys.stdout.write(to_json(outcome.as_json()) + "\n" if arguments.json else tell(outcome))
    return Exit.FAILURE if outcome.violations else Exit.OK


def _parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(
        prog="ems hil simulate", description="Run the daemon and a pretend world in one process, by a seed."
    )
    options.add_argument(
        "site", metavar="SITE", nargs="?", default=SITE,
        help=f"a site folder, a site file, or the name of a site in ./sites (default: {SITE})",
    )  # fmt: skip
    options.add_argument("--seed", type=int, default=1, metavar="N", help="seed of chance (default: 1)")
    options.add_argument("--days", type=float, default=2.0, metavar="N", help="simulated days (default: 2)")
    options.add_argument("--cycle", type=float, default=10.0, metavar="S", help="control cycle [s] (default: 10)")
    options.add_argument("--scenario", metavar="NAME", help="weather and prices (default: by the seed)")
    options.add_argument("--faults", type=float, default=1.0, metavar="N", help="so many times the usual (0: none)")
    options.add_argument("--no-plans", action="store_true", help="let nobody plan")
    options.add_argument("--schedule", action="store_true", help="print on stderr what goes wrong when")
    options.add_argument("--json", action="store_true", help="print one JSON object on stdout")
    return options


def _order(arguments: argparse.Namespace) -> Order:
    folder = find_site(arguments.site)
    return Order(
        load_site(folder),
        arguments.seed,
        arguments.days * DAY_S,
        cycle_s=arguments.cycle,
        rates=Rates().times(arguments.faults),
        plans=not arguments.no_plans,
        scenario=arguments.scenario,
    )


def tell(outcome: Outcome) -> str:
    """Write an outcome for people."""
    faults = sum(outcome.as_json()["faults"].values())
    lines = [
        f"seed {outcome.seed}: {outcome.reached_s:.0f} of {outcome.seconds:.0f} simulated seconds, {faults} faults, "
        f"{outcome.lives} lives, {outcome.plans} plans, {outcome.writes} writes",
        f"decisions in time: {outcome.decided} of {outcome.due} ({outcome.availability:.4%})",
        f"simulated seconds a second of a core: {outcome.speed:.0f}",
        f"digest {outcome.digest}",
        *(f"does not hold: {violation}" for violation in outcome.violations),
    ]
    return "\n".join(lines) + "\n"
