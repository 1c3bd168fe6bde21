"""Time stamps of checkpoints: a trusted authority says that a file was there at an instant (RFC 3161).

A receipt is the authority's answer as it came, kept as `receipts/<checkpoint>.tsr` in the state directory. It is over
the bytes of the delivered file, so that `openssl ts -verify -data FILE -in RECEIPT -CAfile ROOT` checks it too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
from cryptography.x509 import Certificate, load_pem_x509_certificates
from rfc3161_client import (
    HashAlgorithm,
    TimestampRequestBuilder,
    TimeStampResponse,
    VerificationError,
    Verifier,
    VerifierBuilder,
    decode_timestamp_response,
)

from ems.store.audit import Checkpoint, Wrong
from ems.store.checkpoints import file_bytes
from ems.store.durable import write_whole
from ems.store.journal import FILE as JOURNAL
from ems.store.journal import read_records

KIND = "delivery"
"""Kind of the journal's records that hold receipts."""
FOLDER = "receipts"
SUFFIX = ".tsr"
TIMEOUT_S = 10.0
MOST_BYTES = 1_000_000
ALL = 10**7
TOLERANCE = timedelta(minutes=10)
"""The clocks of a site and of an authority may differ by so much."""
SHA_256 = "2.16.840.1.101.3.4.2.1"


class Stamper:
    """Asks one authority.

    Args:
        url: its address.
        root: PEM file with its root certificate, and those between.
        state_dir: the site's state directory, which keeps the receipts.
    """

    def __init__(self, url: str, root: Path, state_dir: Path) -> None:
        self._url, self._root, self._folder = url, root, state_dir / FOLDER

    def stamp(self, name: str, content: bytes) -> dict[str, str]:
        """Have the bytes of a checkpoint's file stamped, and keep the receipt.

        Returns:
            The receipt's file, its SHA-256, and the instant in it.

        Raises:
            OSError: the authority cannot be reached, or the receipt cannot be kept.
            ValueError: its answer is no valid stamp of these bytes, or the root certificate cannot be used.
        """
        builder = TimestampRequestBuilder().data(content).hash_algorithm(HashAlgorithm.SHA256)
        request = builder.nonce(nonce=True).cert_request(cert_request=True).build()
        answer = self._ask(request.as_bytes())
        response = _decoded(answer)
        try:
            verifier(certificates(self._root), nonce=request.nonce).verify_message(response, content)
        except VerificationError as error:
            raise ValueError(f"the time stamp of {self._url} is not valid: {error}") from error
        self._folder.mkdir(exist_ok=True)
        path = self._folder / f"{name.removesuffix('.json')}{SUFFIX}"
        write_whole(path, answer)
        at = response.tst_info.gen_time.astimezone(UTC).isoformat()
        return {"file": f"{FOLDER}/{path.name}", "sha256": sha256(answer).hexdigest(), "stamped_at": at}

    def _ask(self, query: bytes) -> bytes:
        headers = {"content-type": "application/timestamp-query", "accept": "application/timestamp-reply"}
        content = bytearray()
        try:
            with httpx.stream("POST", self._url, content=query, headers=headers, timeout=TIMEOUT_S) as answer:
                answer.raise_for_status()
                for block in answer.iter_bytes():
                    content += block
                    if len(content) > MOST_BYTES:
                        raise OSError(f"{self._url} gives no time stamp: it answers more than {MOST_BYTES} bytes")
        except httpx.HTTPError as error:
            raise OSError(f"{self._url} gives no time stamp: {error}") from error
        return bytes(content)


class CertificateError(ValueError):
    """A file holds no certificates that can be used."""


def certificates(path: Path) -> list[Certificate]:
    """Read a PEM file of certificates; raises `CertificateError`."""
    try:
        return load_pem_x509_certificates(path.read_bytes())
    except (OSError, ValueError) as error:
        raise CertificateError(f"{path} holds no certificates: {error}; name a PEM file") from error


def verifier(trusted: Iterable[Certificate], nonce: int | None = None) -> Verifier:
    """Make what checks stamps: whoever signed himself is a root, the others stand between."""
    builder = VerifierBuilder() if nonce is None else VerifierBuilder().nonce(nonce)
    for one in trusted:
        is_root = one.issuer == one.subject
        builder = builder.add_root_certificate(one) if is_root else builder.add_intermediate_certificate(one)
    return builder.build()


def _decoded(answer: bytes) -> TimeStampResponse:
    try:
        response = decode_timestamp_response(answer)
        _ = response.tst_info.gen_time
    except ValueError as error:
        raise ValueError(f"the answer is no time stamp: {error}") from error
    return response


@dataclass(frozen=True, slots=True)
class Stamp:
    """A receipt that fits a checkpoint.

    Args:
        receipt: its file.
        checkpoint: where that checkpoint was found.
        stamped_at: the authority's instant.
        verified: whether its signature was checked.
    """

    receipt: str
    checkpoint: str
    stamped_at: datetime
    verified: bool


def check_receipts(
    state_dir: Path, delivered: Path | None, checkpoints: Iterable[Checkpoint], trusted: list[Certificate] | None
) -> tuple[list[Stamp], list[Wrong]]:
    """Hold receipts against checkpoints: one that fits none contradicts the records, and none may be missing.

    Args:
        state_dir: the site's state directory, with its receipts and the journal that names them.
        delivered: a folder that may hold receipts too; None for none.
        checkpoints: those of the journal and those that were delivered.
        trusted: certificates of the authority; None to check no signatures.

    Raises:
        StoreError: the journal cannot be read.
    """
    folders = [state_dir / FOLDER, *([] if delivered is None else [delivered])]
    known = {sha256(file_bytes(found.document)).digest(): found for found in checkpoints if _is_whole(found.document)}
    checked = [_checked(path, known, trusted) for path in _receipts(folders)]
    stamps = [one for one in checked if isinstance(one, Stamp)]
    return stamps, [*(one for one in checked if isinstance(one, Wrong)), *_missing(state_dir)]


def _missing(state_dir: Path) -> Iterator[Wrong]:
    """Name the receipts of the journal that are not there as they came."""
    for record in read_records(state_dir / JOURNAL, KIND, limit=ALL):
        receipt = record.body.get("receipt", {})
        if "sha256" not in receipt:
            continue
        try:
            kept = sha256((state_dir / receipt["file"]).read_bytes()).hexdigest()
        except OSError:
            kept = ""
        if kept != receipt["sha256"]:
            yield Wrong(JOURNAL, record.id, f"names the receipt {receipt['file']}, which is missing or another one")


def _is_whole(document: Mapping[str, Any]) -> bool:
    return isinstance(document.get("heads"), dict) and "signature" in document


def _receipts(folders: Iterable[Path]) -> Iterator[Path]:
    for folder in folders:
        yield from sorted(folder.glob(f"*{SUFFIX}"))


def _checked(path: Path, known: Mapping[bytes, Checkpoint], trusted: list[Certificate] | None) -> Stamp | Wrong:
    try:
        response = _decoded(path.read_bytes())
    except (OSError, ValueError) as error:
        return Wrong(path.name, None, f"is no receipt: {error}")
    info = response.tst_info
    found = known.get(info.message_imprint.message)
    at = info.gen_time.astimezone(UTC)
    if found is None or info.message_imprint.hash_algorithm.dotted_string != SHA_256:
        return Wrong(
            path.name, None, f"stamps a checkpoint of {at.isoformat()} or before that is not among the records"
        )
    if datetime.fromisoformat(str(found.document["at"])) > at + TOLERANCE:
        return Wrong(path.name, None, f"is of {at.isoformat()}, before the checkpoint of {found.document['at']}")
    if trusted is not None:
        try:
            verifier(trusted).verify(response, info.message_imprint.message)
        except (VerificationError, ValueError) as error:
            return Wrong(path.name, None, f"is not signed by whom is trusted: {error}")
    return Stamp(path.name, found.where, at, trusted is not None)
