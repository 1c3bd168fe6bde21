"""`ems limits`: the API through which the grid operator limits a site, and its token."""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

import uvicorn

from ems.clock import SystemClock
from ems.commands.options import add_site, opened
from ems.commands.output import emit
from ems.config.grid_operator import LimitApi
from ems.config.site import Site
from ems.connections import PatientProtocol
from ems.exit_codes import CommandError, Exit
from ems.limits.api import build_api
from ems.limits.token import FILE, new_token, trouble
from ems.operations.logs import begin as begin_logging
from ems.store.encoding import to_json

log = logging.getLogger(__name__)

SCHEMA = "ems.limits/1"


def command(argv: Sequence[str]) -> int:
    """Serve the API until told to stop, or make its token; raises `SiteError` and `CommandError`."""
    arguments = _options().parse_args(argv)
    site, state = opened(arguments)
    if arguments.action == "token":
        return _token(state, as_json=arguments.json)
    begin_logging("limits")
    return _serve(site, state, as_json=arguments.json)


def _options() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(prog="ems limits", description="Limits of the grid operator by HTTP.")
    actions = options.add_subparsers(dest="action", required=True)
    add_site(actions.add_parser("serve", help="serve the API of a site; `ems up` does this by itself"))
    add_site(actions.add_parser("token", help="make a new token for it; the one before is void at once"))
    return options


def _token(state: Path, *, as_json: bool) -> int:
    try:
        token = new_token(state)
    except OSError as error:
        raise CommandError(f"the token's hash cannot be kept: {error}; make {state} writable") from error
    lines = [token, f"give it to the grid operator now: it is not shown again, only its SHA-256 is kept in {FILE}"]
    emit("limits", {"ok": True, "token": token, "kept_in": state / FILE}, lines, as_json=as_json)
    return Exit.OK


def _serve(site: Site, state: Path, *, as_json: bool) -> int:
    operator = site.file.grid_operator
    if operator is None or operator.api is None:
        raise CommandError("the site file declares no `api` in `grid_operator`; add it, or leave this be", Exit.DENIED)
    api = operator.api
    listener = _listen(api)
    scheme = "http" if api.certificate is None else "https"
    address = f"{scheme}://{api.host}:{listener.getsockname()[1]}/"
    log.info("the grid operator's API is at %s", address)
    if why := trouble(state):
        log.warning("%s: every request is refused; `ems limits token %s` makes a token", why, site.file.site.id)
    # The server raises the signal that ended it once more; it has done its work by then.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    config = uvicorn.Config(
        build_api(state, SystemClock()),
        ssl_certfile=_file(site, api.certificate),
        ssl_keyfile=_file(site, api.key),
        http=PatientProtocol,
        ws="none",
        lifespan="off",
        timeout_graceful_shutdown=2,
        limit_concurrency=32,
        server_header=False,
        access_log=False,
        log_level="warning",
    )
    try:
        config.load()
    except (OSError, ValueError) as error:
        listener.close()
        raise CommandError(f"certificate {api.certificate} or key {api.key} cannot be used: {error}") from error
    asyncio.run(uvicorn.Server(config).serve(sockets=[listener]))
    if as_json:
        sys.stdout.write(to_json({"schema": SCHEMA, "address": address}) + "\n")
    return Exit.OK


def _file(site: Site, name: str | None) -> Path | None:
    return None if name is None else site.folder / Path(name).expanduser()


def _listen(api: LimitApi) -> socket.socket:
    """Take the port; raises `CommandError`."""
    family = socket.AF_INET6 if ":" in api.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((api.host, api.port))
        listener.listen()
    except OSError as error:
        listener.close()
        words = f"{api.host} port {api.port} cannot be used for the grid operator's API: {error}"
        raise CommandError(f"{words}; write others in grid_operator.api") from error
    return listener
