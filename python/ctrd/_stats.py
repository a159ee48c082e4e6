# SPDX-License-Identifier: Apache-2.0
"""What a container uses: one shape for cgroup v1 and v2. None is what this kernel does not tell."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class CPUStats:
    """Seconds of CPU since the task was made.

    Attributes:
        usage: All of it.
        user: In programs.
        system: In the kernel, for them.
        throttled: Wanted, but the limit on cpus was used up.
    """

    usage: float | None
    user: float | None
    system: float | None
    throttled: float | None


@dataclass(frozen=True, slots=True)
class MemoryStats:
    """Memory in bytes.

    Attributes:
        usage: What the limit counts: the processes' own, the kernel's for them, and cache.
        limit: None without one.
        peak: The most that usage has been.
        cache: Of usage, what files have: given back when memory gets tight.
        swap: Swapped out.
        oom_kills: Processes killed for lack of memory.
    """

    usage: int | None
    limit: int | None
    peak: int | None
    cache: int | None
    swap: int | None
    oom_kills: int | None


@dataclass(frozen=True, slots=True)
class PidStats:
    """Processes and threads.

    Attributes:
        current: There are.
        limit: None without one.
    """

    current: int | None
    limit: int | None


@dataclass(frozen=True, slots=True)
class IOStats:
    """All block devices together, since the task was made.

    cgroup v1 counts reads and direct writes only: what goes through the page cache is written in nobody's
    name; and since Linux 6.10 for devices that somebody has limited.

    Attributes:
        read_bytes: Bytes read.
        write_bytes: Bytes written.
        reads: Operations.
        writes: Likewise.
    """

    read_bytes: int | None
    write_bytes: int | None
    reads: int | None
    writes: int | None


@dataclass(frozen=True, slots=True)
class Stats:
    """What a container used, at one moment.

    Attributes:
        time: When, aware UTC.
        cpu: Seconds of CPU.
        memory: Bytes of memory.
        pids: Processes and threads.
        io: Block devices.
        raw: dict[str, str], the cgroup's files as they were read.

    Example:
        >>> sorted(c.stats().flat())[:3]
        ['cpu_system', 'cpu_throttled', 'cpu_usage']
    """

    time: datetime
    cpu: CPUStats
    memory: MemoryStats
    pids: PidStats
    io: IOStats
    raw: Mapping[str, str] = field(repr=False)

    def flat(self) -> dict[str, datetime | float | int | None]:
        """Return all figures in one dict, for a row of a table: time, cpu_usage, memory_limit and so on."""
        row: dict[str, datetime | float | int | None] = {"time": self.time}
        for name in ("cpu", "memory", "pids", "io"):
            part = getattr(self, name)
            row |= {f"{name}_{one.name}": getattr(part, one.name) for one in dataclasses.fields(part)}
        return row
