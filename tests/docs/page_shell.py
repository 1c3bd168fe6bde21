"""Runs a page's commands in one shell, in order, as a reader would, and examines what each gave and printed."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from docs_pages import Command, is_shown


def script(todo: Sequence[Command], after: Callable[[Command], Sequence[str]] = lambda _command: ()) -> str:
    """Write the shell script of commands; `after` adds lines behind a command, such as a wait."""
    lines = ["trap 'kill $(jobs -p) 2>/dev/null; wait' EXIT TERM"]
    for number, command in enumerate(todo):
        lines += [f"echo; echo @begin {number}", command.text]
        lines.append(f"status=$?; echo; echo @end {number} $status")
        lines += after(command)
    return "\n".join(lines) + "\n"


def run_shell(text: str, folder: Path, environment: Mapping[str, str], limit_s: float) -> str:
    """Run a script in a folder; gives all that was printed."""
    with subprocess.Popen(
        ["bash", "-c", text], cwd=folder, env=environment, text=True, start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    ) as shell:  # fmt: skip
        try:
            return shell.communicate(timeout=limit_s)[0]
        finally:
            if shell.poll() is None:
                os.killpg(shell.pid, signal.SIGTERM)


def examine(page: Path, todo: Sequence[Command], printed: str) -> None:
    """Hold exit statuses and shown lines against what was printed."""
    for number, command in enumerate(todo):
        told = re.search(rf"@begin {number}\n(.*?)@end {number} (\d+)\n(.*?)(?=@begin|\Z)", printed, re.DOTALL)
        assert told is not None, f"{page.name}: `{command.text}` was never reached\n{printed[-2000:]}"
        assert int(told[2]) in command.statuses, f"{page.name}: `{command.text}` gave status {told[2]}:\n{told[1]}"
        for line in command.shown:
            assert is_shown(line, told[1] + told[3]), f"{page.name}: `{command.text}` printed no {line!r}:\n{told[1]}"
