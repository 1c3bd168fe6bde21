"""Every Python session of a page gives what the page shows."""

from __future__ import annotations

import doctest
from pathlib import Path

import pytest
from docs_pages import PAGES, blocks

SESSIONS = {page: "\n".join(body for _, body in blocks(page, "pycon")) for page in PAGES}
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def tried(text: str, name: str) -> tuple[doctest.TestResults, str]:
    """Run a session; gives the counts and what differs."""
    told: list[str] = []
    session = doctest.DocTestParser().get_doctest(text, {}, name, name, 0)
    return doctest.DocTestRunner(optionflags=FLAGS).run(session, out=told.append), "".join(told)


@pytest.mark.parametrize("page", [page for page, text in SESSIONS.items() if text], ids=lambda page: page.name)
def test_a_session_of_a_page_gives_what_it_shows(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    results, told = tried(SESSIONS[page], page.name)
    assert results.attempted
    assert not results.failed, told


def test_the_engineer_is_shown_a_question_of_at_most_twenty_lines() -> None:
    page = next(page for page in PAGES if page.name == "engineer.md")
    session = next(body for _, body in blocks(page, "pycon"))
    assert session.count(">>> ") <= 20


def test_a_session_that_shows_something_else_is_caught() -> None:
    results, told = tried(">>> 1 + 1\n3\n", "a page")
    assert results.failed == 1
    assert "Got:\n    2" in told
