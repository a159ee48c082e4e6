# SPDX-License-Identifier: Apache-2.0
"""attach(): whose terminal it is, and which keys end it. The moving itself is the core's."""

from __future__ import annotations

import select
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol

from . import _checks as checks
from . import _rows
from ._streams import lent, wait_ready, write
from ._values import ExitStatus

if TYPE_CHECKING:
    from ._process import Process
    from ._streams import Reader

DETACH_KEYS = "ctrl-p,ctrl-q"


class HasFileno(Protocol):
    """Anything with a descriptor."""

    def fileno(self) -> int:
        """Give it."""


Own = int | HasFileno | None


def detach_keys(value: object) -> bytes:
    """Keys as docker writes them: "ctrl-p,ctrl-q"; "" is none."""
    text = checks.text("detach_keys", value)
    return b"".join(_key(text, one) for one in text.split(",")) if text else b""


def _key(text: str, one: str) -> bytes:
    if len(one) == 1 and one.isascii():
        return one.encode()
    name = one.removeprefix("ctrl-")
    if len(one) == 6 and len(name) == 1 and "@" <= name.upper() <= "_":
        return bytes([ord(name.upper()) & 0x1F])
    raise checks.invalid("detach_keys", text, f"{one!r} is neither one character nor ctrl- and a letter")


def attach(
    process: Process[Any], keys: object, own: tuple[Own, Own, Own] = (None, None, None), *, replay: bool = False
) -> ExitStatus | None:
    """Attach it to the caller's terminal, or to these descriptors; replay shows first what is in its log already."""
    found = detach_keys(keys)
    fds = tuple(_descriptor(name, one, i) for i, (name, one) in enumerate(zip(_NAMES, own, strict=True)))
    outputs = (process.stdout, process.stderr)
    for reader, fd in zip(outputs, fds[1:], strict=True):
        _write_read(reader, fd)
    out, err = (-1 if one is None or one.closed else one.fileno() for one in outputs)
    if replay and out < 0:
        out = _REPLAY
    with lent(process.stdin) as stdin:
        row = process._task_core().attach(*process._process_ref(), (fds[0], fds[1], fds[2]), stdin, (out, err), found)
    return None if row is None else process._ended(_rows.exit_status(row))


_REPLAY = -2
_NAMES = ("stdin", "stdout", "stderr")


def _descriptor(name: str, given: Own, number: int) -> int:
    file: Any = getattr(sys, f"__{name}__") if given is None else given
    if file is not None and number > 0 and hasattr(file, "flush"):
        file.flush()  # what was printed before comes before
    if file is None:
        return number
    if not isinstance(file, int):
        try:
            file = file.fileno()
        except (AttributeError, OSError, ValueError):
            raise checks.invalid(name, given, "has no descriptor") from None
    return checks.integer(name, file)


def _write_read(reader: Reader[Any] | None, fd: int) -> None:
    """What was read already and not taken."""
    left = b"" if reader is None or reader.closed else reader._take(-1)
    data = memoryview(left.encode() if isinstance(left, str) else left)
    while data:
        wait_ready(fd, select.POLLOUT, None)
        with suppress(BlockingIOError):
            data = data[write(fd, data[: select.PIPE_BUF]) :]
