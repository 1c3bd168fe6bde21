"""Unit files of systemd for one site: one service a process, each with no more than it needs, and a target.

Law 1: every service is shut in alike: no privileges, no devices, at most the state folder to write to.
Law 2: where a process talks to is known from the site file, so nothing else is let through where that can be said.
Law 3: the core must say that it makes its deadlines, and the guard that its loop turns, or systemd starts them again.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from ems.config.audit import AUDIT_KEY
from ems.config.grid_operator import LIMITS_TOKEN
from ems.config.secrets import secrets_of
from ems.config.site import Site
from ems.config.state import SYSTEM_STATE

USER = "district-ems"
WATCHDOG_S = 15.0
"""The core is restarted when it has not made its deadlines for so long [s], or for four of its cycles."""
WATCHDOG_CYCLES = 4
FIELD_NETWORKS = "localhost link-local 10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 fc00::/7 255.255.255.255"
"""Where devices are: this machine and private networks, broadcasts of BACnet/IP included."""

_SHUT_IN = """\
NoNewPrivileges=yes
CapabilityBoundingSet=
AmbientCapabilities=
PrivateDevices=yes
PrivateTmp=yes
PrivateMounts=yes
PrivateUsers=yes
ProtectSystem=strict
ProtectHome=yes
ProtectProc=invisible
ProtectClock=yes
ProtectHostname=yes
ProtectControlGroups=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
RemoveIPC=yes
KeyringMode=private
SystemCallArchitectures=native
SystemCallErrorNumber=EPERM
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
UMask=0077
LimitCORE=0"""

_NICER = ("# The planner's process makes itself nicer.", "SystemCallFilter=setpriority")


@dataclass(frozen=True, slots=True)
class Service:
    """One process of a site.

    Args:
        name: of its unit, after the site's.
        words: what it is.
        order: its command, without the site.
        lines: what stands in its unit besides.
        reaches: which addresses it may talk to, as systemd writes them; None where that cannot be said.
        writes: whether it may write to the state folder; who only looks on may not.
    """

    name: str
    words: str
    order: Sequence[str]
    lines: Sequence[str]
    reaches: str | None
    writes: bool


def units(site: Site, *, program: Sequence[str], user: str = USER, page_port: int = 8470) -> dict[str, str]:
    """Write the units of a site.

    Args:
        site: the site.
        program: the command `ems`, with an absolute path.
        user: whom the services run as.
        page_port: port of the page on this machine.

    Returns:
        Each unit's text by its file name; the target first.
    """
    found = services(site, page_port)
    names = {service.name: _unit(site, service.name) for service in found}
    target = f"district-ems-{site.file.site.id}.target"
    texts = {target: _target(site, names.values())}
    for service in found:
        texts[names[service.name]] = _service(site, service, target, program, user)
    return texts


def services(site: Site, page_port: int) -> list[Service]:
    """List the processes of a site, as `ems up` runs them."""
    operator, control = site.file.grid_operator, site.file.control
    watchdog_s = max(WATCHDOG_S, WATCHDOG_CYCLES * control.cycle_s)
    watched = ["Type=notify", "NotifyAccess=main", f"WatchdogSec={watchdog_s:g}", "TimeoutStartSec=120"]
    core = [
        *watched,
        "OOMScoreAdjust=-500",
        *_NICER,
        *(_handed(site, name) for name in secrets_of(site)),
        *_offered(site, AUDIT_KEY),
    ]
    field = " ".join([FIELD_NETWORKS, *_public(device.host for device in site.file.devices.values())])
    found = [
        Service("core", "meter, plan, steer", ["run"], core, _reach(site, field), writes=True),
        Service(
            "guard",
            "safe values when the core is lost",
            ["guard"],
            [*watched, "OOMScoreAdjust=-600"],
            field,
            writes=True,
        ),
        Service(
            "page", "the status page", ["serve", "--port", str(page_port)], ["Type=exec"], "localhost", writes=False
        ),
    ]
    if operator is not None and operator.api is not None:
        limits = ["Type=exec", *_offered(site, LIMITS_TOKEN)]
        found.append(Service("limits", "limits of the grid operator", ["limits", "serve"], limits, None, writes=False))
    return found


def secret_file(site: Site, name: str) -> Path:
    """Tell from which file a unit takes a secret."""
    return site.folder / "credentials" / name


def _handed(site: Site, name: str) -> str:
    return f"LoadCredential={name}:{str(secret_file(site, name)).replace('%', '%%')}"


def _offered(site: Site, name: str) -> Sequence[str]:
    """Hand over a secret if its file is there: without a value to fall back to, the service would not start."""
    return [_handed(site, name), f"SetCredential={name}:\\n"]


def _reach(site: Site, field: str) -> str | None:
    """Give where the core may talk to; None if a feed or a receiver of checkpoints has no address in the field."""
    hosts = [host for source in _outward(site) if (host := urlsplit(source).hostname)]
    return field if all(_is_near(host) for host in hosts) else None


def _outward(site: Site) -> Iterable[str]:
    """List what a site's core asks or tells elsewhere: feeds, and who is told the checkpoints."""
    feeds, audit = site.file.feeds, site.file.audit
    yield from (feed.source for feed in (feeds.price, feeds.carbon, feeds.weather) if feed is not None)
    if audit.mail is not None:
        yield f"smtp://{audit.mail.host}"
    if audit.timestamp is not None:
        yield audit.timestamp.url


def _is_near(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return host == "localhost"


def _public(hosts: Iterable[str]) -> list[str]:
    """List the addresses that are in no private network."""
    return sorted({host for host in hosts if not _is_near(host) and _is_address(host)})


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _unit(site: Site, name: str) -> str:
    return f"district-ems-{site.file.site.id}-{name}.service"


def _target(site: Site, names: Iterable[str]) -> str:
    lines = ["[Unit]", f"Description=District EMS: {_plain(site.file.site.name)}", f"Wants={' '.join(names)}"]
    return "\n".join([*lines, "", "[Install]", "WantedBy=multi-user.target", ""])


def _service(site: Site, service: Service, target: str, program: Sequence[str], user: str) -> str:
    identity, state = site.file.site, SYSTEM_STATE / site.file.site.id
    order = [*program, *service.order, str(site.folder), "--state", str(state)]
    unit = [
        "[Unit]",
        f"Description=District EMS, {service.words}: {_plain(identity.name)}",
        f"PartOf={target}",
        "Wants=network-online.target",
        "After=network-online.target time-sync.target",
        "StartLimitIntervalSec=0",
    ]
    lines = [
        f"ExecStart={' '.join(_quoted(word) for word in order)}",
        "Restart=always",
        "RestartSec=1",
        "# What the arguments or the site's files are wrong with does not mend itself.",
        "RestartPreventExitStatus=2 3",
        "TimeoutStopSec=30",
        f"User={user}",
        f"Group={user}",
        *([f"StateDirectory=district-ems/{identity.id}", "StateDirectoryMode=0700"] if service.writes else []),
        f"Environment=HOME={state} PYTHONDONTWRITEBYTECODE=1",
        "TasksMax=256",
        _SHUT_IN,
        *service.lines,
        *([] if service.reaches is None else ["IPAddressDeny=any", f"IPAddressAllow={service.reaches}"]),
    ]
    return "\n".join([*unit, "", "[Service]", *lines, "", "[Install]", f"WantedBy={target}", ""])


def _plain(text: str) -> str:
    return " ".join(text.split()).replace("%", "%%")


def _quoted(word: str) -> str:
    """Write a word of a command line as systemd reads it."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"' if any(character in escaped for character in " \t;'\"") else escaped
