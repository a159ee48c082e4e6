"""Read the end of a journal without ctrd: which task events there are, in which order.

A record is "\\n", length and CRC-32C of its body (8 hex digits each), the body, "\\n"; see cpp/journal/format.h. What
stands between records, of a writer that was killed, is passed over.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from disk_records import _text, fields
from leveldb_reader import Damaged, crc32c

TAIL = 1 << 20  # bytes that are looked at
HEAD = re.compile(rb"\n([0-9a-f]{8})([0-9a-f]{8})")
ID = 1000  # field of the event's id: two of one id are one that was written twice
# What may not follow what, of one task; a new create may follow everything, for a shim can be killed at any time.
NEVER_AFTER = {
    "start": ("start", "exit", "delete"),
    "exit": ("exit", "delete"),
    "delete": ("delete",),
    "create": (),
}


@dataclass(frozen=True)
class TaskEvent:
    """One of a task's first process."""

    ns: str
    container: str
    what: str  # create, start, exit, delete


def bodies(data: bytes) -> Iterator[bytes]:
    """Every whole record."""
    at = 0
    while head := HEAD.search(data, at):
        end = head.end() + int(head[1], 16)
        body = data[head.end() : end]
        if data[end : end + 1] == b"\n" and crc32c(body) == int(head[2], 16):
            yield body
            at = end + 1
        else:
            at = head.start() + 1


def task_events(directory: Path) -> Iterator[TaskEvent]:
    """In order, each once."""
    data = b"".join(path.read_bytes() for path in sorted(directory.glob("[0-9]*"))[-4:])[-TAIL:]
    seen = set()
    for body in bodies(data):
        message = fields(body)
        topic = _text(message, 3)
        if not topic.startswith("/tasks/") or (id := _text(message, ID)) in seen:
            continue
        seen.add(id)
        what, said = topic.split("/")[2], fields(fields(message[4][-1]).get(2, [b""])[-1])
        container = _text(said, 1)
        process = _text(said, {"exit": 2, "delete": 5}.get(what, 99))
        if what in NEVER_AFTER and process in ("", container):
            yield TaskEvent(_text(message, 2), container, what)


def out_of_order(directory: Path) -> Iterator[str]:
    """I16: create, start, exit, delete, each once a task."""
    last: dict[tuple[str, str], str] = {}
    try:
        for event in task_events(directory):
            before = last.get((event.ns, event.container), "")
            if before in NEVER_AFTER[event.what]:
                yield f"task {event.ns}/{event.container}: event {event.what} after {before}"
            last[event.ns, event.container] = event.what
    except Damaged as error:
        yield f"{directory}: a record with a good checksum that cannot be read: {error}"
