# SPDX-License-Identifier: Apache-2.0
"""Which class an error of the core becomes: the one table, by code and kind. The bindings call from_core."""

from __future__ import annotations

from .errors import (
    AlreadyExists,
    Cancelled,
    CheckpointNotFound,
    Conflict,
    ContainerNotFound,
    DataLoss,
    Error,
    FailedPrecondition,
    ForkedEngine,
    ImageNotFound,
    InvalidArgument,
    NotFound,
    PathNotFound,
    PermissionDenied,
    ProcessNotFound,
    ResourceExhausted,
    RootBusy,
    RuntimeFailed,
    TaskNotFound,
    Timeout,
    Unauthenticated,
    Unavailable,
    Unsupported,
)

# What each gRPC code and kind is in Python: the one table. Kinds: cpp/base/error.h; kind 0 is the code's own class.
_CODES = {
    1: "cancelled",
    2: "unknown",
    3: "invalid_argument",
    4: "deadline_exceeded",
    5: "not_found",
    6: "already_exists",
    7: "permission_denied",
    8: "resource_exhausted",
    9: "failed_precondition",
    10: "aborted",
    11: "out_of_range",
    12: "unimplemented",
    13: "internal",
    14: "unavailable",
    15: "data_loss",
    16: "unauthenticated",
}
_CLASSES: dict[tuple[int, int], type[Error]] = {
    (1, 0): Cancelled,
    (3, 0): InvalidArgument,
    (4, 0): Timeout,
    (5, 0): NotFound,
    (5, 1): ContainerNotFound,
    (5, 2): TaskNotFound,
    (5, 3): ProcessNotFound,
    (5, 4): ImageNotFound,
    (5, 5): CheckpointNotFound,
    (5, 6): PathNotFound,
    (6, 0): AlreadyExists,
    (7, 0): PermissionDenied,
    (8, 0): ResourceExhausted,
    (9, 0): FailedPrecondition,
    (9, 8): ForkedEngine,
    (10, 0): Conflict,
    (11, 0): InvalidArgument,
    (12, 0): Unsupported,
    (13, 9): RuntimeFailed,
    (14, 0): Unavailable,
    (14, 7): RootBusy,
    (15, 0): DataLoss,
    (16, 0): Unauthenticated,
}


def _class_of(code: int, kind: int) -> type[Error]:
    return _CLASSES.get((code, kind)) or _CLASSES.get((code, 0), Error)


def from_core(code: int, kind: int, message: str, sys_errno: int, context: dict[str, str]) -> Error:
    """Make the exception of an error of the core."""
    error = _class_of(code, kind)(message, context=context)
    error.code = _CODES.get(code, "unknown")
    if sys_errno and isinstance(error, OSError):
        error.errno = sys_errno
    return error
