# SPDX-License-Identifier: Apache-2.0
"""Types of arguments: what a caller may pass, as aliases and TypedDicts. No behaviour."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypedDict

if TYPE_CHECKING:
    from ._mounts import Mount

PathLike = str | os.PathLike[str]
Labels = Mapping[str, str]
LabelChange = Mapping[str, str | None]
Sig = int | str
Size = int | str
Lifetime = Literal["owner", "detached"]
Kind = Literal["container", "image", "content", "ingest", "snapshot", "lease", "checkpoint"]
OnExit = Literal["keep", "delete"]
Status = Literal["none", "created", "running", "pausing", "paused", "stopped", "unknown"]


class Std(IntEnum):
    """Where a standard stream goes; the first three are subprocess's."""

    PIPE = -1
    STDOUT = -2
    DEVNULL = -3
    INHERIT = -4
    LOG = -5


PIPE = Std.PIPE
STDOUT = Std.STDOUT
DEVNULL = Std.DEVNULL
INHERIT = Std.INHERIT
LOG = Std.LOG


class Writable(Protocol):
    """Anything with .write()."""

    def write(self, s: Any, /) -> Any:
        """Take a str (text=True) or bytes."""


class Readable(Protocol):
    """Anything with .read()."""

    def read(self, n: int = ..., /) -> Any:
        """Give at most n characters or bytes; nothing at the end."""


In = int | PathLike | Readable | None
Out = int | PathLike | Writable | None


class Resources(TypedDict, total=False):
    """Limits of a container. Sizes are bytes, or a str such as "512M"; -1 is no limit.

    swap is memory and swap together; cpu_weight is 1 to 10,000. io: a block device ("/dev/vda", "254:0") -> its limits:
    read_bps, write_bps (bytes a second), read_iops, write_iops (operations a second), weight (10 to 1,000); the device
    "*" takes a weight for all.
    """

    memory: Size
    swap: Size
    cpus: float
    cpu_weight: int
    cpuset_cpus: str
    cpuset_mems: str
    pids: int
    io: Mapping[str, Mapping[str, int]]


class CreateOptions(TypedDict, total=False):
    """What the container's record keeps."""

    id: str
    replace: bool
    labels: Labels
    annotations: Labels
    lifetime: Lifetime
    on_exit: OnExit
    shell: str
    env: Mapping[str, str | None]
    cwd: str
    user: str
    hostname: str
    tty: bool | tuple[int, int]
    init: bool
    mounts: Sequence[Mount | str | tuple[PathLike, str]]
    tmpfs: Mapping[str, Size | None]
    read_only: bool
    resources: Resources
    cpus: float
    memory: Size
    pids: int
    network: Literal["none", "host"]
    privileged: bool
    cap_add: Sequence[str]
    cap_drop: Sequence[str]
    seccomp: Literal["default", "unconfined"] | Path | Mapping[str, Any]
    no_new_privileges: bool
    rlimits: Mapping[str, int | tuple[int, int]]
    sysctls: Mapping[str, str]
    devices: Sequence[str]
    runtime: str
    runtime_options: Mapping[str, Any]
    snapshotter: str
    sandbox_id: str
    extensions: Mapping[str, Any]
    spec: Mapping[str, Any] | Callable[[dict[str, Any]], dict[str, Any] | None]


class RunOptions(CreateOptions, total=False):
    """What a run to its end needs beside that."""

    input: str | bytes
    stdout: Out
    stderr: Out
    check: bool
    timeout: float | None
    max_output: Size | None


class StartOptions(CreateOptions, total=False):
    """Where the streams of one in the background go."""

    stdin: In
    stdout: Out
    stderr: Out


class ExecOptions(TypedDict, total=False):
    """What a further process in a container is made of; what is not given is the container's."""

    shell: str
    env: Mapping[str, str | None]
    cwd: str
    user: str
    tty: bool | tuple[int, int]
    cap_add: Sequence[str]
    id: str


class ExecStdio(ExecOptions, total=False):
    """Where its streams go, and its limit of time."""

    stdin: In
    stdout: Out
    stderr: Out
    timeout: float | None
    start: bool


class ExecRun(ExecOptions, total=False):
    """What one that is run to its end needs beside that."""

    input: str | bytes
    stdout: Out
    stderr: Out
    check: bool
    timeout: float | None
    max_output: Size | None


# What each option is when it is not given: for signatures and documentation. Others are None or empty.
DEFAULTS: dict[str, Any] = {
    "replace": False,
    "lifetime": "owner",
    "on_exit": "keep",
    "cwd": "/",
    "init": False,
    "read_only": False,
    "pids": 2048,
    "network": "none",
    "privileged": False,
    "seccomp": "default",
    "no_new_privileges": True,
    "runtime": "auto",
    "snapshotter": "auto",
    "check": False,
    "tty": False,
}
