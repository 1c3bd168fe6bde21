"""`ems mode`: how far the daemon may go with a device."""

from __future__ import annotations

from collections.abc import Sequence

from ems.commands.asking import Desk, confirm, denied, desk
from ems.commands.options import add_reason, opened, parser
from ems.config.binding import bind
from ems.config.site import Mode
from ems.config.verdict import read_verdict

EFFECTS = {
    Mode.MONITOR: "is only metered",
    Mode.ADVISE: "is metered and planned, and gets no commands",
    Mode.CONTROL: "is steered",
}


def command(argv: Sequence[str]) -> int:
    """Request a mode for a device."""
    options = parser("mode", "Set how far the daemon may go with a device.")
    options.add_argument("device", metavar="DEVICE")
    options.add_argument("mode", choices=[str(mode) for mode in Mode])
    add_reason(options, lasting="until the next change")
    arguments = options.parse_args(argv)
    where = desk(*opened(arguments))
    mode = Mode(arguments.mode)
    where.device(arguments.device)
    if mode is Mode.CONTROL:
        _may_control(where, arguments.device)
    request = where.ask("mode", arguments.device, {"mode": str(mode)}, arguments.reason, arguments.for_s)
    return confirm("mode", request, f"{arguments.device} {EFFECTS[mode]}", as_json=arguments.json)


def _may_control(where: Desk, device: str) -> None:
    """Deny control where a device, or the grid in the worst case, would not stand it; raises `CommandError`."""
    bindings = bind(where.site)
    command = bindings.command(bindings.asset_of(device) or "")
    if command is None:
        raise denied(f"{device} takes no commands; it can be monitored only")
    if command.role not in where.site.file.devices[device].safe:
        raise denied(f"{device} declares no safe {command.role}; add it under `safe:` in the site file")
    verdict = read_verdict(where.state, where.site.config_hash)
    if verdict is None:
        raise denied("the grid was not checked for this configuration; run `ems check` first")
    if not verdict.passed:
        raise denied(f"the grid would not stand all devices in failsafe: {verdict.problems[0]}")
