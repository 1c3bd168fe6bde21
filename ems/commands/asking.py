"""Leaves journalled requests for the core, after it was made sure that they can be granted."""

from __future__ import annotations

import getpass
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from ems.clock import SystemClock
from ems.commands.output import emit
from ems.config.site import Device, Mode, Site
from ems.config.wording import did_you_mean
from ems.exit_codes import CommandError, Exit
from ems.live import LiveError, read_live
from ems.store.database import StoreError
from ems.store.requests import Kind, Request, RequestError, read_active, release, submit

PATIENCE_S = 2.0
"""How long the running core may take to tell its time [s]."""
SAME_CLOCK = timedelta(days=1)
"""A core whose time is further from ours runs on a clock of its own."""


@dataclass(frozen=True, slots=True)
class Desk:
    """Where the requests of one site are left.

    Args:
        site: the checked site.
        state: its state directory.
        now: UTC instant of asking.
    """

    site: Site
    state: Path
    now: datetime

    def active(self) -> list[Request]:
        """List the requests in force; raises `CommandError`."""
        try:
            return read_active(self.state, self.now)
        except StoreError as error:
            raise CommandError(str(error)) from error

    def held(self, kind: Kind, target: str) -> Request | None:
        """Find the request of a kind in force for a target."""
        return next((one for one in self.active() if (one.kind, one.target) == (kind, target)), None)

    def device(self, name: str) -> Device:
        """Give a device; raises `CommandError` for an unknown one."""
        return self.site.file.devices[self.known(name, self.site.file.devices, "device")]

    def known(self, name: str, among: Mapping[str, object], kind: str) -> str:
        """Give a name back; raises `CommandError` if the site has no such thing."""
        if name not in among:
            hint = did_you_mean(name, among)
            words = f"{self.site.file.site.id} has no {kind} `{name}`{hint}; it has {', '.join(among)}"
            raise CommandError(words, Exit.USAGE)
        return name

    def mode(self, device: str) -> Mode:
        """Give the mode in force of a device: as requested, else as in the site file."""
        request = self.held("mode", device)
        return Mode(request.value["mode"]) if request else self.site.file.devices[device].mode

    def lockout_words(self, device: str) -> str:
        """Say why a device is locked out; empty if it is not."""
        if self.site.file.devices[device].lockout:
            return f"{device} is locked out in the site file"
        request = self.held("lockout", device)
        return f"{device} is locked out by {request.by}: {request.reason}" if request else ""

    def ask(self, kind: Kind, target: str, value: Mapping[str, Any], reason: str, for_s: float | None) -> Request:
        """Leave a request; raises `CommandError`."""
        expires_at = None if for_s is None else self.now + timedelta(seconds=for_s)
        request = Request(kind, target, value, reason, getpass.getuser(), self.now, expires_at)
        try:
            number = submit(self.state, request)
        except (RequestError, StoreError) as error:
            raise CommandError(str(error), Exit.USAGE if isinstance(error, RequestError) else Exit.FAILURE) from error
        return Request(kind, target, value, reason, request.by, self.now, expires_at, number)

    def end(self, request: Request, reason: str) -> None:
        """End a request before its time; raises `CommandError`."""
        try:
            release(self.state, request.id, getpass.getuser(), reason, self.now)
        except (RequestError, StoreError) as error:
            raise CommandError(str(error), Exit.USAGE if isinstance(error, RequestError) else Exit.FAILURE) from error


def desk(site: Site, state: Path) -> Desk:
    """Open the desk of a site at the present instant: that of the running core, which in a demo is another one."""
    return Desk(site, state, _present(state))


def _present(state: Path) -> datetime:
    now = SystemClock().now()
    try:
        theirs = datetime.fromisoformat(read_live(state, PATIENCE_S)["at"])
    except LiveError:
        return now
    return now if abs(theirs - now) < SAME_CLOCK else theirs


def denied(words: str) -> CommandError:
    """Refuse what may not be."""
    return CommandError(words, Exit.DENIED)


def confirm(command: str, request: Request, effect: str, *, as_json: bool) -> int:
    """Tell that a request was left, and what it will do."""
    until = f"until {request.expires_at.isoformat(timespec='seconds')}" if request.expires_at else "until released"
    body = {"ok": True, "request": request, "effect": effect}
    emit(command, body, [f"request {request.id}: {effect}, {until} ({request.reason})"], as_json=as_json)
    return Exit.OK


def confirm_end(command: str, request: Request | None, target: str, effect: str, *, as_json: bool) -> int:
    """Tell that a request was ended, or that there was none."""
    words = f"request {request.id} ended: {effect}" if request else f"there is nothing to end for {target}"
    emit(command, {"ok": True, "ended": request, "effect": words}, [words], as_json=as_json)
    return Exit.OK
