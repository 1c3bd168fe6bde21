"""Finds a site by what an operator types: a path, or the bare name of a site."""

from __future__ import annotations

import os
from pathlib import Path

from ems.config.errors import SiteError, SiteProblem
from ems.config.loading import SITE_FILE
from ems.config.state import SYSTEM_SITES
from ems.config.wording import did_you_mean

_ROOMS = Path(__file__).resolve().parents[2]
_PACKAGED = Path(__file__).resolve().parents[1] / "sites"


def find_site(text: str) -> Path:
    """Find a site folder or file; raises `SiteError`.

    Args:
        text: a path to a folder or a file; or a name, looked up in ./sites, in /etc/district-ems, in the account's
            own configuration, in the checkout's sites and in the sites that are packed with the product.
    """
    given = Path(text).expanduser()
    # A folder that only happens to have a site's name, such as its state, must not stand before the site.
    if given.is_file() or (given / SITE_FILE).is_file():
        return given.resolve()
    if given.name == text:
        for shelf in _shelves():
            if (shelf / text).is_dir():
                return (shelf / text).resolve()
    if given.exists():
        return given.resolve()
    known = sorted({folder.name for shelf in _shelves() if shelf.is_dir() for folder in shelf.iterdir()})
    hint = did_you_mean(given.name, known)
    words = f"there is no such site{hint}; give the path of a site folder, or one of {', '.join(known) or 'none here'}"
    raise SiteError([SiteProblem(text, 1, 1, "", words)])


def _shelves() -> tuple[Path, ...]:
    own = Path(os.environ.get("XDG_CONFIG_HOME") or "~/.config").expanduser() / "district-ems"
    return Path.cwd() / "sites", SYSTEM_SITES, own, _ROOMS / "sites", _PACKAGED
