"""Copies of a site on free ports of this machine: addresses are all that differs from real hardware."""

from __future__ import annotations

import itertools
import random
import shutil
import socket
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import yaml

# Below what systems lend to outgoing connections, of which one could take a port between its choice and its use.
_PORTS = range(20_000, 32_000)
_next_port = itertools.count(random.randrange(len(_PORTS)))


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """Choose a port of this machine that nobody listens on and that this process has not chosen lately.

    Raises:
        OSError: there is none.
    """
    for _ in _PORTS:
        port = _PORTS[next(_next_port) % len(_PORTS)]
        with socket.socket(socket.AF_INET, kind) as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise OSError(f"every port from {_PORTS.start} to {_PORTS.stop - 1} is taken: stop what listens there")


def _move_device(device: dict[str, Any], routers: dict[tuple[str, int], int]) -> None:
    kind = socket.SOCK_DGRAM if device["protocol"] == "bacnet" else socket.SOCK_STREAM
    old = (str(device.get("host")), int(device["port"]))
    port = routers.get(old) or free_port(kind)
    if device.get("bacnet_network") is not None:
        routers[old] = port  # devices behind one router stay behind one router
    device.update(host="127.0.0.1", port=port)


def _move_feeds(feeds: dict[str, dict[str, Any]]) -> None:
    port = free_port()
    for feed in feeds.values():
        parts = urlsplit(feed["source"])
        if parts.scheme == "http":
            feed["source"] = urlunsplit(parts._replace(netloc=f"127.0.0.1:{port}"))


def relocate(folder: Path, target: Path) -> Path:
    """Copy a site folder to `target` with free loopback addresses; gives the new folder."""
    shutil.copytree(folder, target)
    path = target / "site.yaml"
    site = yaml.safe_load(path.read_text(encoding="utf-8"))
    routers: dict[tuple[str, int], int] = {}
    for device in site["devices"].values():
        _move_device(device, routers)
    _move_feeds(site["feeds"])
    path.write_text(yaml.safe_dump(site, sort_keys=False, allow_unicode=True), encoding="utf-8")
    return target
