"""Checkpoints reach a mailbox and a time-stamping authority, wait where they cannot, and convict a rewritten past."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from outside_world import Authority, Certificates, MailServer

from ems.cli import main
from ems.clock import SimulatedClock
from ems.config.audit import MAIL_PASSWORD, CheckpointMail, MailSecurity
from ems.config.secrets import FOLDER as SECRETS
from ems.delivery.outbox import KIND, Outbox
from ems.delivery.receivers import Authority as Asked
from ems.delivery.receivers import DeliveryError, Folder, Mailbox
from ems.delivery.stamping import Stamper
from ems.health import Alarms
from ems.notary import Notary
from ems.store.checkpoints import KIND as CHECKPOINT
from ems.store.checkpoints import own_key
from ems.store.journal import Journal, read_records

NOON = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=4)


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


def checkpoint(state: Path, number: int = 7, at: datetime = NOON) -> dict[str, Any]:
    state.mkdir(exist_ok=True)
    heads = {"journal.db": {"seq": number, "hash": "ab" * 32}}
    return own_key(state).sign({"schema": "ems.checkpoint/1", "site": "house", "at": at.isoformat(), "heads": heads})


def mailbox(folder: Path, server: MailServer, **changes: Any) -> Mailbox:
    spec = {"to": "auditor@example.org", "sender": "ems@house.test", "host": "127.0.0.1", "port": server.port}
    return Mailbox(CheckpointMail(**{**spec, "root": "root.pem", **changes}), folder, folder / "state")


@pytest.fixture
def place(tmp_path: Path, certificates: Certificates) -> Path:
    """A site folder with the root certificate, and a state folder in it."""
    shutil.copy(certificates.root, tmp_path / "root.pem")
    (tmp_path / "state").mkdir()
    return tmp_path


@pytest.mark.parametrize("security", list(MailSecurity))
def test_a_checkpoint_is_mailed_over_tls_whole(place: Path, certificates: Certificates, security: MailSecurity) -> None:
    document = checkpoint(place / "state")
    (place / "state" / SECRETS).mkdir()
    (place / "state" / SECRETS / MAIL_PASSWORD).touch(0o600)
    (place / "state" / SECRETS / MAIL_PASSWORD).write_text("open sesame\n")
    post = MailServer(certificates.server, password="open sesame", tls=security is MailSecurity.TLS)
    with post.serving() as server:
        box = mailbox(place, server, security=security, user="ems")
        receipt = box.deliver(document)
        assert box.deliver(document) == receipt, "the same checkpoint is the same message"
    letter = post.letters[0]
    assert letter["Message-ID"] == receipt["message_id"]
    assert (letter["To"], letter["From"]) == ("auditor@example.org", "ems@house.test")
    (attached,) = letter.iter_attachments()
    assert json.loads(attached.get_content()) == document
    assert attached.get_filename() == f"house-00000007-{NOON:%Y%m%dT%H%M%S}Z.json"
    assert "ab" * 32 in letter.get_body().get_content()
    if security is MailSecurity.STARTTLS:
        assert post.words[:2] == ["EHLO", "STARTTLS"], "nothing is told before TLS"


def test_mail_fails_with_words_where_it_cannot_be_safe(place: Path, certificates: Certificates, tmp_path: Path) -> None:
    document = checkpoint(place / "state")
    strangers = Certificates(tmp_path / "strangers")
    with (
        MailServer(strangers.server).serving() as server,
        pytest.raises(DeliveryError, match="certificate verify failed"),
    ):
        mailbox(place, server).deliver(document)
    with MailServer(certificates.server, password="x").serving() as server:
        with pytest.raises(DeliveryError, match=r"audit_mail_password is missing.*mode 0600"):
            mailbox(place, server, user="ems").deliver(document)
        (place / "state" / SECRETS).mkdir()
        secret = place / "state" / SECRETS / MAIL_PASSWORD
        secret.write_text("wrong CANARY")
        secret.chmod(0o644)
        with pytest.raises(DeliveryError, match="may be read by others"):
            mailbox(place, server, user="ems").deliver(document)
        secret.chmod(0o600)
        with pytest.raises(DeliveryError, match="who are you") as refused:
            mailbox(place, server, user="ems").deliver(document)
        assert "CANARY" not in str(refused.value)
        assert server.letters == []
    with pytest.raises(DeliveryError, match=r"look after audit\.mail"):
        mailbox(place, server).deliver(document)


needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")


@needs_openssl
def test_a_stamp_is_kept_and_openssl_agrees(place: Path, certificates: Certificates) -> None:
    document = checkpoint(place / "state")
    with Authority(certificates).serving() as authority:
        receipt = Asked(Stamper(authority.url, place / "root.pem", place / "state")).deliver(document)
    path = place / "state" / receipt["file"]
    assert abs(datetime.fromisoformat(receipt["stamped_at"]) - datetime.now(UTC)) < timedelta(minutes=5)
    Folder(place).deliver(document)
    (delivered,) = place.glob("house-*.json")
    order = ["openssl", "ts", "-verify", "-in", str(path), "-data", str(delivered), "-CAfile", str(place / "root.pem")]
    assert "Verification: OK" in subprocess.run(order, capture_output=True, text=True, timeout=60, check=False).stdout


@needs_openssl
def test_a_stamp_of_somebody_else_is_not_taken(place: Path, tmp_path: Path) -> None:
    strangers = Certificates(tmp_path / "strangers")
    document = checkpoint(place / "state")
    with Authority(strangers).serving() as authority:
        asked = Asked(Stamper(authority.url, place / "root.pem", place / "state"))
        with pytest.raises(DeliveryError, match="is not valid"):
            asked.deliver(document)
        authority.answers = bytes(50_000_000)
        with pytest.raises(DeliveryError, match="it answers more than 1000000 bytes"):
            asked.deliver(document)
        authority.broken = True
        with pytest.raises(DeliveryError, match="503"):
            asked.deliver(document)
    with pytest.raises(DeliveryError, match="gives no time stamp"):
        asked.deliver(document)
    assert not (place / "state" / "receipts").exists()


class Slow:
    """A receiver that can be switched off."""

    def __init__(self, name: str, *, near: bool = False) -> None:
        self.name, self.is_near, self.off = name, near, False
        self.got: list[int] = []

    def deliver(self, document: Mapping[str, Any]) -> Mapping[str, Any]:
        if self.off:
            raise DeliveryError("it is off; switch it on")
        self.got.append(document["heads"]["journal.db"]["seq"])
        return {}


class Office:
    """A notary with its journal, and receivers."""

    def __init__(self, state: Path, *receivers: Any) -> None:
        self.state, self.clock = state, SimulatedClock(NOON)
        self.journal = Journal(state / "journal.db", self.clock, durable=False)
        self.alarms = Alarms(self.journal.record)
        outbox = Outbox(receivers, self.journal, state)
        self.notary = Notary("house", state, self.clock, journal=self.journal, alarms=self.alarms, outbox=outbox)

    async def run(self, minutes: int) -> None:
        for _ in range(minutes):
            self.journal.record("health", {}).result(10)
            await self.notary.check()
            self.clock.advance_to(self.clock.monotonic() + 60.0)
        self.journal.record("health", {}).result(10)


@pytest.fixture
def opened() -> Iterator[list[Office]]:
    offices: list[Office] = []
    yield offices
    for office in offices:
        office.journal.close()


async def test_one_that_fails_holds_up_no_other_and_is_told_after_two_hours(
    tmp_path: Path, opened: list[Office]
) -> None:
    mail, stamp = Slow("mail"), Slow("timestamp")
    office = Office(tmp_path / "state", mail, stamp)
    opened.append(office)
    mail.off = True
    await office.run(121)
    assert (len(stamp.got), mail.got, office.alarms.active) == (3, [], ())
    await office.run(1)
    (alarm,) = office.alarms.active
    assert alarm.key == "audit"
    assert "to be delivered to mail: it is off; switch it on" in alarm.text
    mail.off = False
    await office.run(1)
    assert office.alarms.active == ()
    assert mail.got == stamp.got, "all of them, oldest first"
    told = [
        (r.body["receiver"], r.body["checkpoint"]["heads"]) for r in read_records(office.state / "journal.db", KIND)
    ]
    assert len(told) == 6


async def test_after_a_restart_a_receiver_gets_what_it_has_not(tmp_path: Path, opened: list[Office]) -> None:
    mail, near = Slow("mail"), Slow("folder", near=True)
    first = Office(tmp_path / "state", mail, near)
    await first.run(1)
    mail.off = True
    await first.run(61)
    await first.notary.sign(ending=True)
    first.journal.close()
    assert (len(mail.got), len(near.got)) == (1, 3), "an end waits for nobody who is far"
    mail.off = False
    second = Office(tmp_path / "state", mail, near, late := Slow("timestamp"))
    opened.append(second)
    await second.run(1)
    assert mail.got == near.got == sorted(set(near.got))
    assert len(mail.got) == 4
    assert late.got == mail.got[-1:], "a new receiver begins with the present"


@pytest.mark.parametrize(("made", "due"), [(1300, range(1201, 1302)), (2400, range(1402, 2402))])
def test_after_a_restart_no_receipt_is_overlooked_and_no_checkpoint_forgotten(
    tmp_path: Path, opened: list[Office], made: int, due: range
) -> None:
    """1200 receipts at a stretch, as after weeks without the receiver; of those that are left the newest thousand."""
    office = Office(tmp_path / "state")
    opened.append(office)

    def document(number: int) -> dict[str, Any]:
        return {"at": NOON.isoformat(), "heads": {"journal.db": {"seq": number}}, "signature": f"{number}"}

    for kind, numbers in ((CHECKPOINT, range(1, made + 1)), (KIND, range(1, 1201))):
        for number in numbers:
            body = document(number)
            told = {"receiver": "mail", "checkpoint": body, "receipt": {}} if kind == KIND else body
            last = office.journal.record(kind, told)
    last.result(30)
    outbox = Outbox([mail := Slow("mail")], office.journal, office.state)
    outbox.put(document(made + 1))
    while outbox:
        outbox.deliver()
    assert mail.got == list(due)


def verified(capsys: pytest.CaptureFixture[str], *line: str) -> tuple[int, dict[str, Any]]:
    status = main(["audit", "verify", *line, "--json"])
    return status, json.loads(capsys.readouterr().out)


@needs_openssl
async def test_verifying_finds_what_contradicts_a_stamp(
    place: Path, certificates: Certificates, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    state = place / "state"
    with Authority(certificates).serving() as authority:
        office = Office(state, Asked(Stamper(authority.url, place / "root.pem", state)))
        office.clock.advance_to(3.5 * 3600.0)
        await office.run(2)
        await office.notary.sign()
        office.journal.record("health", {}).result(10)
        office.journal.close()
    root, strangers = ("--timestamp-root", str(place / "root.pem")), Certificates(tmp_path / "strangers").root
    status, told = verified(capsys, str(state), *root)
    assert (status, told["wrong"], told["stamps"]) == (0, [], {"receipts": 2, "verified": 2})
    assert verified(capsys, str(state))[1]["stamps"] == {"receipts": 2, "verified": 0}
    status, told = verified(capsys, str(state), "--timestamp-root", str(strangers))
    assert (status, len(told["wrong"])) == (5, 2)
    assert "is not signed by whom is trusted" in told["wrong"][0]["why"]
    # Who has the key writes another past: new chains and new checkpoints, all signed and whole.
    kept = tmp_path / "auditor"
    shutil.copytree(state / "receipts", kept)
    for file in ("journal.db", "journal.db-wal", "journal.db-shm"):
        (state / file).unlink(missing_ok=True)
    shutil.rmtree(state / "receipts")
    forger = Office(state)
    await forger.run(2)
    forger.journal.close()
    assert verified(capsys, str(state))[0] == 0, "alone it looks whole"
    shutil.copytree(kept, state / "receipts")
    status, told = verified(capsys, str(state))
    assert status == 5
    assert all("that is not among the records" in wrong["why"] for wrong in told["wrong"])
    # A receipt that the journal names and nobody has any more is missed too.
    shutil.rmtree(state / "receipts")
    again = Office(state)
    receipt = {"file": "receipts/gone.tsr", "sha256": "00"}
    again.journal.record(KIND, {"receiver": "timestamp", "checkpoint": {}, "receipt": receipt}).result(10)
    again.journal.close()
    status, told = verified(capsys, str(state))
    assert status == 5
    assert "names the receipt receipts/gone.tsr, which is missing" in told["wrong"][0]["why"]


def test_a_command_without_a_root_certificate_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    journal = Journal(tmp_path / "journal.db", SimulatedClock(NOON), durable=False)
    journal.close()
    (tmp_path / "no.pem").write_text("nothing")
    assert main(["audit", "verify", str(tmp_path), "--timestamp-root", str(tmp_path / "no.pem")]) == 1
    assert "holds no certificates" in capsys.readouterr().err
