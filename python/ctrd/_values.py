# SPDX-License-Identifier: Apache-2.0
"""What verbs return: frozen values that can be compared and pickled. No behaviour that touches a container."""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Generic, Literal, Self, SupportsIndex

from ._types import Kind
from .errors import ExitError, Unsupported

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    _S = TypeVar("_S", str, bytes, default=str)
else:
    from typing import TypeVar

    _S = TypeVar("_S", str, bytes)
_T = TypeVar("_T")

Lost = Literal["shim", "reboot"]
EPOCH = datetime.fromtimestamp(0, UTC)


class TaskStatus(StrEnum):
    """State of a container's task. none: it has no task; unknown: its shim does not answer."""

    none = "none"
    created = "created"
    running = "running"
    pausing = "pausing"
    paused = "paused"
    stopped = "stopped"
    unknown = "unknown"


class ExitStatus(int):
    """How a process ended; as an int it is the exit status, 128 + n for a death by signal n.

    Attributes:
        signal: The signal it died of, or None.
        started_at: When it was started, aware UTC; 1970 if it never was.
        exited_at: When, aware UTC.
        oom_killed: Whether the kernel killed something in it for lack of memory, and it did not end well.
        timed_out: Whether its deadline ended it.
        escalated: Whether stop() had to go on to SIGKILL.
        output_cut: Whether output was still open when reading of it was given up.
        lost: How the real status was lost: "shim" (its supervisor was killed), "reboot", or None.

    Example:
        >>> status = ctrd.ExitStatus(143, signal=15)
        >>> status == 143, status.signal
        (True, 15)
    """

    signal: int | None
    started_at: datetime
    exited_at: datetime
    oom_killed: bool
    timed_out: bool
    escalated: bool
    output_cut: bool
    lost: Lost | None

    def __new__(
        cls,
        status: int = 0,
        *,
        signal: int | None = None,
        started_at: datetime = EPOCH,
        exited_at: datetime = EPOCH,
        oom_killed: bool = False,
        timed_out: bool = False,
        escalated: bool = False,
        output_cut: bool = False,
        lost: Lost | None = None,
    ) -> Self:
        """Make one; users only read them."""
        self = super().__new__(cls, status)
        self.__dict__.update(
            signal=signal,
            started_at=started_at,
            exited_at=exited_at,
            oom_killed=oom_killed,
            timed_out=timed_out,
            escalated=escalated,
            output_cut=output_cut,
            lost=lost,
        )
        return self

    @property
    def returncode(self) -> int:
        """The same as int(self)."""
        return int(self)

    def __setattr__(self, name: str, value: object) -> None:
        """Refuse: it is a value."""
        raise AttributeError(f"ExitStatus cannot be changed ({name})")

    def __reduce_ex__(self, protocol: SupportsIndex, /) -> tuple[Any, ...]:
        """Pickle the number and what is beside it."""
        return (_make_exit, (type(self), int(self), self.__dict__.copy()))

    def __repr__(self) -> str:
        """Return the status and what is remarkable about it."""
        said = [f"signal={self.signal}"] if self.signal else []
        said += [name for name in ("oom_killed", "timed_out", "escalated", "output_cut") if self.__dict__[name]]
        said += [f"lost={self.lost!r}"] if self.lost else []
        return f"<ExitStatus {' '.join([str(int(self)), *said])}>"

    def __str__(self) -> str:
        """Return the number."""
        return str(int(self))


def _make_exit(cls: type[ExitStatus], status: int, facts: dict[str, Any]) -> ExitStatus:
    return cls(status, **facts)


@dataclass(frozen=True, slots=True, repr=False)
class RunResult(Generic[_S]):
    """What a command left, once it has ended.

    Attributes:
        args: The command.
        returncode: Its exit status; 128 + n for a death by signal n.
        signal: The signal it died of, or None.
        stdout: What it printed; "" (or b"") when it was not captured.
        stderr: Likewise.
        truncated: Whether more came than max_output.
        oom_killed: Whether the kernel killed something in it for lack of memory, and it did not end well.
        started_at: When it was started, aware UTC.
        exited_at: When it ended, aware UTC.
        duration: Seconds between the two.
        container_id: The container's id; it is gone.
        image: The image's name, None for a Rootfs.
    """

    args: tuple[str, ...]
    returncode: int
    signal: int | None
    stdout: _S
    stderr: _S
    truncated: bool
    oom_killed: bool
    started_at: datetime
    exited_at: datetime
    duration: float
    container_id: str
    image: str | None

    @property
    def ok(self) -> bool:
        """Whether it ended with status 0."""
        return self.returncode == 0

    def __repr__(self) -> str:
        """Return the command, its status and the beginning of what it printed."""
        died = f", signal={self.signal}" if self.signal else ""
        said = f", stdout={_shortened(self.stdout)}, stderr={_shortened(self.stderr)}"
        return f"RunResult(args={self.args!r}, returncode={self.returncode}{died}{said})"

    def check_returncode(self) -> Self:
        """Return self, or raise ExitError unless it ended with status 0."""
        if self.returncode != 0:
            raise ExitError.of(self)
        return self


def _shortened(said: str | bytes) -> str:
    return repr(said) if len(said) <= 80 else f"{said[:77]!r}..."


@dataclass(frozen=True, slots=True)
class ContainerInfo:
    """A container's record and state, as they were when asked.

    Attributes:
        id: Its name.
        image: The image's name, None for a Rootfs.
        labels: dict[str, str].
        annotations: dict[str, str], the spec's.
        created_at: Aware UTC.
        updated_at: Aware UTC.
        runtime: Path of the OCI runtime.
        snapshotter: Name of what keeps its layer.
        snapshot_key: Its layer.
        lifetime: "owner" or "detached".
        owner_pid: The process it belongs to, None when detached.
        status: Its task's state.
        pid: Host pid of its first process while that lives, else None.
        exit: How its task ended, once it has.
        extensions: dict[str, Any], what callers keep with it.
        runtime_name: Name of its shim, as filters know it (runtime.name).
        runtime_options: dict[str, Any], what the shim is told beside that, as create() was given it.
        sandbox_id: The sandbox that it was said to be part of, or None.
    """

    id: str
    image: str | None
    labels: Mapping[str, str]
    annotations: Mapping[str, str] = field(repr=False)
    created_at: datetime
    updated_at: datetime = field(repr=False)
    runtime: str = field(repr=False)
    snapshotter: str = field(repr=False)
    snapshot_key: str = field(repr=False)
    lifetime: Literal["owner", "detached"]
    owner_pid: int | None
    status: TaskStatus
    pid: int | None
    exit: ExitStatus | None
    extensions: Mapping[str, Any] = field(repr=False, default_factory=dict)
    runtime_name: str = field(repr=False, default="")
    runtime_options: Mapping[str, Any] = field(repr=False, default_factory=dict)
    sandbox_id: str | None = field(repr=False, default=None)


@dataclass(frozen=True, slots=True)
class ProcessState:
    """State of a task's process.

    Attributes:
        status: Its state.
        pid: Host pid while it lives, else None.
        exit: How it ended, once it has.
        tty: Whether it has a terminal.
    """

    status: TaskStatus
    pid: int | None
    exit: ExitStatus | None
    tty: bool


@dataclass(frozen=True, slots=True)
class ProcessInfo:
    """One process inside a container.

    Attributes:
        pid: As the host sees it; kill(pid=) takes it.
        ppid: Its parent's, as the host sees it.
        args: Its command line.
        exec_id: The exec that started it, None for others.
        user: Its uid, as text.
        rss: Resident memory in bytes.
        cpu_time: Seconds of CPU it has used.
    """

    pid: int
    ppid: int
    args: tuple[str, ...]
    exec_id: str | None
    user: str
    rss: int
    cpu_time: float


@dataclass(frozen=True, slots=True)
class TaskInfo:
    """What a task is made of.

    Attributes:
        container_id: Its container.
        instance: Names this one life of the container.
        runtime: Path of the OCI runtime.
        spec: The OCI runtime spec it was started with.
    """

    container_id: str
    instance: str
    runtime: str
    spec: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line of a container's output.

    Attributes:
        seq: Its position: rises by time; logs(since=seq) gives what came after.
        time: When the shim read it, aware UTC.
        stream: "stdout" or "stderr".
        text: The line, without its newline.
        partial: Whether no newline followed (a very long line, or the end).
    """

    seq: int
    time: datetime = field(repr=False)
    stream: Literal["stdout", "stderr"]
    text: str
    partial: bool


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that doctor() looked at.

    Attributes:
        name: What.
        ok: Whether it is as it should be.
        found: What there is.
        hint: What to install or enable, "" if nothing.
        needed: False if ctrd works without it.
    """

    name: str
    ok: bool
    found: str
    hint: str
    needed: bool = True


@dataclass(frozen=True, slots=True)
class DoctorReport:
    """What this machine can do. str() is a table.

    Attributes:
        checks: All that was looked at.
    """

    checks: tuple[Check, ...]

    @property
    def ok(self) -> bool:
        """Whether containers can run here."""
        return all(check.ok for check in self.checks if check.needed)

    def __str__(self) -> str:
        """Return one line a check."""
        width = max((len(check.name) for check in self.checks), default=0)
        return "\n".join(_check_line(check, width) for check in self.checks)


def _check_line(check: Check, width: int) -> str:
    mark = "ok" if check.ok else "NO" if check.needed else "--"
    hint = f"  -> {check.hint}" if check.hint else ""
    return f"{mark}  {check.name:<{width}}  {check.found}{hint}"


@dataclass(frozen=True, slots=True)
class Descriptor:
    """What names a blob.

    Attributes:
        digest: "sha256:" and 64 hex digits.
        size: Its bytes.
        media_type: What it is.
    """

    digest: str
    size: int
    media_type: str


@dataclass(frozen=True, slots=True)
class BlobInfo:
    """What is known of a blob.

    Attributes:
        digest: Its name, "sha256:" and 64 hex digits.
        size: Its bytes.
        labels: Its labels in this namespace.
        created_at: When the namespace got it, aware UTC.
        updated_at: When its labels changed.
    """

    digest: str
    size: int
    labels: Mapping[str, str]
    created_at: datetime
    updated_at: datetime

    @property
    def id(self) -> str:
        """The digest."""
        return self.digest


@dataclass(frozen=True, slots=True)
class IngestInfo:
    """What has come of a blob so far.

    Attributes:
        ref: The name that ingest() was given.
        offset: How many bytes have come.
        total: How many there will be, if that was said.
        started_at: When the first ingest() began, aware UTC.
        updated_at: When the last bytes came.
    """

    ref: str
    offset: int
    total: int | None
    started_at: datetime
    updated_at: datetime

    @property
    def id(self) -> str:
        """The ref."""
        return self.ref


@dataclass(frozen=True, slots=True)
class MountSpec:
    """How to mount something: mount(8)'s words.

    Attributes:
        type: "overlay" or "bind".
        source: What is mounted.
        target: Where below the root filesystem; "" is its root.
        options: mount's -o, in order.
    """

    type: str
    source: str
    target: str
    options: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SnapshotInfo:
    """What is known of a snapshot.

    Attributes:
        key: Its key, or its name once it is committed.
        parent: The one that it stands upon.
        kind: "active", "view" or "committed".
        labels: Its labels.
        created_at: When it was made, or committed; aware UTC.
        updated_at: When its labels changed.
        container: The container that has it, from list() and tree() only.
    """

    key: str
    parent: str | None
    kind: Literal["active", "view", "committed"]
    labels: Mapping[str, str]
    created_at: datetime
    updated_at: datetime
    container: str | None = None

    @property
    def id(self) -> str:
        """The key."""
        return self.key


@dataclass(frozen=True, slots=True)
class LeaseInfo:
    """What is known of a lease.

    Attributes:
        id: Its name.
        labels: Its labels.
        created_at: When it was made; aware UTC.
        expires_at: When it ends by itself; None: it does not.
        owner_pid: The process with which it ends; None: none.
    """

    id: str
    labels: Mapping[str, str]
    created_at: datetime
    expires_at: datetime | None
    owner_pid: int | None


@dataclass(frozen=True, slots=True)
class GCReport:
    """What a collection removed, or would remove.

    Attributes:
        removed: Kind and key of each, in order: "snapshot", "content", "lease" or "ingest".
        freed: Bytes on the disk.
    """

    removed: tuple[tuple[Kind, str], ...]
    freed: int


@dataclass(frozen=True, slots=True)
class PruneReport:
    """Which containers went, or would go.

    Attributes:
        removed: Their ids, in order.
        freed: Bytes on the disk, of their layers and logs.
    """

    removed: tuple[str, ...]
    freed: int


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why an object is there still.

    Attributes:
        kept: Whether a collection leaves it.
        paths: The shortest way to the object from each thing that is kept for its own sake, nearest first, step by
            step, in words; sixteen at most.
        hint: What became of that which held it, if it is not kept.
    """

    kept: bool
    paths: tuple[tuple[str, ...], ...]
    hint: str | None

    def __str__(self) -> str:
        """Draw it, a line a step."""
        if not self.kept:
            return f"not kept: {self.hint}; the next gc() removes it"
        return "\n".join("  " * depth + step for path in self.paths for depth, step in enumerate(path))


@dataclass(frozen=True, slots=True)
class SnapshotUsage:
    """What a snapshot takes on the disk, without its parents.

    Attributes:
        size: Bytes; holes in files take none, and a file with many names is counted once.
        inodes: Files, directories and all else.
    """

    size: int
    inodes: int


_SHOWN = 60  # rows of a table in a notebook


class ResultList(list[_T]):
    """A list of values, with two ways into a table; a notebook shows it as one.

    Example:
        >>> ctrd.ResultList([ctrd.Check("kernel", True, "6.1", "")]).to_dicts()[0]["found"]
        '6.1'
    """

    @property
    def ids(self) -> list[str]:
        """The .id of each."""
        return [one.id for one in self]  # type: ignore[attr-defined]

    def to_dicts(self) -> list[dict[str, Any]]:
        """Return each as a dict of its fields."""
        return [{f.name: getattr(one, f.name) for f in dataclasses.fields(one)} for one in self]  # type: ignore[arg-type]

    def to_pandas(self) -> Any:
        """Return a pandas.DataFrame, one row each.

        Raises:
            Unsupported: pandas is not installed.
        """
        try:
            pandas: Any = importlib.import_module("pandas")
        except ImportError:
            raise Unsupported(
                "to_pandas: pandas is not installed",
                op="to_pandas",
                hint="pip install 'ctrd[pandas]'; to_dicts() needs none",
            ) from None
        return pandas.DataFrame(self.to_dicts())

    def _repr_html_(self) -> str | None:
        """Return a table of what repr() shows of each, for notebooks."""
        if not self or not all(dataclasses.is_dataclass(one) for one in self):
            return None
        columns = [f.name for f in dataclasses.fields(self[0]) if f.repr]  # type: ignore[arg-type]
        head = "".join(f"<th>{name}</th>" for name in columns)
        rows = ["".join(f"<td>{_cell(getattr(one, name, None))}</td>" for name in columns) for one in self[:_SHOWN]]
        body = "".join(f"<tr>{row}</tr>" for row in rows)
        more = f"<p>{len(self) - _SHOWN} more</p>" if len(self) > _SHOWN else ""
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{more}"


def _cell(value: object) -> str:
    """A value as a table shows it: nothing of it is markup."""
    import html

    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.isoformat(" ", "seconds")
    if isinstance(value, Mapping):
        value = ", ".join(f"{key}={one}" for key, one in value.items())
    elif isinstance(value, tuple):
        value = " ".join(map(str, value))
    text = str(value)
    return html.escape(text if len(text) <= 120 else f"{text[:119]}…")
