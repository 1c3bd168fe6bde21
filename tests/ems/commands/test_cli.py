"""The command itself: help without weight, suggestions, plug-ins, shadowed rooms, exit statuses."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from typing import Any

import pytest

from ems import cli
from ems.exit_codes import Exit

Run = Callable[..., Any]


def test_help_lists_every_command_and_loads_nothing_heavy() -> None:
    code = "import sys; had = {*sys.modules}; from ems.cli import main; main(['--help']); print(*{*sys.modules} - had)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    *lines, modules = done.stdout.splitlines()
    listed = {line.split()[0] for line in lines if line.startswith("  ")}
    assert {*cli.COMMANDS, "hil", "demo"} <= listed
    loaded = set(modules.split())
    heavy = {"numpy", "scipy", "pandas", "pyarrow", "pydantic", "yaml", "httpx", "starlette", "uvicorn", "apscheduler"}
    heavy |= {"pyomo", "highspy", "pandapower", "pymodbus", "bacpypes3", "asyncio", "ems.config.site", "hil.demo"}
    assert not heavy & loaded
    assert len(loaded) < 250


def test_help_says_what_the_commands_of_others_do_without_importing_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "their_count.py").write_text('"""`ems count`: count the\nbeans.\n\nMore."""\nraise RuntimeError\n')
    (tmp_path / "their_silence.py").write_text("x = 1\n")
    (tmp_path / "their_slip.py").write_text("def (\n")
    monkeypatch.syspath_prepend(tmp_path)
    names = ("count", "their_count:command"), ("silence", "their_silence:command"), ("slip", "their_slip:command")
    monkeypatch.setattr("importlib.metadata.entry_points", points(*names, ("gone", "not_there.at_all:command")))
    assert cli.main(["--help"]) == Exit.OK
    said = capsys.readouterr().out
    assert "  count        count the beans (from their_count)\n" in said
    assert "  silence      added by their_silence\n" in said
    assert "  slip         added by their_slip\n" in said
    assert "  gone         added by not_there.at_all\n" in said


def test_version_and_usage(process: Run) -> None:
    said = process("--version")
    assert (said.status, said.out) == (0, f"ems {cli.version()}\n")
    assert process().status == Exit.USAGE


def test_an_unknown_command_is_refused_with_a_suggestion(process: Run) -> None:
    said = process("chek", "demo_feeder")
    assert said.status == Exit.USAGE
    assert said.out == ""
    assert "there is no command `chek` (did you mean `ems check`?)" in said.err


def test_unknown_options_are_usage(ems: Run) -> None:
    assert ems("check", "SITE", "--jsn").status == Exit.USAGE
    assert ems("override", "set", "SITE", "battery", "much", "--for", "1h", "--reason", "x").status == Exit.USAGE


def points(*pairs: tuple[str, str]) -> Callable[..., EntryPoints]:
    found = EntryPoints(EntryPoint(name, value, cli.GROUP) for name, value in pairs)
    return lambda **_: found


@pytest.mark.parametrize(
    ("pairs", "words"),
    [
        ([("check", "theirs.check:command")], "which ems has itself"),
        ([("x", "one:command"), ("x", "two:command")], "`two:command` and `one:command` both add a command `x`"),
    ],
)
def test_a_name_that_is_taken_refuses_to_start(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], pairs: list[tuple[str, str]], words: str
) -> None:
    monkeypatch.setattr("importlib.metadata.entry_points", points(*pairs))
    assert cli.main(["--help"]) == Exit.FAILURE
    assert words in capsys.readouterr().err


def test_a_stranger_s_command_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.metadata.entry_points", points(("count", "builtins:len"), ("count", "builtins:len")))
    assert cli.main(["count", "a", "b"]) == 2


def test_a_missing_package_points_at_the_doctor(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("importlib.metadata.entry_points", points(("odd", "no_such_package.x:command")))
    assert cli.main(["odd"]) == Exit.FAILURE
    assert "needs the package `no_such_package`, which is missing; `ems doctor`" in capsys.readouterr().err


def test_an_interrupted_command_ends_with_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "check_rooms", interrupted)
    assert cli.main(["check"]) == Exit.INTERRUPTED


@pytest.mark.parametrize("as_package", [True, False])
def test_a_folder_that_shadows_a_room_is_named(tmp_path: Path, process: Run, as_package: bool) -> None:
    room = tmp_path / "drivers"
    room.mkdir()
    if as_package:
        (room / "__init__.py").write_text("")
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from ems.cli import main; sys.exit(main(['--help']))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    # A folder without an `__init__.py` is found only where no real package is: it shadows nothing.
    assert done.returncode == (Exit.FAILURE if as_package else Exit.OK)
    assert (f"the package `drivers` comes from {room}" in done.stderr) is as_package


def test_a_reader_that_goes_away_is_no_failure() -> None:
    words = f"{sys.executable} -m ems.cli --help | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", words], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0
    assert done.stderr == ""
