"""Where state is kept, and that a verdict counts for one configuration only."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from ems.config.loading import load_site
from ems.config.state import state_dir
from ems.config.verdict import FILE_NAME, Verdict, read_verdict, write_verdict

VERDICT = Verdict("abc", datetime(2026, 1, 2, tzinfo=UTC), passed=False, cases=("one",), problems=("too much",))


def test_the_state_directory_follows_option_then_environment(
    yard: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = load_site(yard)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "xdg"))
    monkeypatch.delenv("EMS_STATE", raising=False)
    assert state_dir(site) == tmp_path / "xdg" / "district-ems" / "yard"
    monkeypatch.setenv("EMS_STATE", str(tmp_path / "env"))
    assert state_dir(site) == tmp_path / "env" / "yard"
    assert state_dir(site, tmp_path / "own") == tmp_path / "own"


def test_a_verdict_is_kept_for_its_configuration_only(tmp_path: Path) -> None:
    assert read_verdict(tmp_path, "abc") is None
    write_verdict(tmp_path / "new", VERDICT)
    assert read_verdict(tmp_path / "new", "abc") == VERDICT
    assert read_verdict(tmp_path / "new", "abd") is None


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"schema": "ems.verdict/1", "config_hash": "abc"}', "\x00"])
def test_a_spoiled_verdict_is_none(tmp_path: Path, content: str) -> None:
    (tmp_path / FILE_NAME).write_text(content)
    assert read_verdict(tmp_path, "abc") is None
