"""Takes secrets out of what people read: logs and support bundles.

Law: what is known to be a secret goes wherever it stands, whole; what only looks like one goes too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

HIDDEN = "[hidden]"
LEAST_LENGTH = 6
"""A shorter secret would take ordinary words with it."""

_SHAPES = (
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL), HIDDEN),
    (re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{6,}"), rf"\1 {HIDDEN}"),
    (re.compile(r"(?i)(://)[^/@\s:]*:[^/@\s]+@"), rf"\1{HIDDEN}@"),
    (
        re.compile(
            r"(?i)((?:password|passwd|passphrase|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|credential)"
            r"[\w-]*[\"']?\s*[:=]\s*[\"']?)[^\s\"',;&}\]\\]+"
        ),
        rf"\1{HIDDEN}",
    ),
)


def redacted(text: str, secrets: Iterable[str] = ()) -> str:
    """Give a text without secrets.

    Args:
        text: any text.
        secrets: secrets that are known.
    """
    for secret in secrets:
        if len(secret) >= LEAST_LENGTH:
            text = text.replace(secret, HIDDEN)
    for shape, instead in _SHAPES:
        text = shape.sub(instead, text)
    return text
