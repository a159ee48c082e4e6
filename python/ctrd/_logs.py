# SPDX-License-Identifier: Apache-2.0
"""Reading a container's log."""

from __future__ import annotations

import codecs
import threading
from datetime import datetime
from typing import Any, NoReturn, Self

from . import _checks as checks
from . import _core, _rows
from ._values import LogLine


def log_options(
    stdout: bool, stderr: bool, follow: bool, tail: int | None, since: int | datetime | None
) -> _core.LogOptions:
    """Check what logs() was asked for, in the core's form."""
    options = _core.LogOptions()
    options.out = checks.flag("stdout", stdout)
    options.err = checks.flag("stderr", stderr)
    options.follow = checks.flag("follow", follow)
    if tail is not None:
        options.tail = _natural("tail", tail)
    if isinstance(since, datetime):
        options.since_ns = checks.instant_ns("since", since)
    elif since is not None:
        options.since_seq = _natural("since", since)
    return options


def _natural(field: str, value: object) -> int:
    number = checks.integer(field, value)
    if number < 0:
        raise checks.invalid(field, value, "negative")
    return number


class Logs:
    """The lines of both streams in the order in which they came. Iterate, or read() all."""

    def __init__(self, core: _core.Logs) -> None:
        """Take over the core's reader."""
        self._core: _core.Logs | None = core
        self._lock = threading.Lock()  # the core's reader is for one thread
        self._decoders: dict[int, Any] = {}

    def __iter__(self) -> Self:
        """Iterate over what there is; when following, until the task has ended."""
        return self

    def __next__(self) -> LogLine:
        """Return the next line."""
        with self._lock:
            row = None if self._core is None else self._core.next(None)
            if row is None:
                self._core = None
                raise StopIteration
        return _rows.log_line(row, self._decode(row))

    def read(self) -> str:
        """Return the rest as text; when following, wait for the task's end."""
        return "".join(line.text if line.partial else line.text + "\n" for line in self)

    def close(self) -> None:
        """Close it; once more is fine."""
        with self._lock:
            self._core = None

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *exc: object) -> None:
        """Close it."""
        self.close()

    def __reduce__(self) -> NoReturn:
        """Refuse."""
        raise TypeError("cannot pickle Logs: it is a reader of this process")

    def _decode(self, row: _core._LogRow) -> str:
        """A line may be cut in the middle of a character, which the stream's next one goes on with."""
        _, _, stream, data, partial = row
        if stream not in self._decoders:
            self._decoders[stream] = codecs.getincrementaldecoder("utf-8")("replace")
        text: str = self._decoders[stream].decode(data, final=not partial)
        return text
