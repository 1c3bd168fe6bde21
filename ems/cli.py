"""The `ems` command: a static table of names, each a module that is imported only when its command runs.

Strangers (and the pretend world, which `ems` may not import) add commands through the entry point group
`ems.commands`; a name that is taken refuses to start.
"""

from __future__ import annotations

import ast
import difflib
import importlib
import importlib.metadata
import importlib.util
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from ems.config.errors import SiteError
from ems.exit_codes import CommandError, Exit
from ems.one_thread import keep_to_one_thread

Command = Callable[[Sequence[str]], int]

GROUP = "ems.commands"
ROOMS = ("drivers", "optimization", "hil")
COMMANDS: Mapping[str, tuple[str, str]] = {
    "check": ("ems.commands.check", "check a site's files and its grid in the worst case"),
    "doctor": ("ems.commands.doctor", "check this machine: Python, packages, directories, clock, ports"),
    "up": ("ems.up", "run the core, the guard and the page together"),
    "run": ("ems.run", "run the core: meter, plan, steer"),
    "guard": ("ems.guard", "write safe values when the core is lost"),
    "serve": ("ems.web.serve", "serve the status page on this machine"),
    "prove": ("ems.commands.prove", "step an asset up and down, and see whether its meter and the grid's follow"),
    "limits": ("ems.commands.limits", "let the grid operator limit a site by HTTP, or make its token"),
    "emergencies": ("ems.commands.emergencies", "tell what happened when the grid operator limited the site"),
    "status": ("ems.commands.status", "ask the running core how it is"),
    "plan": ("ems.commands.plan", "show a plan, explain it, or tell what two plans differ in"),
    "mode": ("ems.commands.mode", "set a device to monitor, advise or control"),
    "lockout": ("ems.commands.lockout", "lock a device out for maintenance, or unlock it"),
    "release-all": ("ems.commands.release_all", "release every device to its own control, or take it back"),
    "override": ("ems.commands.override", "set, list or release operator setpoints"),
    "report": ("ems.commands.report", "make a carbon report for an auditor, or check one"),
    "audit": ("ems.commands.audit", "verify the chain of audit of a state folder, or draw samples from it"),
    "store": ("ems.commands.store", "back up or restore what a site keeps, or seal its history"),
    "backtest": ("ems.commands.backtest", "try controllers on what a site has recorded"),
    "forecasts": ("ems.commands.forecasts", "tell how loads are foreseen and what errors cost; try methods"),
    "units": ("ems.commands.units", "write a site's units for systemd"),
    "support-bundle": ("ems.commands.support_bundle", "pack what helps to find out what is wrong, without secrets"),
    "ev": ("ems.commands.ev", "tell what a car wants, or queue for a charge point"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and give its exit status."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        return _dispatch(arguments)
    except CommandError as error:
        return _refuse(arguments, str(error), error.status)
    except SiteError as error:
        problems = [asdict(problem) for problem in error.problems]
        return _refuse(arguments, str(error), Exit.CONFIG, {"problems": problems})
    except KeyboardInterrupt:
        return _complain("interrupted", Exit.INTERRUPTED)
    except BrokenPipeError:
        # The reader of our output went away (`ems ... | head`); the interpreter must not flush into the closed pipe.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.OK


def _dispatch(arguments: list[str]) -> int:
    check_rooms()
    plugins = entry_points()
    if not arguments or arguments[0] in {"-h", "--help", "help"}:
        sys.stdout.write(_help(plugins))
        return Exit.OK if arguments else Exit.USAGE
    if arguments[0] in {"-V", "--version", "version"}:
        sys.stdout.write(f"ems {version()}\n")
        return Exit.OK
    name, rest = arguments[0], arguments[1:]
    if name not in COMMANDS and name not in plugins:
        close = difflib.get_close_matches(name, [*COMMANDS, *plugins], n=1)
        hint = f" (did you mean `ems {close[0]}`?)" if close else ""
        return _complain(f"there is no command `{name}`{hint}; see `ems --help`", Exit.USAGE)
    keep_to_one_thread()
    return int(_load(name, plugins)(rest))


def _load(name: str, plugins: Mapping[str, importlib.metadata.EntryPoint]) -> Command:
    try:
        found = plugins[name].load() if name in plugins else importlib.import_module(COMMANDS[name][0]).command
    except ModuleNotFoundError as error:
        words = f"`ems {name}` needs the package `{error.name}`, which is missing; `ems doctor` tells what to do"
        raise CommandError(words) from error
    command: Command = found
    return command


def version() -> str:
    """Give the version of the installed product."""
    return importlib.metadata.version("district-ems")


def entry_points() -> dict[str, importlib.metadata.EntryPoint]:
    """List the commands of others by name; raises `CommandError` if two want one name."""
    found: dict[str, importlib.metadata.EntryPoint] = {}
    for point in importlib.metadata.entry_points(group=GROUP):
        if point.name in COMMANDS:
            raise CommandError(f"`{point.value}` adds a command `{point.name}`, which ems has itself; uninstall it")
        if found.setdefault(point.name, point).value != point.value:
            other = found[point.name].value
            raise CommandError(
                f"`{point.value}` and `{other}` both add a command `{point.name}`; uninstall one of them"
            )
    return found


def check_rooms() -> None:
    """Make sure that `drivers`, `optimization` and `hil` are ours; raises `CommandError`.

    The names are generic: a folder of the same name in the working directory may come first on the import path.
    """
    home = Path(__file__).resolve().parent.parent
    for room in ROOMS:
        spec = importlib.util.find_spec(room)
        folders = [Path(folder).resolve() for folder in (spec and spec.submodule_search_locations) or ()]
        if folders != [home / room]:
            where = folders[0] if folders else "nowhere"
            words = f"the package `{room}` comes from {where}, not from {home}; start ems in another directory"
            raise CommandError(f"{words}, or remove that folder from PYTHONPATH")


def _help(plugins: Mapping[str, importlib.metadata.EntryPoint]) -> str:
    lines = [f"  {name:<12} {words}" for name, (_, words) in COMMANDS.items()]
    lines += [f"  {name:<12} {_words_of(point)}" for name, point in sorted(plugins.items())]
    listing = "\n".join(lines)
    return (
        "usage: ems COMMAND [ARGUMENTS]\n\n"
        "District EMS meters a feeder, plans it, checks the grid and steers its devices.\n\n"
        f"commands:\n{listing}\n\n"
        "`ems COMMAND --help` tells more; `ems --version` gives the version.\n"
        "exit status: 0 ok, 1 failure, 2 usage, 3 site files, 4 unreachable, 5 degraded, 6 infeasible, 7 denied\n"
    )


def _words_of(point: importlib.metadata.EntryPoint) -> str:
    """Say what a stranger's command does, by the first sentence of its module, which is read and not imported."""
    try:
        spec = importlib.util.find_spec(point.module)
        text = Path(str(spec and spec.origin)).read_text(encoding="utf-8")
        first = (ast.get_docstring(ast.parse(text)) or "").split("\n\n")[0]
    except (ImportError, OSError, SyntaxError, ValueError):
        first = ""
    words = " ".join(first.removeprefix(f"`ems {point.name}`:").split()).rstrip(".")
    return f"{words} (from {point.module})" if words else f"added by {point.module}"


def _complain(words: str, status: Exit) -> int:
    sys.stderr.write(f"ems: {words}\n")
    return status


def _refuse(arguments: list[str], words: str, status: Exit, more: Mapping[str, object] | None = None) -> int:
    """Say why a command ended, on stderr, and with `--json` as the one object on stdout too."""
    if "--json" in arguments:
        name = arguments[0]
        body = {"schema": f"ems.{name}/1", "ok": False, "exit": int(status), "error": words, **(more or {})}
        sys.stdout.write(json.dumps(body) + "\n")
    # What concerns a file stands alone on its line, for editors to jump from.
    sys.stderr.write(f"{words}\n" if status is Exit.CONFIG else f"ems: {words}\n")
    return status


if __name__ == "__main__":
    sys.exit(main())
