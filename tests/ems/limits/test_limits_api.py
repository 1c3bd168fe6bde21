"""The API of the grid operator: who is let in, what it answers in words, and what the core counts."""

from __future__ import annotations

import asyncio
import json
import ssl
import sys
from collections.abc import AsyncIterator
from concurrent.futures import Future
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from ems.cli import main
from ems.clock import SimulatedClock, SystemClock
from ems.config.grid_operator import LIMITS_TOKEN
from ems.exit_codes import Exit
from ems.limits.api import build_api
from ems.limits.desk import LimitDesk
from ems.limits.door import SOCKET, Door
from ems.limits.in_force import Direction, Instant
from ems.limits.sources import Sources
from ems.limits.token import FILE, is_token, new_token, trouble
from ems.store.database import StoreError
from hil.relocate import free_port, relocate

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
DEMO = Path(__file__).resolve().parents[3] / "sites" / "demo_house"


class Core:
    """A desk behind its door, and what it journals."""

    def __init__(self, state: Path) -> None:
        self.clock = SimulatedClock(NOW)
        self.records: list[dict[str, Any]] = []
        self.disk: Exception | None = None
        sources = Sources({Direction.IMPORT: 20.0}, api=True, registers={}, contacts={})
        kept = {"lines": {"api": {"import": {"kw": None, "ends_at": None, "failsafe": False}}}}
        self.desk = LimitDesk(sources, self._record, self.now, kept)
        self.door = Door(self.desk, self.clock, state)

    @property
    def now(self) -> Instant:
        return Instant(self.clock.now(), self.clock.monotonic())

    def _record(self, kind: str, body: Any) -> Future[int]:
        assert kind == "grid_limit"
        self.records.append(dict(body))
        future: Future[int] = Future()
        if self.disk is None:
            future.set_result(len(self.records))
        else:
            future.set_exception(self.disk)
        return future

    @property
    def limit(self) -> tuple[str, float | None]:
        (one,) = self.desk.in_force(self.now)
        return one.state.value, one.kw


@pytest.fixture
async def core(tmp_path: Path) -> AsyncIterator[Core]:
    one = Core(tmp_path)
    await one.door.start()
    yield one
    # What is still being told to the journal holds a connection open.
    if telling := asyncio.all_tasks() - {asyncio.current_task()}:
        await asyncio.wait(telling, timeout=5.0)
    await one.door.close()


@pytest.fixture
async def operator(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """The grid operator's gateway, with its token."""
    headers = {"authorization": f"Bearer {new_token(tmp_path)}"}
    transport = httpx.ASGITransport(build_api(tmp_path, SystemClock()))
    async with httpx.AsyncClient(transport=transport, base_url="http://api", headers=headers) as client:
        yield client


async def test_a_heartbeat_and_a_limit_reach_the_core(core: Core, operator: httpx.AsyncClient) -> None:
    assert (await operator.post("/v1/heartbeat")).status_code == 200
    core.clock.advance_to(5.0)
    answer = await operator.put("/v1/limit", json={"import_limit_kw": 12.5, "duration_s": 600})
    assert answer.status_code == 200
    ends_at = (NOW + timedelta(seconds=605)).isoformat()
    told = answer.json()
    assert (told["schema"], told["stored"], told["heartbeat_s"], told["missing_s"]) == (
        "ems.limits/1",
        True,
        60.0,
        120.0,
    )
    assert told["heard_at"] == NOW.isoformat()
    assert told["limits"] == {
        "import": {
            "state": "limited",
            "limit_kw": 12.5,
            "source": "api",
            "ends_at": ends_at,
            "reason": "the grid operator allows 12.5 kW of import until 12:10:05 UTC (api)",
        }
    }
    assert core.limit == ("limited", 12.5)
    assert [(r["event"], r["source"], r["words"]) for r in core.records] == [("limit", "api", "import 12.5 kW")]
    assert (await operator.get("/v1/state")).json()["limits"] == told["limits"]
    assert (await operator.delete("/v1/limit")).json()["limits"]["import"]["state"] == "unlimited"
    assert core.limit == ("unlimited", None)


REFUSED = {
    "negative": ('{"import_limit_kw": -1}', "import_limit_kw: -1 is no limit; write a power in kW, 0 or more"),
    "no number": ('{"import_limit_kw": "4 kW"}', "import_limit_kw: '4 kW' is no limit; write a power in kW, 0 or more"),
    "not finite": ('{"import_limit_kw": NaN}', "import_limit_kw: nan is no limit; write a power in kW, 0 or more"),
    "too large for a number": ('{"import_limit_kw": 1e999}', "import_limit_kw: inf is no limit"),
    "null": ('{"import_limit_kw": null}', "import_limit_kw: None is no limit; write a power in kW, 0 or more"),
    "no time": ('{"import_limit_kw": 4, "duration_s": 0}', "duration_s: 0 is no duration; write seconds, more than 0"),
    "unknown field": (
        '{"import_kw": 4}',
        "import_kw: 4 stands at a field that is not known; known are import_limit_kw",
    ),
    "undeclared direction": ('{"export_limit_kw": 4}', "export_limit_kw: 4.0 limits a direction for which this site"),
    "nothing": ("{}", "body: names no limit; write import_limit_kw or export_limit_kw, or delete the limit to release"),
    "no object": ("[4]", "body: [4] is no object of fields; write for example"),
    "no JSON": ("import=4", "body: 'import=4' is no JSON"),
    "no text": (b"\xff\xfe", "body: "),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_what_cannot_be_kept_is_400_with_field_value_and_remedy(
    name: str, core: Core, operator: httpx.AsyncClient
) -> None:
    body, wanted = REFUSED[name]
    await operator.post("/v1/heartbeat")
    answer = await operator.put("/v1/limit", content=body)
    problem = answer.json()
    assert (answer.status_code, problem["status"]) == (400, 400)
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem["detail"].startswith(wanted.replace("4.0", "4"))
    assert core.limit == ("unlimited", None)
    assert [record["event"] for record in core.records] == ["refused"]


async def test_a_looser_limit_without_a_heartbeat_is_409_and_a_tighter_one_holds(
    core: Core, operator: httpx.AsyncClient
) -> None:
    core.clock.advance_to(119.0)
    assert (await operator.put("/v1/limit", json={"import_limit_kw": 15})).status_code == 200
    answer = await operator.put("/v1/limit", json={"import_limit_kw": 30})
    assert answer.status_code == 409
    assert answer.json()["detail"] == (
        "no heartbeat of the last 120 s stands before it, so it can only tighten what holds; "
        "send a heartbeat, then this again"
    )
    assert core.limit == ("limited", 15.0)
    assert (await operator.delete("/v1/limit")).status_code == 409
    core.clock.advance_to(130.0)
    assert core.limit == ("failsafe", 15.0)
    await operator.post("/v1/heartbeat")
    assert (await operator.put("/v1/limit", json={"import_limit_kw": 30})).status_code == 200
    assert core.limit == ("limited", 30.0)


async def test_without_the_token_nobody_is_let_in_and_the_journal_knows_once_a_minute(
    core: Core, operator: httpx.AsyncClient
) -> None:
    good = operator.headers["authorization"]
    for wrong in ("", "Bearer", "Bearer ", good[:-1], good + "x", good.replace("Bearer", "Basic"), good.split()[1]):
        for method, path in (
            ("PUT", "/v1/limit"),
            ("DELETE", "/v1/limit"),
            ("POST", "/v1/heartbeat"),
            ("GET", "/v1/state"),
        ):
            answer = await operator.request(method, path, json={"import_limit_kw": 1}, headers={"authorization": wrong})
            assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    for _ in range(500):
        if not core.records:
            await asyncio.sleep(0.01)
    assert [(r["event"], r["words"]) for r in core.records] == [
        ("refused", "1 requests without the right token, the last one from 127.0.0.1")
    ]
    assert core.limit == ("unlimited", None)


async def test_a_new_token_makes_the_old_one_void_and_only_a_hash_is_kept(
    tmp_path: Path, core: Core, operator: httpx.AsyncClient
) -> None:
    assert (await operator.get("/v1/state")).status_code == 200
    token = new_token(tmp_path)
    assert (await operator.get("/v1/state")).status_code == 401
    kept = tmp_path / FILE
    assert kept.stat().st_mode & 0o777 == 0o600
    assert token not in kept.read_text()
    assert is_token(tmp_path, token)
    kept.unlink()
    assert not is_token(tmp_path, token)
    assert not is_token(tmp_path, "")


def test_a_token_that_the_operator_brings_counts_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Handed over by systemd; a credential without content is none, and a file that others may read is no token."""
    assert trouble(tmp_path) == "nobody has a token yet"
    made, credentials = new_token(tmp_path), tmp_path / "credentials"
    credentials.mkdir()
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(credentials))
    (credentials / LIMITS_TOKEN).write_text("\n")
    assert is_token(tmp_path, made)
    (credentials / LIMITS_TOKEN).write_text("brought\n")
    assert is_token(tmp_path, "brought")
    assert not is_token(tmp_path, made)
    assert not is_token(tmp_path, "")
    monkeypatch.delenv("CREDENTIALS_DIRECTORY")
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / LIMITS_TOKEN).write_text("brought")
    (tmp_path / "secrets" / LIMITS_TOKEN).chmod(0o644)
    assert not any(is_token(tmp_path, token) for token in (made, "brought", ""))
    assert "may be read by others" in trouble(tmp_path)


async def test_a_lost_core_is_503_and_no_heartbeat(core: Core, operator: httpx.AsyncClient) -> None:
    await operator.post("/v1/heartbeat")
    await core.door.close()
    for _ in range(3):
        core.clock.advance_to(core.clock.monotonic() + 50.0)
        answer = await operator.post("/v1/heartbeat")
        assert answer.status_code == 503
        assert "is `ems run` running? Send it again" in answer.json()["detail"]
    assert core.limit == ("failsafe", 20.0)


async def test_a_full_disk_is_told_and_delays_no_limit(core: Core, operator: httpx.AsyncClient) -> None:
    await operator.post("/v1/heartbeat")
    core.disk = StoreError("no space left")
    answer = await operator.put("/v1/limit", json={"import_limit_kw": 3})
    assert (answer.status_code, answer.json()["stored"]) == (200, False)
    assert core.limit == ("limited", 3.0)


async def test_what_is_too_large_or_elsewhere_is_refused_in_words(core: Core, operator: httpx.AsyncClient) -> None:
    answer = await operator.put("/v1/limit", content=b" " * 5000)
    assert (answer.status_code, answer.json()["title"]) == (413, "Content Too Large")
    assert (await operator.get("/v1/limits")).json()["detail"].startswith("there is nothing at /v1/limits; there are")
    answer = await operator.post("/v1/limit")
    assert (answer.status_code, set(answer.headers["allow"].split(", "))) == (405, {"DELETE", "PUT"})
    assert core.limit == ("unlimited", None)


async def test_the_door_hangs_up_on_nonsense_and_serves_the_next(core: Core, tmp_path: Path) -> None:
    assert (tmp_path / SOCKET).stat().st_mode & 0o777 == 0o600
    for line in (b"\n", b"[]\n", b"{\n", b"x" * 70_000 + b"\n"):
        reader, writer = await asyncio.open_unix_connection(tmp_path / SOCKET)
        writer.write(line)
        assert await reader.read() == b""
        writer.close()
    told = await core.door.answer({"do": "dance"})
    assert (told["status"], told["detail"]) == (400, "do: 'dance' is none of heartbeat, limit, release, state, denied")


def with_api(tmp_path: Path, **api: Any) -> Path:
    """Copy the demo house, its grid operator served by an API."""
    relocate(DEMO, tmp_path / "house")
    path = tmp_path / "house" / "site.yaml"
    site = yaml.safe_load(path.read_text(encoding="utf-8"))
    site["grid_operator"] = {"failsafe_import_kw": 4.2, "api": api}
    path.write_text(yaml.safe_dump(site, sort_keys=False), encoding="utf-8")
    return path.parent


def certified(folder: Path) -> ssl.SSLContext:
    """Leave a certificate for 127.0.0.1 with its key in a folder; gives what trusts it."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    at = datetime.now(UTC)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(1).not_valid_before(at - timedelta(days=1)).not_valid_after(at + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    (folder / "certificate.pem").write_bytes(made.public_bytes(pem))
    (folder / "key.pem").write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    return ssl.create_default_context(cafile=str(folder / "certificate.pem"))


async def test_the_process_speaks_tls_and_its_death_is_a_missing_heartbeat(core: Core, tmp_path: Path) -> None:
    port = free_port()
    house = with_api(tmp_path, host="127.0.0.1", port=port, certificate="certificate.pem", key="key.pem")
    trust, token = certified(house), new_token(tmp_path)
    order = [sys.executable, "-P", "-m", "ems.cli", "limits", "serve", str(house), "--state", str(tmp_path)]
    process = await asyncio.create_subprocess_exec(*order, stderr=asyncio.subprocess.PIPE)
    try:
        assert process.stderr is not None
        assert f"https://127.0.0.1:{port}/".encode() in await process.stderr.readline()
        headers = {"authorization": f"Bearer {token}"}
        async with httpx.AsyncClient(base_url=f"https://127.0.0.1:{port}", headers=headers, verify=trust) as operator:
            assert (await operator.post("/v1/heartbeat")).status_code == 200
            assert (await operator.put("/v1/limit", json={"import_limit_kw": 30.0})).status_code == 200
            assert core.limit == ("limited", 30.0)
            process.kill()
            await process.wait()
            with pytest.raises(httpx.TransportError):
                await operator.post("/v1/heartbeat")
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
    core.clock.advance_to(120.0)
    assert core.limit == ("failsafe", 20.0)


def test_the_command_makes_a_token_that_is_shown_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    house = with_api(tmp_path)
    assert main(["limits", "token", str(house), "--state", str(tmp_path / "state"), "--json"]) == Exit.OK
    told = json.loads(capsys.readouterr().out)
    assert is_token(tmp_path / "state", told["token"])
    assert main(["limits", "token", str(house), "--state", str(tmp_path / "state")]) == Exit.OK
    assert is_token(tmp_path / "state", capsys.readouterr().out.splitlines()[0])
    assert not is_token(tmp_path / "state", told["token"])


def test_a_site_without_an_api_is_denied_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    relocate(DEMO, tmp_path / "house")
    assert main(["limits", "serve", str(tmp_path / "house"), "--state", str(tmp_path)]) == Exit.DENIED
    assert "declares no `api` in `grid_operator`" in capsys.readouterr().err


def test_a_certificate_that_is_not_there_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    house = with_api(tmp_path, port=free_port(), certificate="none.pem", key="none.pem")
    assert main(["limits", "serve", str(house), "--state", str(tmp_path)]) == Exit.FAILURE
    assert "certificate none.pem or key none.pem cannot be used: " in capsys.readouterr().err
