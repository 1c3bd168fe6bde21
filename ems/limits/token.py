"""The secret by which the grid operator proves who it is: only its SHA-256 is kept, in a file for this user alone."""

from __future__ import annotations

import hmac
import os
import secrets
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

FILE = "limits.token.sha256"
"""Name of the file in a state folder, outside the site file."""
_BYTES = 32


def new_token(state_dir: Path) -> str:
    """Make a token and keep its hash; the one before is void at once. Raises `OSError`."""
    token = secrets.token_urlsafe(_BYTES)
    state_dir.mkdir(parents=True, exist_ok=True)
    fresh = state_dir / f"{FILE}.new"
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
        file.write(f"{_hash(token)}\n")
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(state_dir / FILE)
    return token


def is_token(state_dir: Path, token: str) -> bool:
    """Tell whether it is the one; the time that this takes tells nothing of it. Without a file nothing is."""
    kept = ""
    with suppress(OSError, UnicodeDecodeError):
        kept = (state_dir / FILE).read_text(encoding="ascii").strip()
    return hmac.compare_digest(_hash(token).encode(), kept.encode())


def _hash(token: str) -> str:
    return sha256(token.encode()).hexdigest()
