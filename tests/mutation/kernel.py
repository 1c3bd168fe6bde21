"""Puts faults into the safety kernel, one at a time, and tells which of them its tests do not find: `make mutate`.

It works on a copy under `.mutate`, runs mutmut there, prints the score and the survivors with their changed lines, and
fails below `LEAST_SHARE`. A fault that makes the tests run without end counts as found, one that none meets does not.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WORK = ROOT / ".mutate" / "work"
NEEDED = ("ems", "optimization", "drivers", "sites", "tests/conftest.py", "tests/ems")
LEAST_SHARE = 0.85
FOUND = frozenset({"killed", "timeout"})
LEFT_OUT = frozenset({"skipped"})


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--files", nargs="+", required=True, help="what is mutated")
    options.add_argument("--tests", nargs="+", required=True, help="what must notice")
    given = options.parse_args()
    prepare(given.files, given.tests)
    mutmut = [sys.executable, "-m", "mutmut"]
    quiet = {**os.environ, "COLUMNS": "100"}
    with (WORK / "mutmut.log").open("w", encoding="utf-8") as log:
        done = subprocess.run([*mutmut, "run"], cwd=WORK, env=quiet, stdout=log, stderr=log, check=False)
    told = subprocess.run(
        [*mutmut, "results", "--all", "true"], cwd=WORK, capture_output=True, text=True, check=True
    ).stdout
    found = dict(line.strip().rsplit(": ", 1) for line in told.splitlines() if ": " in line)
    if done.returncode or not found:
        print((WORK / "mutmut.log").read_text(encoding="utf-8").replace("\r", "\n")[-4000:])
        return done.returncode or 1
    return tell(found, given.files)


def prepare(files: Iterable[str], tests: Iterable[str]) -> None:
    """Copy what is needed, so that nothing of the checkout is touched, and say what is mutated."""
    shutil.rmtree(WORK, ignore_errors=True)
    for name in NEEDED:
        source, target = ROOT / name, WORK / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    said = {
        "source_paths": list(files),
        "also_copy": ["ems", "optimization", "drivers", "sites"],
        "pytest_add_cli_args_test_selection": list(tests),
        "use_git_change_detection": False,
    }
    lines = [f"{key} = {json.dumps(value)}" for key, value in said.items()]
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    (WORK / "pyproject.toml").write_text("\n".join([project, "[tool.mutmut]", *lines, ""]), encoding="utf-8")


def tell(found: dict[str, str], files: Sequence[str]) -> int:
    """Print survivors and score; 1 where it is too low."""
    judged = {name: status for name, status in found.items() if status not in LEFT_OUT}
    for name in sorted(name for name, status in judged.items() if status not in FOUND):
        print(f"{name}: {judged[name]}")
        print("\n".join(f"    {line}" for line in changed_lines(name)))
    for file in files:
        module = file.removesuffix(".py").replace("/", ".")
        count = Counter(status for name, status in judged.items() if name.startswith(f"{module}."))
        print(f"{file}: {sum(count.values())} faults, {', '.join(f'{n} {s}' for s, n in sorted(count.items())) or '-'}")
    share = sum(status in FOUND for status in judged.values()) / len(judged)
    print(
        f"mutation score: {100 * share:.1f} % of {len(judged)} faults found, at least {100 * LEAST_SHARE:.0f} % wanted"
    )
    return 0 if share >= LEAST_SHARE else 1


def changed_lines(name: str) -> list[str]:
    """Give the lines by which a mutant differs from the function that it was made of."""
    module, _, mutant = name.rpartition(".")
    source = (WORK / "mutants" / f"{module.replace('.', '/')}.py").read_text(encoding="utf-8")
    functions = {
        node.name: "\n".join(ast.unparse(one) for one in node.body).splitlines()
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef)
    }
    original = functions.get(f"{mutant.rpartition('__mutmut_')[0]}__mutmut_orig", [])
    changed = functions.get(mutant, [])
    return [f"- {line}" for line in original if line not in changed] + [
        f"+ {line}" for line in changed if line not in original
    ]


if __name__ == "__main__":
    sys.exit(main())
