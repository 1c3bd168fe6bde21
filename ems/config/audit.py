"""What a site file may say of the chain of audit: to whom its signed checkpoints are delivered."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from ems.config.strict import Strict, Whole

MAIL_PASSWORD = "audit_mail_password"  # noqa: S105 - the name under which the secret is kept
"""Name of the secret by which `mail.user` proves who it is."""
AUDIT_KEY = "audit_key"
"""Likewise, of the key that signs checkpoints, where it is not the one in the state directory."""


class MailSecurity(StrEnum):
    """How the way to a mail server is kept secret: TLS from the first byte, or after STARTTLS."""

    TLS = "tls"
    STARTTLS = "starttls"


class CheckpointMail(Strict):
    """A mailbox outside of the site to which checkpoints are mailed, and the server that takes them.

    `root` is a file of the site folder with the certificate of the authority behind the server's own, where the
    machine does not know it.
    """

    to: Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+$")]
    sender: Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+$")]
    host: str
    port: Annotated[Whole, Field(gt=0, lt=65536)] = 465
    security: MailSecurity = MailSecurity.TLS
    user: str | None = None
    root: str | None = None


class TimeStamping(Strict):
    """A time-stamping authority (RFC 3161): its address, and a PEM file of the site folder with whom to trust.

    The file holds the root certificate of the authority, and those between, if its answers do not bring them.
    """

    url: Annotated[str, Field(pattern=r"^https?://\S+$")]
    root: str


class Audit(Strict):
    """What outsiders need to trust the journal: where copies of its signed checkpoints go.

    `deliver_to` is a folder; it may be joined by a mailbox and by a time-stamping authority.
    """

    deliver_to: str | None = None
    mail: CheckpointMail | None = None
    timestamp: TimeStamping | None = None
