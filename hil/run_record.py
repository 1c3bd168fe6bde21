"""The record of a run: what was run on what, what was judged, and what it looked like. A folder of plain files.

`run.json` holds versions, seed, hashes and the result, `<arm>.csv` what each arm looked like over time. The same run
with the same versions gives the same name and the same bytes, apart from `speed_vs_real_time` and keys in `_wall_s`.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ems.store.encoding import to_json
from hil.track import Track, from_csv, to_csv

NAME = "run.json"
SCHEMA = "ems.hil_run/1"
DISTRIBUTION = "district-ems"
LIBRARIES = ("bacpypes3", "highspy", "numpy", "pandapower", "pymodbus", "pyomo", "scipy")


class RunError(Exception):
    """A record of a run cannot be used: the message names the file and the remedy."""


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A stored run.

    Args:
        about: what was run and what came out, as `run.json` has it.
        tracks: by arm.
    """

    about: Mapping[str, Any]
    tracks: Mapping[str, Track]

    @property
    def name(self) -> str:
        """Name it by what was run: other code, site, scenario or length give another name."""
        about = self.about
        keys = ("versions", "config_hash", "scenario_hash", "days", "cycle_s", "bench")
        digest = hashlib.sha256(to_json({key: about[key] for key in keys}).encode()).hexdigest()[:8]
        return f"{about['scenario']}-{about['site']}-seed{about['seed']}-{digest}"

    def write(self, folder: Path) -> Path:
        """Put the record into a folder of its own inside `folder`; raises `OSError`."""
        home = folder / self.name
        home.mkdir(parents=True, exist_ok=True)
        # Written last: a record is whole once it stands, and one that is written anew is none until then.
        (home / NAME).unlink(missing_ok=True)
        files = {f"{arm}.csv": to_csv(track) for arm, track in self.tracks.items()}
        text = json.dumps(json.loads(to_json(dict(self.about))), indent=1, sort_keys=True, ensure_ascii=False)
        files[NAME] = f"{text}\n".encode()
        for name, content in files.items():
            part = home / f".{name}.part"
            part.write_bytes(content)
            part.replace(home / name)
        return home


def versions() -> dict[str, str]:
    """Say what ran: Python, the product and the libraries that decide figures."""
    names = (DISTRIBUTION, *LIBRARIES)
    return {"python": platform.python_version()} | {name: importlib.metadata.version(name) for name in names}


def read_run(path: Path) -> RunRecord:
    """Read a record back, by its folder or its `run.json`; raises `RunError`."""
    home = path.parent if path.name == NAME else path
    try:
        about = json.loads((home / NAME).read_bytes())
        if about["schema"] != SCHEMA:
            raise RunError(f"{home / NAME} is {about['schema']}, not {SCHEMA}: run it again with this version")
        tracks = {arm: from_csv((home / f"{arm}.csv").read_bytes()) for arm in about["arms"]}
    except OSError as error:
        words = f"{error.filename} cannot be read ({error.strerror}): name a folder that `ems hil run` wrote"
        raise RunError(words) from error
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise RunError(f"{home} holds no whole record ({error}): run it again") from error
    return RunRecord(about, tracks)
