"""`ems lockout`: maintenance lockout of a device."""

from __future__ import annotations

from collections.abc import Sequence

from ems.commands.asking import confirm, confirm_end, denied, desk
from ems.commands.options import add_reason, opened, parser


def command(argv: Sequence[str]) -> int:
    """Lock a device out, or end its lockout."""
    options = parser("lockout", "Lock a device out for maintenance: nothing is written to it.")
    options.add_argument("device", metavar="DEVICE")
    options.add_argument("--off", action="store_true", help="end the lockout")
    add_reason(options, lasting="until ended with --off")
    arguments = options.parse_args(argv)
    where, device = desk(*opened(arguments)), arguments.device
    locked_in_file = where.device(device).lockout
    if not arguments.off:
        request = where.ask("lockout", device, {"on": True}, arguments.reason, arguments.for_s)
        return confirm("lockout", request, f"nothing is written to {device}", as_json=arguments.json)
    if locked_in_file:
        raise denied(f"{device} is locked out in the site file; write `lockout: false` there")
    held = where.held("lockout", device)
    if held is not None:
        where.end(held, arguments.reason)
    return confirm_end("lockout", held, device, f"{device} may be steered again", as_json=arguments.json)
