# SPDX-License-Identifier: Apache-2.0
"""The core's tuples as values. The order of each tuple is in _core.pyi."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from ._stats import CPUStats, IOStats, MemoryStats, PidStats, Stats
from ._values import (
    BlobInfo,
    Check,
    ContainerInfo,
    ExitStatus,
    IngestInfo,
    LeaseInfo,
    LogLine,
    Lost,
    ProcessInfo,
    ProcessState,
    RunResult,
    SnapshotInfo,
    TaskInfo,
    TaskStatus,
)

if TYPE_CHECKING:
    from . import _core

STATUS = tuple(TaskStatus)  # by the core's number
_LOST: tuple[Lost | None, ...] = (None, "shim", "reboot")
_STREAMS: dict[int, Literal["stdout", "stderr"]] = {1: "stdout", 2: "stderr"}


def instant(ns: int) -> datetime:
    """Nanoseconds since 1970 as an aware datetime, which has microseconds: never later than it was."""
    return datetime.fromtimestamp(ns // 1000 / 1e6, UTC)


def exit_status(row: _core._ExitRow) -> ExitStatus:
    """How something ended."""
    status, signal, started_ns, exited_ns, oom, timed_out, escalated, cut, lost = row
    return ExitStatus(
        status,
        signal=signal,
        started_at=instant(started_ns),
        exited_at=instant(exited_ns),
        oom_killed=oom,
        timed_out=timed_out,
        escalated=escalated,
        output_cut=cut,
        lost=_LOST[lost],
    )


def maybe_exit(row: _core._ExitRow | None) -> ExitStatus | None:
    """The same, if it has ended."""
    return None if row is None else exit_status(row)


def container_info(row: _core._InfoRow) -> ContainerInfo:
    """A container's record and state."""
    (
        id_,
        image,
        _,
        labels,
        annotations,
        created,
        updated,
        runtime,
        snapshotter,
        key,
        detached,
        owner,
        status,
        pid,
        end,
        extensions,
        runtime_name,
        runtime_options,
        sandbox_id,
    ) = row
    made = instant(created)
    return ContainerInfo(
        id_,
        image or None,
        labels,
        annotations,
        made,
        made if updated == created else instant(updated),  # datetimes are a quarter of a list's time
        runtime,
        snapshotter,
        key,
        "detached" if detached else "owner",
        owner or None,
        STATUS[status],
        pid or None,
        maybe_exit(end),
        {key: json.loads(value) for key, value in extensions.items()} if extensions else {},
        runtime_name,
        runtime_options or {},
        sandbox_id or None,
    )


def blob_info(row: _core._BlobRow) -> BlobInfo:
    """What is known of a blob."""
    digest, size, labels, created, updated = row
    return BlobInfo(digest, size, labels, instant(created), instant(updated))


_KINDS: tuple[Literal["active", "view", "committed"], ...] = ("active", "view", "committed")


def snapshot_info(row: _core._SnapshotRow) -> SnapshotInfo:
    """What is known of a snapshot."""
    key, parent, kind, labels, created, updated, container = row
    times = instant(created), instant(updated)
    return SnapshotInfo(key, parent or None, _KINDS[kind - 1], labels, *times, container or None)


def lease_info(row: _core._LeaseRow) -> LeaseInfo:
    """What is known of a lease."""
    id, labels, created, expires, pid = row
    return LeaseInfo(id, labels, instant(created), None if expires is None else instant(expires), pid)


def ingest_info(row: _core._IngestRow) -> IngestInfo:
    """What has come of a blob."""
    ref, offset, total, started, updated = row
    return IngestInfo(ref, offset, total, instant(started), instant(updated))


def process_state(row: _core._StateRow) -> ProcessState:
    """A process's state."""
    status, pid, end, tty = row
    return ProcessState(STATUS[status], pid or None, maybe_exit(end), tty)


def process_info(row: _core._ProcessRow) -> ProcessInfo:
    """A process inside a container."""
    pid, ppid, args, exec_id, uid, rss, cpu = row
    return ProcessInfo(pid, ppid, args, exec_id or None, str(uid), rss, cpu)


def stats(row: _core._StatsRow) -> Stats:
    """What a task uses."""
    _, time_ns, cpu, memory, pids, io, raw = row
    return Stats(instant(time_ns), CPUStats(*cpu), MemoryStats(*memory), PidStats(*pids), IOStats(*io), raw)


def task_info(row: _core._TaskRow) -> TaskInfo:
    """What a task is made of."""
    container_id, instance, runtime, spec = row
    return TaskInfo(container_id, instance, runtime, json.loads(spec))


def log_line(row: _core._LogRow, text: str) -> LogLine:
    """A line of a log, with its text decoded."""
    seq, time_ns, stream, _, partial = row
    return LogLine(seq, instant(time_ns), _STREAMS[stream], text, partial)


def check(row: _core._CheckRow) -> Check:
    """One of doctor's checks."""
    return Check(*row)


def run_result(row: _core._RunRow, text: bool) -> RunResult[Any]:
    """What a command left."""
    args, end, out, err, truncated, container_id, image = row
    status, signal, started_ns, exited_ns, oom, *_ = end
    started, exited = instant(started_ns), instant(exited_ns)
    stdout: Any = _decoded(out, truncated) if text else out
    stderr: Any = _decoded(err, truncated) if text else err
    return RunResult(
        args,
        status,
        signal,
        stdout,
        stderr,
        truncated,
        oom,
        started,
        exited,
        max(0, exited_ns - started_ns) / 1e9,
        container_id,
        image or None,
    )


def partial_result(args: tuple[str, ...], end: ExitStatus, out: Any, err: Any, container_id: str) -> RunResult[Any]:
    """What a process left that its limit of time ended."""
    began = end.started_at
    seconds = max(0.0, (end.exited_at - began).total_seconds())
    return RunResult(
        args, int(end), end.signal, out, err, False, end.oom_killed, began, end.exited_at, seconds, container_id, None
    )


def _decoded(data: bytes, truncated: bool) -> str:
    """Text; a character that max_output cut in two is left out."""
    if truncated:
        import codecs

        return codecs.getincrementaldecoder("utf-8")("replace").decode(data)
    return data.decode("utf-8", "replace")
