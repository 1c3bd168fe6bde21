"""A moved site differs from its original in addresses and in nothing else."""

from __future__ import annotations

import socket
from pathlib import Path

import yaml

from ems.config.loading import load_site
from hil.relocate import free_port, relocate

DEMO = Path(__file__).resolve().parents[2] / "sites" / "demo_feeder"


def without_addresses(site):
    devices = {
        name: {key: value for key, value in device.items() if key not in {"host", "port"}}
        for name, device in site["devices"].items()
    }
    return site | {"devices": devices, "feeds": list(site["feeds"])}


def test_only_addresses_differ(tmp_path):
    moved = relocate(DEMO, tmp_path / "site")
    before, after = (yaml.safe_load((folder / "site.yaml").read_text()) for folder in (DEMO, moved))
    assert without_addresses(before) == without_addresses(after)
    assert before["feeds"] != after["feeds"]


def test_no_port_is_chosen_twice_nor_one_that_somebody_has():
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", free_port() + 1))
        ports = [free_port() for _ in range(50)]
        assert holder.getsockname()[1] not in ports
    assert len(set(ports)) == 50


def test_the_moved_site_is_valid_and_every_address_is_its_own(tmp_path):
    site = load_site(relocate(DEMO, tmp_path / "site"))
    addresses = [(device.protocol, device.port) for device in site.file.devices.values()]
    assert len(set(addresses)) == len(addresses)
    assert {device.host for device in site.file.devices.values()} == {"127.0.0.1"}
