"""What is wrong with a site's files: where, what, and what to write instead."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class SiteProblem:
    """One thing that is wrong, at one place of one file.

    Args:
        file: the file's name as the operator knows it, for example `site.yaml`.
        line: counted from 1.
        column: counted from 1.
        thing: what it is about, for example `battery.capacity_kwh`; empty for the file itself.
        message: what is wrong and what to write instead.
    """

    file: str
    line: int
    column: int
    thing: str
    message: str

    def __str__(self) -> str:
        """Give the one line that editors can jump from."""
        subject = f"{self.thing}: " if self.thing else ""
        return f"{self.file}:{self.line}:{self.column}  {subject}{self.message}"


class SiteError(Exception):
    """A site's files cannot be used. `problems` lists everything that is wrong, in the order of the files' lines."""

    def __init__(self, problems: Iterable[SiteProblem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))
