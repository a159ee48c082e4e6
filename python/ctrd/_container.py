# SPDX-License-Identifier: Apache-2.0
"""A handle of one container."""

from __future__ import annotations

import json
import os
import weakref
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, Self, overload

from . import _checks as checks
from . import _core, _rows
from ._checkpoint import Checkpoint, restore_options
from ._logs import Logs, log_options
from ._options import record_change, resource_options
from ._process import Process, spec_args
from ._stdio import Stdio
from ._task import Task
from ._types import DEVNULL, LOG, In, LabelChange, Out, Resources, Size
from ._values import ContainerInfo, ExitStatus, TaskStatus
from ._verbs import _TaskVerbs
from .errors import NotFound

if TYPE_CHECKING:
    from ._engine import Engine

# The tasks that this process made and still holds: task() gives the very object with the pipes, from any handle.
_tasks: weakref.WeakValueDictionary[tuple[str, str, str, str], Task[Any]] = weakref.WeakValueDictionary()


class Container(_TaskVerbs):
    """A container: a record and a writable layer, with at most one task. The verbs of the task are here too.

    Handles are equal if they name the same container, and can be pickled.

    Attributes:
        id: Its name.
        image: The image's name, None for a Rootfs.
        created_at: Aware UTC.
        runtime: Path of the OCI runtime.
        snapshot_key: Its layer.

    Example:
        >>> with ctrd.start(rootfs, "sleep", "60") as c:
        ...     c.status()
        <TaskStatus.running: 'running'>
    """

    def __init__(self, engine: Engine, info: ContainerInfo, *, made_here: bool = False) -> None:
        """Made by create, start and get; users do not call it."""
        if not isinstance(info, ContainerInfo):
            raise TypeError("a Container comes from engine.containers: create(), start() or get()")
        self._engine = engine
        self._info = info
        self._made_here = made_here
        self._args: tuple[str, ...] | None = None
        self._task: Task[Any] | None = None
        self.id: str = info.id
        self.image: str | None = info.image
        self.created_at: datetime = info.created_at
        self.runtime: str = info.runtime
        self.snapshot_key: str = info.snapshot_key

    def info(self) -> ContainerInfo:
        """Read its record and state.

        Raises:
            ContainerNotFound: It was deleted.

        Example:
            >>> c.info().lifetime
            'owner'
        """
        return _rows.container_info(self._engine._core.get(self._engine.namespace, self.id))

    def labels(self) -> Mapping[str, str]:
        """Read its labels.

        Raises:
            ContainerNotFound: It was deleted.
        """
        return self.info().labels

    def spec(self) -> dict[str, Any]:
        """Read its OCI runtime spec, a copy.

        Raises:
            ContainerNotFound: It was deleted.

        Example:
            >>> c.spec()["process"]["args"]
            ['sleep', '60']
        """
        spec: dict[str, Any] = json.loads(self._engine._core.spec(self._engine.namespace, self.id))
        return spec

    def update(
        self,
        *,
        labels: LabelChange | None = None,
        annotations: LabelChange | None = None,
        resources: Resources | None = None,
        cpus: float | None = None,
        memory: Size | None = None,
        pids: int | None = None,
    ) -> ContainerInfo:
        """Change labels, annotations and limits; what is not named stays.

        Limits hold at once for a task that lives, and for the next ones. If one is refused, nothing has changed.

        Args:
            labels: dict[str, str | None]; None removes the key.
            annotations: Likewise.
            resources: Limits; -1 lifts one.
            cpus: The same as resources["cpus"]; memory and pids likewise.
            memory: Bytes, or a str such as "512M".
            pids: The most processes and threads.

        Returns:
            The record as it is now.

        Raises:
            ContainerNotFound: It was deleted.
            FailedPrecondition: It uses more memory than that.

        Example:
            >>> dict(c.update(labels={"env": "ci"}, memory="256M").labels)
            {'env': 'ci'}
        """
        limits = {"resources": resources, "cpus": cpus, "memory": memory, "pids": pids}
        given = {key: value for key, value in limits.items() if value is not None}
        change = record_change(
            labels=labels, annotations=annotations, resources=resource_options(given) if given else None
        )
        row = self._engine._core.update(self._engine.namespace, self.id, change)
        return _rows.container_info(row)

    @overload
    def create_task(
        self,
        *,
        stdin: In = DEVNULL,
        stdout: Out = LOG,
        stderr: Out = LOG,
        text: Literal[True] = True,
        checkpoint: Checkpoint | str | os.PathLike[str] | None = None,
        allow_untrusted: bool = False,
        allow_other_kernel: bool = False,
    ) -> Task[str]: ...
    @overload
    def create_task(
        self,
        *,
        stdin: In = DEVNULL,
        stdout: Out = LOG,
        stderr: Out = LOG,
        text: Literal[False],
        checkpoint: Checkpoint | str | os.PathLike[str] | None = None,
        allow_untrusted: bool = False,
        allow_other_kernel: bool = False,
    ) -> Task[bytes]: ...
    @overload
    def create_task(
        self,
        *,
        stdin: In = DEVNULL,
        stdout: Out = LOG,
        stderr: Out = LOG,
        text: bool,
        checkpoint: Checkpoint | str | os.PathLike[str] | None = None,
        allow_untrusted: bool = False,
        allow_other_kernel: bool = False,
    ) -> Task[Any]: ...
    def create_task(
        self,
        *,
        stdin: In = DEVNULL,
        stdout: Out = LOG,
        stderr: Out = LOG,
        text: bool = True,
        checkpoint: Checkpoint | str | os.PathLike[str] | None = None,
        allow_untrusted: bool = False,
        allow_other_kernel: bool = False,
    ) -> Task[Any]:
        """Prepare a task: its first process exists, and waits for start().

        Args:
            stdin: DEVNULL, PIPE, None (the caller's own), a descriptor, a path or a file that has a descriptor;
                a regular file is read from its beginning.
            stdout: LOG, DEVNULL, PIPE, None, a descriptor, a path or a file that has a descriptor.
            stderr: Likewise, or STDOUT.
            text: Whether pipes give and take str; bytes otherwise.
            checkpoint: Go on from there instead: a Checkpoint, a stored one's name, or a directory. start() restores
                the processes, and the layer becomes the checkpoint's; if it fails, that stays what it is. What was
                /dev/null stays so.
            allow_untrusted: Whether the checkpoint may be one that this root has not made. Its images say which users,
                capabilities, seccomp filter, namespaces and files its processes have, and CRIU does that as root:
                whoever made it can do what root can.
            allow_other_kernel: Whether it may have been made under another kernel than this machine runs now.

        Raises:
            AlreadyExists: It has a task.
            CheckpointNotFound: There is no such checkpoint.
            PermissionDenied: It is not of this root.
            DataLoss: It is damaged.
            ContainerNotFound: It was deleted.

        Example:
            >>> task = engine.containers["db"].create_task(stdin=ctrd.PIPE, stdout=ctrd.PIPE)
        """
        if checkpoint is None:
            return self._new_task(stdin, stdout, stderr, text, replace_stopped=False)
        chosen = restore_options(checkpoint, allow_untrusted=allow_untrusted, allow_other_kernel=allow_other_kernel)
        return self._restored_task(stdin, stdout, stderr, text, chosen)

    def start(self, *, stdin: In = DEVNULL, stdout: Out = LOG, stderr: Out = LOG, text: bool = True) -> Self:
        """Give it a task and let it run; an ended one is deleted first.

        Args:
            stdin: DEVNULL, PIPE, None (the caller's own), a descriptor, a path or a file that has a descriptor;
                a regular file is read from its beginning.
            stdout: LOG, DEVNULL, PIPE, None, a descriptor, a path or a file that has a descriptor.
            stderr: Likewise, or STDOUT.
            text: Whether pipes give and take str; bytes otherwise.

        Returns:
            Itself; task() has the pipes.

        Raises:
            AlreadyExists: Its task lives.
            ContainerNotFound: It was deleted.

        Example:
            >>> engine.containers["db"].start().wait()
            <ExitStatus 0>
        """
        task = self._new_task(stdin, stdout, stderr, text, replace_stopped=True)
        try:
            task.start()
        except BaseException:
            task.__exit__()
            raise
        return self

    def task(self) -> Task[Any]:
        """Return its task: in the process that made it with its pipes, elsewhere without.

        Raises:
            TaskNotFound: It has none.
        """
        info = _rows.task_info(self._engine._core.task_info(self._engine.namespace, self.id, ""))
        known = self._task or _tasks.get(self._key())
        if known is not None and known._instance == info.instance:
            return known
        state = _rows.process_state(self._engine._core.task_state(self._engine.namespace, self.id, info.instance))
        args = spec_args(info.spec.get("process", {}))
        return self._hold(Task(self._engine, self.id, info.instance, state.pid, args))

    def status(self) -> TaskStatus:
        """Return its task's state, from files: nothing is asked of anybody.

        Raises:
            ContainerNotFound: It was deleted.

        Example:
            >>> c.status() == "running"
            True
        """
        return _rows.STATUS[self._engine._core.status(self._engine.namespace, self.id)]

    def logs(
        self,
        *,
        stdout: bool = True,
        stderr: bool = True,
        follow: bool = False,
        tail: int | None = None,
        since: int | datetime | None = None,
    ) -> Logs:
        """Read what it printed with stdout=LOG, also after its end.

        Args:
            stdout: Whether to include this stream.
            stderr: Likewise.
            follow: Go on with what comes, until the task has ended.
            tail: Only the last n lines.
            since: What comes after this LogLine.seq (an int) or time (an aware datetime). None: from the oldest that
                is kept.

        Raises:
            TaskNotFound: It has not had a task with a log.

        Example:
            >>> [line.text for line in c.logs()]
            ['hello']
        """
        options = log_options(stdout, stderr, follow, tail, since)
        return Logs(self._engine._core.logs(self._engine.namespace, self.id, options))

    def detach(self) -> None:
        """Let it outlive this process: from now on it stays until it is deleted.

        Raises:
            ContainerNotFound: It was deleted.
        """
        self._engine._core.detach(self._engine.namespace, self.id)

    def delete(self, *, force: bool = False, missing_ok: bool = False) -> None:
        """Delete container, layer, log and an ended task.

        Args:
            force: End its task first.
            missing_ok: Do nothing if it is gone already.

        Raises:
            FailedPrecondition: Its task lives, and force is not given.
            ContainerNotFound: It is gone already.
        """
        self._engine.containers.delete(self.id, force=force, missing_ok=missing_ok)
        task, self._task = self._task, None
        if task is not None:
            task._close_streams()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *exc: object) -> None:
        """Delete it with force, if this handle came from create or start; never one from get()."""
        if self._made_here and not self._engine.closed:
            self.delete(force=True, missing_ok=True)

    def __repr__(self) -> str:
        """Return what is free to say."""
        image = f" image={self.image!r}" if self.image else ""
        return f"<Container {self.id!r}{image}>"

    def __eq__(self, other: object) -> bool:
        """Whether both name the same container."""
        return self._key() == other._key() if isinstance(other, Container) else NotImplemented

    def __hash__(self) -> int:
        """Hash what it names."""
        return hash(self._key())

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle what it names; the copy does not delete it when its block is left."""
        root, state, namespace, _ = self._key()
        return (_reopen, (root, state, namespace, self._info))

    def _key(self) -> tuple[str, str, str, str]:
        engine = self._engine
        return str(engine.root), str(engine.state), engine.namespace, self.id

    def _new_task(self, stdin: In, stdout: Out, stderr: Out, text: bool, *, replace_stopped: bool) -> Task[Any]:
        is_text = checks.flag("text", text)
        with Stdio((stdin, stdout, stderr), log=True, files=False) as stdio:
            self._command()
            row = self._engine._core.create_task(self._engine.namespace, self.id, stdio.row, replace_stopped)
        return self._made_task(row, is_text)

    def _restored_task(
        self, stdin: In, stdout: Out, stderr: Out, text: bool, chosen: _core.RestoreOptions
    ) -> Task[Any]:
        is_text = checks.flag("text", text)
        with Stdio((stdin, stdout, stderr), log=True, files=False) as stdio:
            self._command()
            row = _core.create_restored_task(self._engine._core, self._engine.namespace, self.id, stdio.row, chosen)
        return self._made_task(row, is_text)

    def _made_task(self, row: _core._NewTask, is_text: bool) -> Task[Any]:
        instance, pid, *fds = row
        args = self._command()
        return self._hold(
            Task(self._engine, self.id, instance, pid or None, args, fds=(fds[0], fds[1], fds[2]), text=is_text)
        )

    def _hold(self, task: Task[Any]) -> Task[Any]:
        self._task = _tasks[self._key()] = task
        return task

    def _command(self) -> tuple[str, ...]:
        if self._args is None:
            self._args = spec_args(self.spec().get("process", {}))
        return self._args

    def _end_quietly(self) -> None:
        """Undo a start that failed half-way."""
        try:
            self.delete(force=True, missing_ok=True)
        except NotFound:
            pass

    def _ended(self, status: ExitStatus) -> ExitStatus:
        return status

    def _first_process(self) -> Process[Any]:
        return self.task()

    def _task_core(self) -> _core.Engine:
        return self._engine._core

    def _task_ref(self) -> tuple[str, str, str]:
        return self._engine.namespace, self.id, ""


def _reopen(root: str, state: str, namespace: str, info: ContainerInfo) -> Container:
    from ._engine import engine_at

    return Container(engine_at(root, state, namespace), info)
