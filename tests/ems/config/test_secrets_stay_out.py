"""Secrets stand in no site file, are read where only their owner reads; a system's site has a system's places."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_site import SITE, problems

from ems.config.audit import MAIL_PASSWORD
from ems.config.loading import load_site
from ems.config.secrets import FOLDER, SecretError, read_secret, secrets_of
from ems.config.sites import find_site
from ems.config.state import make_state_dir, state_dir

AUDIT = """\
audit:
  deliver_to: /mnt/auditor
  mail: {to: a@auditor.test, sender: ems@yard.test, host: mail.test, user: ems}
  timestamp: {url: "http://stamps.test/tsr", root: root.pem}
"""


def written(yard: Path, old: str, new: str) -> Path:
    assert old in SITE + AUDIT
    (yard / "site.yaml").write_text((SITE + AUDIT).replace(old, new))
    return yard


def test_receivers_of_checkpoints_are_understood(yard: Path) -> None:
    (yard / "site.yaml").write_text(SITE)
    plain = load_site(yard)
    assert (secrets_of(plain), plain.file.audit.mail) == ((), None)
    (yard / "site.yaml").write_text(SITE + AUDIT)
    (missing,) = problems(yard)
    assert missing.startswith("site.yaml:48:46  audit.timestamp.root: there is no file 'root.pem' in yard/")
    (yard / "root.pem").touch()
    site = load_site(yard)
    assert secrets_of(site) == (MAIL_PASSWORD,)
    assert site.config_hash != plain.config_hash


@pytest.mark.parametrize(
    ("old", "new", "where"),
    [
        ("user: ems}", "user: ems, password: CANARY}", "audit.mail.password: is a key for a secret"),
        ("  currency: EUR\n", "  currency: EUR\n  api_key: CANARY\n", "site.api_key: is a key for a secret"),
        ("http://127.0.0.1:1/price", "http://me:CANARY@127.0.0.1:1/price", "feeds.price.source: is an address with a"),
        ("http://127.0.0.1:1/price", "http://127.0.0.1:1/price?token=CANARY", "feeds.price.source: is an address with"),
        ("http://stamps.test/tsr", "http://stamps.test/tsr?api_key=CANARY", "audit.timestamp.url: is an address with"),
    ],
)
def test_a_secret_in_a_site_file_is_refused_without_being_repeated(yard: Path, old: str, new: str, where: str) -> None:
    (yard / "root.pem").touch()
    (problem,) = problems(written(yard, old, new))
    assert where in problem
    assert "none belongs in a site file; see docs/operator.md, section Secrets" in problem
    assert "CANARY" not in problem


def test_a_secret_is_handed_over_or_read_or_in_the_environment_in_this_order(tmp_path: Path) -> None:
    credentials, state = tmp_path / "credentials", tmp_path / "state"
    for folder in (credentials, state / FOLDER):
        folder.mkdir(parents=True)
    environ = {"EMS_SECRET_DOOR": "from the environment"}
    assert read_secret("door", state, environ) == "from the environment"
    (state / FOLDER / "door").write_text("from the folder\n")
    (state / FOLDER / "door").chmod(0o600)
    assert read_secret("door", state, environ) == "from the folder"
    (credentials / "door").write_text("from systemd")
    assert read_secret("door", state, {**environ, "CREDENTIALS_DIRECTORY": str(credentials)}) == "from systemd"


def test_a_secret_that_others_may_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SecretError, match=r"the secret door is missing.*secrets/door \(mode 0600\)"):
        read_secret("door", tmp_path, {})
    (tmp_path / FOLDER).mkdir()
    (tmp_path / FOLDER / "door").write_text("CANARY")
    (tmp_path / FOLDER / "door").chmod(0o640)
    with pytest.raises(SecretError, match="may be read by others: `chmod 600") as refused:
        read_secret("door", tmp_path, {"EMS_SECRET_DOOR": "CANARY"})
    assert "CANARY" not in str(refused.value)


def test_a_state_directory_is_made_for_its_account_alone(tmp_path: Path) -> None:
    for _ in range(2):
        make_state_dir(tmp_path / "sites" / "yard")
    assert (tmp_path / "sites" / "yard").stat().st_mode & 0o777 == 0o700


def test_a_site_of_the_system_keeps_its_state_where_services_do(
    yard: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ems.config.state.SYSTEM_SITES", tmp_path)
    monkeypatch.setattr("ems.config.sites.SYSTEM_SITES", tmp_path)
    monkeypatch.delenv("EMS_STATE", raising=False)
    site = load_site(find_site("yard"))
    assert site.folder == yard
    assert state_dir(site) == Path("/var/lib/district-ems/yard")
    assert state_dir(site, tmp_path / "own") == tmp_path / "own"
    monkeypatch.setenv("EMS_STATE", str(tmp_path / "env"))
    assert state_dir(site) == tmp_path / "env" / "yard"
