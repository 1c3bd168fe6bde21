"""`ems doctor`: whether this machine can run the product and a site is well, and what to do where not.

It imports nothing that may be missing: it must be able to say so.
"""

from __future__ import annotations

import argparse
import ctypes
import http.client
import importlib
import importlib.metadata
import importlib.util
import json
import platform
import re
import shutil
import socket
import sqlite3
import sys
import tempfile
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from ems.cli import check_rooms
from ems.clock import SystemClock
from ems.config.state import state_root
from ems.exit_codes import CommandError, Exit
from ems.operations.findings import Finding
from ems.web.vendor import astray

PRODUCT = "district-ems"
OLDEST_PYTHON, NEWEST_PYTHON = (3, 11), (3, 13)
PAGE_PORT = 8470
NEEDED_FREE_MB = 500
CLOCK_IS_LOOSE = 5
"""What adjtimex(2) answers while nothing keeps the clock."""
_HOME = Path(__file__).resolve().parents[2]
_PACKAGED = _HOME / "ems"
_CHECKOUT = _HOME / "pyproject.toml"


def command(argv: Sequence[str]) -> int:
    """Examine this machine."""
    options = argparse.ArgumentParser(prog="ems doctor", description="Check whether this machine can run the product.")
    options.add_argument(
        "site", metavar="SITE", nargs="?", help="also look at this site: its state, secrets, core, devices, feeds"
    )
    options.add_argument("--state", type=Path, metavar="DIR", help="state directory to look at")
    options.add_argument("--json", action="store_true", help="print one JSON object on stdout")
    arguments = options.parse_args(argv)
    site, folder = _site(arguments) if arguments.site else (None, state_root(arguments.state))
    findings = examined(site, folder)
    healthy = all(finding.ok for finding in findings)
    if arguments.json:
        body = {"schema": "ems.doctor/1", "ok": healthy, "findings": [asdict(finding) for finding in findings]}
        sys.stdout.write(json.dumps(body) + "\n")
    else:
        sys.stdout.writelines(f"{finding}\n" for finding in findings)
    return Exit.OK if healthy else Exit.DEGRADED


def examined(site: Any, folder: Path) -> list[Finding]:
    """Look at everything.

    Args:
        site: a loaded site; None for the machine alone.
        folder: the state directory.
    """
    findings = [*versions(), python(), *packages(), console(), *debian(), rooms(), writable(folder), disk(folder)]
    findings += [*clock(), clock_sync(), page_port(), node()]
    if site is not None:
        findings += importlib.import_module("ems.operations.site_findings").site_findings(site, folder)
    return findings


def _site(arguments: argparse.Namespace) -> tuple[Any, Path]:
    opened: tuple[Any, Path] = importlib.import_module("ems.commands.options").opened(arguments)
    return opened


def versions() -> Iterator[Finding]:
    """Tell what runs here; there is nothing to mend in it."""
    ours = importlib.metadata.version(PRODUCT)
    yield Finding("versions", True, f"ems {ours}, SQLite {sqlite3.sqlite_version}, {platform.platform()}")


def python(version: tuple[int, int, int] = sys.version_info[:3]) -> Finding:
    """Look at the interpreter."""
    found = ".".join(map(str, version))
    ok = OLDEST_PYTHON <= version[:2] <= NEWEST_PYTHON
    return Finding("python", ok, found, "" if ok else "install Python 3.11, 3.12 or 3.13 and run `make setup` again")


def packages() -> Iterator[Finding]:
    """Look at the packages that the product needs, against the lock where there is one."""
    locked = lock_versions(_beside("requirements.lock", "runtime.lock"))
    needed = [line for line in importlib.metadata.requires(PRODUCT) or () if "extra ==" not in line]
    wrong = [finding for line in needed if not (finding := package(_name_of(line), locked)).ok]
    yield from wrong
    if not wrong:
        against = "at the locked versions" if locked else "present (no lock file here to compare with)"
        yield Finding("packages", True, f"all {len(needed)} {against}")


def package(name: str, locked: Mapping[str, frozenset[str]]) -> Finding:
    """Look at one package; a lock may hold several versions, for several Pythons."""
    try:
        found = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return Finding(f"package {name}", False, "is missing", "run `make setup`, or install the product again")
    wanted = locked.get(_normal(name), frozenset({found}))
    if found in wanted:
        return Finding(f"package {name}", True, found)
    return Finding(f"package {name}", False, found, f"locked is {' or '.join(sorted(wanted))}: run `make setup` again")


def lock_versions(lock: Path) -> Mapping[str, frozenset[str]]:
    """Read the versions of a lock file by normalised package name; nothing if there is none."""
    if not lock.is_file():
        return {}
    pairs = re.findall(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", lock.read_text(encoding="utf-8"), re.MULTILINE)
    names = {_normal(name) for name, _ in pairs}
    return {name: frozenset(version for other, version in pairs if _normal(other) == name) for name in names}


def console() -> Finding:
    """Look at the console's scripts that others wrote, which the build fetches."""
    if missing := astray():
        remedy = "run `python hatch_build.py`" if _CHECKOUT.is_file() else "install the product again"
        return Finding("console", False, f"missing or changed: {', '.join(missing)}", remedy)
    return Finding("console", True, "its scripts are whole, as their hashes say")


def debian() -> Iterator[Finding]:
    """Look at what Debian must have installed; what only builds and tests need is advice, in a checkout alone."""
    text = _beside("debian-packages.txt", "debian-packages.txt").read_text(encoding="utf-8")
    lines = [line.split() for line in text.splitlines() if line and not line.startswith("#")]
    for name, purpose, probe in lines:
        if is_there(probe) or (purpose != "run" and not _CHECKOUT.is_file()):
            continue
        remedy = f"on Debian, `apt-get install {name}`"
        yield Finding(f"package {name}", purpose != "run", f"{probe} is absent; who has to {purpose} needs it", remedy)


def is_there(probe: str) -> bool:
    """Try a probe of the list of Debian packages."""
    kind, _, what = probe.partition(":")
    match kind:
        case "command":
            return shutil.which(what) is not None
        case "module":
            return importlib.util.find_spec(what) is not None
        case "zone":
            return what in available_timezones() and ZoneInfo(what) is not None
        case "file":
            return Path(what).is_file()
    raise ValueError(f"{probe} is no probe: write command:, module:, zone: or file:")


def _beside(in_checkout: str, in_wheel: str) -> Path:
    """Find a file that stands beside the rooms in a checkout and inside `ems` in a wheel."""
    return _HOME / in_checkout if _CHECKOUT.is_file() else _PACKAGED / in_wheel


def rooms() -> Finding:
    """Look whether other packages shadow ours."""
    try:
        check_rooms()
    except CommandError as error:
        return Finding("rooms", False, str(error), "start ems in another directory")
    return Finding("rooms", True, f"ems, drivers, optimization and hil come from {_HOME}")


def writable(folder: Path) -> Finding:
    """Look whether the state directory takes files, or can be made."""
    place = next(path for path in (folder, *folder.parents) if path.exists())
    try:
        with tempfile.NamedTemporaryFile(dir=place):
            pass
    except OSError as error:
        remedy = "make it writable for this user, or name another with --state or EMS_STATE"
        return Finding("state directory", False, f"{place}: {error.strerror}", remedy)
    return Finding("state directory", True, f"{folder} {'takes files' if place == folder else 'can be made'}")


def disk(folder: Path) -> Finding:
    """Look at the free space for journal and history."""
    place = next((path for path in (folder, *folder.parents) if path.exists()), Path("/"))
    free_mb = shutil.disk_usage(place).free // 2**20
    ok = free_mb >= NEEDED_FREE_MB
    return Finding("disk", ok, f"{free_mb} MB free", "" if ok else f"free {NEEDED_FREE_MB} MB for journal and history")


def clock() -> Iterator[Finding]:
    """Look at the wall clock and the time zones."""
    now = SystemClock().now()
    newest = datetime.fromtimestamp(Path(__file__).stat().st_mtime, UTC)
    ok = now >= newest
    remedy = "" if ok else f"it is before the product was installed ({newest:%Y-%m-%d}): set the clock, turn on NTP"
    yield Finding("clock", ok, f"{now:%Y-%m-%d %H:%M:%S} UTC", remedy)
    zones = len(available_timezones())
    yield Finding("time zones", zones > 0, f"{zones} known", "" if zones else "install the package tzdata")


def clock_sync() -> Finding:
    """Look whether something keeps the clock, as the kernel knows."""
    try:
        answer = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(512))
    except (AttributeError, OSError):
        answer = -1
    if answer in {-1, CLOCK_IS_LOOSE}:
        found = "nobody keeps it" if answer == CLOCK_IS_LOOSE else "the kernel does not tell"
        remedy = "turn on NTP (`timedatectl set-ntp true`), or trust the host's clock if this is a container"
        return Finding("clock sync", True, found, remedy)
    return Finding("clock sync", True, "the kernel is told the time by another clock")


def page_port(port: int = PAGE_PORT) -> Finding:
    """Look whether the status page's port is free on this machine."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            if _is_page(port):
                return Finding("page port", True, f"127.0.0.1:{port} serves a page")
            remedy = f"stop who holds it, or serve on another port ({error.strerror})"
            return Finding("page port", False, f"127.0.0.1:{port} is taken", remedy)
    return Finding("page port", True, f"127.0.0.1:{port} is free")


def _is_page(port: int) -> bool:
    """Tell whether a page of ours answers at a port."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=1.0) as answer:
            return bool(json.loads(answer.read(100)) == {"ok": True})
    except (OSError, ValueError, http.client.HTTPException):
        return False


def node() -> Finding:
    """Look for Node.js, which only the developers' peer tests use."""
    found = shutil.which("node")
    return Finding("node", True, found or "absent, which is fine: it is needed by developers' tests only")


def _name_of(requirement: str) -> str:
    return re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0]


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
