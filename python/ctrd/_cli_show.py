# SPDX-License-Identifier: Apache-2.0
"""What the command line prints, and how it starts and attaches. rich is loaded only for a terminal."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from ._attach import attach as attach_to
from ._checkpoint import CheckpointInfo
from ._container import Container
from ._process import Process
from ._task import Task
from ._types import LOG, Std
from ._values import ContainerInfo, DoctorReport, ExitStatus, LeaseInfo, SnapshotInfo, SnapshotUsage
from .errors import InvalidArgument


def size() -> tuple[int, int] | bool:
    """This terminal's columns and rows."""
    if not sys.stdout.isatty():
        return True
    found = shutil.get_terminal_size()
    return found.columns, found.lines


def typed_at() -> bool:
    """Whether somebody types what this reads."""
    return sys.stdin is not None and sys.stdin.isatty()


def start(c: Container, stdin: Std, timeout: float | None, *, output: Std = LOG, again: bool = False) -> Task[bytes]:
    """Let it run; the shim ends it after that time, whoever is there then. again: it may have ended before."""
    task: Task[Any] = c._new_task(stdin, output, output, text=False, replace_stopped=again)
    try:
        if timeout is not None:
            task._limit(timeout)
        return task.start()
    except BaseException:
        task.__exit__()
        raise


def attach(process: Process[Any], keys: str, *, interactive: bool) -> ExitStatus | None:
    """Attach to what was just started, from its beginning; nothing that is typed is its unless interactive."""
    if interactive:
        return attach_to(process, keys, replay=True)
    with Path(os.devnull).open("rb") as nothing:
        return attach_to(process, "", (nothing, None, None), replay=True)


def json_lines(rows: Sequence[ContainerInfo | SnapshotInfo | LeaseInfo | CheckpointInfo]) -> None:
    """One object a line."""
    for row in rows:
        click.echo(json.dumps(dataclasses.asdict(row), default=str))


def containers(rows: Sequence[ContainerInfo]) -> None:
    """A table of containers."""
    head = ("CONTAINER", "IMAGE", "STATUS", "PID", "CREATED", "LABELS")
    _table(head, [_row(row) for row in rows])


def _row(row: ContainerInfo) -> tuple[str, ...]:
    status = str(row.status) if row.exit is None else f"{row.status} ({int(row.exit)})"
    return row.id, row.image or "-", status, str(row.pid or "-"), _ago(row.created_at), _labels(row.labels)


def snapshots(rows: Sequence[SnapshotInfo]) -> None:
    """A table of snapshots."""
    head = ("SNAPSHOT", "PARENT", "KIND", "CONTAINER", "CREATED", "LABELS")
    _table(head, [_snapshot_row(row) for row in rows])


def _snapshot_row(row: SnapshotInfo) -> tuple[str, ...]:
    created = _ago(row.created_at)
    return row.key, row.parent or "-", row.kind, row.container or "-", created, _labels(row.labels)


def leases(rows: Sequence[LeaseInfo]) -> None:
    """A table of leases."""
    head = ("LEASE", "PROCESS", "CREATED", "EXPIRES", "LABELS")
    _table(head, [_lease_row(row) for row in rows])


def _lease_row(row: LeaseInfo) -> tuple[str, ...]:
    end = row.expires_at.isoformat(timespec="seconds") if row.expires_at else "-"
    return row.id, str(row.owner_pid or "-"), _ago(row.created_at), end, _labels(row.labels)


def size_of(number: int) -> str:
    """Bytes, in a unit that reads well."""
    for unit, size in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if number >= size:
            return f"{number / size:.1f} {unit}"
    return f"{number} bytes"


def checkpoints(rows: Sequence[CheckpointInfo]) -> None:
    """A table of checkpoints."""
    head = ("CHECKPOINT", "CONTAINER", "IMAGE", "BYTES", "CREATED", "LABELS")
    _table(head, [_checkpoint_row(row) for row in rows])


def _checkpoint_row(row: CheckpointInfo) -> tuple[str, ...]:
    created = _ago(row.created_at)
    return row.id, row.container_id, row.image or "-", str(row.size), created, _labels(row.labels)


def usage(rows: Sequence[tuple[str, SnapshotUsage]]) -> None:
    """A table of what they take."""
    _table(("SNAPSHOT", "BYTES", "INODES"), [(key, str(used.size), str(used.inodes)) for key, used in rows])


def _labels(labels: Mapping[str, str]) -> str:
    return ",".join(f"{key}={value}" for key, value in sorted(labels.items()))


def _ago(then: datetime) -> str:
    seconds = max(0, int((datetime.now(UTC) - then).total_seconds()))
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length} {unit} ago"
    return f"{seconds} s ago"


def checks(report: DoctorReport) -> None:
    """What doctor has found, and what to do."""
    rows = [("ok" if one.ok else "NO", one.name, one.found, "" if one.ok else one.hint) for one in report.checks]
    _table(("", "CHECK", "FOUND", "HINT"), rows)


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    if sys.stdout.isatty() and _rich_table(head, rows):
        return
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    for row in (head, *rows):
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _rich_table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> bool:
    try:
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text
    except ModuleNotFoundError:
        return False
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in head:
        table.add_column(name)
    for row in rows:
        table.add_row(*map(Text, row))
    Console().print(table)
    return True


def pairs(option: str, values: tuple[str, ...]) -> dict[str, str] | None:
    """NAME=VALUE of a repeated option; None: it was not given."""
    made = {}
    for one in values:
        name, equals, value = one.partition("=")
        if not equals:
            raise InvalidArgument(f"{option}: not NAME=VALUE: {one!r}", context={"field": option, "value": one})
        made[name] = value
    return made or None
