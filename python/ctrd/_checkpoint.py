# SPDX-License-Identifier: Apache-2.0
"""Checkpoints: frozen tasks that go on somewhere else, or later."""

from __future__ import annotations

import builtins
import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from . import _checks as checks
from . import _core, _rows
from ._types import Labels
from ._values import ResultList
from .errors import Error

if TYPE_CHECKING:
    from ._container import Container
    from ._engine import Engine

_TCP = ("refuse", "close", "keep")


@dataclass(frozen=True, slots=True)
class CheckpointInfo:
    """What is known of a checkpoint.

    Attributes:
        ref: Its name; None for one in a directory of the user's.
        path: Its directory.
        container_id: The container that it was made of.
        image: That container's image, None for a Rootfs.
        runtime: That container's OCI runtime.
        tcp: What it was told about connections.
        created_at: Aware UTC.
        size: Bytes: memory images and layer.
        labels: Its own.
    """

    ref: str | None
    path: Path
    container_id: str
    image: str | None
    runtime: str
    tcp: str
    created_at: datetime
    size: int
    labels: Labels

    @property
    def id(self) -> str:
        """Its name, or its path: what a ResultList's ids are."""
        return self.ref or str(self.path)


def _info(row: _core._CheckpointRow, path: str = "") -> CheckpointInfo:
    return CheckpointInfo(
        ref=None if path else row["ref"] or None,
        path=Path(path or row["path"]),
        container_id=row["container_id"],
        image=row["image"] or None,
        runtime=row["runtime"],
        tcp=row["tcp"],
        created_at=_rows.instant(row["created_ns"]),
        size=row["size"],
        labels=row["labels"],
    )


@dataclass(frozen=True, slots=True)
class CheckpointProblem:
    """One thing that a checkpoint would fail of, or leave out.

    Attributes:
        kind: "host" (this machine), "exec", "terminal", "unix_socket", "tcp_connection", "network_socket",
            "host_file", "file_lock", "namespace" or "traced".
        pid: Of the process that has it, as the host sees it; None: it is no process's.
        what: In words.
        option: The option of checkpoint() that allows it, as 'terminal=True'; None: none does.
        fatal: False: it succeeds, but this is not in it, as an exec.
    """

    kind: str
    pid: int | None
    what: str
    option: str | None
    fatal: bool


@dataclass(frozen=True, slots=True)
class CheckpointReport:
    """What checkpoint(dry_run=True) has found; true if nothing is fatal.

    Attributes:
        problems: By kind and pid.
    """

    problems: tuple[CheckpointProblem, ...]

    @property
    def ok(self) -> bool:
        """Whether a checkpoint with the same options should succeed."""
        return not any(one.fatal for one in self.problems)

    def __bool__(self) -> bool:
        """Return .ok."""
        return self.ok

    def __str__(self) -> str:
        """Return a line for each problem."""
        return "\n".join(
            f"{one.kind}: {f'process {one.pid}: ' if one.pid else ''}{one.what}"
            + (f" ({one.option} allows it)" if one.option else "")
            for one in self.problems
        )


def place_of(field: str, ref: object) -> _core.CheckpointPlace:
    """A str is a stored name, a path a directory, None nothing yet; a handle that very one, whatever has its name."""
    if isinstance(ref, Checkpoint):
        ref = ref.path
    if ref is None:
        return _core.CheckpointPlace("", "")
    if isinstance(ref, str):
        if not ref:
            raise checks.invalid(field, ref, "empty")
        return _core.CheckpointPlace(ref, "")
    return _core.CheckpointPlace("", str(Path(checks.path(field, ref)).absolute()))


def restore_options(
    source: object, *, allow_untrusted: bool, allow_other_kernel: bool, tcp: str | None = None
) -> _core.RestoreOptions:
    """What create_task(checkpoint=) and restore have in common."""
    options = _core.RestoreOptions()
    options.source = place_of("checkpoint", source)
    options.allow_untrusted = checks.flag("allow_untrusted", allow_untrusted)
    options.allow_other_kernel = checks.flag("allow_other_kernel", allow_other_kernel)
    options.tcp = "" if tcp is None else checks.choice("tcp", tcp, _TCP[1:])
    return options


class Checkpoint:
    """A checkpoint: stored under a name, or in a directory of the user's. It is independent of its container.

    Attributes:
        ref: Its name; None for one in a directory of the user's.
        path: Its directory.
        container_id: The container that it was made of.
        created_at: Aware UTC.
        size: Bytes: memory images and layer.

    Example:
        >>> cp = c.checkpoint("warm")  # doctest: +SKIP
        >>> with cp.restore() as twin:  # doctest: +SKIP
        ...     twin.status()
        <TaskStatus.running: 'running'>
    """

    def __init__(self, engine: Engine, info: CheckpointInfo) -> None:
        """Made by checkpoint() and engine.checkpoints."""
        if not isinstance(info, CheckpointInfo):
            raise TypeError("a Checkpoint comes from checkpoint() and engine.checkpoints")
        self._engine = engine
        self._info = info
        self.ref = info.ref
        self.path = info.path
        self.container_id = info.container_id
        self.created_at = info.created_at
        self.size = info.size

    def info(self) -> CheckpointInfo:
        """Return what was known of it when this handle was made."""
        return self._info

    def restore(
        self,
        *,
        start: bool = True,
        allow_untrusted: bool = False,
        allow_other_kernel: bool = False,
        tcp: Literal["close", "keep"] | None = None,
        id: str | None = None,
        replace: bool = False,
        labels: Labels | None = None,
        hostname: str | None = None,
        lifetime: Literal["owner", "detached"] = "owner",
        on_exit: Literal["keep", "delete"] = "keep",
        runtime: str | None = None,
    ) -> Container:
        """Make a container of it that runs; options and errors are those of engine.containers.restore."""
        return self._engine.containers.restore(
            self,
            start=start,
            allow_untrusted=allow_untrusted,
            allow_other_kernel=allow_other_kernel,
            tcp=tcp,
            id=id,
            replace=replace,
            labels=labels,
            hostname=hostname,
            lifetime=lifetime,
            on_exit=on_exit,
            runtime=runtime,
        )

    def export(self, path: str | os.PathLike[str]) -> Path:
        """Copy it into a directory of yours, which this root will know again: engine.checkpoints.load(path).

        Args:
            path: The directory: new, or empty.

        Returns:
            The directory, absolute.

        Raises:
            AlreadyExists: It is there, and not empty.
            PermissionDenied: The checkpoint is not of this root.
            DataLoss: The checkpoint is damaged.
        """
        to = place_of("path", Path(checks.path("path", path)))
        row = _core.copy_checkpoint(self._engine._core, self._engine.namespace, place_of("checkpoint", self), to)
        return Path(row["path"])

    def delete(self) -> None:
        """Delete a stored one; what was restored from it stays.

        Raises:
            CheckpointNotFound: It is gone already.
        """
        if self.ref is None:
            raise checks.invalid("checkpoint", self.path, "in a directory of yours: remove that")
        self._engine.checkpoints.delete(self.ref)

    def __repr__(self) -> str:
        """Return what is free to say."""
        return f"<Checkpoint {self.ref or str(self.path)!r} of {self.container_id!r}>"


class Checkpoints:
    """The stored checkpoints of an engine's namespace.

    Example:
        >>> engine.checkpoints.list().ids  # doctest: +SKIP
        ['warm']
        >>> engine.checkpoints.delete("warm")  # doctest: +SKIP
    """

    def __init__(self, engine: Engine) -> None:
        """Made by Engine."""
        self._engine = engine

    def get(self, ref: str) -> Checkpoint:
        """Return one by its name.

        Args:
            ref: Its name.

        Raises:
            CheckpointNotFound: There is none.
        """
        place = _core.CheckpointPlace(checks.text("ref", ref), "")
        return Checkpoint(self._engine, _info(_core.get_checkpoint(self._engine._core, self._engine.namespace, place)))

    def load(self, path: str | os.PathLike[str], *, ref: str | None = None) -> Checkpoint:
        """Return one that is in a directory of yours; with a name, a copy that is stored under it.

        Args:
            path: The directory.
            ref: None, or a name that is free.

        Raises:
            CheckpointNotFound: There is no such directory.
            DataLoss: It is damaged, or no checkpoint.
            PermissionDenied: It is to be stored, and was not made by this root.
            AlreadyExists: There is one of this name.
        """
        whole = str(Path(checks.path("path", path)).absolute())
        place = _core.CheckpointPlace("", whole)
        if ref is not None:
            to = place_of("ref", checks.text("ref", ref))
            stored = _core.copy_checkpoint(self._engine._core, self._engine.namespace, place, to)
            return Checkpoint(self._engine, _info(stored))
        row = _core.get_checkpoint(self._engine._core, self._engine.namespace, place)
        return Checkpoint(self._engine, _info(row, whole))

    def list(self, *filters: str) -> ResultList[CheckpointInfo]:
        """Return what is known of all that match, ordered by name.

        Args:
            filters: As of containers.list(); fields are name, container, image and labels.<key>.

        Raises:
            InvalidArgument: A filter is malformed; .context["position"] says where.
        """
        texts = [checks.text("filters", one) for one in filters]
        core, namespace = self._engine._core, self._engine.namespace
        rows: builtins.list[_core._CheckpointRow] = _core.list_checkpoints(core, namespace, texts)
        return ResultList(map(_info, rows))

    def delete(self, ref: str, *, missing_ok: bool = False) -> None:
        """Delete one; what was restored from it stays.

        Args:
            ref: Its name.
            missing_ok: Do nothing if it is gone already.

        Raises:
            CheckpointNotFound: There is none.
        """
        name, quiet = checks.text("ref", ref), checks.flag("missing_ok", missing_ok)
        _core.delete_checkpoint(self._engine._core, self._engine.namespace, name, quiet)

    def __repr__(self) -> str:
        """Return what is free to say."""
        return f"<Checkpoints of {self._engine!r}>"


def checkpoint_options(
    ref: str | os.PathLike[str] | None,
    *,
    exit: bool,
    tcp: Literal["refuse", "close", "keep"],
    unix_sockets: bool,
    terminal: bool,
    file_locks: bool,
    empty_namespaces: Collection[str],
    labels: Labels | None,
) -> _core.CheckpointOptions:
    """Check what a checkpoint is asked for."""
    options = _core.CheckpointOptions()
    options.to = place_of("ref", ref)
    options.exit = checks.flag("exit", exit)
    options.tcp = checks.choice("tcp", tcp, _TCP)
    options.unix_sockets = checks.flag("unix_sockets", unix_sockets)
    options.terminal = checks.flag("terminal", terminal)
    options.file_locks = checks.flag("file_locks", file_locks)
    options.empty_namespaces = checks.texts("empty_namespaces", empty_namespaces)
    options.labels = {} if labels is None else checks.text_mapping("labels", labels)
    return options


def checkpoint_task(engine: Engine, task: tuple[str, str, str], options: _core.CheckpointOptions) -> Checkpoint:
    """Freeze, dump, copy the layer, and go on or end."""
    row = _core.checkpoint_task(engine._core, *task, options)
    return Checkpoint(engine, _info(row, "" if row["ref"] else row["path"]))


def report_task(engine: Engine, task: tuple[str, str, str], options: _core.CheckpointOptions) -> CheckpointReport:
    """Look at what would fail."""
    rows = _core.checkpoint_problems(engine._core, *task, options)
    return CheckpointReport(
        tuple(
            CheckpointProblem(kind, pid or None, what, option or None, fatal) for kind, pid, what, option, fatal in rows
        )
    )


def fork_task(
    engine: Engine, task: tuple[str, str, str], count: int, ids: Sequence[str] | None, return_exceptions: bool
) -> list[Container | Error]:
    """Dump once, and restore each copy from that."""
    number = checks.integer("count", count)
    names = [""] * number if ids is None else checks.texts("ids", ids)
    if number < 1:
        raise checks.invalid("count", count, "not above 0")
    if number not in (1, len(names)):
        raise checks.invalid("ids", ids, f"{len(names)}, and count is {number}")
    keep_going = checks.flag("return_exceptions", return_exceptions)
    rows = _core.fork_task(engine._core, *task, names, keep_going)
    return [row if isinstance(row, Error) else engine.containers._forked(row) for row in rows]
