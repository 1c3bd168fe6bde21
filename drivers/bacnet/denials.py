"""What a BACnet device says when it says no, and that it says nothing: in words that an operator can read.

Numbers and names: ANSI/ASHRAE 135, clause 21 (BACnetAbortReason, BACnetRejectReason, the error classes and codes).
"""

from __future__ import annotations

from collections.abc import Mapping

ERROR_CLASSES = ("device", "object", "property", "resources", "security", "services", "vt", "communication")
ERROR_CODES: Mapping[int, str] = {
    0: "other", 2: "configuration-in-progress", 3: "device-busy", 9: "invalid-data-type",
    20: "no-space-to-write-property", 25: "operational-problem", 26: "password-failure", 27: "read-access-denied",
    30: "timeout", 31: "unknown-object", 32: "unknown-property", 36: "unsupported-object-type",
    37: "value-out-of-range", 40: "write-access-denied", 41: "character-set-not-supported", 42: "invalid-array-index",
    44: "not-cov-property", 47: "datatype-not-supported", 50: "property-is-not-an-array", 79: "unknown-device",
    82: "value-not-initialized", 83: "communication-disabled", 93: "failure",
}  # fmt: skip
REJECTS = (
    "other", "buffer-overflow", "inconsistent-parameters", "invalid-parameter-datatype", "invalid-tag",
    "missing-required-parameter", "parameter-out-of-range", "too-many-arguments", "undefined-enumeration",
    "unrecognized-service",
)  # fmt: skip
ABORTS = (
    "other", "buffer-overflow", "invalid-apdu-in-this-state", "preempted-by-higher-priority-task",
    "segmentation-not-supported", "security-error", "insufficient-security", "window-size-out-of-range",
    "application-exceeded-reply-time", "out-of-resources", "tsm-timeout", "apdu-too-long",
)  # fmt: skip
UNRECOGNIZED_SERVICE, BUFFER_OVERFLOW, NOT_SEGMENTED, TOO_LONG = 9, 1, 4, 11


class Silence(Exception):
    """No usable answer. What was asked may or may not have happened."""


class Denial(Exception):
    """The device's own no: a BACnet error, reject or abort.

    Args:
        reason: its words.
        is_too_long: it could not fit its answer into one message.
        is_unknown_service: it does not know the service at all.
        wants_pieces: it would answer in several pieces.
    """

    def __init__(
        self, reason: str, *, is_too_long: bool = False, is_unknown_service: bool = False, wants_pieces: bool = False
    ) -> None:
        super().__init__(reason)
        self.is_too_long = is_too_long
        self.is_unknown_service = is_unknown_service
        self.wants_pieces = wants_pieces


def erred(error_class: int, code: int) -> Denial:
    """Name an error."""
    kind = ERROR_CLASSES[error_class] if error_class < len(ERROR_CLASSES) else f"error class {error_class}"
    return Denial(f"BACnet {kind}: {ERROR_CODES.get(code, f'error code {code}')}")


def rejected(reason: int) -> Denial:
    """Name a reject."""
    return Denial(f"BACnet reject: {_named(REJECTS, reason)}", is_unknown_service=reason == UNRECOGNIZED_SERVICE)


def aborted(reason: int) -> Denial:
    """Name an abort."""
    too_long = reason in (BUFFER_OVERFLOW, NOT_SEGMENTED, TOO_LONG)
    words = f"BACnet abort: {_named(ABORTS, reason)}"
    return Denial(words, is_too_long=too_long, wants_pieces=reason == NOT_SEGMENTED)


def _named(names: tuple[str, ...], number: int) -> str:
    return names[number] if number < len(names) else f"reason {number}"
