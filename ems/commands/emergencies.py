"""`ems emergencies`: what happened when the grid operator limited the site, each as one timed record."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from ems.commands.options import opened, parser
from ems.commands.output import emit
from ems.emergencies import RECORD, Emergency, emergencies, told
from ems.exit_codes import CommandError, Exit
from ems.store.database import StoreError
from ems.store.journal import Record, read_records
from ems.stores import journal_path

PAGE = 1000


def command(argv: Sequence[str]) -> int:
    """Tell the emergencies of a site."""
    options = parser("emergencies", "What happened when the grid operator limited the site.")
    options.add_argument("--last", type=int, default=5, metavar="N", help="the newest so many (default: 5)")
    arguments = options.parse_args(argv)
    site, state = opened(arguments)
    try:
        found = emergencies(_records(journal_path(state)))[-max(arguments.last, 1) :]
    except StoreError as error:
        raise CommandError(str(error)) from error
    body = {"site": site.file.site.id, "emergencies": [one.as_json() for one in found]}
    emit("emergencies", body, _lines(found), as_json=arguments.json)
    return Exit.OK


def _records(path: Path) -> Iterator[Record]:
    after_id = 0
    while page := read_records(path, RECORD, after_id, PAGE):
        yield from page
        after_id = page[-1].id


def _lines(found: Sequence[Emergency]) -> Iterator[str]:
    if not found:
        yield "no emergency: the grid operator has not limited this site"
    for one in found:
        yield f"{one.began:%Y-%m-%d %H:%M:%S} UTC, {one.direction}"
        for step in one.steps:
            yield f"  {step['after_s']:>8.1f} s  {told(step)}"
        if one.faster_share is not None:
            yield f"  {one.total_s:.1f} s in all; by hand {one.manual_s:g} s, so {one.faster_share:.0%} faster"
