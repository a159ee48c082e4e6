# SPDX-License-Identifier: Apache-2.0
"""Every exception that ctrd raises, each also a builtin of the same meaning.

    Error(Exception)              .code .message .op .hint .context
    ├─ InvalidArgument            also ValueError             .field .value
    ├─ NotFound                   also KeyError
    │   ├─ ContainerNotFound ├─ TaskNotFound ├─ ProcessNotFound ├─ ImageNotFound ├─ CheckpointNotFound
    │   └─ PathNotFound           also FileNotFoundError
    ├─ AlreadyExists              also FileExistsError
    ├─ FailedPrecondition
    │   └─ ForkedEngine           an engine made before os.fork()
    ├─ Conflict                   changed meanwhile: try again
    ├─ PermissionDenied           also PermissionError
    ├─ Unauthenticated
    ├─ ResourceExhausted
    ├─ Cancelled
    ├─ Unsupported                also NotImplementedError    .hint says what to install or enable
    ├─ Unavailable                also ConnectionError        trying again may help
    │   └─ RootBusy               .holder_pid .holder_cmd .since
    ├─ Timeout                    also subprocess.TimeoutExpired and TimeoutError
    │                             .result .cmd .timeout .stdout .stderr
    ├─ DataLoss                   .expected .actual .path
    ├─ RuntimeFailed              .runtime .exit_code .log_tail .log_path
    └─ ExitError                  also subprocess.CalledProcessError   .result .returncode .cmd .stdout .stderr

The class follows from two integers of the core's error, its code and its kind, never from its text.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Self

__all__ = [
    "AlreadyExists",
    "Cancelled",
    "CheckpointNotFound",
    "Conflict",
    "ContainerNotFound",
    "DataLoss",
    "Error",
    "ExitError",
    "FailedPrecondition",
    "ForkedEngine",
    "ImageNotFound",
    "InvalidArgument",
    "NotFound",
    "PathNotFound",
    "PermissionDenied",
    "ProcessNotFound",
    "ResourceExhausted",
    "RootBusy",
    "RuntimeFailed",
    "TaskNotFound",
    "Timeout",
    "Unauthenticated",
    "Unavailable",
    "Unsupported",
]


_LONGEST = 1024
_CONTROL = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160))}


def _shortened(message: str) -> str:
    """At most 1 KiB, without control characters: what a stranger said must not drive the terminal."""
    if not isinstance(message, str):
        raise TypeError(f"message: not a str: {type(message).__name__}")
    shown = message[: _LONGEST + 1].translate(_CONTROL).encode(errors="backslashreplace")
    if len(shown) > _LONGEST:
        shown = shown[: _LONGEST - 3] + b"..."
    return shown.decode(errors="ignore")


class Error(Exception):
    """The base of all. An unknown code is an Error itself.

    Attributes:
        code: The gRPC code's lower-case name, such as "not_found".
        message: What was tried, on what, and why it failed.
        op: The verb that failed, or None.
        hint: What to do about it, or None.
        context: Short facts beside the message, dict[str, str].
    """

    code: str = "unknown"

    def __init__(
        self,
        message: str = "",
        *,
        code: str | None = None,
        op: str | None = None,
        hint: str | None = None,
        context: Mapping[str, str] | None = None,
    ) -> None:
        """Make one; users only catch them."""
        message = _shortened(message)
        Exception.__init__(self, message)  # not the next in line: builtin bases want other arguments
        self.code = code or type(self).code
        self.message = message
        self.context = dict(context or {})
        self.op = op or self.context.pop("op", None)
        self.hint = hint or self.context.pop("hint", None)

    def __str__(self) -> str:
        """Return the message, and the hint if there is one."""
        return f"{self.message} ({self.hint})" if self.hint else self.message

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle class and attributes; the builtin bases would want other arguments."""
        return (_rebuild, (type(self), self.message, self.__dict__.copy()))

    def _number(self, key: str) -> int | None:
        value = self.context.get(key, "")
        return int(value) if value.lstrip("-").isdigit() else None


def _rebuild(cls: type[Error], message: str, state: dict[str, Any]) -> Error:
    error = cls(message)
    error.__dict__.update(state)
    return error


class InvalidArgument(Error, ValueError):
    """An argument is malformed or out of range; nothing was done.

    Attributes:
        field: The argument's name.
        value: What was given, as text.
    """

    code = "invalid_argument"

    @property
    def field(self) -> str | None:
        """The argument's name."""
        return self.context.get("field")

    @property
    def value(self) -> str | None:
        """What was given, as text."""
        return self.context.get("value")


class NotFound(Error, KeyError):
    """What was named does not exist."""

    code = "not_found"


class ContainerNotFound(NotFound):
    """There is no container of this id."""


class TaskNotFound(NotFound):
    """The container has no task, or the task of this object is gone."""


class ProcessNotFound(NotFound):
    """There is no such process."""


class ImageNotFound(NotFound):
    """There is no such image."""


class CheckpointNotFound(NotFound):
    """There is no such checkpoint."""


class PathNotFound(NotFound, FileNotFoundError):
    """A path on the host, in a root filesystem or in a container does not exist."""


class AlreadyExists(Error, FileExistsError):
    """The name is taken."""

    code = "already_exists"


class FailedPrecondition(Error):
    """Not possible in this state; trying again without a change does not help."""

    code = "failed_precondition"


class ForkedEngine(FailedPrecondition):
    """The engine was made before os.fork(); make a new one in the child."""


class Conflict(Error):
    """Something changed meanwhile: try again."""

    code = "aborted"


class PermissionDenied(Error, PermissionError):
    """The system, or a directory's ownership, forbids it."""

    code = "permission_denied"


class Unauthenticated(Error):
    """Credentials are missing or wrong."""

    code = "unauthenticated"


class ResourceExhausted(Error):
    """A limit was met: disk, descriptors, memory, sizes."""

    code = "resource_exhausted"


class Cancelled(Error):
    """It was given up before its end."""

    code = "cancelled"


class Unsupported(Error, NotImplementedError):
    """This machine, runtime or version cannot do it; .hint says what to install or enable."""

    code = "unimplemented"


class Unavailable(Error, ConnectionError):
    """The other side does not answer; trying again may help."""

    code = "unavailable"


class RootBusy(Unavailable):
    """Another process held the root's lock for longer than lock_timeout.

    Attributes:
        holder_pid: Its pid, if known.
        holder_cmd: Its command, if known.
        since: Since when it has the lock, if known.
    """

    @property
    def holder_pid(self) -> int | None:
        """Pid of the process that has the lock."""
        return self._number("holder_pid")

    @property
    def holder_cmd(self) -> str | None:
        """Command of the process that has the lock."""
        return self.context.get("holder_cmd")

    @property
    def since(self) -> datetime | None:
        """Since when it has the lock."""
        try:
            return datetime.fromisoformat(self.context["since"])
        except (KeyError, ValueError):
            return None


class Timeout(Error, subprocess.TimeoutExpired, TimeoutError):
    """A deadline passed. After run() nothing of the command is alive; after wait() it still is.

    Attributes:
        result: The RunResult so far (of run), or None.
        cmd: The command, or None.
        timeout: Seconds, or None.
        stdout: What it had printed (of run), or None.
        stderr: Likewise.
    """

    code = "deadline_exceeded"

    def __init__(
        self,
        message: str = "",
        *,
        result: Any = None,
        cmd: Any = None,
        timeout: float | None = None,
        op: str | None = None,
        hint: str | None = None,
        context: Mapping[str, str] | None = None,
    ) -> None:
        """Make one; users only catch them."""
        Error.__init__(self, message, op=op, hint=hint, context=context)
        self.result = result
        self.cmd = cmd
        self.timeout = _seconds(self.context.get("timeout")) if timeout is None else timeout  # type: ignore[assignment]
        self.output = None if result is None else result.stdout
        self.stderr = None if result is None else result.stderr


def _seconds(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None


class DataLoss(Error):
    """Stored data is damaged.

    Attributes:
        expected: What should be there.
        actual: What is.
        path: Where.
    """

    code = "data_loss"

    @property
    def expected(self) -> str | None:
        """What should be there."""
        return self.context.get("expected")

    @property
    def actual(self) -> str | None:
        """What is there."""
        return self.context.get("actual")

    @property
    def path(self) -> str | None:
        """The damaged file."""
        return self.context.get("path")


class RuntimeFailed(Error):
    """The OCI runtime failed in a way that ctrd does not know; these are its words.

    Attributes:
        runtime: The runtime's path.
        exit_code: Its exit code.
        log_tail: The end of what it said.
        log_path: The file with all of it.
    """

    code = "internal"

    @property
    def runtime(self) -> str | None:
        """The runtime's path."""
        return self.context.get("runtime")

    @property
    def exit_code(self) -> int | None:
        """The runtime's exit code."""
        return self._number("exit_code")

    @property
    def log_tail(self) -> str | None:
        """The end of what it said."""
        return self.context.get("log_tail")

    @property
    def log_path(self) -> str | None:
        """The file with all of it."""
        return self.context.get("log_path")


class ExitError(Error, subprocess.CalledProcessError):
    """check=True, and the command ended with another status than 0.

    Attributes:
        result: The RunResult.
        returncode: The exit status; 128 + n for a death by signal n.
        cmd: The command.
        stdout: What it printed.
        stderr: Likewise.
    """

    code = "failed_precondition"

    def __init__(self, message: str = "", *, result: Any = None) -> None:
        """Make one; users only catch them."""
        Error.__init__(self, message)
        self.result = result
        self.returncode = 0 if result is None else result.returncode
        self.cmd = None if result is None else result.args
        self.output = None if result is None else result.stdout
        self.stderr = None if result is None else result.stderr

    @classmethod
    def of(cls, result: Any) -> Self:
        """Make the error of this RunResult."""
        how = f"died of signal {result.signal}" if result.signal else f"returned {result.returncode}"
        stderr = result.stderr if isinstance(result.stderr, str) else result.stderr.decode(errors="replace")
        tail = stderr.strip()[-400:]
        return cls(f"{' '.join(result.args)!r} {how}" + (f": {tail}" if tail else ""), result=result)
