# SPDX-License-Identifier: Apache-2.0
"""What communicate() does: input and both outputs at once, in the caller's thread; it goes on after a timeout."""

from __future__ import annotations

import select
import time
from typing import TYPE_CHECKING, Any

from ._run import writer

if TYPE_CHECKING:
    from ._process import Process
    from ._streams import Reader

_CHUNK = 1 << 16
_AFTER_END = 2.0  # seconds for output that something left behind holds open


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
        self._end: float | None = None  # until when is read what outlives the process
        if input is not None:
            if process.stdin is None:
                raise ValueError("input was given, but stdin is not a PIPE")
            self._input = memoryview(process.stdin._bytes(input))
        self._refill()

    def run(self, deadline: float | None) -> bool:
        """Go on until all is written and read and the process has ended; False at the deadline."""
        while True:
            open_ones = [reader for reader in self._readers if not reader._ended and not reader.closed]
            if self._end is not None and (not open_ones or time.monotonic() >= self._end):
                return True
            limits = [at for at in (deadline, self._end) if at is not None]
            ready = self._poll(open_ones, min(limits) if limits else None)
            if not ready and deadline is not None and time.monotonic() >= deadline:
                return False
            self._step(open_ones, ready)

    def run_out(self) -> None:
        """It has ended: read the rest."""
        self._input = memoryview(b"")
        self._end = time.monotonic() + _AFTER_END
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

    def _poll(self, readers: list[Reader[Any]], until: float | None) -> set[int]:
        poll = select.poll()
        for reader in readers:
            poll.register(reader.fileno(), select.POLLIN)
        stdin = self._process.stdin
        if self._input and stdin is not None and not stdin.closed:
            poll.register(stdin.fileno(), select.POLLOUT)
        if self._end is None:
            poll.register(self._process.fileno(), select.POLLIN)
        left = None if until is None else max(0.0, until - time.monotonic()) * 1000
        return {fd for fd, _ in poll.poll(left)}

    def _step(self, readers: list[Reader[Any]], ready: set[int]) -> None:
        stdin = self._process.stdin
        if stdin is not None and not stdin.closed and stdin.fileno() in ready:
            self._feed()
        for reader in readers:
            if reader.fileno() in ready:
                reader._read_some()
        for reader, write in self._sinks:
            data = reader._take(-1)
            write(data.encode() if isinstance(data, str) else data, reader._ended)
        if self._end is None and self._process.fileno() in ready:
            self._end = time.monotonic() + _AFTER_END

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
