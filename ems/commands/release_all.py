"""`ems release-all`: the switch that gives every device back to its own control."""

from __future__ import annotations

from collections.abc import Sequence

from ems.commands.asking import confirm, confirm_end, denied, desk
from ems.commands.options import add_reason, opened, parser


def command(argv: Sequence[str]) -> int:
    """Release every device to its own control, or take it back."""
    options = parser("release-all", "Release every device of a site to its own control.")
    options.add_argument("--off", action="store_true", help="take the devices back")
    add_reason(options, lasting="until ended with --off")
    arguments = options.parse_args(argv)
    site, state = opened(arguments)
    where, target = desk(site, state), site.file.site.id
    if not arguments.off:
        request = where.ask("release_all", target, {"on": True}, arguments.reason, arguments.for_s)
        return confirm("release-all", request, "every device is released to its own control", as_json=arguments.json)
    if site.file.control.release_all_to_local:
        raise denied("the site file releases all devices; write `release_all_to_local: false` there")
    held = where.held("release_all", target)
    if held is not None:
        where.end(held, arguments.reason)
    return confirm_end("release-all", held, target, "devices in control mode are steered again", as_json=arguments.json)
