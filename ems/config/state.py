"""Where a site keeps what it must not lose: its state directory."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ems.config.site import Site


SYSTEM_SITES = Path("/etc/district-ems")
"""Sites that a machine runs as services lie here, each in its folder, for every account of the machine."""
SYSTEM_STATE = Path("/var/lib/district-ems")
"""Their state directories, by the site's id."""


def state_dir(site: Site, override: Path | None = None) -> Path:
    """Give the state directory of a site; it need not exist yet.

    Args:
        site: whose state it is.
        override: the directory itself, as given with `--state`; without it, the folder of the site's id in the root.
    """
    if override is not None:
        return state_root(override)
    if "EMS_STATE" not in os.environ and site.folder.is_relative_to(SYSTEM_SITES):
        return SYSTEM_STATE / site.file.site.id
    return state_root() / site.file.site.id


def make_state_dir(folder: Path) -> None:
    """Make a state directory if it is missing, for this account alone: it holds single values, and keys.

    Raises:
        OSError: it cannot be made.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def state_root(override: Path | None = None) -> Path:
    """Give the folder that holds the sites' states: `$EMS_STATE`, else district-ems in `$XDG_STATE_HOME`."""
    if override is None and (root := os.environ.get("EMS_STATE")):
        override = Path(root)
    if override is None:
        override = Path(os.environ.get("XDG_STATE_HOME") or "~/.local/state") / "district-ems"
    return override.expanduser().resolve()
