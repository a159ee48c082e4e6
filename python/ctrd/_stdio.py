# SPDX-License-Identifier: Apache-2.0
"""Where the streams of what runs in the background go: the shim copies to pipes, the log, files and descriptors."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import _checks as checks
from ._types import DEVNULL, INHERIT, LOG, PIPE, STDOUT, Std
from .errors import PathNotFound, PermissionDenied

if TYPE_CHECKING:
    from . import _core

NAMES = ("stdin", "stdout", "stderr")
_FILES = (io.TextIOWrapper, io.BufferedReader, io.BufferedWriter, io.BufferedRandom, io.FileIO)  # used by descriptor
_ALLOWED: tuple[frozenset[Std], ...] = (
    frozenset({PIPE, DEVNULL}),
    frozenset({PIPE, DEVNULL}),
    frozenset({PIPE, DEVNULL, STDOUT}),
)


class Stdio:
    """The three streams, as the core takes them; a context that closes what it opened, once the shim has it.

    Attributes:
        files: Files without a descriptor, by stream number: communicate() reads and writes them.
    """

    def __init__(self, given: tuple[object, object, object], *, log: bool, files: bool) -> None:
        """Check them.

        Args:
            given: What the caller said of stdin, stdout and stderr.
            log: Whether outputs may go to the log.
            files: Whether files without a descriptor are taken.
        """
        self.files: dict[int, Any] = {}
        self._stack = contextlib.ExitStack()
        self._log = log
        self._take_files = files
        try:
            self.row: _core._Stdio = (self._one(0, given[0]), self._one(1, given[1]), self._one(2, given[2]))
        except BaseException:
            self._stack.close()
            raise

    def __enter__(self) -> Stdio:
        """Return itself."""
        return self

    def __exit__(self, *exc: object) -> None:
        """Close the files that were opened."""
        self._stack.close()

    def _one(self, stream: int, value: object) -> int | str:
        name = NAMES[stream]
        if value is None or (_is_number(value) and value == INHERIT):
            value = getattr(sys, name)
            if value is None:  # no console (pythonw, a daemon)
                return int(DEVNULL)
        if _is_number(value):
            return self._number(stream, int(value))  # type: ignore[call-overload]
        if isinstance(value, str | os.PathLike):
            return _proc(
                self._stack.enter_context(_open(name, checks.path(name, value), "rb" if stream == 0 else "wb"))
            )
        if callable(getattr(value, "read" if stream == 0 else "write", None)):
            return self._file(stream, value)
        checks.wrong_type(name, value, "a Std, a descriptor, a path or a file")

    def _number(self, stream: int, number: int) -> int | str:
        name = NAMES[stream]
        allowed: Collection[int] = _ALLOWED[stream] | ({LOG} if self._log and stream > 0 else set())
        if number >= 0:
            return _proc(descriptor(name, number))
        if number not in allowed:
            words = ", ".join(sorted(Std(one).name for one in allowed))
            raise checks.invalid(name, number, f"not {words}, INHERIT, a descriptor, a path or a file")
        return number

    def _file(self, stream: int, file: Any) -> int | str:
        if type(file) in _FILES:
            with contextlib.suppress(OSError, ValueError):
                if stream > 0:
                    file.flush()
                return _proc(descriptor(NAMES[stream], file.fileno()))
        if not self._take_files:
            raise checks.invalid(NAMES[stream], file, "has no descriptor, and nobody would be there to copy")
        self.files[stream] = file
        return int(PIPE)


def _is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _proc(file: int | io.FileIO) -> str:
    """The path under which the shim opens it for itself."""
    return f"/proc/{os.getpid()}/fd/{file if isinstance(file, int) else file.fileno()}"


def descriptor(name: str, fd: int) -> int:
    """A descriptor that is open."""
    try:
        os.fstat(fd)
    except (OSError, OverflowError):
        raise checks.invalid(name, fd, "not an open descriptor") from None
    return fd


def _open(name: str, path: str, mode: str) -> io.FileIO:
    try:
        file: Any = Path(path).open(mode, buffering=0)  # noqa: SIM115
    except FileNotFoundError as error:
        raise PathNotFound(f"{name}: cannot open {path!r}: {error.strerror}", context={"path": path}) from None
    except PermissionError as error:
        raise PermissionDenied(f"{name}: cannot open {path!r}: {error.strerror}", context={"path": path}) from None
    except (OSError, ValueError) as error:
        raise checks.invalid(name, path, f"cannot be opened ({error})") from None
    assert isinstance(file, io.FileIO)
    return file


def open_for_writing(name: str, path: str) -> io.FileIO:
    """A new or emptied file."""
    return _open(name, path, "wb")
