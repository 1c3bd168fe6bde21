"""Copies of a site on free ports of this machine: addresses are all that differs from real hardware."""

from __future__ import annotations

import shutil
import socket
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import yaml


def _free_port(held: ExitStack, kind: socket.SocketKind) -> int:
    """Find a free port and hold it until all are found, so that no two devices get the same one."""
    probe = held.enter_context(socket.socket(socket.AF_INET, kind))
    probe.bind(("127.0.0.1", 0))
    port: int = probe.getsockname()[1]
    return port


def _move_device(device: dict[str, Any], held: ExitStack, routers: dict[tuple[str, int], int]) -> None:
    kind = socket.SOCK_DGRAM if device["protocol"] == "bacnet" else socket.SOCK_STREAM
    old = (str(device.get("host")), int(device["port"]))
    port = routers.get(old) or _free_port(held, kind)
    if device.get("bacnet_network") is not None:
        routers[old] = port  # devices behind one router stay behind one router
    device.update(host="127.0.0.1", port=port)


def _move_feeds(feeds: dict[str, dict[str, Any]], held: ExitStack) -> None:
    port = _free_port(held, socket.SOCK_STREAM)
    for feed in feeds.values():
        parts = urlsplit(feed["source"])
        if parts.scheme == "http":
            feed["source"] = urlunsplit(parts._replace(netloc=f"127.0.0.1:{port}"))


def relocate(folder: Path, target: Path) -> Path:
    """Copy a site folder to `target` with free loopback addresses; gives the new folder."""
    shutil.copytree(folder, target)
    path = target / "site.yaml"
    site = yaml.safe_load(path.read_text(encoding="utf-8"))
    with ExitStack() as held:
        routers: dict[tuple[str, int], int] = {}
        for device in site["devices"].values():
            _move_device(device, held, routers)
        _move_feeds(site["feeds"], held)
    path.write_text(yaml.safe_dump(site, sort_keys=False, allow_unicode=True), encoding="utf-8")
    return target
