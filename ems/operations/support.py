"""A support bundle: what a stranger needs to find out what is wrong at a site, and nothing that is nobody's business.

Law 1: only what is named here goes in; nothing is taken because it lies in a folder.
Law 2: no secret and no person: secrets are taken out of every text, and records that tell of cars, drivers or people
stay out.
Law 3: the same files give the same bytes.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import subprocess
import tarfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ems.config.audit import AUDIT_KEY
from ems.config.grid_operator import LIMITS_TOKEN
from ems.config.secrets import SecretError, find_secret, secrets_of
from ems.config.site import Site
from ems.live import LiveError, read_live
from ems.operations.findings import Finding
from ems.operations.logs import LOG_FILE
from ems.operations.redaction import redacted
from ems.store.database import StoreError
from ems.store.encoding import to_json
from ems.store.journal import FILE, Record, latest_record, read_records

KINDS = ("alarm", "health", "checkpoint", "delivery", "grid_limit", "meter_register")
"""Kinds of records that tell of no person; of `transition` only starts, stops and damage."""
EVENTS = frozenset({"start", "stop", "damaged"})
MOST_RECORDS = 2000
LOOKED_BACK = 200_000
MOST_LOG_BYTES = 2_000_000
TOLD = ("schema", "at", "health", "alarms", "devices", "counters", "vitals", "plan", "grid_limits", "demand")
"""What of the live snapshot goes in: no points, assets, zones, queues."""
JOURNALCTL_S = 20.0


def bundle(site: Site, state_dir: Path, findings: Sequence[Finding]) -> bytes:
    """Make the bundle.

    Args:
        site: the site.
        state_dir: its state directory.
        findings: the doctor's.

    Returns:
        A tar archive, compressed with gzip; all in one folder.
    """
    hidden = list(_known_secrets(site, state_dir))
    parts = dict(_parts(site, state_dir, findings))
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name in sorted(parts):
            content = redacted(parts[name], hidden).encode()
            entry = tarfile.TarInfo(f"district-ems-{site.file.site.id}/{name}")
            entry.size, entry.mode = len(content), 0o600
            archive.addfile(entry, io.BytesIO(content))
    return gzip.compress(packed.getvalue(), mtime=0)


def _known_secrets(site: Site, state_dir: Path) -> Iterator[str]:
    """Give every secret that can be read, so that it is found wherever it stands."""
    for name in (*secrets_of(site), LIMITS_TOKEN, AUDIT_KEY):
        with suppress(SecretError):
            yield find_secret(name, state_dir)
    yield from (value for name, value in os.environ.items() if name.startswith("EMS_SECRET_"))


def _parts(site: Site, state_dir: Path, findings: Sequence[Finding]) -> Iterator[tuple[str, str]]:
    yield "doctor.txt", "".join(f"{finding}\n" for finding in findings)
    yield "doctor.json", to_json({"findings": [asdict(finding) for finding in findings]}) + "\n"
    for name in ("site.yaml", site.file.tariff):
        yield f"site/{name}", _text(site.folder / name)
    yield "live.json", _live(state_dir)
    yield "journal.jsonl", "".join(f"{line}\n" for line in _records(state_dir / FILE))
    yield "guard.jsonl", "".join(f"{line}\n" for line in _records(state_dir / "guard.db"))
    yield "log.txt", _log(site, state_dir)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        return f"{path.name} cannot be read: {error}\n"


def _live(state_dir: Path) -> str:
    try:
        snapshot = read_live(state_dir)
    except LiveError as error:
        return json.dumps({"error": str(error)}) + "\n"
    return to_json({key: snapshot[key] for key in TOLD if key in snapshot}) + "\n"


def _records(path: Path) -> Iterator[str]:
    """Give the newest records that tell of no person, oldest first."""
    try:
        found = [record for kind in (*KINDS, "transition") for record in _newest(path, kind) if _is_nobodys(record)]
    except StoreError as error:
        yield json.dumps({"error": str(error)})
        return
    for record in sorted(found, key=lambda one: one.id):
        yield to_json({"id": record.id, "at": record.at, "kind": record.kind, "body": record.body})


def _newest(path: Path, kind: str) -> Iterable[Record]:
    last = latest_record(path, kind)
    if last is None:
        return []
    return read_records(path, kind, after_id=max(0, last.id - LOOKED_BACK), limit=LOOKED_BACK)[-MOST_RECORDS:]


def _is_nobodys(record: Record) -> bool:
    body: Mapping[str, Any] = record.body
    return record.kind != "transition" or body.get("event") in EVENTS or "to" in body


def _log(site: Site, state_dir: Path) -> str:
    """Give the end of the logs: what `ems up` kept, or else what systemd's journal has of the services."""
    kept = state_dir / LOG_FILE
    if kept.is_file():
        return _text(kept)[-MOST_LOG_BYTES:]
    order = ["journalctl", "--no-pager", "--quiet", "-o", "short-iso", "-n", "10000"]
    order += ["-u", f"district-ems-{site.file.site.id}-*"]
    try:
        done = subprocess.run(order, capture_output=True, text=True, timeout=JOURNALCTL_S, check=False)  # noqa: S603
    except (OSError, subprocess.SubprocessError) as error:
        return f"there is no log: `ems up` kept none, and systemd's journal cannot be asked: {error}\n"
    return (done.stdout or done.stderr)[-MOST_LOG_BYTES:]
