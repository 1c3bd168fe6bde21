"""The doctor on a site finds what is wrong there; the support bundle holds no secret and no person."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
import sqlite3
import tarfile
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from daemon_show import Show
from stage import DEMO, SITE

from ems.cli import main
from ems.clock import SimulatedClock, SystemClock
from ems.config.audit import MAIL_PASSWORD
from ems.config.grid_operator import LIMITS_TOKEN, GridOperator, LimitApi
from ems.config.loading import load_site
from ems.config.secrets import FOLDER as SECRETS
from ems.config.site import Site
from ems.limits.token import new_token
from ems.operations.findings import Finding
from ems.operations.site_findings import audit, core, devices, feeds, permissions, secrets, site_findings
from ems.operations.support import bundle
from ems.store.checkpoints import checkpoint, heads, own_key
from ems.store.journal import Journal

CANARY = "CANARY0123456789"
NOW = datetime(2026, 1, 15, 12, 0, tzinfo=UTC)


@pytest.fixture
def place(tmp_path: Path) -> tuple[Site, Path]:
    """A site of devices in memory that mails its checkpoints, and its state folder."""
    folder, state = tmp_path / "yard", tmp_path / "state"
    folder.mkdir()
    state.mkdir(mode=0o700)
    (folder / "grid.json").write_bytes((DEMO / "grid.json").read_bytes())
    (folder / "tariff.yaml").write_text("schema_version: 1\nimport: {energy: 0.3}\nexport: {energy: 0.1}\n")
    for feed in ("price", "carbon", "weather"):
        (folder / f"{feed}.json").write_text('{"schema_version": 1, "series": []}')
    mail = {"to": "a@auditor.test", "sender": "ems@yard.test", "host": "mail.test", "user": "ems"}
    text = yaml.safe_dump({**SITE, "audit": {"mail": mail}}) + f"# a token: {CANARY}\n"
    (folder / "site.yaml").write_text(text)
    return load_site(folder), state


def keep_secrets(state: Path) -> None:
    own_key(state)
    new_token(state)
    (state / SECRETS).mkdir()
    (state / SECRETS / MAIL_PASSWORD).touch(0o600)
    (state / SECRETS / MAIL_PASSWORD).write_text(CANARY)


def journalled(state: Path, *, signed: bool = True) -> None:
    journal = Journal(state / "journal.db", SimulatedClock(NOW), durable=False)
    journal.record("transition", {"event": "start", "epoch": 1})
    journal.record("alarm", {"key": "disk", "event": "raised", "text": f"password={CANARY}"})
    journal.record("transition", {"event": "wish", "car": "Ada's car CANARYCAR"})
    journal.record("request_seen", {"by": "CANARYNAME", "reason": "CANARYREASON"})
    journal.record("health", {"from": "init", "to": "normal", "cause": "all is well"}).result(10)
    if signed:
        journal.record("checkpoint", checkpoint(own_key(state), "yard", NOW.isoformat(), heads(state))).result(10)
    journal.close()


def unpacked(content: bytes) -> dict[str, str]:
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        return {one.name.split("/", 1)[1]: archive.extractfile(one).read().decode() for one in archive.getmembers()}


def test_no_secret_and_no_person_gets_into_the_bundle(
    place: tuple[Site, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    site, state = place
    keep_secrets(state)
    journalled(state)
    (state / "log").mkdir()
    log = f"mail server says {CANARY} is wrong\nhttps://ems:CANARYURL99@feeds.test\nBearer CANARYBEARER\n"
    (state / "log" / "up.log").write_text(log)
    monkeypatch.setenv("EMS_SECRET_OTHER", "CANARYENVIRONMENT")
    content = bundle(site, state, [Finding("door", True, "CANARYENVIRONMENT")])
    assert b"CANARY" not in gzip.decompress(content)
    key = (state / "audit.key").read_text()
    assert key.splitlines()[1].encode() not in gzip.decompress(content)
    parts = unpacked(content)
    assert set(parts) == {
        "doctor.txt", "doctor.json", "site/site.yaml", "site/tariff.yaml", "live.json", "journal.jsonl", "guard.jsonl",
        "log.txt",
    }  # fmt: skip
    assert parts["site/site.yaml"].startswith("assets:")
    kinds = [json.loads(line)["kind"] for line in parts["journal.jsonl"].splitlines()]
    assert kinds == ["transition", "alarm", "health", "checkpoint"]
    assert "mail server says [hidden] is wrong" in parts["log.txt"]
    assert "is `ems run` running" in parts["live.json"]


def test_the_same_files_give_the_same_bytes(place: tuple[Site, Path]) -> None:
    site, state = place
    journalled(state)
    findings = [Finding("door", True, "open")]
    assert bundle(site, state, findings) == bundle(site, state, findings)


async def test_what_the_core_tells_goes_in_without_assets_and_queues(tmp_path: Path) -> None:
    show = Show(tmp_path / "state")
    await show.run_until(30.0)
    await show.daemon._stores.live.start()
    content = await asyncio.to_thread(bundle, show.site, tmp_path / "state", [])
    await show.daemon.stop()
    told = json.loads(unpacked(content)["live.json"])
    assert told["counters"]["cycles"] == 3
    assert told["vitals"]["reads"]["wallbox"]["total"] == 3
    assert not {"assets", "points", "zones", "queues", "manual"} & told.keys()


def test_the_command_writes_a_file_for_its_owner_alone(
    place: tuple[Site, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    site, state = place
    out = tmp_path / "out.tar.gz"
    order = ["support-bundle", str(site.folder), "--state", str(state), "--out", str(out)]
    assert main([*order, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["bytes"] == out.stat().st_size
    assert out.stat().st_mode & 0o777 == 0o600
    assert "device wallbox" in unpacked(out.read_bytes())["doctor.txt"]
    assert main(order) == 1
    assert "name another file with --out" in capsys.readouterr().err


def named(findings: list[Finding]) -> dict[str, Finding]:
    return {finding.name: finding for finding in findings}


def test_the_doctor_looks_at_everything_of_a_site(place: tuple[Site, Path]) -> None:
    site, state = place
    found = named(site_findings(site, state))
    assert found["permissions"].ok and not found["permissions"].remedy
    assert not found[f"secret {MAIL_PASSWORD}"].ok
    assert found["core"].remedy.startswith("start it with")
    assert found["device wallbox"].ok
    assert "points can be read" in found["device wallbox"].found
    assert not found["feed price"].ok, "a feed that holds nothing"
    assert "audit" not in found, "there is no journal yet"


def test_what_others_may_read_is_named_with_a_remedy(place: tuple[Site, Path]) -> None:
    site, state = place
    keep_secrets(state)
    assert all(finding.ok for finding in [*permissions(state), *secrets(site, state)])
    (state / "audit.key").chmod(0o644)
    (state / SECRETS / MAIL_PASSWORD).chmod(0o604)
    state.chmod(0o755)
    found = named([*permissions(state), *secrets(site, state)])
    assert f"chmod 700 {state}" in found["permissions"].remedy
    assert "chmod 600" in found["permissions of audit.key"].remedy
    assert not found[f"secret {MAIL_PASSWORD}"].ok
    assert CANARY not in str(found)


def test_the_doctor_asks_for_a_token_and_does_not_stumble_over_what_root_alone_may_see(
    place: tuple[Site, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, state = place
    api = GridOperator(api=LimitApi(), failsafe_import_kw=4.2)
    site = plain.model_copy(update={"file": plain.file.model_copy(update={"grid_operator": api})})
    missing = named(secrets(site, state))[f"secret {LIMITS_TOKEN}"]
    assert not missing.ok
    assert "nobody has a token yet: `ems limits token" in missing.remedy
    new_token(state)
    assert named(secrets(site, state))[f"secret {LIMITS_TOKEN}"].ok

    exists = Path.exists

    def shut(path: Path) -> bool:
        if path.is_relative_to(site.folder):
            raise PermissionError
        return exists(path)

    monkeypatch.setattr(Path, "exists", shut)
    for finding in secrets(site, state):
        assert finding.ok
        assert finding.remedy.startswith("look as root: `sudo ls -l")


async def test_a_silent_device_and_an_old_feed_are_named(place: tuple[Site, Path]) -> None:
    site, _ = place
    far = site.file.devices["wallbox"].model_copy(
        update={"protocol": "modbus", "profile": "amperfied_wallbox", "host": "127.0.0.1", "port": 1}
    )
    told = site.model_copy(update={"file": site.file.model_copy(update={"devices": {"wallbox": far}})})
    (one,) = [finding async for finding in devices(told, SystemClock())]
    assert not one.ok
    assert "0 of" in one.found and "power, cable, address" in one.remedy
    issued = SystemClock().now() - timedelta(hours=100)
    series = {"point": "price", "unit": "EUR/kWh", "issued_at": issued.isoformat(), "valid_from": issued.isoformat(),
              "step_s": 3600, "values": [0.1], "source": "test", "version": "1"}  # fmt: skip
    (site.folder / "price.json").write_text(json.dumps({"schema_version": 1, "series": [series]}))
    found = {finding.name: finding async for finding in feeds(site, SystemClock())}
    assert not found["feed price"].ok
    assert "issued 100.0 h ago, used up to" in found["feed price"].found


def test_the_newest_entries_of_the_chain_are_walked(place: tuple[Site, Path]) -> None:
    _, state = place
    journalled(state)
    found = named(list(audit(state, None)))
    assert found["audit"].found == "the newest 6 entries are whole"
    assert found["checkpoint"].ok
    assert not named(list(audit(state, NOW + timedelta(hours=3))))["checkpoint"].ok, "the core runs and does not sign"
    with closing(sqlite3.connect(state / "journal.db", isolation_level=None)) as journal:
        journal.execute("UPDATE record SET body = '{}' WHERE id = 2")
    assert "entry 2 is not what follows" in named(list(audit(state, None)))["audit"].found


def test_a_core_with_an_alarm_needs_attention() -> None:
    well = {"health": {"state": "normal", "cause": "fine"}, "alarms": [], "devices": {}}
    assert core(well).ok
    assert not core({**well, "health": {"state": "safe", "cause": "no meter"}}).ok
    assert core({**well, "alarms": [{"text": "wallbox is lost"}]}).remedy == "wallbox is lost"
