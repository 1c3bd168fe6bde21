"""The secret by which the grid operator proves who it is.

Made here, only its SHA-256 is kept, in a file for this user alone. Where the operator brings its own, it is a secret
like others (`ems.config.secrets`), and it alone counts.
"""

from __future__ import annotations

import hmac
import os
import secrets
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from ems.config.grid_operator import LIMITS_TOKEN
from ems.config.secrets import SecretError, find_secret
from ems.config.state import make_state_dir

FILE = "limits.token.sha256"
"""Name of the file in a state folder, outside the site file."""
_BYTES = 32


def new_token(state_dir: Path) -> str:
    """Make a token and keep its hash; the one before is void at once. Raises `OSError`."""
    token = secrets.token_urlsafe(_BYTES)
    make_state_dir(state_dir)
    fresh = state_dir / f"{FILE}.new"
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
        file.write(f"{_hash(token)}\n")
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(state_dir / FILE)
    return token


def is_token(state_dir: Path, token: str) -> bool:
    """Tell whether it is the one; the time that this takes tells nothing of it. Where none is kept nothing is."""
    return hmac.compare_digest(_hash(token).encode(), _kept(state_dir).encode())


def trouble(state_dir: Path) -> str:
    """Say why no token can be the one; empty if one can."""
    try:
        return "" if find_secret(LIMITS_TOKEN, state_dir) or _made(state_dir) else "nobody has a token yet"
    except SecretError as error:
        return str(error)


def _kept(state_dir: Path) -> str:
    try:
        brought = find_secret(LIMITS_TOKEN, state_dir)
    except SecretError:
        return ""
    return _hash(brought) if brought else _made(state_dir)


def _made(state_dir: Path) -> str:
    with suppress(OSError, UnicodeDecodeError):
        return (state_dir / FILE).read_text(encoding="ascii").strip()
    return ""


def _hash(token: str) -> str:
    return sha256(token.encode()).hexdigest()
