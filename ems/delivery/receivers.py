"""Who gets copies of signed checkpoints: a folder, a mailbox, a time-stamping authority.

Law: a receiver has a checkpoint when it says so, and its word is kept: that is the receipt.
"""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Mapping
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime
from pathlib import Path
from typing import Any, Protocol

from ems.config.audit import MAIL_PASSWORD, CheckpointMail, MailSecurity
from ems.config.secrets import SecretError, read_secret
from ems.config.site import Site
from ems.delivery.stamping import Stamper
from ems.store.checkpoints import deliver, file_bytes, file_name

TIMEOUT_S = 10.0
"""A mail server is waited for so long at each step [s]."""


class DeliveryError(Exception):
    """A receiver has not got a checkpoint: the message says why and what to do."""


class Receiver(Protocol):
    """Somebody outside."""

    name: str
    is_near: bool
    """Whether it answers at once, so that an end of the process may wait for it."""

    def deliver(self, document: Mapping[str, Any]) -> Mapping[str, Any]:
        """Hand over a checkpoint and give the receipt; raises `DeliveryError`. May take a while."""


class Folder:
    """A folder that is there already, as it may be a mount.

    Args:
        folder: where to.
    """

    name, is_near = "folder", True

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def deliver(self, document: Mapping[str, Any]) -> Mapping[str, Any]:
        """Write the checkpoint as a file."""
        try:
            return {"file": deliver(document, self._folder).name}
        except OSError as error:
            words = "make the folder of audit.deliver_to writable for this account"
            raise DeliveryError(f"{error}; {words}") from error


class Mailbox:
    """A mailbox, by a server that is spoken to over TLS alone.

    Args:
        spec: of the site file.
        site_folder: holds the file of `root`.
        state_dir: holds the password where nobody hands it over.
    """

    name, is_near = "mail", False

    def __init__(self, spec: CheckpointMail, site_folder: Path, state_dir: Path) -> None:
        self._spec, self._state_dir = spec, state_dir
        self._root = None if spec.root is None else site_folder / spec.root

    def deliver(self, document: Mapping[str, Any]) -> Mapping[str, Any]:
        """Mail the checkpoint; gives the message's id."""
        message = letter(document, self._spec)
        try:
            context = ssl.create_default_context(cafile=self._root)
            with self._server(context) as server:
                if self._spec.user is not None:
                    server.login(self._spec.user, read_secret(MAIL_PASSWORD, self._state_dir))
                server.send_message(message)
        except SecretError as error:
            raise DeliveryError(str(error)) from error
        except (smtplib.SMTPException, OSError) as error:
            words = "look after audit.mail in the site file, the server and its certificate"
            raise DeliveryError(f"{self._spec.host} port {self._spec.port}: {error}; {words}") from error
        return {"message_id": message["Message-ID"], "to": self._spec.to}

    def _server(self, context: ssl.SSLContext) -> smtplib.SMTP:
        host, port = self._spec.host, self._spec.port
        if self._spec.security is MailSecurity.TLS:
            return smtplib.SMTP_SSL(host, port, timeout=TIMEOUT_S, context=context)
        server = smtplib.SMTP(host, port, timeout=TIMEOUT_S)
        try:
            server.starttls(context=context)
        except Exception:
            server.close()
            raise
        return server


def letter(document: Mapping[str, Any], spec: CheckpointMail) -> EmailMessage:
    """Write the mail: the checkpoint as an attachment, what it is in the text. The same checkpoint has the same id."""
    name, at = file_name(document), str(document["at"])
    message = EmailMessage()
    message["Subject"] = f"Audit checkpoint of {document['site']}, {at}"
    message["From"], message["To"] = spec.sender, spec.to
    message["Date"] = format_datetime(datetime.fromisoformat(at))
    message["Message-ID"] = (
        f"<{name.removesuffix('.json')}.{str(document['signature'])[:16]}@{spec.sender.split('@')[1]}>"
    )
    heads = "\n".join(
        f"{file} entry {head['seq']} has the hash {head['hash']}" for file, head in document["heads"].items()
    )
    message.set_content(
        f"The chains of audit of {document['site']} ended at {at} with:\n\n{heads}\n\n"
        "Keep the attached file where nobody of that site can change it.\n"
        "`ems audit verify STATE_DIR --checkpoints FOLDER` holds the records against all such files in a folder.\n"
    )
    message.add_attachment(file_bytes(document), maintype="application", subtype="json", filename=name)
    return message


class Authority:
    """A time-stamping authority.

    Args:
        stamper: asks it.
    """

    name, is_near = "timestamp", False

    def __init__(self, stamper: Stamper) -> None:
        self._stamper = stamper

    def deliver(self, document: Mapping[str, Any]) -> Mapping[str, Any]:
        """Have the checkpoint's file stamped; gives the receipt's file and the instant in it."""
        try:
            return self._stamper.stamp(file_name(document), file_bytes(document))
        except (OSError, ValueError) as error:
            words = "look after audit.timestamp in the site file, the authority and its certificate"
            raise DeliveryError(f"{error}; {words}") from error


def receivers(site: Site, state_dir: Path) -> list[Receiver]:
    """Make the receivers that a site file names."""
    audit = site.file.audit
    found: list[Receiver] = []
    if audit.deliver_to is not None:
        found.append(Folder(site.folder / Path(audit.deliver_to).expanduser()))
    if audit.mail is not None:
        found.append(Mailbox(audit.mail, site.folder, state_dir))
    if audit.timestamp is not None:
        found.append(Authority(Stamper(audit.timestamp.url, site.folder / audit.timestamp.root, state_dir)))
    return found
