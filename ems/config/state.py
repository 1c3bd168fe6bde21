"""Where a site keeps what it must not lose: its state directory."""

from __future__ import annotations

import os
from pathlib import Path

from ems.config.site import Site


def state_dir(site: Site, override: Path | None = None) -> Path:
    """Give the state directory of a site; it need not exist yet.

    Args:
        site: whose state it is.
        override: the directory itself, as given with `--state`. Without it: the folder of the site's id in
            `$EMS_STATE`, else in `$XDG_STATE_HOME/district-ems`, else in `~/.local/state/district-ems`.
    """
    if override is not None:
        return override.expanduser().resolve()
    if root := os.environ.get("EMS_STATE"):
        return Path(root).expanduser().resolve() / site.file.site.id
    home = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(home).expanduser().resolve() / "district-ems" / site.file.site.id
