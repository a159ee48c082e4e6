# SPDX-License-Identifier: Apache-2.0
"""What the command line prints, and how it attaches. rich is loaded only when there is a terminal to show it on."""

from __future__ import annotations

import dataclasses
import json
import shutil
import sys
import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import click

from ._attach import attach as attach_to
from ._task import Task
from ._values import ContainerInfo, DoctorReport, ExitStatus
from .errors import Timeout


def size() -> tuple[int, int] | bool:
    """This terminal's columns and rows."""
    if not sys.stdout.isatty():
        return True
    found = shutil.get_terminal_size()
    return found.columns, found.lines


def attach(task: Task[Any], keys: str, timeout: float | None) -> ExitStatus | None:
    """Attach to a task from its beginning; it is to end after that time."""
    if timeout is None:
        return attach_to(task, keys, replay=True)
    over = threading.Event()

    def end() -> None:
        over.set()
        task.kill(all=True)

    timer = threading.Timer(timeout, end)
    timer.start()
    try:
        status = attach_to(task, keys, replay=True)
    finally:
        timer.cancel()
        timer.join()
    if over.is_set():
        raise Timeout(f"it was killed after {timeout} s", cmd=list(task.args), timeout=timeout)
    return status


def json_lines(rows: Sequence[ContainerInfo]) -> None:
    """One object a line."""
    for row in rows:
        click.echo(json.dumps(dataclasses.asdict(row), default=str))


def containers(rows: Sequence[ContainerInfo]) -> None:
    """A table of containers."""
    head = ("CONTAINER", "IMAGE", "STATUS", "PID", "CREATED", "LABELS")
    _table(head, [_row(row) for row in rows])


def _row(row: ContainerInfo) -> tuple[str, ...]:
    status = str(row.status) if row.exit is None else f"{row.status} ({int(row.exit)})"
    labels = ",".join(f"{key}={value}" for key, value in sorted(row.labels.items()))
    return row.id, row.image or "-", status, str(row.pid or "-"), _ago(row.created_at), labels


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
