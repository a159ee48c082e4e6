# SPDX-License-Identifier: Apache-2.0
"""Containers as a library, without a daemon.

A container is a record; a task is its life; a process is what runs in it. `create` writes a record and gives it
a writable layer: nothing runs. `start` gives it a task: a small supervisor, the shim, starts the first process and
remembers how it ended. A container belongs to the Python process that made it: when that ends, in any way, its
containers end too, unless you said lifetime="detached".

    import ctrd

    rootfs = ctrd.Rootfs("/srv/debian")
    print(ctrd.run(rootfs, "cat", "/etc/os-release").stdout)
    with ctrd.start(rootfs, "sleep", "60") as c:
        print(c.status(), c.processes())
"""

from . import errors as errors
from ._checkpoint import Checkpoint, CheckpointInfo, CheckpointProblem, CheckpointReport, Checkpoints
from ._config import EngineConfig
from ._container import Container
from ._containers import Containers
from ._content import Content
from ._core import __version__ as __version__
from ._engine import Engine, default_engine, set_default_engine
from ._events import Event, EventStream
from ._fsck import FsckProblem, FsckReport
from ._leases import Lease, Leases
from ._logging import configure as _configure
from ._logs import Logs
from ._module import doctor, run, start
from ._mounts import Mount, Rootfs, Snapshot
from ._namespaces import Namespaces
from ._process import Process
from ._snapshot_tree import SnapshotTree
from ._snapshots import Snapshots
from ._stats import CPUStats, IOStats, MemoryStats, PidStats, Stats
from ._streams import Reader, Writer
from ._task import Task
from ._types import (
    DEVNULL,
    INHERIT,
    LOG,
    PIPE,
    STDOUT,
    CreateOptions,
    ExecOptions,
    ExecRun,
    ExecStdio,
    Resources,
    RunOptions,
    StartOptions,
    Std,
)
from ._values import (
    BlobInfo,
    Check,
    ContainerInfo,
    Descriptor,
    DoctorReport,
    ExitStatus,
    Explanation,
    GCReport,
    IngestInfo,
    LeaseInfo,
    LogLine,
    MountSpec,
    ProcessInfo,
    ProcessState,
    PruneReport,
    ResultList,
    RunResult,
    SnapshotInfo,
    SnapshotUsage,
    TaskInfo,
    TaskStatus,
)
from .errors import (
    AlreadyExists,
    Cancelled,
    CheckpointNotFound,
    Conflict,
    ContainerNotFound,
    DataLoss,
    Error,
    ExitError,
    FailedPrecondition,
    ForkedEngine,
    ImageNotFound,
    InvalidArgument,
    NotFound,
    PathNotFound,
    PermissionDenied,
    ProcessNotFound,
    ResourceExhausted,
    RootBusy,
    RuntimeFailed,
    TaskNotFound,
    Timeout,
    Unauthenticated,
    Unavailable,
    Unsupported,
)

__all__ = [
    "DEVNULL",
    "INHERIT",
    "LOG",
    "PIPE",
    "STDOUT",
    "AlreadyExists",
    "BlobInfo",
    "CPUStats",
    "Cancelled",
    "Check",
    "CheckpointNotFound",
    "Conflict",
    "Container",
    "ContainerInfo",
    "ContainerNotFound",
    "Containers",
    "Checkpoint",
    "CheckpointInfo",
    "CheckpointProblem",
    "CheckpointReport",
    "Checkpoints",
    "Content",
    "CreateOptions",
    "DataLoss",
    "Descriptor",
    "DoctorReport",
    "Engine",
    "EngineConfig",
    "Error",
    "Event",
    "EventStream",
    "ExecOptions",
    "ExecRun",
    "ExecStdio",
    "ExitError",
    "ExitStatus",
    "Explanation",
    "FailedPrecondition",
    "ForkedEngine",
    "FsckProblem",
    "FsckReport",
    "GCReport",
    "IOStats",
    "ImageNotFound",
    "IngestInfo",
    "InvalidArgument",
    "Lease",
    "LeaseInfo",
    "Leases",
    "LogLine",
    "Logs",
    "MemoryStats",
    "Mount",
    "Namespaces",
    "NotFound",
    "PathNotFound",
    "PermissionDenied",
    "PidStats",
    "Process",
    "ProcessInfo",
    "ProcessNotFound",
    "ProcessState",
    "PruneReport",
    "Reader",
    "ResourceExhausted",
    "Resources",
    "ResultList",
    "RootBusy",
    "Rootfs",
    "RunOptions",
    "RunResult",
    "RuntimeFailed",
    "StartOptions",
    "Stats",
    "Std",
    "Task",
    "TaskInfo",
    "TaskNotFound",
    "TaskStatus",
    "Timeout",
    "Unauthenticated",
    "Unavailable",
    "Unsupported",
    "Writer",
    "default_engine",
    "doctor",
    "errors",
    "run",
    "set_default_engine",
    "start",
    "MountSpec",
    "Snapshot",
    "SnapshotInfo",
    "SnapshotUsage",
    "SnapshotTree",
    "Snapshots",
]

_configure()


def _show_as_ours() -> None:
    """Let the public classes and functions say that they are ctrd's: ctrd.Container, not ctrd._container.Container."""
    for name in __all__:
        one = globals()[name]
        if getattr(one, "__module__", "").startswith("ctrd._"):
            one.__module__ = "ctrd"


_show_as_ours()


def __dir__() -> list[str]:
    """List the public names only."""
    return [*__all__, "__version__"]
