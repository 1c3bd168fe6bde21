"""What `ems doctor` looks at of one site: who may read its state, its secrets, core, devices, feeds, chain of audit.

Law: it only reads. Where the core runs, devices are asked through it, as many take one connection alone.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import stat
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from drivers.driver import DriverError
from drivers.feeds import FeedError
from drivers.points import Quality
from drivers.registry import build_driver
from ems.clock import Clock, SystemClock
from ems.config.binding import device_spec
from ems.config.grid_operator import LIMITS_TOKEN
from ems.config.secrets import FOLDER as SECRETS
from ems.config.secrets import SecretError, read_secret, secrets_of
from ems.config.site import Site
from ems.limits.token import FILE as TOKEN
from ems.limits.token import trouble
from ems.live import LiveError, read_live
from ems.operations.findings import Finding
from ems.operations.units import secret_file
from ems.slow.planning_setup import open_feeds
from ems.store.chain import GENESIS, entry_hash
from ems.store.checkpoints import KEY_FILE, KIND, is_signed
from ems.store.database import StoreError, open_readable
from ems.store.journal import FILE, SCHEMA, latest_record

ANSWER_S = 5.0
CORE_S = 2.0
TAIL = 1000
"""So many of the newest entries of the chain are walked; `ems audit verify` walks all."""
SIGNED_WITHIN = timedelta(hours=2)
WELL = frozenset({"normal", "override"})


def site_findings(site: Site, state_dir: Path) -> list[Finding]:
    """Look at a site; takes some seconds.

    Args:
        site: the site.
        state_dir: its state directory.
    """
    # What drivers say of a lost device is a finding already; where nobody logs it would stand on stderr too.
    logging.getLogger("drivers").addHandler(logging.NullHandler())
    snapshot = _live(state_dir)
    found = [*permissions(state_dir), *secrets(site, state_dir), core(snapshot)]
    found += asyncio.run(_asked(site, snapshot))
    return [*found, *audit(state_dir, SystemClock().now() if snapshot is not None else None)]


def _live(state_dir: Path) -> Mapping[str, Any] | None:
    try:
        return read_live(state_dir, CORE_S)
    except LiveError:
        return None


def permissions(state_dir: Path) -> Iterator[Finding]:
    """Look at who may read what: the state directory holds single values, and keys."""
    if not state_dir.is_dir():
        return
    mode = stat.S_IMODE(state_dir.stat().st_mode)
    advice = f"others may look into it: `chmod 700 {state_dir}`" if mode & 0o077 else ""
    yield Finding("permissions", True, f"{state_dir} has mode {mode:04o}", advice)
    folder = state_dir / SECRETS
    private = [state_dir / KEY_FILE, state_dir / TOKEN, *(sorted(folder.iterdir()) if folder.is_dir() else [])]
    for path in private:
        if path.is_file() and (open_to := stat.S_IMODE(path.stat().st_mode)) & 0o077:
            remedy = f"others may read it: `chmod 600 {path}`, and change what it holds"
            yield Finding(f"permissions of {path.name}", False, f"mode {open_to:04o}", remedy)


def secrets(site: Site, state_dir: Path) -> Iterator[Finding]:
    """Look whether the secrets that the site needs are there; what they are is not told."""
    for name in secrets_of(site):
        yield _handed(site, name) or _secret(name, _missing(name, state_dir))
    operator = site.file.grid_operator
    if operator is not None and operator.api is not None:
        remedy = f"`ems limits token {site.file.site.id}` makes one"
        why = trouble(state_dir)
        yield _handed(site, LIMITS_TOKEN) or _secret(LIMITS_TOKEN, why and f"{why}: {remedy}")


def _handed(site: Site, name: str) -> Finding | None:
    """Look whether systemd hands a secret over; None if it has none."""
    path = secret_file(site, name)
    try:
        return Finding(f"secret {name}", True, "systemd hands it over") if path.exists() else None
    except PermissionError:
        advice = f"look as root: `sudo ls -l {path}`"
        return Finding(f"secret {name}", True, "whether systemd hands it over is seen by root alone", advice)


def _secret(name: str, why: str) -> Finding:
    return Finding(f"secret {name}", not why, "cannot be used" if why else "is there", why)


def _missing(name: str, state_dir: Path) -> str:
    try:
        read_secret(name, state_dir)
    except SecretError as error:
        return str(error)
    return ""


def core(snapshot: Mapping[str, Any] | None) -> Finding:
    """Look at the running core; one that does not run is no mistake."""
    if snapshot is None:
        return Finding("core", True, "does not run here", "start it with `ems up SITE`, or its services")
    state, cause = snapshot["health"]["state"], snapshot["health"]["cause"]
    alarms = "; ".join(str(alarm["text"]) for alarm in snapshot["alarms"])
    ok = state in WELL and not alarms
    return Finding("core", ok, f"{state}: {cause}", "" if ok else alarms or "see `ems status SITE`")


async def _asked(site: Site, snapshot: Mapping[str, Any] | None) -> list[Finding]:
    clock = SystemClock()
    told = _devices_of(snapshot) if snapshot is not None else [one async for one in devices(site, clock)]
    return [*told, *[one async for one in feeds(site, clock)]]


def _devices_of(snapshot: Mapping[str, Any]) -> list[Finding]:
    words = {True: ("answers", ""), False: ("is lost", "power, cable, address, profile; the alarm says more")}
    return [
        Finding(f"device {name}", device["online"], *words[device["online"]])
        for name, device in snapshot["devices"].items()
    ]


async def devices(site: Site, clock: Clock) -> AsyncIterator[Finding]:
    """Read every device once by drivers that cannot write."""
    for name, spec in site.file.devices.items():
        remedy = "power, cable, address, unit, profile"
        try:
            driver = build_driver(name, device_spec(spec, writable=False), clock)
            try:
                scan = await clock.wait_for(driver.read(), ANSWER_S)
            finally:
                await driver.close()
        except (TimeoutError, OSError, DriverError) as error:
            yield Finding(f"device {name}", False, str(error) or f"no answer within {ANSWER_S:g} s", remedy)
            continue
        good = sum(one.quality is not Quality.BAD for one in scan)
        reason = "" if good or not scan else f": {scan[0].reason}"
        where = f"{spec.host} port {spec.port}"
        found = f"{good} of {len(scan)} points can be read at {where}{reason}"
        yield Finding(f"device {name}", good > 0, found, "" if good else remedy)


async def feeds(site: Site, clock: Clock) -> AsyncIterator[Finding]:
    """Fetch every feed once; one that fails costs the quality of plans, and never a plan."""
    for name, feed in open_feeds(site, clock).items():
        now = clock.now()
        remedy = "look after its source; plans go on with the last known series, then with older days"
        try:
            series = await clock.wait_for(feed.fetch(now), ANSWER_S)
        except (TimeoutError, FeedError) as error:
            yield Finding(f"feed {name}", False, str(error) or f"no answer within {ANSWER_S:g} s", remedy)
            continue
        age_h = (now - max(one.issued_at for one in series)).total_seconds() / 3600.0
        most_h = getattr(site.file.feeds, name).max_age_h
        ok = age_h <= most_h
        yield Finding(f"feed {name}", ok, f"issued {age_h:.1f} h ago, used up to {most_h:g} h", "" if ok else remedy)


def audit(state_dir: Path, running_since: datetime | None) -> Iterator[Finding]:
    """Look at the newest entries of the chain, and whether it is signed.

    Args:
        state_dir: the state directory.
        running_since: now, if the core runs; None if it does not, then an old signature is no mistake.
    """
    remedy = f"`ems audit verify {state_dir}` says more; keep the directory as it is"
    try:
        walked, wrong = tail(state_dir / FILE)
        last = latest_record(state_dir / FILE, KIND)
    except (StoreError, sqlite3.Error) as error:
        yield Finding("audit", False, f"the journal cannot be read: {error}", remedy)
        return
    if not walked:
        return
    yield Finding("audit", not wrong, wrong or f"the newest {walked} entries are whole", remedy if wrong else "")
    if last is None or not is_signed(last.body):
        yield Finding(
            "checkpoint", False, "nothing is signed" if last is None else "its signature is not valid", remedy
        )
        return
    at = datetime.fromisoformat(str(last.body["at"]))
    late = running_since is not None and timedelta(0) <= running_since - at > SIGNED_WITHIN
    yield Finding(
        "checkpoint", not late, f"signed {at:%Y-%m-%d %H:%M} UTC", "look at the alarm `audit`" if late else ""
    )


def tail(path: Path, count: int = TAIL) -> tuple[int, str]:
    """Walk the newest entries of a journal; gives how many, and what is wrong first, empty if nothing is.

    Raises:
        StoreError: the file cannot be used.
    """
    connection = open_readable(path, SCHEMA)
    if connection is None:
        return 0, ""
    with closing(connection):
        select = "SELECT id, at, kind, body, hash FROM record ORDER BY id DESC LIMIT ?"
        rows = connection.execute(select, (count + 1,)).fetchall()[::-1]
    # The oldest one says what the next begins with; it is only walked itself where it is the first of all.
    before = (0, "", "", "", GENESIS)
    if rows and rows[0][0] != 1:
        before, rows = rows[0], rows[1:]
    for row in rows:
        number, at, kind, body, kept = row
        if number != before[0] + 1 or entry_hash(number, at, kind, body, before[4]) != kept:
            return len(rows), f"entry {number} is not what follows from its content and the entry before it"
        before = row
    return len(rows), ""
