# SPDX-License-Identifier: Apache-2.0
# The C++ core, as bindings/*.cpp make it. By hand; stubtest holds it. What a tuple holds is written here alone.
import enum
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias, TypedDict, final

from .errors import Error

__version__: str

# status, signal, started_ns, exited_ns, oom_killed, timed_out, escalated, output_cut, lost
_ExitRow: TypeAlias = tuple[int, int | None, int, int, bool, bool, bool, bool, int]
# id, image, rootfs, labels, annotations, created_ns, updated_ns, runtime, snapshotter, snapshot_key, detached,
# owner_pid, status, pid, exit, extensions (JSON), runtime_name, runtime_options, sandbox_id
_InfoRow: TypeAlias = tuple[
    str,
    str,
    str,
    dict[str, str],
    dict[str, str],
    int,
    int,
    str,
    str,
    str,
    bool,
    int,
    int,
    int,
    _ExitRow | None,
    dict[str, str],
    str,
    dict[str, object] | None,
    str,
]
_StateRow: TypeAlias = tuple[int, int, _ExitRow | None, bool]  # status, pid, exit, tty
_TaskRow: TypeAlias = tuple[str, str, str, str]  # container_id, instance, runtime, spec (JSON)
# pid, ppid, args, exec_id, uid, rss, cpu seconds
_ProcessRow: TypeAlias = tuple[int, int, tuple[str, ...], str, int, int, float]
# args, exit, stdout, stderr, truncated, container_id, image
_RunRow: TypeAlias = tuple[tuple[str, ...], _ExitRow, bytes, bytes, bool, str, str]
# instance, time_ns, cpu (usage, user, system, throttled: s), memory (usage, limit, peak, cache, swap, oom_kills),
# pids (current, limit), io (read_bytes, write_bytes, reads, writes), raw
_Cpu: TypeAlias = tuple[float | None, float | None, float | None, float | None]
_Memory: TypeAlias = tuple[int | None, int | None, int | None, int | None, int | None, int | None]
_Io: TypeAlias = tuple[int | None, int | None, int | None, int | None]
_StatsRow: TypeAlias = tuple[str, int, _Cpu, _Memory, tuple[int | None, int | None], _Io, dict[str, str]]
_Place: TypeAlias = list[int]  # one descriptor, or -1, that is lent
_Processes: TypeAlias = list[_ProcessRow]
_Names: TypeAlias = list[str]
_CheckRow: TypeAlias = tuple[str, bool, str, str, bool]  # name, ok, found, hint, needed
_ProblemRow: TypeAlias = tuple[str, str, str, str, bool, bool]  # kind, key, problem, detail, repairable, repaired
_LogRow: TypeAlias = tuple[int, int, int, bytes, bool]  # seq, time_ns, stream, data, partial
# seq, topic, namespace, time_ns, fields: str, int, bool, (ns,) for a time, lists and dicts of these
_EventRow: TypeAlias = tuple[int, str, str, int, dict[str, object]]
_BlobRow: TypeAlias = tuple[str, int, dict[str, str], int, int]  # digest, size, labels, created_ns, updated_ns
_IngestRow: TypeAlias = tuple[str, int, int | None, int, int]  # ref, offset, total, started_ns, updated_ns
_Blobs: TypeAlias = list[_BlobRow]
# key, parent, kind (1 active, 2 view, 3 committed), labels, created_ns, updated_ns, container
_SnapshotRow: TypeAlias = tuple[str, str, int, dict[str, str], int, int, str]
_SnapshotRows: TypeAlias = list[_SnapshotRow]
# id, labels, created_ns, expires_ns, pid of the process that has it
_LeaseRow: TypeAlias = tuple[str, dict[str, str], int, int | None, int | None]
_LeaseRows: TypeAlias = list[_LeaseRow]
_Resources: TypeAlias = list[tuple[str, str, str]]  # kind, key, snapshotter
_MountRows: TypeAlias = list[tuple[str, str, str, tuple[str, ...]]]
_Ingests: TypeAlias = list[_IngestRow]
_NewTask: TypeAlias = tuple[str, int, int, int, int]  # instance, pid, our ends of stdin, stdout, stderr (-1: none)
# id, instance, pid (0: not started), its FIFOs if it is not started, our ends of stdin, stdout, stderr (-1: none)
_NewProcess: TypeAlias = tuple[str, str, int, str, tuple[int, int, int]]
_FoundRow: TypeAlias = tuple[str, str, int, str]  # id, instance, pid, OCI process object (JSON; "" of the first one)

class _CheckpointRow(TypedDict):
    ref: str
    path: str
    container_id: str
    image: str
    runtime: str
    tcp: str
    created_ns: int
    size: int
    labels: dict[str, str]

_Stdio: TypeAlias = tuple[int | str, int | str, int | str]  # stdin, stdout, stderr: a Std, or an absolute path

class MountOption:
    type: str
    source: str
    destination: str
    read_only: bool
    size_bytes: int | None
    field: str
    def __init__(self) -> None: ...

class IoOptions:
    device: str
    read_bps: int | None
    write_bps: int | None
    read_iops: int | None
    write_iops: int | None
    weight: int | None
    def __init__(self) -> None: ...

class ResourceOptions:
    memory_bytes: int | None
    swap_bytes: int | None
    pids: int | None
    cpus: float | None
    cpu_weight: int | None
    cpuset_cpus: str | None
    cpuset_mems: str | None
    io: Sequence[IoOptions]
    def __init__(self) -> None: ...

class SpecOptions:
    args: Sequence[str]
    env: Sequence[tuple[str, str | None]]
    cwd: str
    user: str
    hostname: str
    tty: bool
    console_size: tuple[int, int] | None
    annotations: Mapping[str, str]
    mounts: Sequence[MountOption]
    network: str
    read_only: bool
    init: bool
    privileged: bool
    sysctls: Mapping[str, str]
    devices: Sequence[str]
    no_new_privileges: bool | None
    cap_add: Sequence[str]
    cap_drop: Sequence[str]
    seccomp: str
    seccomp_json: str
    rlimits: Mapping[str, tuple[int, int]]
    resources: ResourceOptions
    spec_patch: str
    edit_spec: Callable[[str], str]
    def __init__(self) -> None: ...

class RuncOptions:
    no_pivot_root: bool
    no_new_keyring: bool
    io_uid: int
    io_gid: int
    binary_name: str
    def __init__(self) -> None: ...

class CreateOptions:
    id: str
    replace: bool
    detached: bool
    delete_on_exit: bool
    rootfs: str
    snapshot: str
    labels: Mapping[str, str]
    extensions: Mapping[str, str]
    runtime: str
    snapshotter: str
    sandbox_id: str
    spec: SpecOptions
    def __init__(self) -> None: ...
    def set_runc_options(self, options: RuncOptions) -> None: ...
    def set_runtime_options(self, type_url: str, value: bytes) -> None: ...

class RecordChange:
    labels: Mapping[str, str | None]
    annotations: Mapping[str, str | None]
    resources: ResourceOptions | None
    extensions: Mapping[str, str | None]
    image: str | None
    snapshot_key: str | None
    spec: str | None
    fields: Sequence[str] | None
    def __init__(self) -> None: ...

class ExecOptions:
    id: str
    args: list[str]
    env: list[tuple[str, str | None]]
    cwd: str | None
    user: str
    tty: bool
    console_size: tuple[int, int] | None
    cap_add: list[str]
    start: bool
    def __init__(self) -> None: ...
    def set_timeout(self, seconds: float) -> None: ...

class RunOptions:
    class Sink(enum.Enum):
        CAPTURE = 0
        DEVNULL = 1
        STDOUT = 2
        FD = 3
        CALL = 4

    max_output: int | None
    def __init__(self) -> None: ...
    def set_input(self, input: bytes) -> None: ...
    def set_sink(self, stream: int, sink: Sink, fd: int) -> None: ...
    def set_timeout(self, seconds: float) -> None: ...
    def set_write(self, write: Callable[[int, bytes], object]) -> None: ...

class LogOptions:
    out: bool
    err: bool
    follow: bool
    tail: int | None
    since_seq: int | None
    since_ns: int | None
    def __init__(self) -> None: ...

class EventOptions:
    filters: Sequence[str]
    since_seq: int | None
    since_ns: int | None
    follow: bool
    def __init__(self) -> None: ...

class Config:
    root: str
    state: str
    runtime: str
    snapshotter: str
    shim: str
    log_max: int
    def __init__(self) -> None: ...
    def set_lock_timeout(self, seconds: float) -> None: ...
    def set_rpc_timeout(self, seconds: float) -> None: ...
    def set_checkpoint_timeout(self, seconds: float) -> None: ...

@final
class Logs:
    def next(self, timeout: float | None) -> _LogRow | None: ...

@final
class EventStream:
    def next(self, timeout: float | None) -> _EventRow | None: ...
    def fileno(self) -> int: ...
    def close(self) -> None: ...

@final
class SnapshotMount:
    @property
    def path(self) -> str: ...
    @property
    def was_busy(self) -> bool: ...
    def close(self) -> None: ...

class Ingest:
    @property
    def is_shared(self) -> bool: ...
    def status(self) -> _IngestRow: ...
    def write(self, data: bytes | memoryview) -> None: ...
    def clear(self) -> None: ...
    def commit(self, digest: str | None, size: int | None, labels: Mapping[str, str]) -> _BlobRow: ...
    def close(self) -> None: ...

@final
class Engine:
    @staticmethod
    def open(config: Config) -> Engine: ...
    @property
    def root(self) -> str: ...
    @property
    def state(self) -> str: ...
    @property
    def closed(self) -> bool: ...
    def close(self) -> None: ...
    def doctor(self) -> list[_CheckRow]: ...
    def recover(self) -> None: ...
    def create(self, ns: str, options: CreateOptions) -> _InfoRow: ...
    def get(self, ns: str, id: str) -> _InfoRow: ...
    def find(self, ns: str, id: str) -> _InfoRow: ...
    def contains(self, ns: str, id: str) -> bool: ...
    def list(
        self,
        ns: str,
        filters: Sequence[str],
        labels: Mapping[str, str | None],
        status: Sequence[int],
        limit: int | None,
    ) -> list[_InfoRow]: ...
    def update(self, ns: str, id: str, change: RecordChange) -> _InfoRow: ...
    def namespaces(self) -> _Names: ...
    def namespace_labels(self, ns: str) -> dict[str, str]: ...
    def create_namespace(self, ns: str, labels: Mapping[str, str]) -> None: ...
    def update_namespace(self, ns: str, labels: Mapping[str, str | None]) -> None: ...
    def remove_namespace(self, ns: str) -> None: ...
    def spec(self, ns: str, id: str) -> str: ...
    def remove(self, ns: str, id: str, force: bool, missing_ok: bool) -> bool: ...
    def prune(
        self, ns: str, filters: Sequence[str], stopped_for: float, dry_run: bool
    ) -> tuple[tuple[str, ...], int]: ...
    def detach(self, ns: str, id: str) -> None: ...
    def create_task(self, ns: str, id: str, stdio: _Stdio, replace_stopped: bool) -> _NewTask: ...
    def start_task(self, ns: str, id: str, instance: str) -> None: ...
    def limit_task(self, ns: str, id: str, instance: str, timeout: float) -> None: ...
    def wait_task(self, ns: str, id: str, instance: str, timeout: float | None) -> _ExitRow: ...
    def poll_task(self, ns: str, id: str, instance: str) -> _ExitRow | None: ...
    def task_state(self, ns: str, id: str, instance: str) -> _StateRow: ...
    def task_info(self, ns: str, id: str, instance: str) -> _TaskRow: ...
    def task_processes(self, ns: str, id: str, instance: str) -> _Processes: ...
    def task_stats(self, ns: str, id: str, instance: str) -> _StatsRow: ...
    def kill_task(self, ns: str, id: str, instance: str, signal: int, pid: int | None, all: bool) -> None: ...
    def pause_task(self, ns: str, id: str, instance: str) -> None: ...
    def resume_task(self, ns: str, id: str, instance: str) -> None: ...
    def stop_task(self, ns: str, id: str, instance: str, signal: int, grace: float) -> _ExitRow: ...
    def delete_task(self, ns: str, id: str, instance: str, force: bool) -> _ExitRow: ...
    def status(self, ns: str, id: str) -> int: ...
    def run(self, ns: str, create: CreateOptions, options: RunOptions) -> tuple[_RunRow, str | None]: ...
    def exec_process(self, ns: str, id: str, instance: str, options: ExecOptions, stdio: _Stdio) -> _NewProcess: ...
    def run_process(
        self, ns: str, id: str, instance: str, exec: ExecOptions, options: RunOptions
    ) -> tuple[_RunRow, str | None]: ...
    # The host pid. stdin: one descriptor, our end of its stdin (-1: none); another one is in its place afterwards.
    def start_process(self, ns: str, id: str, instance: str, exec: str, io: str, stdin: _Place) -> int: ...
    # A process by (exec, pid): the id of an exec, or a host pid if that is not 0; "" and 0: the first process.
    # own: the caller's stdin, stdout, stderr; stdin, outputs: our ends of the process's (-1: none). How it ended; None:
    # detached. What is left of our end of its stdin is in its place afterwards, also after an error.
    def attach(
        self,
        ns: str,
        id: str,
        instance: str,
        exec: str,
        pid: int,
        own: tuple[int, int, int],
        stdin: _Place,
        outputs: tuple[int, int],
        detach_keys: bytes,
    ) -> _ExitRow | None: ...
    def wait_process(self, ns: str, id: str, instance: str, exec: str, pid: int, timeout: float | None) -> _ExitRow: ...
    def poll_process(self, ns: str, id: str, instance: str, exec: str, pid: int) -> _ExitRow | None: ...
    def process_state(self, ns: str, id: str, instance: str, exec: str, pid: int) -> _StateRow: ...
    def kill_process(self, ns: str, id: str, instance: str, exec: str, pid: int, signal: int) -> None: ...
    def delete_process(self, ns: str, id: str, instance: str, exec: str, pid: int, io: str) -> _ExitRow: ...
    def close_stdin(self, ns: str, id: str, instance: str, exec: str, pid: int) -> None: ...
    def resize(self, ns: str, id: str, instance: str, exec: str, pid: int, cols: int, rows: int) -> None: ...
    def park_wait(self, ns: str, id: str, instance: str, exec: str, pid: int) -> int: ...  # a descriptor
    def find_process(self, ns: str, id: str, instance: str, exec: str, pid: int) -> _FoundRow: ...
    def logs(self, ns: str, id: str, options: LogOptions) -> Logs: ...
    def prepare_snapshot(
        self, ns: str, snapshotter: str, key: str, parent: str, labels: Mapping[str, str], lease: str
    ) -> _MountRows: ...
    def view_snapshot(
        self, ns: str, snapshotter: str, key: str, parent: str, labels: Mapping[str, str], lease: str
    ) -> _MountRows: ...
    def commit_snapshot(
        self, ns: str, snapshotter: str, name: str, key: str, labels: Mapping[str, str], lease: str
    ) -> _SnapshotRow: ...
    def snapshot_mounts(self, ns: str, snapshotter: str, key: str) -> _MountRows: ...
    def mount_snapshot(self, ns: str, snapshotter: str, key: str, target: str | None) -> SnapshotMount: ...
    def snapshot(self, ns: str, snapshotter: str, key: str) -> _SnapshotRow: ...
    def snapshot_usage(self, ns: str, snapshotter: str, key: str) -> tuple[int, int]: ...
    def update_snapshot(
        self, ns: str, snapshotter: str, key: str, labels: Mapping[str, str | None], fields: Sequence[str] | None
    ) -> _SnapshotRow: ...
    def snapshots(self, ns: str, snapshotter: str, filters: Sequence[str]) -> _SnapshotRows: ...
    def remove_snapshot(self, ns: str, snapshotter: str, key: str) -> None: ...
    def open_ingest(self, ns: str, ref: str, digest: str | None, size: int | None, lease: str) -> Ingest: ...
    def ingests(self, ns: str, filters: Sequence[str]) -> _Ingests: ...
    def abort_ingest(self, ns: str, ref: str) -> None: ...
    def open_blob(self, ns: str, digest: str) -> int: ...  # a descriptor
    def blob(self, ns: str, digest: str) -> _BlobRow: ...
    def blobs(self, ns: str, filters: Sequence[str]) -> _Blobs: ...
    def update_blob(self, ns: str, digest: str, labels: Mapping[str, str | None]) -> _BlobRow: ...
    def remove_blob(self, ns: str, digest: str) -> None: ...
    def create_lease(self, ns: str, id: str, labels: Mapping[str, str], detached: bool) -> _LeaseRow: ...
    def lease(self, ns: str, id: str) -> _LeaseRow: ...
    def leases(self, ns: str, filters: Sequence[str]) -> _LeaseRows: ...
    def remove_lease(self, ns: str, id: str, created_ns: int) -> None: ...  # 0: whichever has the id
    def add_to_lease(self, ns: str, id: str, kind: str, key: str, snapshotter: str) -> None: ...
    def drop_from_lease(self, ns: str, id: str, kind: str, key: str, snapshotter: str) -> None: ...
    def lease_resources(self, ns: str, id: str) -> _Resources: ...
    def gc(self, ns: str, dry_run: bool) -> tuple[_Resources, int]: ...  # removed, bytes
    def explain(
        self, ns: str, kind: str, key: str, snapshotter: str
    ) -> tuple[bool, tuple[tuple[str, ...], ...], str]: ...  # kept, paths, hint
    def events(self, options: EventOptions) -> EventStream: ...

@final
class CheckpointPlace:
    def __init__(self, name: str, path: str) -> None: ...

@final
class CheckpointOptions:
    to: CheckpointPlace
    exit: bool
    tcp: str
    unix_sockets: bool
    terminal: bool
    file_locks: bool
    empty_namespaces: Sequence[str]
    labels: Mapping[str, str]
    def __init__(self) -> None: ...

@final
class RestoreOptions:
    source: CheckpointPlace
    id: str
    replace: bool
    detached: bool
    delete_on_exit: bool
    hostname: str | None
    labels: Mapping[str, str] | None
    runtime: str
    tcp: str
    allow_untrusted: bool
    allow_other_kernel: bool
    def __init__(self) -> None: ...

def checkpoint_task(engine: Engine, ns: str, id: str, instance: str, options: CheckpointOptions) -> _CheckpointRow: ...
def checkpoint_problems(
    engine: Engine, ns: str, id: str, instance: str, options: CheckpointOptions
) -> list[tuple[str, int, str, str, bool]]: ...  # kind, pid, what, option, fatal
def get_checkpoint(engine: Engine, ns: str, place: CheckpointPlace) -> _CheckpointRow: ...
def copy_checkpoint(engine: Engine, ns: str, source: CheckpointPlace, to: CheckpointPlace) -> _CheckpointRow: ...
def list_checkpoints(engine: Engine, ns: str, filters: list[str]) -> list[_CheckpointRow]: ...
def delete_checkpoint(engine: Engine, ns: str, name: str, missing_ok: bool) -> bool: ...
def restore_container(engine: Engine, ns: str, options: RestoreOptions) -> _InfoRow: ...
def fork_task(
    engine: Engine, ns: str, id: str, instance: str, ids: Sequence[str], keep_going: bool
) -> list[tuple[_InfoRow, _NewTask] | Error]: ...
def create_restored_task(engine: Engine, ns: str, id: str, stdio: _Stdio, options: RestoreOptions) -> _NewTask: ...
def fsck(engine: Engine, repair: bool, verify: bool) -> list[_ProblemRow]: ...
def doctor(config: Config) -> list[_CheckRow]: ...
def _throw(code: int, kind: int, message: str, sys_errno: int, context: Mapping[str, str]) -> None: ...
