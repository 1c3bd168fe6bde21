"""Signed checkpoints of the chains of audit: what each chain ended with at an instant, signed with the site's own key.

A checkpoint is one JSON object; its signature is Ed25519 (RFC 8032) over the canonical JSON of all but the signature.
It stands in the journal, and a copy in a place that the holder of the state folder cannot change: then whoever has the
folder and even the key can write another past, but not one that agrees with the copy.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from ems.config.audit import AUDIT_KEY
from ems.config.secrets import SecretError, find_secret
from ems.store.chain import canonical
from ems.store.database import Schema, StoreError, open_readable
from ems.store.durable import write_whole
from ems.store.journal import SCHEMA as JOURNAL
from ems.store.requests import SCHEMA as REQUESTS

SCHEMA = "ems.checkpoint/1"
KIND = "checkpoint"
"""Kind of the journal's records that hold checkpoints."""
KEY_FILE = "audit.key"


@dataclass(frozen=True, slots=True)
class Chain:
    """A store file that is a chain: its schema, its table, and the columns that make an entry's body."""

    schema: Schema
    table: str
    columns: tuple[str, ...]


_RECORDS = Chain(JOURNAL, "record", ("body",))
CHAINS = {
    "journal.db": _RECORDS,
    "requests.db": Chain(REQUESTS, "request", ("target", "value", "reason", "by", "expires_at")),
    "guard.db": _RECORDS,
}
"""The files of a state folder that are chains."""


@dataclass(frozen=True, slots=True)
class Key:
    """The key that signs a site's checkpoints."""

    private: Ed25519PrivateKey

    @property
    def public(self) -> str:
        """Give the public key in hexadecimal."""
        return self.private.public_key().public_bytes_raw().hex()

    def sign(self, content: Mapping[str, Any]) -> dict[str, Any]:
        """Give a copy of texts and whole numbers with the public key and the signature in it."""
        signed = {**content, "public_key": self.public}
        return {**signed, "signature": self.private.sign(canonical(signed)).hex()}


def own_key(state_dir: Path) -> Key:
    """Take the key that is handed over as the secret `audit_key`, else the one of the state folder.

    That one is made if it is missing: a PEM file that only its owner may read (mode 0600).

    Raises:
        StoreError: it cannot be read, is no Ed25519 key, or cannot be made.
    """
    path = state_dir / KEY_FILE
    try:
        if handed := find_secret(AUDIT_KEY, state_dir):
            return _key(handed.encode())
    except (SecretError, ValueError) as error:
        words = "give a PEM file as `openssl genpkey -algorithm ed25519` makes it"
        raise StoreError(f"the secret {AUDIT_KEY} cannot be used: {error}; {words}") from error
    try:
        if not path.exists():
            _make_key(path)
        return _key(path.read_bytes())
    except (OSError, ValueError) as error:
        words = "restore it from a backup, or move it aside: a new one is made then, and verifying says so"
        raise StoreError(f"the key of the audit chain {path} cannot be used: {error}; {words}") from error


def _key(text: bytes) -> Key:
    key = load_pem_private_key(text, password=None)
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError("it is no Ed25519 key")  # noqa: TRY004 - the content is wrong, not its type
    return Key(key)


def _make_key(path: Path) -> None:
    text = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    write_whole(path, text, mode=0o600)


def heads(state_dir: Path) -> dict[str, dict[str, Any]]:
    """Give the last entry of each chain that has one: `{"journal.db": {"seq": 12, "hash": "..."}}`.

    Raises:
        StoreError: a file is of another version or damaged.
    """
    found = {}
    for name, chain in CHAINS.items():
        connection = open_readable(state_dir / name, chain.schema)
        if connection is None:
            continue
        try:
            row = _last(connection, chain)
        except sqlite3.Error as error:
            raise StoreError(f"{state_dir / name} cannot be read: {error}") from error
        finally:
            connection.close()
        if row is not None:
            found[name] = {"seq": row[0], "hash": row[1]}
    return found


def _last(connection: sqlite3.Connection, chain: Chain) -> tuple[int, str] | None:
    """Give number and hash of the last entry; None for a file that nobody has written since there are chains."""
    if connection.execute("PRAGMA user_version").fetchone()[0] < chain.schema.version:
        return None
    row: tuple[int, str] | None = connection.execute(
        f"SELECT id, hash FROM {chain.table} ORDER BY id DESC LIMIT 1"  # noqa: S608
    ).fetchone()
    return row


def checkpoint(key: Key, site: str, at: str, chains: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Sign what the chains of a site end with.

    Args:
        key: signs.
        site: id of the site.
        at: instant, ISO 8601 in UTC.
        chains: see `heads`.
    """
    return key.sign({"schema": SCHEMA, "site": site, "at": at, "heads": {k: dict(v) for k, v in chains.items()}})


def is_signed(document: Mapping[str, Any]) -> bool:
    """Tell whether a checkpoint carries a valid signature of the key that it names."""
    try:
        signature = bytes.fromhex(document["signature"])
        public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(document["public_key"]))
        public.verify(signature, canonical({k: v for k, v in document.items() if k != "signature"}))
    except (InvalidSignature, ValueError, KeyError, TypeError):
        return False
    return True


def file_name(document: Mapping[str, Any]) -> str:
    """Name the file of a delivered checkpoint, in the order of the journal: `house-00000120-20260115T120000Z.json`."""
    entry = document["heads"].get("journal.db", {}).get("seq", 0)
    instant = "".join(c for c in str(document["at"])[:19] if c.isalnum())
    return f"{document['site']}-{entry:08}-{instant}Z.json"


def deliver(document: Mapping[str, Any], folder: Path) -> Path:
    """Write a checkpoint into a folder, whole or not at all; the folder is not made, as it may be a mount.

    Raises:
        OSError: the folder is missing or takes no file.
    """
    path = folder / file_name(document)
    write_whole(path, file_bytes(document))
    return path


def file_bytes(document: Mapping[str, Any]) -> bytes:
    """Give a checkpoint as the bytes of its delivered file."""
    return json.dumps(document, sort_keys=True, indent=1).encode() + b"\n"
