"""`ems hil report`: the report of a stored run, as a page and as a PDF."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from ems.commands.output import emit
from ems.exit_codes import CommandError, Exit
from hil.report.content import contents
from hil.report.page import to_page
from hil.report.sheets import to_pdf
from hil.run_record import RunError, RunRecord, read_run


def command(argv: Sequence[str]) -> int:
    """Write the report of a run."""
    options = argparse.ArgumentParser(prog="ems hil report", description="Write the report of a stored run.")
    options.add_argument("run", type=Path, metavar="RUN", help="folder that `ems hil run` wrote")
    options.add_argument("-o", "--out", type=Path, metavar="DIR", help="folder for the report (default: the run's)")
    options.add_argument("--json", action="store_true", help="print one JSON object on stdout")
    arguments = options.parse_args(argv)
    try:
        record = read_run(arguments.run)
    except RunError as error:
        raise CommandError(str(error)) from error
    out = arguments.out or (arguments.run if arguments.run.is_dir() else arguments.run.parent)
    files = reported(record)
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            (out / name).write_bytes(content)
    except OSError as error:
        raise CommandError(f"{out} cannot be written ({error.strerror}): name another folder with -o") from error
    body = {"run": record.name, "passed": record.about["result"]["passed"], "files": [str(out / n) for n in files]}
    emit("hil_report", body, [f"wrote {path}" for path in body["files"]], as_json=arguments.json)
    return Exit.OK


def reported(record: RunRecord) -> dict[str, bytes]:
    """Make the files of a report; the same record gives the same bytes."""
    blocks = contents(record)
    return {"report.html": to_page(blocks), "report.pdf": to_pdf(blocks)}
