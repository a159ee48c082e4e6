"""What a client was told is done: a line of JSON before each verb ("begin") and after it ("done", "failed"), synced.

After a kill -9 the file says what must be on disk exactly, and the one verb that may have happened or not. Each
container belongs to one such file. Fields: id, op (create, label, delete, start, exit), value (create and label: of the
label "v"; exit: the code), and phase. A start and an exit do not change the record.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from disk_records import Bundle, Store

GONE = None  # the value of a container that is not there
LABEL = "v"
TASKS = ("start", "exit")  # verbs of a task


class Log:
    """Written by the client; each line is on disk before the call returns."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def write(self, phase: str, op: str, id: str, value: Any = None) -> None:
        """Append one line."""
        line = json.dumps({"phase": phase, "op": op, "id": id, "value": value}) + "\n"
        os.write(self._fd, line.encode())
        os.fdatasync(self._fd)

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)


def read(path: Path) -> list[dict[str, Any]]:
    """All whole lines."""
    lines = path.read_text().split("\n")[:-1] if path.exists() else []
    return [json.loads(line) for line in lines]


def _after(line: dict[str, Any]) -> Any:
    return GONE if line["op"] == "delete" else line["value"]


def expected(lines: list[dict[str, Any]]) -> dict[str, list[Any]]:
    """For each id the values that its label may have (GONE: it may be absent): one, or two after an unfinished verb."""
    sure: dict[str, Any] = {}
    maybe: dict[str, list[Any]] = {}
    for line in lines:
        if line["op"] in TASKS:
            continue
        id = line["id"]
        if line["phase"] == "begin":
            maybe[id] = [sure.get(id, GONE), _after(line)]
        else:
            sure[id] = _after(line) if line["phase"] == "done" else sure.get(id, GONE)
            maybe.pop(id, None)
    return {id: maybe.get(id, [sure.get(id, GONE)]) for id in sure.keys() | maybe.keys()}


def exits(lines: list[dict[str, Any]]) -> dict[str, int]:
    """id -> the exit code that was reported of the task it has now."""
    found: dict[str, int] = {}
    for line in lines:
        if line["op"] == "exit":
            found[line["id"]] = line["value"]
        elif line["op"] != "label":  # another task, or none
            found.pop(line["id"], None)
    return found


def violations(
    lines: list[dict[str, Any]], store: Store, bundles: dict[tuple[str, str], Bundle], who: str, ns: str = "default"
) -> Iterator[str]:
    """What is lost, there again, or changed."""
    for id, values in sorted(expected(lines).items()):
        record = store.containers.get((ns, id))
        found = GONE if record is None else record.labels.get(LABEL, "")
        if found not in values:
            yield f"{who}: container {id} is {_said(found)}, expected {' or '.join(map(_said, values))}"
    for id, code in exits(lines).items():
        bundle = bundles.get((ns, id))
        kept = bundle.exit[0] if bundle and bundle.exit else None
        if kept != code:
            yield f"{who}: container {id} exited with {kept}, and {code} was reported"


def _said(value: Any) -> str:
    return "absent" if value is GONE else f"there with {value!r}"
