"""What a site file may say of the grid operator: through what limits come, and what holds when the operator is lost."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ems.config.strict import Id, NotNegative, Strict, Whole

LIMITS_TOKEN = "limits_token"  # noqa: S105 - the name under which the secret is kept
"""Name of the secret by which the grid operator proves who it is, where it is not made by `ems limits token`."""


class LimitRegisters(Strict):
    """Registers of a device in which the grid operator writes limits.

    `import_limit` and `export_limit` are roles of its profile in kW; `heartbeat` is one whose value changes at least
    every 60 s while the operator is there.
    """

    device: Id
    heartbeat: str
    import_limit: str | None = None
    export_limit: str | None = None


class LimitInput(Strict):
    """A digital input: while `role` of the device reads 1, these limits hold."""

    device: Id
    role: str
    import_limit_kw: NotNegative | None = None
    export_limit_kw: NotNegative | None = None


class LimitApi(Strict):
    """Where the small process `ems limits serve` listens; beyond this machine only with a certificate and its key."""

    host: str = "127.0.0.1"
    port: Annotated[Whole, Field(gt=0, lt=65536)] = 8471
    certificate: str | None = None
    key: str | None = None


class GridOperator(Strict):
    """Limits that the grid operator may set at the connection, by direction.

    `failsafe_import_kw` and `failsafe_export_kw` hold while the operator is lost; a direction without one takes no
    limits.
    """

    failsafe_import_kw: NotNegative | None = None
    failsafe_export_kw: NotNegative | None = None
    api: LimitApi | None = None
    registers: dict[Id, LimitRegisters] = Field(default_factory=dict)
    inputs: dict[Id, LimitInput] = Field(default_factory=dict)
