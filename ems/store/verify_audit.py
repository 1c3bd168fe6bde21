"""Verifies the audit chains of a District EMS state folder on its own: the standard library, nothing of the product.

Usage: python3 verify_audit.py STATE_DIR [FOLDER_WITH_DELIVERED_CHECKPOINTS]. Signatures are checked where the package
`cryptography` is installed. Exit status 0 if all is right, 5 if anything is wrong, which is then named.
"""

import importlib.util
import json
import sqlite3
import sys
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Any

SIGNED = importlib.util.find_spec("cryptography") is not None
TABLES = {"journal.db": "record", "requests.db": "request", "guard.db": "record"}
PARTS = {"record": ("body",), "request": ("target", "value", "reason", "by", "expires_at")}


def canonical(content: Any) -> bytes:
    """Write texts and whole numbers as RFC 8785 does."""
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def entries(path: Path, table: str) -> Any:
    """Give number, instant, kind, body and stored hash of every entry."""
    select = f"SELECT id, at, kind, hash, {', '.join(PARTS[table])} FROM {table} ORDER BY id"  # noqa: S608
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
        for number, at, kind, stored, *parts in connection.execute(select):
            body = parts[0].encode() if table == "record" else canonical(dict(zip(PARTS[table], parts, strict=True)))
            yield number, at, kind, body, stored


def walk(path: Path, found: list[tuple[str, bytes]]) -> tuple[list[str], tuple[int, str] | None]:
    """Give the hashes of a chain from entry 1 on and its first wrong entry; collect the checkpoints in it."""
    hashes = ["0" * 64]
    try:
        for number, at, kind, body, stored in entries(path, TABLES[path.name]) if path.exists() else ():
            if number != len(hashes):
                return hashes, (len(hashes), f"is missing, the next is {number}")
            entry = {"seq": number, "at": at, "kind": kind, "prev": hashes[-1], "body_sha256": sha256(body).hexdigest()}
            if sha256(canonical(entry)).hexdigest() != stored:
                return hashes, (number, "does not hash to what is stored")
            hashes.append(stored)
            if path.name == "journal.db" and kind == "checkpoint":
                found.append((f"entry {number}", body))
    except (sqlite3.Error, TypeError, AttributeError, UnicodeError) as error:
        return hashes, (len(hashes), f"cannot be read: {error}")
    return hashes, None


def is_signed(document: Any) -> bool:
    """Check the signature of a checkpoint under the key that it names."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415

    try:
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(document["public_key"]))
        signed = canonical({name: value for name, value in document.items() if name != "signature"})
        key.verify(bytes.fromhex(document["signature"]), signed)
    except Exception:  # whatever is wrong with it, it is not signed
        return False
    return bool(document["schema"] == "ems.checkpoint/1")


def contradiction(hashes: list[str], heads: list[tuple[int, str]]) -> tuple[int, str] | None:
    """Give the first entry that is not what checkpoints say of it."""
    good = 0
    for number, expected in sorted(heads, key=lambda head: (head[0], head[1] in hashes[head[0] : head[0] + 1])):
        if number >= len(hashes):
            return len(hashes), f"is missing: a checkpoint names entry {number}"
        if hashes[number] != expected:
            return good + 1, f"or one up to {number} is not what a checkpoint says"
        good = number
    return None


def main(state: Path, delivered: Path | None) -> int:
    """Print what is wrong; give the exit status."""
    found = [(path.name, path.read_bytes()) for path in sorted(delivered.glob("*.json"))] if delivered else []
    wrong: list[tuple[str, int, str]] = [] if found or not delivered else [("checkpoints", 0, "none is there")]
    chains = [(name, *walk(state / name, found)) for name in TABLES]
    documents = [(where, json.loads(text)) for where, text in found]
    for name, hashes, mistake in chains:
        heads = [head for _, document in documents if (head := document.get("heads", {}).get(name))]
        first = mistake or contradiction(hashes, [(head["seq"], head["hash"]) for head in heads])
        wrong += [(name, *first)] if first else []
        print(f"{name}: {len(hashes) - 1} entries")
    keys = {str(document.get("public_key")) for _, document in documents}
    print("keys:", *sorted(keys), "" if SIGNED else "(signatures are not checked: cryptography is missing)")
    wrong += [("keys", 0, f"{len(keys)} have signed, not one")] if len(keys) != 1 else []
    wrong += [(where, 0, "is not signed") for where, document in documents if SIGNED and not is_signed(document)]
    for name, number, why in wrong:
        print(f"WRONG {name} entry {number}: {why}")
    return 5 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None))
