# SPDX-License-Identifier: Apache-2.0
"""What communicate() does: input and both outputs at once, in the caller's thread; it goes on after a timeout."""

from __future__ import annotations

import math
import select
import time
from typing import TYPE_CHECKING, Any

from ._run import writer

if TYPE_CHECKING:
    from ._process import Process
    from ._streams import Reader

_CHUNK = 1 << 16
# Seconds for output that something left behind holds open: how long it may be silent, and how long in all. What the
# process has printed itself is in its pipes already.
_SILENCE = 2.0
_AFTER_END = 5.0


class Exchange:
    """One communicate(), from its first call to its last."""

    def __init__(self, process: Process[Any], input: object) -> None:
        """Begin: the input is checked, and stdin closed if there is none."""
        self._process = process
        self._readers: list[Reader[Any]] = [r for r in (process.stdout, process.stderr) if r is not None]
        self._input = memoryview(b"")
        self._source = process._files.get(0)
        self._sinks = [
            (reader, writer(process._files[number], process._text))
            for number, reader in ((1, process.stdout), (2, process.stderr))
            if reader is not None and number in process._files
        ]
        self._over = False  # it has ended; what it left is read
        self._left, self._silence = _AFTER_END, _SILENCE  # seconds of waiting for that
        if input is not None:
            if process.stdin is None:
                raise ValueError("input was given, but stdin is not a PIPE")
            self._input = memoryview(process.stdin._bytes(input))
        self._refill()

    def run(self, deadline: float | None) -> bool:
        """Go on until all is written and read and the process has ended; False at the deadline."""
        while True:
            open_ones = [reader for reader in self._readers if not reader._ended and not reader.closed]
            if self._over and (not open_ones or min(self._left, self._silence) <= 0):
                return True
            began = time.monotonic()
            ready = self._poll(open_ones, self._patience(deadline, began))
            if not ready and deadline is not None and time.monotonic() >= deadline:
                return False
            came = self._read(open_ones, ready)
            if self._over:
                self._spend(time.monotonic() - began, came)
            self._step(ready)

    def run_out(self) -> None:
        """It has ended: read the rest."""
        self._input = memoryview(b"")
        self._over = True
        self.run(None)

    def take(self) -> tuple[Any, Any]:
        """What was read."""
        process = self._process
        empty: Any = "" if process._text else b""
        out, err = (
            empty if reader is None or reader.closed else reader._take(-1)
            for reader in (process.stdout, process.stderr)
        )
        process._exchange = None
        return out, err

    def _patience(self, deadline: float | None, now: float) -> float | None:
        """Seconds to wait for what is next."""
        limits = [] if deadline is None else [max(0.0, deadline - now)]
        return min([*limits, self._left, self._silence]) if self._over else min(limits, default=None)

    def _spend(self, seconds: float, came: bool) -> None:
        """Only what was waited for; not what the caller, or a file's write(), has taken."""
        self._left -= seconds
        self._silence = _SILENCE if came else self._silence - seconds

    def _poll(self, readers: list[Reader[Any]], seconds: float | None) -> set[int]:
        poll = select.poll()
        for reader in readers:
            poll.register(reader.fileno(), select.POLLIN)
        stdin = self._process.stdin
        if self._input and stdin is not None and not stdin.closed:
            poll.register(stdin.fileno(), select.POLLOUT)
        if not self._over:
            poll.register(self._process.fileno(), select.POLLIN)
        return {fd for fd, _ in poll.poll(None if seconds is None else math.ceil(seconds * 1000))}

    def _read(self, readers: list[Reader[Any]], ready: set[int]) -> bool:
        """Read what is there; whether something was."""
        found = [reader for reader in readers if reader.fileno() in ready]
        for reader in found:
            reader._read_some()
        return bool(found)

    def _step(self, ready: set[int]) -> None:
        stdin = self._process.stdin
        if stdin is not None and not stdin.closed and stdin.fileno() in ready:
            self._feed()
        for reader, write in self._sinks:
            data = reader._take(-1)
            write(data.encode() if isinstance(data, str) else data, reader._ended)
        if not self._over and self._process.fileno() in ready:
            self._over = True

    def _feed(self) -> None:
        stdin = self._process.stdin
        assert stdin is not None
        taken = stdin._put(self._input)
        self._input = self._input[taken:] if taken >= 0 else memoryview(b"")  # it reads no more: as subprocess, fine
        if taken < 0:
            self._source = None
        self._refill()

    def _refill(self) -> None:
        """What is to be written next; the end of the input closes stdin."""
        stdin = self._process.stdin
        if stdin is None or self._input:
            return
        if self._source is not None:
            data = self._source.read(_CHUNK)
            self._input = memoryview(data.encode() if isinstance(data, str) else bytes(data))
        if not self._input:
            stdin.close()
