"""Runs the steps of a Containerfile in their order without a container engine: no image is made, no root is mounted.

`FROM` begins a stage in an empty folder that stands for the root, `COPY` and `WORKDIR` act inside it, `RUN` is given to
a shell with every path of ours moved into that folder. What an engine alone can do, such as the base image itself and
namespaces, is not tried. As root, the finished stage runs as the user that it names, to whom the root folder is not
writable: as good as read-only.

By hand: `python -m tests.packaging.run_containerfile FOLDER [ARGUMENTS]`.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
OURS = ("/src", "/opt", "/var/lib/ems")
"""Folders that the steps make; every other absolute path is the machine's own."""
STEP_S = 900.0


@dataclass
class Stage:
    """What the steps of a stage have made so far.

    Args:
        root: the folder that stands for its root.
        workdir: inside the container.
        env: set by `ENV`.
        told: the last word of each instruction that only describes, such as `USER` or `HEALTHCHECK`.
    """

    root: Path
    workdir: str = "/"
    env: dict[str, str] = field(default_factory=dict)
    told: dict[str, str] = field(default_factory=dict)

    def place(self, path: str) -> Path:
        """Give the place of a container's path on this machine."""
        whole = path if path.startswith("/") else f"{self.workdir.rstrip('/')}/{path}"
        return self.root / whole.lstrip("/")

    def moved(self, text: str) -> str:
        """Move every path of ours inside a text into the root folder."""
        return re.sub(rf"(?<![\w.])(?=(?:{'|'.join(OURS)})(?:/|\b))", str(self.root), text)

    def environment(self, python: str) -> dict[str, str]:
        """Give the environment of a command: the file's own, with this machine's Python and caches."""
        path = self.moved(self.env.get("PATH", "/usr/local/bin:/usr/bin:/bin"))
        own = {name: self.moved(value) for name, value in self.env.items()} | {"PATH": f"{path}:{Path(python).parent}"}
        kept = ("PIP_", "UV_", "NPM_", "npm_", "SSL_", "HTTP", "http", "NO_PROXY", "no_proxy", "LANG")
        return {
            "HOME": os.environ.get("HOME", "/"),
            **{n: v for n, v in os.environ.items() if n.startswith(kept)},
            **own,
        }


@dataclass
class Built:
    """The finished stage: what an engine would make an image of."""

    stage: Stage
    python: str
    drops_to: int | None

    def words(self, name: str) -> list[str]:
        """Give the words of `ENTRYPOINT`, `CMD` or the command of `HEALTHCHECK`."""
        told = self.stage.told[name].split("CMD ", 1)[-1] if name == "HEALTHCHECK" else self.stage.told[name]
        return json.loads(told)

    def run(self, words: list[str], timeout_s: float = 120.0) -> subprocess.CompletedProcess[str]:
        """Run a command as the image's user in its working directory."""
        environment = self.stage.environment(self.python)
        program = shutil.which(words[0], path=environment["PATH"])
        assert program is not None, f"{words[0]} is not on {environment['PATH']}"
        return subprocess.run(
            [program, *words[1:]],
            cwd=self.stage.place("."),
            env=environment,
            user=self.drops_to,
            group=self.drops_to,
            extra_groups=None if self.drops_to is None else [],
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )


def instructions(text: str) -> list[tuple[str, str]]:
    """Read a Containerfile: instruction and words of each line, comments left out, continued lines joined."""
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines)).splitlines()
    pairs = [line.strip().partition(" ") for line in joined]
    return [(name.upper(), rest.strip()) for name, _, rest in pairs]


def build(containerfile: Path, scratch: Path, *, say: bool = False) -> Built:
    """Run all steps; gives the last stage.

    Args:
        containerfile: the file; its folder is the context.
        scratch: an empty folder that every user may enter.
        say: whether to print each step.

    Raises:
        ValueError: an instruction that this does not know.
        subprocess.CalledProcessError: a step fails.
    """
    python = usable_python()
    names: list[str] = []
    stage = Stage(scratch / "root")
    for name, words in instructions(containerfile.read_text(encoding="utf-8")):
        if say:
            print(f"{name} {words}", file=sys.stderr)
        if name == "FROM":
            if names:
                # The next stage's root stands where this one stood: what is copied from here keeps its paths.
                stage.root.rename(scratch / f"stage-{names[-1]}")
            names.append(words.partition(" AS ")[2] or str(len(names)))
            stage = Stage(scratch / "root")
            stage.root.mkdir()
        else:
            step(stage, name, words, containerfile.parent, scratch, python)
    return Built(stage, python, uid_of(stage) if os.geteuid() == 0 and readable_by_all(python) else None)


def step(stage: Stage, name: str, words: str, context: Path, scratch: Path, python: str) -> None:
    """Run one instruction."""
    match name:
        case "WORKDIR":
            stage.workdir = words
            stage.place(".").mkdir(parents=True, exist_ok=True)
        case "COPY":
            copy(stage, shlex.split(words), context, scratch)
        case "ENV":
            stage.env |= dict(pair.split("=", 1) for pair in shlex.split(words))
        case "RUN":
            # Only root may give a folder away; elsewhere the finished stage runs as whoever asks.
            prefix = "" if os.geteuid() == 0 else "chown() { :; }; "
            line = ["sh", "-ec", prefix + stage.moved(words)]
            subprocess.run(line, cwd=stage.place("."), env=stage.environment(python), check=True, timeout=STEP_S)
        case "USER" | "VOLUME" | "HEALTHCHECK" | "ENTRYPOINT" | "CMD" | "EXPOSE" | "LABEL":
            stage.told[name] = words
        case _:
            raise ValueError(f"{name} {words}: this runner does not know the instruction")


def copy(stage: Stage, words: list[str], context: Path, scratch: Path) -> None:
    """Copy from the context or from an earlier stage, as an engine does: a folder gives its content."""
    earlier = words[0].startswith("--from=")
    origin = scratch / f"stage-{words.pop(0).removeprefix('--from=')}" if earlier else context
    # What an earlier stage made changes no more: links to it are as good as copies, and quicker.
    put = os.link if earlier else shutil.copy2
    ignored = None if earlier else shutil.ignore_patterns("__pycache__", "node_modules")
    *sources, target = words
    for source in sources:
        found, goal = origin / source.lstrip("/"), stage.place(target)
        if found.is_dir():
            shutil.copytree(found, goal, symlinks=True, dirs_exist_ok=True, ignore=ignored, copy_function=put)
        else:
            goal.mkdir(parents=True, exist_ok=True)
            shutil.copy(found, goal)


def uid_of(stage: Stage) -> int:
    """Give the number of the user that the stage names."""
    return int(stage.told.get("USER", "0").split(":")[0])


def usable_python() -> str:
    """Give the Python that stands for the base image's: this one, or the system's if only that may be used by all."""
    own = str(getattr(sys, "_base_executable", sys.executable))
    return next((one for one in (own, "/usr/bin/python3") if readable_by_all(one) and is_supported(one)), own)


def readable_by_all(program: str) -> bool:
    """Tell whether any user may run a program: every folder above it may be entered."""
    real = Path(program).resolve()
    return all(folder.stat().st_mode & 0o001 for folder in (real, *real.parents)) if real.exists() else False


def is_supported(program: str) -> bool:
    """Tell whether a Python has a version that the product supports and can make environments."""
    code = "import ensurepip, sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))"
    return subprocess.run([program, "-c", code], capture_output=True, check=False).returncode == 0


def main() -> int:
    """Build into a folder, then run the entry point with the arguments, or those of `CMD`."""
    scratch = Path(sys.argv[1]).resolve()
    scratch.mkdir(parents=True)
    built = build(ROOT / "Containerfile", scratch, say=True)
    done = built.run([*built.words("ENTRYPOINT"), *(sys.argv[2:] or built.words("CMD"))])
    sys.stdout.write(done.stdout)
    sys.stderr.write(done.stderr)
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
