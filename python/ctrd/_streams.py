# SPDX-License-Identifier: Apache-2.0
"""Our ends of a task's pipes. The descriptors do not block; waiting is poll(2), which Ctrl-C ends."""

from __future__ import annotations

import codecs
import errno
import os
import select
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Generic, NoReturn, cast

from . import _checks as checks
from .errors import Timeout, Unavailable

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    _S = TypeVar("_S", str, bytes, default=str)
else:
    from typing import TypeVar

    _S = TypeVar("_S", str, bytes)

_CHUNK = 1 << 16


def wait_ready(fd: int, events: int, deadline: float | None) -> bool:
    """Wait until fd is ready for events; False at the deadline (of time.monotonic)."""
    poll = select.poll()
    poll.register(fd, events)
    left = None if deadline is None else max(0.0, deadline - time.monotonic()) * 1000
    return bool(poll.poll(left))


def write(fd: int, data: memoryview) -> int:
    """Write some of it; BrokenPipeError also in a program that has given SIGPIPE its default back."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGPIPE})
    try:
        return os.write(fd, data)
    except BrokenPipeError:
        if signal.SIGPIPE not in before:
            signal.sigtimedwait({signal.SIGPIPE}, 0)  # ours: it must not come once it is let in again
        raise
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _BrokenStdin(Unavailable, BrokenPipeError):
    """Nobody reads there any more, said as subprocess says it."""

    errno = errno.EPIPE


class _End:
    """One descriptor with one owner."""

    _fd = -1  # of one that could not be made

    def __init__(self, fd: int, text: bool, what: str) -> None:
        self._fd = fd
        self._text = text
        self._what = what

    def fileno(self) -> int:
        """Return the descriptor; ValueError when closed."""
        if self._fd < 0:
            raise ValueError(f"{self._what} is closed")
        return self._fd

    @property
    def closed(self) -> bool:
        """Whether it is closed."""
        return self._fd < 0

    def close(self) -> None:
        """Close it; once more is fine."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def __del__(self) -> None:
        self.close()

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"cannot pickle {self._what}: it is a pipe of this process")

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._what}{' closed' if self._fd < 0 else ''}>"


class Reader(_End, Generic[_S]):
    """What a process prints. Iterating gives lines, with their newlines, until it closes the stream."""

    def __init__(self, fd: int, text: bool, what: str) -> None:
        """Take over a descriptor that does not block."""
        super().__init__(fd, text, what)
        self._decoder: Any = codecs.getincrementaldecoder("utf-8")("replace") if text else None
        self._empty: Any = "" if text else b""
        self._parts: list[Any] = []  # read and not taken yet, in order; joined when somebody takes
        self._at = 0  # what is taken of the first one
        self._ended = False

    def read(self, n: int = -1, *, timeout: float | None = None) -> _S:
        """Read to the end, or up to n characters (bytes) as soon as there are any.

        Args:
            n: The most to return; negative: everything until the stream ends.
            timeout: Seconds; None waits without limit. What was read until then is kept for the next call.

        Raises:
            Timeout: Nothing (n < 0: not everything) came in time.
        """
        deadline = self._deadline(timeout)
        while not self._ended and (n < 0 or not self._parts) and n != 0:
            self._fill(deadline, timeout)
        return self._take(n)

    def readline(self, *, timeout: float | None = None) -> _S:
        """Read one line with its newline; empty at the end.

        Args:
            timeout: Seconds; None waits without limit. What was read until then is kept for the next call.

        Raises:
            Timeout: No whole line came in time.
        """
        deadline = self._deadline(timeout)
        newline: Any = "\n" if self._text else b"\n"
        start, part = self._at, 0
        while True:
            while part < len(self._parts):
                if (at := self._parts[part].find(newline, start)) >= 0:
                    return self._take(sum(map(len, self._parts[:part])) - self._at + at + 1)
                start, part = 0, part + 1
            if self._ended:
                return self._take(-1)
            self._fill(deadline, timeout)

    def __iter__(self) -> Iterator[_S]:
        """Iterate over the lines."""
        while line := self.readline():
            yield line

    def _deadline(self, timeout: float | None) -> float | None:
        limit = checks.seconds("timeout", timeout)
        return None if limit is None else time.monotonic() + limit

    def _take(self, size: int) -> _S:
        """The next `size` of what was read; all of it if negative."""
        if len(self._parts) > 1:
            self._parts, self._at = [self._empty.join([self._parts[0][self._at :], *self._parts[1:]])], 0
        if not self._parts:
            return cast("_S", self._empty)
        whole, begin = self._parts[0], self._at
        self._at = len(whole) if size < 0 else min(len(whole), begin + size)
        if self._at == len(whole):
            self._parts, self._at = [], 0
        return cast("_S", whole[begin : self._at or None])

    def _fill(self, deadline: float | None, timeout: float | None) -> None:
        if not wait_ready(self.fileno(), select.POLLIN, deadline):
            raise Timeout(f"{self._what}: nothing to read after {timeout} s", op="read", timeout=timeout)
        self._read_some()

    def _read_some(self) -> None:
        """Read what is there, if something is."""
        try:
            data = os.read(self.fileno(), _CHUNK)
        except BlockingIOError:
            return
        self._ended = not data
        part = self._decoder.decode(data, final=not data) if self._text else data
        if part:
            self._parts.append(part)


@contextmanager
def lent(stdin: Writer[Any] | None) -> Iterator[list[int]]:
    """Its descriptor in the core's hands (-1: it has none); what the core leaves of it is its own again afterwards.

    Closed for everybody else meanwhile: the core may close it.
    """
    place = [-1 if stdin is None else stdin._fd]
    theirs = stdin if place[0] >= 0 else None
    if theirs is not None:
        theirs._fd = -1
    try:
        yield place
    finally:
        if theirs is not None:
            theirs._fd = place[0]
        elif place[0] >= 0:
            os.close(place[0])  # of the FIFO that the shim keeps


class Writer(_End, Generic[_S]):
    """A process's standard input."""

    def __init__(self, fd: int, text: bool, what: str, closed: Callable[[], None]) -> None:
        """Take over a descriptor that does not block; `closed` lets the process read the end."""
        super().__init__(fd, text, what)
        self._closed = closed

    def close(self) -> None:
        """Close it, and let the process read the end of its input; once more is fine."""
        if self._fd >= 0:
            super().close()
            self._closed()

    def __del__(self) -> None:
        super().close()

    def write(self, data: _S) -> int:
        """Write all of it, and return its length.

        Raises:
            ValueError: It is closed.
            BrokenPipeError: The process has closed its end (an Unavailable too).
        """
        self.fileno()
        left = memoryview(self._bytes(data))
        while left:
            wait_ready(self.fileno(), select.POLLOUT, None)
            taken = self._put(left)
            if taken < 0:
                raise _BrokenStdin(f"{self._what}: the process has closed it", op="write")
            left = left[taken:]
        return len(data)

    def flush(self) -> None:
        """Do nothing: nothing is held back. ValueError when closed."""
        self.fileno()

    def _bytes(self, data: object) -> bytes:
        if not isinstance(data, str if self._text else bytes):
            checks.wrong_type("data", data, "str" if self._text else "bytes")
        return data.encode() if isinstance(data, str) else bytes(data)

    def _put(self, data: memoryview) -> int:
        """Write some of it; -1 when nobody reads any more."""
        try:
            return write(self.fileno(), data[:_CHUNK])
        except BlockingIOError:
            return 0
        except BrokenPipeError:
            return -1
