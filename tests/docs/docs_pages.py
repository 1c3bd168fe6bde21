"""Reads the pages: their console blocks, their links, their headings."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "sites").rglob("*.md")])

_BLOCK = re.compile(r"(?:<!-- (?P<mark>[\w ]+) -->\n)?```(?P<kind>\w*)\n(?P<body>.*?)```", re.DOTALL)
_STATUS = re.compile(r"\s+# exit status ([\d or]+)$")
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


@dataclass(slots=True)
class Command:
    """One command of a page.

    Args:
        text: as it is typed.
        statuses: exit statuses that it may give.
        long: whether it is left to the soak.
        walk: whether it is part of the page's walk from a fresh install.
        shown: what the page shows of its output.
    """

    text: str
    statuses: set[int]
    long: bool
    walk: bool
    shown: list[str] = field(default_factory=list)


def blocks(page: Path, kind: str) -> Iterator[tuple[str, str]]:
    """Give the fenced blocks of a kind, each with the mark that stands above it."""
    for match in _BLOCK.finditer(page.read_text(encoding="utf-8")):
        if match["kind"] == kind:
            yield match["mark"] or "", match["body"]


def commands(page: Path) -> list[Command]:
    """List the commands of a page's console blocks in order; a line that begins with `> ` continues the one before."""
    found: list[Command] = []
    for mark, body in blocks(page, "console"):
        for line in body.splitlines():
            if line.startswith("$ "):
                found.append(_command(line[2:], mark))
            elif line.startswith("> "):
                found[-1].text += f"\n{line[2:]}"
            elif line not in {"", "..."}:
                found[-1].shown.append(line)
    return found


def _command(text: str, mark: str) -> Command:
    status = _STATUS.search(text)
    allowed = {int(number) for number in status[1].split(" or ")} if status else {0}
    return Command(_STATUS.sub("", text), allowed, "soak" in mark.split(), "walk" in mark.split())


def links(page: Path) -> list[str]:
    """List the relative links of a page."""
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    return [link for link in _LINK.findall(text) if "://" not in link and not link.startswith("mailto:")]


def anchors(page: Path) -> set[str]:
    """List the anchors of a page's headings, as a forge makes them."""
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    heads = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).strip().replace(" ", "-") for head in heads}


def is_shown(line: str, output: str) -> bool:
    """Tell whether a shown line was printed; `...` stands for anything, and one number is as good as another."""
    parts = [re.escape(_plain(part)) for part in line.split("...")]
    return re.search(".*".join(parts), _plain(output).replace("\n", "\x00")) is not None


def _plain(text: str) -> str:
    return re.sub(r"[ \t]+", " ", re.sub(r"-?\d+(?:\.\d+)?", "0", text)).strip(" ")
