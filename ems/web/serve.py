"""`ems serve`: the status page on this machine."""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from zoneinfo import ZoneInfo

import uvicorn
from starlette.applications import Starlette

from ems.clock import SystemClock
from ems.commands.options import opened, parser
from ems.config.binding import bind
from ems.config.site import Site
from ems.connections import PatientProtocol
from ems.exit_codes import CommandError, Exit
from ems.operations.logs import begin as begin_logging
from ems.store.encoding import to_json
from ems.web.app import build_app
from ems.web.hub import Hub, SiteCard
from ems.web.past import Day, drawn_points
from ems.web.topology import private_assets, read_topology
from ems.web.veil import Veil
from ems.web.vendor import astray

HOST = "127.0.0.1"
PORT = 8470
SCHEMA = "ems.serve/1"


def command(argv: Sequence[str]) -> int:
    """Serve the page until told to stop; raises `SiteError` and `CommandError`."""
    arguments = _parser().parse_args(argv)
    begin_logging("page")
    site, folder = opened(arguments)
    app = page_of(site, folder)
    listener = listen(arguments.port)
    address = f"http://{HOST}:{listener.getsockname()[1]}/"
    logging.getLogger(__name__).info("the status page is at %s", address)
    serve(app, listener)
    if arguments.json:
        sys.stdout.write(to_json({"schema": SCHEMA, "address": address}) + "\n")
    return Exit.OK


def page_of(site: Site, folder: Path) -> Starlette:
    """Build the page of a site; raises `CommandError` where the console's own files are not whole."""
    if missing := astray():
        words = f"the console's files {', '.join(missing)} are missing or changed"
        raise CommandError(f"{words}; run `make setup`, or install the product again")
    identity, file = site.file.site, site.file
    card = SiteCard(identity.id, identity.name, identity.timezone, identity.currency, file.planning.every_s)
    drawing, trouble = read_topology(site)
    if trouble:
        logging.getLogger(__name__).warning("no one-line diagram: %s", trouble)
    hub = Hub(folder, SystemClock(), card, Veil(private_assets(site)))
    day = Day(folder, drawn_points(site, bind(site)), ZoneInfo(identity.timezone))
    return build_app(hub, drawing, day)


def listen(port: int) -> socket.socket:
    """Take a port of this machine, 0 for any; never one that others can reach. Raises `CommandError`."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
        listener.listen()
    except OSError as error:
        listener.close()
        raise CommandError(f"port {port} cannot be used for the page: {error}; give another with --port") from error
    return listener


def serve(app: Starlette, listener: socket.socket) -> None:
    """Serve until SIGTERM or SIGINT."""
    # The server raises the signal that ended it once more; it has done its work by then.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    config = uvicorn.Config(
        app,
        http=PatientProtocol,
        ws="websockets-sansio",
        ws_max_size=1024,
        timeout_graceful_shutdown=2,
        server_header=False,
        access_log=False,
        log_level="warning",
    )
    asyncio.run(uvicorn.Server(config).serve(sockets=[listener]))


def _parser() -> argparse.ArgumentParser:
    options = parser("serve", "Serve the status page on this machine.")
    options.add_argument("--port", type=int, default=PORT, metavar="N", help=f"port on {HOST} (default: {PORT})")
    return options
