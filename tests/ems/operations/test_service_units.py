"""The units of systemd: what systemd says of them, whom they let do what, and that they fit what `ems up` runs."""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ems.cli import main
from ems.config.grid_operator import GridOperator, LimitApi
from ems.config.loading import load_site
from ems.config.site import Site
from ems.operations.units import services, units
from ems.up import orders

ROOT = Path(__file__).resolve().parents[3]
MOST_EXPOSED = 2.0
needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")


@pytest.fixture(scope="module")
def site() -> Site:
    return load_site(ROOT / "sites" / "demo_district")


def with_more(site: Site, **parts: object) -> Site:
    """Give the site with other parts of its file."""
    return site.model_copy(update={"file": site.file.model_copy(update=parts)})


@pytest.fixture(scope="module")
def texts(site: Site) -> dict[str, str]:
    limited = with_more(site, grid_operator=GridOperator(api=LimitApi(), failsafe_import_kw=4.2))
    return units(limited, program=["/opt/district-ems/bin/python", "-P", "-m", "ems.cli"])


@needs_systemd
def test_systemd_rates_every_service_as_little_exposed(texts: dict[str, str], tmp_path: Path) -> None:
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    for name in texts:
        if name.endswith(".service"):
            order = ["systemd-analyze", "security", "--offline=yes", "--no-pager", str(tmp_path / name)]
            said = subprocess.run(order, capture_output=True, text=True, check=True, timeout=60).stdout
            (score,) = re.findall(r"Overall exposure level for \S+: ([\d.]+)", said)
            assert float(score) <= MOST_EXPOSED, f"{name}: {score}"


@needs_systemd
def test_systemd_understands_every_line(texts: dict[str, str], tmp_path: Path) -> None:
    """Systemd warns of what it does not know; that the program is not there is no fault of the unit."""
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    for name, text in texts.items():
        plain = text.replace("/opt/district-ems/bin/python", str(program))
        (tmp_path / name).write_text(plain.replace("User=district-ems", "User=daemon"))
    files = [str(tmp_path / name) for name in texts]
    order = ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", *files]
    said = subprocess.run(order, capture_output=True, text=True, timeout=60, check=False).stderr
    assert [line for line in said.splitlines() if "district-ems" in line] == []


def test_the_services_are_the_processes_that_run_a_site(site: Site) -> None:
    api = GridOperator(api=LimitApi(), failsafe_import_kw=4.2)
    arguments = argparse.Namespace(clock=None, page_port=8470, no_serve=False, site="s")
    for operator in (None, api):
        run = orders(arguments, Path("state"), has_api=operator is not None)
        assert {one.order[0] for one in services(with_more(site, grid_operator=operator), 8470)} == set(run)


def test_the_core_is_watched_and_nobody_may_do_more_than_needed(texts: dict[str, str]) -> None:
    core = texts["district-ems-demo_district-core.service"]
    assert {"Type=notify", "WatchdogSec=15", "Restart=always"} <= set(core.splitlines())
    page = texts["district-ems-demo_district-page.service"]
    assert "IPAddressAllow=localhost\n" in page
    assert [name for name, text in texts.items() if "StateDirectory=district-ems/demo_district\n" in text] == [
        "district-ems-demo_district-core.service",
        "district-ems-demo_district-guard.service",
    ]
    for name, text in texts.items():
        if name.endswith(".service"):
            assert {"NoNewPrivileges=yes", "CapabilityBoundingSet=", "ProtectSystem=strict"} <= set(text.splitlines())
            assert re.search(r"^User=district-ems$", text, re.MULTILINE)


def test_the_token_of_the_grid_operator_and_the_key_are_handed_over_and_may_be_missing(
    site: Site, texts: dict[str, str]
) -> None:
    lines = texts["district-ems-demo_district-limits.service"].splitlines()
    assert {
        f"LoadCredential=limits_token:{site.folder}/credentials/limits_token",
        r"SetCredential=limits_token:\n",
    } <= set(lines)
    assert {
        f"LoadCredential=audit_key:{site.folder}/credentials/audit_key",
        r"SetCredential=audit_key:\n",
    } <= set(texts["district-ems-demo_district-core.service"].splitlines())
    assert not [line for line in texts["district-ems-demo_district-page.service"].splitlines() if "Credential" in line]


def test_a_slow_cycle_has_a_patient_watchdog(site: Site) -> None:
    slow = with_more(site, control=site.file.control.model_copy(update={"cycle_s": 10.0}))
    assert "WatchdogSec=40" in units(slow, program=["/ems"])["district-ems-demo_district-core.service"]


def test_whoever_asks_a_feed_elsewhere_may_talk_to_anybody(site: Site) -> None:
    def core(source: str) -> str:
        feeds = site.file.feeds.model_copy(
            update={"price": site.file.feeds.price.model_copy(update={"source": source})}
        )
        return units(with_more(site, feeds=feeds), program=["/ems"])["district-ems-demo_district-core.service"]

    assert "IPAddressDeny=any" in core("http://10.0.0.7:8080/price")
    assert "IPAddressDeny=any" in core("prices.json")
    assert "IPAddressDeny" not in core("https://prices.test/now")


def test_what_has_spaces_or_percents_stays_one_word(site: Site) -> None:
    odd = site.model_copy(update={"folder": Path("/etc/district-ems/my site 100%")})
    core = units(odd, program=["/ems"])["district-ems-demo_district-core.service"]
    assert 'ExecStart=/ems run "/etc/district-ems/my site 100%%" --state' in core


def test_the_command_prints_and_refuses_what_a_service_cannot_see(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["units", "demo_house"]) == 0
    assert "# district-ems-demo_house-core.service\n[Unit]" in capsys.readouterr().out
    monkeypatch.setattr(sys, "prefix", "/home/me/.venv")
    assert main(["units", "demo_house", "--to", str(tmp_path)]) == 7
    assert "install it under /opt" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr("ems.commands.units.HIDDEN", ())
    assert main(["units", "demo_house", "--to", str(tmp_path)]) == 0
    assert "systemctl enable --now district-ems-demo_house.target" in capsys.readouterr().out
    assert len(list(tmp_path.iterdir())) == 4


def allowed_calls(text: str) -> set[str]:
    """Work out which system calls a unit lets through: its filters in their order, sets as systemd has them."""
    order = ["systemd-analyze", "syscall-filter", "--no-pager"]
    said = subprocess.run(order, capture_output=True, text=True, check=True, timeout=60).stdout
    listed = "".join(f"{line}\n" for line in said.splitlines() if not line.lstrip().startswith("#"))
    sets = {name: body.split() for name, body in re.findall(r"^(@[\w-]+)\n((?:    .*\n?)+)", listed, re.MULTILINE)}

    def unfolded(names: list[str]) -> set[str]:
        found: set[str] = set()
        for name in names:
            found |= unfolded(sets.get(name, [])) if name.startswith("@") else {name}
        return found

    allowed: set[str] = set()
    for takes, names in re.findall(r"^SystemCallFilter=(~?)(.*)$", text, re.MULTILINE):
        calls = unfolded(names.split())
        allowed = allowed - calls if takes else allowed | calls
    return allowed


DENIED_IN_PEACE = {"fchown", "mbind"}
"""SQLite calls the first as root alone, and memory allocators take the second for a wish: a no stops neither."""


@needs_systemd
@pytest.mark.soak
@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_nothing_that_the_processes_call_is_denied_to_the_services(texts: dict[str, str], tmp_path: Path) -> None:
    """A demo with its core, worker, check, guard and page, every system call on record."""
    calls = tmp_path / "calls.txt"
    demo = [sys.executable, "-P", "-m", "ems.cli", "demo", "demo_house", "--for", "20", "--speed", "10"]
    subprocess.run(["strace", "-f", "-qq", "-o", str(calls), *demo], capture_output=True, timeout=900, check=False)
    lines = calls.read_text(errors="replace").splitlines()
    called = {match[1] for line in lines if (match := re.match(r"\d+\s+(\w+)\(", line))}
    assert {"sendto", "openat", "setpriority"} <= called, "the demo ran"
    denied = called - allowed_calls(texts["district-ems-demo_district-core.service"])
    assert denied <= DENIED_IN_PEACE
    assert not [line for line in lines if "PROT_WRITE|PROT_EXEC" in line], "MemoryDenyWriteExecute= would stop it"
