"""Secrets: none stands in a site file; where they are kept instead, and how they are read.

In this order: a credential that systemd hands over (`LoadCredential=`), a file in the folder `secrets` of the state
directory that its owner alone may read, the environment.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ems.config.audit import MAIL_PASSWORD
from ems.config.documents import Keys
from ems.config.parts import Complaint, Parts
from ems.config.site import Site

FOLDER = "secrets"
"""Name of the folder in a state directory that holds secrets, one file each."""
_IN_QUERY = re.compile(r"(?i)[?&][\w-]*(password|secret|token|key|auth|sig)[\w-]*=")


class SecretError(Exception):
    """A secret cannot be had: the message names it, says why, and what to do."""


def secrets_of(site: Site) -> tuple[str, ...]:
    """Name the secrets that a site needs."""
    mail = site.file.audit.mail
    return (MAIL_PASSWORD,) if mail is not None and mail.user is not None else ()


def read_secret(name: str, state_dir: Path, environ: Mapping[str, str] = os.environ) -> str:
    """Read a secret that must be there.

    Args:
        name: of the secret, in lower case.
        state_dir: the site's state directory.
        environ: `CREDENTIALS_DIRECTORY` as systemd sets it; `EMS_SECRET_<NAME>` may hold the secret itself.

    Raises:
        SecretError: it is nowhere, is empty, or others may read its file.
    """
    found = find_secret(name, state_dir, environ)
    if not found:
        words = f"write it into {state_dir / FOLDER / name} (mode 0600), hand it over with LoadCredential=, or set"
        raise SecretError(f"the secret {name} is missing or empty: {words} {_variable(name)}")
    return found


def find_secret(name: str, state_dir: Path, environ: Mapping[str, str] = os.environ) -> str:
    """Look for a secret that may be there, as `read_secret` does; empty if it is nowhere.

    Raises:
        SecretError: others may read its file, or it cannot be read.
    """
    handed, path = environ.get("CREDENTIALS_DIRECTORY"), state_dir / FOLDER / name
    # A service that is handed nothing is handed an empty credential.
    if handed and (Path(handed) / name).is_file() and (found := _text(Path(handed) / name)):
        return found
    return _private(path) if path.exists() else environ.get(_variable(name), "")


def _variable(name: str) -> str:
    return f"EMS_SECRET_{name.upper()}"


def _private(path: Path) -> str:
    others = stat.S_IMODE(path.stat().st_mode) & 0o077
    if others:
        raise SecretError(f"the secret {path} may be read by others: `chmod 600 {path}`, and change what it holds")
    return _text(path)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise SecretError(f"the secret {path} cannot be read: {error}; make it readable for this account") from error


def check_secrets(parts: Parts) -> list[Complaint]:
    """Find addresses that carry a secret; their text is not repeated."""
    return list(_addresses((), parts.raw))


def _addresses(path: Keys, value: Any) -> Iterator[Complaint]:
    match value:
        case dict():
            for key, inner in value.items():
                yield from _addresses((*path, key), inner)
        case list():
            for number, inner in enumerate(value):
                yield from _addresses((*path, number), inner)
        case str() if "://" in value and _tells(value):
            yield (
                path,
                "is an address with a secret in it; none belongs in a site file; see docs/operator.md, section Secrets",
            )


def _tells(text: str) -> bool:
    try:
        named = urlsplit(text).password is not None
    except ValueError:
        named = "@" in text
    return named or _IN_QUERY.search(text) is not None
