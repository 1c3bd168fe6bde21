"""Which points of which devices carry the grid operator's limits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from drivers.registry import profile_points
from ems.config.binding import role_points
from ems.config.site import Site
from ems.limits.in_force import Direction


@dataclass(frozen=True, slots=True)
class Registers:
    """Limit registers with a heartbeat.

    Args:
        heartbeat: id of the point whose change is a heartbeat.
        limits: id of the point that carries a limit [kW], by direction.
    """

    heartbeat: str
    limits: Mapping[Direction, str]

    @property
    def points(self) -> tuple[str, ...]:
        """All points by id."""
        return (self.heartbeat, *self.limits.values())


@dataclass(frozen=True, slots=True)
class Contact:
    """A digital input.

    Args:
        point: id of the point; 1 while the limits hold.
        limits_kw: declared limits [kW], by direction.
    """

    point: str
    limits_kw: Mapping[Direction, float]


@dataclass(frozen=True, slots=True)
class Sources:
    """Everything through which limits may come, and the failsafe limits [kW] of the directions that may be limited."""

    failsafe_kw: Mapping[Direction, float]
    api: bool
    registers: Mapping[str, Registers]
    contacts: Mapping[str, Contact]

    def directions(self) -> dict[str, tuple[Direction, ...]]:
        """Tell which directions each source may limit."""
        found: dict[str, tuple[Direction, ...]] = {"api": tuple(self.failsafe_kw)} if self.api else {}
        found |= {name: tuple(one.limits) for name, one in self.registers.items()}
        return found | {name: tuple(contact.limits_kw) for name, contact in self.contacts.items()}


def sources_of(site: Site) -> Sources | None:
    """Find the sources of a checked site; None where its file says nothing of the grid operator."""
    spec = site.file.grid_operator
    if spec is None:
        return None
    failsafe = {Direction.IMPORT: spec.failsafe_import_kw, Direction.EXPORT: spec.failsafe_export_kw}
    registers, contacts = {}, {}
    for name, one in spec.registers.items():
        points = _points(site, one.device)
        roles = {Direction.IMPORT: one.import_limit, Direction.EXPORT: one.export_limit}
        limits = {direction: points[role] for direction, role in roles.items() if role is not None}
        registers[f"registers.{name}"] = Registers(points[one.heartbeat], limits)
    for name, contact in spec.inputs.items():
        kw = {Direction.IMPORT: contact.import_limit_kw, Direction.EXPORT: contact.export_limit_kw}
        point = _points(site, contact.device)[contact.role]
        contacts[f"inputs.{name}"] = Contact(point, {d: limit for d, limit in kw.items() if limit is not None})
    declared = {direction: kw for direction, kw in failsafe.items() if kw is not None}
    return Sources(declared, spec.api is not None, registers, contacts)


def _points(site: Site, device: str) -> Mapping[str, str]:
    spec = site.file.devices[device]
    return role_points(device, spec, profile_points(spec.protocol, spec.profile))
