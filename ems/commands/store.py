"""`ems store`: back a state directory up while the core runs, restore a backup, or seal scans by hand."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ems.clock import SystemClock
from ems.commands.options import add_site, opened
from ems.commands.output import emit
from ems.exit_codes import CommandError, Exit
from ems.store.backup import Backup, RestoreRefused, back_up, restore
from ems.store.database import StoreError
from ems.store.sealing import seal
from ems.store.segments import FOLDER


def command(argv: Sequence[str]) -> int:
    """Run `ems store backup`, `ems store restore` or `ems store seal`."""
    arguments = _parser().parse_args(argv)
    _, state = opened(arguments)
    try:
        match arguments.what:
            case "backup":
                folder, now = arguments.folder.expanduser(), SystemClock().now()
                return _tell("backup", back_up(state, folder, now, with_key=arguments.with_key), arguments)
            case "restore":
                return _tell("restore", restore(arguments.folder.expanduser(), state), arguments)
            case _:
                return _seal(state, arguments)
    except RestoreRefused as error:
        raise CommandError(str(error), Exit.DENIED) from error
    except StoreError as error:
        raise CommandError(str(error)) from error


def _parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(prog="ems store", description="Back up, restore or seal what a site keeps.")
    whats = options.add_subparsers(dest="what", required=True, metavar="backup|restore|seal")
    backup = whats.add_parser("backup", help="copy the state directory while the core runs, and verify the copy")
    restoring = whats.add_parser("restore", help="put a backup into an empty state directory, and verify it")
    sealing = whats.add_parser("seal", help="seal what can be sealed now, as the core does every hour")
    for one in (backup, restoring, sealing):
        add_site(one)
    backup.add_argument("folder", type=Path, metavar="DEST", help="folder of the backup, which is not there yet")
    words = "copy the private key that signs checkpoints too: whoever has the backup can then sign"
    backup.add_argument("--with-key", action="store_true", help=words)
    restoring.add_argument("folder", type=Path, metavar="SRC", help="folder of a backup")
    return options


def _tell(what: str, found: Backup, arguments: argparse.Namespace) -> int:
    body: dict[str, Any] = {
        "ok": not found.wrong,
        "folder": found.folder,
        "files": found.files,
        "bytes": found.size,
        "wrong": [asdict(wrong) for wrong in found.wrong],
    }
    emit(f"store.{what}", body, _lines(found), as_json=arguments.json)
    return Exit.DEGRADED if found.wrong else Exit.OK


def _lines(found: Backup) -> Iterator[str]:
    yield f"files       {len(found.files)} in {found.folder}, {found.size / 1e6:.1f} MB"
    for wrong in found.wrong:
        yield f"wrong       {wrong.file if wrong.entry is None else f'{wrong.file} entry {wrong.entry}'} {wrong.why}"
    yield f"verdict     {'broken' if found.wrong else 'whole'}"


def _seal(state: Path, arguments: argparse.Namespace) -> int:
    done = seal(state / FOLDER, SystemClock().now)
    names = [segment.name for segment in done.made]
    body = {"ok": not done.trouble, "made": names, "trouble": done.trouble}
    lines = [*(f"sealed      {name}" for name in names), *([f"wrong       {done.trouble}"] if done.trouble else [])]
    emit("store.seal", body, lines or ["nothing is to be sealed"], as_json=arguments.json)
    return Exit.DEGRADED if done.trouble else Exit.OK
