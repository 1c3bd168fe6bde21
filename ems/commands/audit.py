"""`ems audit`: verify the chains of audit of a state folder, or draw samples from them."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from ems.commands.output import emit
from ems.delivery.stamping import CertificateError, Stamp, certificates, check_receipts
from ems.exit_codes import CommandError, Exit
from ems.store.audit import Sampled, Verdict, sample, verify
from ems.store.database import StoreError


def command(argv: Sequence[str]) -> int:
    """Run `ems audit verify` or `ems audit sample`."""
    arguments = _parser().parse_args(argv)
    state: Path = arguments.state_dir.expanduser()
    try:
        verdict = verify(state, arguments.checkpoints, arguments.key)
        if arguments.what == "verify":
            trusted = None if arguments.timestamp_root is None else certificates(arguments.timestamp_root)
            stamps, strange = check_receipts(state, arguments.checkpoints, verdict.checkpoints, trusted)
            verdict = replace(verdict, wrong=(*verdict.wrong, *strange))
            emit("audit.verify", _body(verdict, stamps), _lines(verdict, stamps), as_json=arguments.json)
        else:
            drawn = sample(state, arguments.count, arguments.seed, verdict, arguments.kind)
            body = {"ok": not verdict.wrong, "wrong": verdict.wrong, "seed": arguments.seed, "entries": drawn}
            emit("audit.sample", body, _drawn(drawn, verdict), as_json=arguments.json)
    except (StoreError, CertificateError) as error:
        raise CommandError(str(error)) from error
    return Exit.DEGRADED if verdict.wrong else Exit.OK


def _parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(prog="ems audit", description="Verify the chains of audit, or draw samples.")
    whats = options.add_subparsers(dest="what", required=True, metavar="verify|sample")
    verifying = whats.add_parser("verify", help="find what was changed, deleted, moved or inserted since")
    sampling = whats.add_parser("sample", help="draw entries at random, each with its hash and what covers it")
    sampling.add_argument("--count", type=_count, default=25, metavar="N", help="how many entries (default: 25)")
    sampling.add_argument("--seed", type=int, default=0, metavar="S", help="the same seed draws the same entries")
    sampling.add_argument("--kind", metavar="KIND", help="only entries of a kind, for example intent")
    words = "PEM file with the root certificate of the time-stamping authority: check the signatures of its receipts"
    verifying.add_argument("--timestamp-root", type=Path, metavar="FILE", help=words)
    for one in (verifying, sampling):
        one.add_argument("state_dir", type=Path, metavar="STATE_DIR", help="state folder of a site, or a copy of it")
        one.add_argument("--checkpoints", type=Path, metavar="DIR", help="folder with its delivered checkpoints")
        one.add_argument("--key", action="append", default=[], metavar="HEX", help="public key that may have signed")
        one.add_argument("--json", action="store_true", help="print one JSON object on stdout")
    return options


def _count(text: str) -> int:
    count = int(text)
    if count < 1:
        raise argparse.ArgumentTypeError(f"{text} is no number of entries; give 1 or more")
    return count


def _body(verdict: Verdict, stamps: Sequence[Stamp]) -> dict[str, Any]:
    chains = [
        {"file": c.file, "entries": c.entries, "head": c.head, "signed_to": verdict.signed_to(c.file)}
        for c in verdict.chains
    ]
    number = {"journal": sum(c.entry is not None for c in verdict.checkpoints)}
    number["delivered"] = len(verdict.checkpoints) - number["journal"]
    return {
        "ok": not verdict.wrong,
        "wrong": [asdict(wrong) for wrong in verdict.wrong],
        "chains": chains,
        "checkpoints": number,
        "stamps": {"receipts": len(stamps), "verified": sum(stamp.verified for stamp in stamps)},
        "keys": verdict.keys,
    }


def _lines(verdict: Verdict, stamps: Sequence[Stamp]) -> Iterator[str]:
    for chain in verdict.chains:
        signed = verdict.signed_to(chain.file)
        yield f"{chain.file:<12}{chain.entries} entries, signed up to {signed or 'none'}; the last is {chain.head[:16]}"
    body = _body(verdict, stamps)
    yield f"checkpoints {body['checkpoints']['journal']} in the journal, {body['checkpoints']['delivered']} delivered"
    if stamps:
        number, newest = body["stamps"], max(stamp.stamped_at for stamp in stamps)
        checked = f"{number['verified']} with a checked signature"
        yield f"stamps      {number['receipts']}, {checked}; the last is of {newest:%Y-%m-%d %H:%M} UTC"
    for key in verdict.keys:
        yield f"key         {key}"
    yield from _mistakes(verdict)


def _mistakes(verdict: Verdict) -> Iterator[str]:
    for wrong in verdict.wrong:
        place = wrong.file if wrong.entry is None else f"{wrong.file} entry {wrong.entry}"
        yield f"wrong       {place} {wrong.why}"
    yield f"verdict     {'broken' if verdict.wrong else 'whole'}"


def _drawn(drawn: Sequence[Sampled], verdict: Verdict) -> Iterator[str]:
    for one in drawn:
        yield f"{one.file} entry {one.entry} at {one.at} {one.kind}"
        yield f"  body    {one.body}"
        yield f"  hash    {one.hash} after {one.before}"
        yield f"  covered {'by ' + one.covered_by if one.covered_by else 'by no checkpoint yet'}"
    yield from _mistakes(verdict)
