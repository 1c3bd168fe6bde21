"""The chain of audit: what is changed, deleted, moved, inserted or cut off afterwards is found, and where."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from ems.clock import SimulatedClock
from ems.store import verify_audit
from ems.store.audit import Verdict, verify
from ems.store.chain import GENESIS, canonical, entry_hash, request_body
from ems.store.checkpoints import CHAINS, checkpoint, deliver, heads, is_signed, own_key
from ems.store.database import StoreError
from ems.store.encoding import to_json
from ems.store.journal import Journal, read_records
from ems.store.requests import Request, submit

NOON = datetime(2026, 1, 15, 12, 0, tzinfo=UTC)
SIGNED = 24
"""The last checkpoint stands behind so many entries of the journal."""
ENTRIES = 30


def _sign(state: Path, journal: Journal, at: datetime) -> None:
    document = checkpoint(own_key(state), "house", at.isoformat(), heads(state))
    journal.record("checkpoint", document).result(5)
    deliver(document, state / "delivered")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state folder with three chains and two checkpoints, both delivered."""
    state = tmp_path_factory.mktemp("made")
    (state / "delivered").mkdir()
    clock = SimulatedClock(NOON)
    for name, bodies in (("guard.db", 3), ("journal.db", ENTRIES - 2)):
        journal = Journal(state / name, clock, durable=False)
        for n in range(bodies):
            journal.record(("intent", "result")[n % 2], {"n": n, "kw": n / 7, "reason": "für Süd"}).result(5)
            if n < 3:
                submit(state, Request("override", f"asset{n}", {"power_kw": n}, "a test", "ann", NOON))
            if name == "journal.db" and n in (10, SIGNED - 2):
                _sign(state, journal, NOON + timedelta(hours=n))
        journal.close()
    return state


class Forger:
    """Somebody who can write a copy of the folder."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.delivered = state / "delivered"

    @contextlib.contextmanager
    def opened(self, file: str) -> Iterator[sqlite3.Connection]:
        with contextlib.closing(sqlite3.connect(self.state / file, isolation_level=None)) as connection:
            connection.execute("PRAGMA synchronous=OFF")
            yield connection

    def run(self, file: str, *statements: tuple[str, tuple]) -> None:
        with self.opened(file) as connection:
            for sql, parameters in statements:
                connection.execute(sql.format(t=CHAINS[file].table), parameters)

    def chain_anew(self, *, with_key: bool) -> None:
        """Make every hash follow again, and with the key every checkpoint too."""
        hashes: dict[str, dict[int, str]] = {file: {} for file in CHAINS}
        for file in ("guard.db", "requests.db", "journal.db"):
            chain, before = CHAINS[file], GENESIS
            with self.opened(file) as connection:
                columns = ", ".join(chain.columns)
                rows = connection.execute(f"SELECT id, at, kind, {columns} FROM {chain.table} ORDER BY id").fetchall()
                for number, at, kind, *parts in rows:
                    body = parts[0] if len(parts) == 1 else request_body(*parts)
                    if with_key and kind == "checkpoint":
                        body = self._signed_anew(json.loads(body), hashes)
                        connection.execute("UPDATE record SET body = ? WHERE id = ?", (body, number))
                    before = hashes[file][number] = entry_hash(number, at, kind, body, before)
                    connection.execute(f"UPDATE {chain.table} SET hash = ? WHERE id = ?", (before, number))

    def _signed_anew(self, document: dict, hashes: dict[str, dict[int, str]]) -> str:
        for file, head in document["heads"].items():
            head["seq"] = max(n for n in hashes[file] if n <= head["seq"])
            head["hash"] = hashes[file][head["seq"]]
        return to_json(checkpoint(own_key(self.state), document["site"], document["at"], document["heads"]))

    def verdict(self, *, delivered: bool) -> Verdict:
        """Verify twice, by the product and by the program that stands alone: both must say the same."""
        folder = self.delivered if delivered else None
        verdict, told = verify(self.state, folder), io.StringIO()
        with contextlib.redirect_stdout(told):
            status = verify_audit.main(self.state, folder)
        words = [line.split() for line in told.getvalue().splitlines() if line.startswith("WRONG")]
        chains = {(file, int(entry.strip(":"))) for _, file, _, entry, *_ in words if file in CHAINS}
        marks = ("signature", "the key")
        wrong = [w for w in verdict.wrong if w.entry is not None and not any(mark in w.why for mark in marks)]
        assert chains == {(w.file, w.entry) for w in wrong}
        assert status == (5 if verdict.wrong else 0)
        return verdict


@contextlib.contextmanager
def forger(made: Path) -> Iterator[Forger]:
    with TemporaryDirectory() as folder:
        yield Forger(Path(shutil.copytree(made, folder, dirs_exist_ok=True)))


def _first(verdict: Verdict, file: str) -> int | None:
    return next((w.entry for w in verdict.wrong if w.file == file), None)


def test_what_nobody_touched_is_whole_and_signed_with_one_key_that_only_its_owner_reads(made: Path) -> None:
    verdict = Forger(made).verdict(delivered=True)
    assert verdict.wrong == ()
    assert [(c.file, c.entries) for c in verdict.chains] == [("journal.db", 30), ("requests.db", 6), ("guard.db", 3)]
    assert (verdict.signed_to("journal.db"), len(verdict.checkpoints), len(verdict.keys)) == (SIGNED, 4, 1)
    assert stat.S_IMODE((made / "audit.key").stat().st_mode) == 0o600
    assert (made / "audit.key").read_text().startswith("-----BEGIN PRIVATE KEY-----")


FILES = st.sampled_from(list(CHAINS))


@settings(deadline=None, max_examples=20)
@given(st.data())
def test_a_changed_byte_is_found_at_its_entry(made: Path, data: st.DataObject) -> None:
    with forger(made) as one:
        file = data.draw(FILES)
        chain = CHAINS[file]
        column = data.draw(st.sampled_from(["at", "kind", "hash", *(c for c in chain.columns if c != "expires_at")]))
        with one.opened(file) as connection:
            (count,) = connection.execute(f"SELECT count(*) FROM {chain.table}").fetchone()
            number = data.draw(st.integers(1, count))
            (text,) = connection.execute(f"SELECT {column} FROM {chain.table} WHERE id = ?", (number,)).fetchone()
        place = data.draw(st.integers(0, len(text) - 1))
        letter = data.draw(st.characters(exclude_characters=text[place], codec="utf-8"))
        changed = text[:place] + letter + text[place + 1 :]
        one.run(file, (f"UPDATE {{t}} SET {column} = ? WHERE id = ?", (changed, number)))
        assert _first(one.verdict(delivered=data.draw(st.booleans())), file) == number


def _moved(kind: str, number: int, other: int) -> tuple[int, list[tuple[str, tuple]]]:
    """Give the first entry that becomes wrong, and the statements that do it."""
    if kind == "delete":
        return number, [("DELETE FROM {t} WHERE id = ?", (number,))]
    if kind == "close the gap":
        down = "UPDATE {t} SET id = -id WHERE id > ?"
        return number, [*_moved("delete", number, 0)[1], (down, (number,)),
                        ("UPDATE {t} SET id = -id - 1 WHERE id < 0", ())]  # fmt: skip
    if kind == "swap":
        swap = [("UPDATE {t} SET id = ? WHERE id = ?", pair) for pair in ((0, number), (number, other), (other, 0))]
        return min(number, other), swap
    copied = "at, kind, body, hash"
    up = [("UPDATE {t} SET id = -id WHERE id >= ?", (number,)), ("UPDATE {t} SET id = 1 - id WHERE id < 0", ())]
    return number, [*up, (f"INSERT INTO {{t}} SELECT ?, {copied} FROM {{t}} WHERE id = ?",
                          (number, other + (other >= number)))]  # fmt: skip


MOVES = st.sampled_from(["delete", "close the gap", "swap", "insert"])


@settings(deadline=None, max_examples=20)
@given(MOVES, st.integers(1, ENTRIES - 1), st.integers(1, ENTRIES - 1), st.booleans())
def test_deleting_moving_and_inserting_is_found_where_it_begins(
    made: Path, kind: str, number: int, other: int, delivered: bool
) -> None:
    other = other if other != number else number + 1
    first, statements = _moved(kind, number, other)
    with forger(made) as one:
        one.run("journal.db", *statements)
        found = _first(one.verdict(delivered=delivered), "journal.db")
        # A copy inserted before its own original is right up to the original.
        assert found is not None
        assert first <= found <= first + 1


@settings(deadline=None, max_examples=20)
@given(MOVES | st.just("change"), st.integers(1, ENTRIES - 1), st.integers(1, ENTRIES - 1), st.booleans())
def test_chained_anew_without_the_key_it_is_found_up_to_what_is_signed(
    made: Path, kind: str, number: int, other: int, delivered: bool
) -> None:
    other = other if other != number else number + 1
    change = ("UPDATE {t} SET body = '{{}}' WHERE id = ?", (number,))
    first, statements = (number, [change]) if kind == "change" else _moved(kind, number, other)
    with forger(made) as one:
        if kind == "delete":
            first, statements = _moved("close the gap", number, other)
        one.run("journal.db", *statements)
        one.chain_anew(with_key=False)
        # Entry 25 is a checkpoint: what is changed in it has no signature.
        found = first <= SIGNED or (kind, number) == ("change", SIGNED + 1)
        assert bool(one.verdict(delivered=delivered).wrong) == found


@settings(deadline=None, max_examples=20)
@given(st.integers(0, ENTRIES - 1), st.booleans(), st.booleans())
def test_what_is_cut_off_is_found_by_the_delivered_checkpoint(
    made: Path, left: int, anew: bool, with_key: bool
) -> None:
    with forger(made) as one:
        one.run("journal.db", ("DELETE FROM {t} WHERE id > ?", (left,)))
        if anew and left > 13:
            one.chain_anew(with_key=with_key)
        assert _first(one.verdict(delivered=True), "journal.db") == (left + 1 if left < SIGNED else None)


@settings(deadline=None, max_examples=20)
@given(FILES, st.integers(1, ENTRIES), st.sampled_from(["change", "close the gap"]))
def test_with_the_key_every_contradiction_of_a_delivered_checkpoint_is_found(
    made: Path, file: str, number: int, kind: str
) -> None:
    with forger(made) as one:
        signed = {"journal.db": SIGNED, "requests.db": 6, "guard.db": 3}[file]
        number = 1 + (number - 1) % {"journal.db": ENTRIES, "requests.db": 6, "guard.db": 3}[file]
        if file == "journal.db" and number in (12, 25):
            number -= 1  # the checkpoints themselves
        text = "reason" if file == "requests.db" else "body"
        change = (f"UPDATE {{t}} SET {text} = '\"x\"' WHERE id = ?", (number,))
        one.run(file, *([change] if kind == "change" else _moved("close the gap", number, 0)[1]))
        one.chain_anew(with_key=True)
        assert one.verdict(delivered=False).wrong == (), "the forger has the key"
        first = _first(one.verdict(delivered=True), file)
        assert (first is not None) == (number <= signed)


def test_another_key_is_named_and_an_owner_may_vouch_for_it(made: Path) -> None:
    with forger(made) as one:
        (old,) = verify(one.state).keys
        (one.state / "audit.key").unlink()
        one.run("journal.db", ("DELETE FROM {t} WHERE id = 25", ()), ("UPDATE {t} SET id = id - 1 WHERE id > 25", ()))
        one.chain_anew(with_key=False)
        journal = Journal(one.state / "journal.db", SimulatedClock(NOON), durable=False)
        _sign(one.state, journal, NOON + timedelta(days=1))
        journal.close()
        shutil.rmtree(one.delivered)
        verdict = one.verdict(delivered=False)
        new = own_key(one.state).public
        assert [(w.entry, new in w.why) for w in verdict.wrong] == [(30, True)]
        assert not [w for w in verify(one.state, None, [old, new]).wrong if "key" in w.why]
        assert [w.entry for w in verify(one.state, None, [new]).wrong] == [12]


def test_a_checkpoint_that_was_touched_is_not_signed(made: Path) -> None:
    with forger(made) as one:
        path = sorted(one.delivered.iterdir())[0]
        document = json.loads(path.read_text())
        assert is_signed(document)
        for key, value in (("at", NOON.isoformat()), ("public_key", "00" * 32), ("signature", "x"), ("heads", {})):
            assert not is_signed({**document, key: value}), key
        path.write_text(json.dumps({**document, "site": "other"}))
        assert [(w.file, w.why) for w in one.verdict(delivered=True).wrong] == [
            (path.name, "the signature is not valid")
        ]


def test_a_file_that_is_gone_is_missed(made: Path) -> None:
    with forger(made) as one:
        (one.state / "guard.db").unlink()
        assert _first(one.verdict(delivered=False), "guard.db") == 1
        shutil.rmtree(one.delivered)
        one.delivered.mkdir()
        assert any("holds no checkpoint" in w.why for w in one.verdict(delivered=True).wrong)


@pytest.mark.parametrize("folder", ["nowhere", "delivered"])
def test_a_folder_that_is_no_state_is_told(made: Path, folder: str) -> None:
    with pytest.raises(StoreError, match="name the state folder"):
        verify(made / folder)
    with pytest.raises(StoreError, match="is no folder"):
        verify(made, made / "nowhere")


def test_the_lone_verifier_needs_nothing_and_has_at_most_100_lines(made: Path, tmp_path: Path) -> None:
    script = Path(shutil.copy(verify_audit.__file__, tmp_path / "verify.py"))
    assert len(script.read_text().splitlines()) <= 100
    # -I -S: neither this project nor any installed package can be imported.
    line = [sys.executable, "-I", "-S", str(script), str(made), str(made / "delivered")]
    told = subprocess.run(line, capture_output=True, text=True, check=False)
    assert (told.returncode, told.stderr) == (0, "")
    assert "journal.db: 30 entries" in told.stdout
    assert "signatures are not checked" in told.stdout
    with forger(made) as one:
        one.run("journal.db", ("UPDATE {t} SET body = 'x' WHERE id = 7", ()))
        told = subprocess.run([*line[:-2], str(one.state)], capture_output=True, text=True, check=False)
        assert told.returncode == 5
        assert "WRONG journal.db entry 7" in told.stdout


def test_canonical_json_is_that_of_rfc_8785() -> None:
    """Members in order of their names; short escapes where there are, else \\u00xx (section 3.2.2.2)."""
    content = {"b": '\u20ac$\x0f\nA\'B"\\\\"/', "a": 12, "c": None, "d": {"z": True, "y": "\x7f"}}
    assert canonical(content).decode() == (
        '{"a":12,"b":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/","c":null,"d":{"y":"\x7f","z":true}}'
    )
    with pytest.raises(TypeError, match="float"):
        canonical({"kw": 1.5})


def test_a_journal_from_before_the_chain_is_chained_when_it_is_opened(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    with contextlib.closing(sqlite3.connect(path)) as old:
        old.executescript(
            "PRAGMA journal_mode=WAL; CREATE TABLE record (id INTEGER PRIMARY KEY, at TEXT NOT NULL,"
            " kind TEXT NOT NULL, body TEXT NOT NULL); CREATE INDEX record_kind ON record (kind);"
            " PRAGMA user_version=1;"
        )
        rows = [(NOON.isoformat(), "intent", json.dumps({"n": n})) for n in range(2500)]
        old.executemany("INSERT INTO record (at, kind, body) VALUES (?, ?, ?)", rows)
        old.commit()
    assert len(read_records(path, limit=9999)) == 2500, "a reader needs no chain"
    assert heads(tmp_path) == {}
    assert next(w.entry for w in verify(tmp_path).wrong) == 1
    journal = Journal(path, SimulatedClock(NOON), durable=False)
    assert journal.record("intent", {"n": 2500}).result(5) == 2501
    _sign_here(tmp_path, journal)
    journal.close()
    assert verify(tmp_path).wrong == ()
    assert [r.body["n"] for r in read_records(path, "intent", limit=9999)] == list(range(2501))


def _sign_here(state: Path, journal: Journal) -> None:
    journal.record("checkpoint", checkpoint(own_key(state), "house", NOON.isoformat(), heads(state))).result(5)


def test_requests_from_before_the_chain_are_chained_when_one_is_added(tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / "requests.db")) as old:
        old.executescript(
            "PRAGMA journal_mode=WAL; CREATE TABLE request (id INTEGER PRIMARY KEY, kind TEXT NOT NULL,"
            " target TEXT NOT NULL, value TEXT NOT NULL, reason TEXT NOT NULL, by TEXT NOT NULL, at TEXT NOT NULL,"
            " expires_at TEXT); INSERT INTO request VALUES (1, 'mode', 'pv', '{}', 'r', 'ann', '2026', NULL);"
            " PRAGMA user_version=1;"
        )
    assert submit(tmp_path, Request("override", "battery", {"power_kw": 1}, "a test", "bob", NOON)) == 2
    assert heads(tmp_path)["requests.db"]["seq"] == 2
    journal = Journal(tmp_path / "journal.db", SimulatedClock(NOON), durable=False)
    _sign_here(tmp_path, journal)
    journal.close()
    assert verify(tmp_path).wrong == ()


def test_an_upgrade_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "journal.db"
    with contextlib.closing(sqlite3.connect(path)) as old:
        old.executescript("CREATE TABLE record (id INTEGER PRIMARY KEY); PRAGMA user_version=1")
    with pytest.raises(StoreError, match="no such column"):
        Journal(path, SimulatedClock(NOON))
    with contextlib.closing(sqlite3.connect(path)) as old:
        assert old.execute("PRAGMA user_version").fetchone() == (1,)
        assert [row[1] for row in old.execute("PRAGMA table_info(record)")] == ["id"]


def test_a_key_that_is_handed_over_signs_and_none_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    credentials, state = tmp_path / "credentials", tmp_path / "state"
    credentials.mkdir()
    state.mkdir()
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(credentials))
    (credentials / "audit_key").write_text("\n")
    made = own_key(state).public
    (state / "audit.key").rename(credentials / "audit_key")
    assert own_key(state).public == made, "the same key at another place"
    assert not (state / "audit.key").exists()
    other = X25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    for wrong, why in ((b"nonsense", "openssl genpkey"), (other, "it is no Ed25519 key")):
        (credentials / "audit_key").write_bytes(wrong)
        with pytest.raises(StoreError, match=f"the secret audit_key cannot be used: .*{why}"):
            own_key(state)
    assert not (state / "audit.key").exists(), "no other key takes its place in silence"


def test_a_key_that_is_none_is_told_with_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "audit.key").write_text("nonsense")
    with pytest.raises(StoreError, match=r"audit\.key cannot be used: .*; restore it from a backup"):
        own_key(tmp_path)
