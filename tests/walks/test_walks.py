"""The walks of the three users: every command of a page's walk, in order, from a fresh install, in an empty folder.

A walk is what stands in the blocks marked `<!-- walk -->`. Its commands are run as they are written; only the demo
sites' devices and feeds, and the page's port, stand where nobody else listens.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from docs_pages import Command, commands
from fresh_install import ROOT, Install, install
from page_shell import examine, run_shell, script

from hil.relocate import free_port, relocate

PAGES = [ROOT / "docs" / f"{user}.md" for user in ("operator", "engineer", "auditor")]
SITES = ("demo_house", "demo_district")
LIMIT_S = 600.0
"""On two quiet cores all three need a minute and a half; this machine may be busy."""


def walk(page: Path, *, soak: bool) -> list[Command]:
    return [command for command in commands(page) if command.walk and (soak or not command.long)]


@pytest.fixture(scope="session")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Install:
    """Install, and give the demo sites addresses of their own: a world that somebody runs here is not to be steered."""
    fresh = install(tmp_path_factory.mktemp("install"))
    for site in SITES:
        packed = fresh.packages / "ems" / site
        shutil.move(fresh.packages / "ems" / "sites" / site, packed)
        relocate(packed, fresh.packages / "ems" / "sites" / site)
        shutil.rmtree(packed)
    return fresh


@pytest.fixture
def reader(ready: Install) -> Iterator[dict[str, str]]:
    """Give the environment of somebody who has the product and nothing else; Unix sockets need a short home."""
    kept = {key: value for key, value in os.environ.items() if key in {"LANG", "LC_ALL", "TZ"}}
    paths = [str(ready.binaries), "/usr/local/bin", "/usr/bin", "/bin"]
    with tempfile.TemporaryDirectory(prefix="walk-") as home:
        yield kept | {"HOME": home, "PATH": ":".join(paths), "USER": "reader"}


def _walk(page: Path, reader: dict[str, str], folder: Path, *, soak: bool) -> None:
    folder.mkdir()
    todo = walk(page, soak=soak)
    printed = run_shell(script(todo).replace("8470", str(free_port())), folder, reader, LIMIT_S)
    examine(page, todo, printed)


@pytest.mark.timeout(LIMIT_S + 60)
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_users_walk_does_what_its_page_says(page: Path, reader: dict[str, str], tmp_path: Path) -> None:
    _walk(page, reader, tmp_path / "empty", soak=False)


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    "page", [page for page in PAGES if any(c.long for c in walk(page, soak=True))], ids=lambda page: page.stem
)
def test_a_users_whole_walk_does_what_its_page_says(page: Path, reader: dict[str, str], tmp_path: Path) -> None:
    _walk(page, reader, tmp_path / "empty", soak=True)


def _ask(ready: Install, reader: dict[str, str], code: str) -> list[str]:
    line = ["python", "-c", code]
    done = subprocess.run(line, cwd=ready.binaries, env=reader, capture_output=True, text=True, check=True, timeout=60)
    return done.stdout.split()


def test_the_walks_use_the_fresh_install_and_not_this_checkout(ready: Install, reader: dict[str, str]) -> None:
    code = "import drivers, ems, hil, optimization as o; print(*(room.__file__ for room in (drivers, ems, hil, o)))"
    rooms = _ask(ready, reader, code)
    assert len(rooms) == 4
    assert all(Path(room).is_relative_to(ready.packages) for room in rooms)
    code = "from importlib.metadata import distribution; print(distribution('district-ems').locate_file(''))"
    (home,) = _ask(ready, reader, code)
    assert Path(home) == ready.packages


WANTED = {
    "operator": (
        "check",
        "doctor",
        "demo",
        "status",
        "override set",
        "override release",
        "ev wait",
        "ev queue",
        "lockout",
    ),
    "engineer": ("check", "backtest", "hil run", "hil history"),
    "auditor": ("report carbon", "report verify"),
}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_walk_has_the_commands_that_its_user_needs(page: Path) -> None:
    told = "\n".join(command.text for command in walk(page, soak=False))
    assert [words for words in WANTED[page.stem] if not re.search(rf"\bems {words}\b", told)] == []
    assert not any(word in told for word in ("make ", ".venv", "./sites", "demo_feeder")), "a stranger has no checkout"
