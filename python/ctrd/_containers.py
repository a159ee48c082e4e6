# SPDX-License-Identifier: Apache-2.0
"""The collection of an engine's containers."""

from __future__ import annotations

import builtins
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Unpack

from . import _checks as checks
from . import _core, _rows
from ._checkpoint import Checkpoint, restore_options
from ._container import Container
from ._options import CREATE_KEYS, create_options, record_change
from ._signature import check_known, takes
from ._types import DEVNULL, LOG, CreateOptions, LabelChange, Labels, Status
from ._values import ContainerInfo, PruneReport, ResultList, TaskStatus
from .errors import InvalidArgument

if TYPE_CHECKING:
    from ._engine import Engine
    from ._mounts import ImageLike


class Containers:
    """The containers of an engine's namespace. [id], `in`, len() and iteration over ids work.

    Example:
        >>> c = engine.containers.create(rootfs, "sleep", "60", id="web", labels={"env": "ci"})
        >>> "web" in engine.containers, len(engine.containers), list(engine.containers)
        (True, 1, ['web'])
        >>> engine.containers.list(labels={"env": "ci"}).ids
        ['web']
        >>> engine.containers.delete("web")
    """

    def __init__(self, engine: Engine) -> None:
        """Made by Engine."""
        self._engine = engine

    @takes(CreateOptions)
    def create(self, image: ImageLike, *args: str, **options: Unpack[CreateOptions]) -> Container:
        """Make a container: a record and a layer. Nothing runs until start().

        Args:
            image: A Rootfs, or a Snapshot.
            args: The command and its arguments; never split by a shell.
            options: See CreateOptions. id: its name (made up when absent). replace: take the place of one of this
                name, whose task is killed; what is refused leaves that one as it is.
                lifetime: "owner" (it ends with this process) or "detached". on_exit: "keep", or "delete": container
                and layer go when the task ends, wait() still answers. memory: bytes or "512M". init: a process 1 that
                passes signals on and reaps; the status is then what it tells: 127 when there is no such program, and
                128 + n without .signal when signal n killed it.
                runtime_options: what its shim and runtime are told: no_pivot_root, no_new_keyring, io_uid, io_gid,
                binary_name (containerd.runc.v1.Options), or, for another shim, any message as type_url and
                value (bytes). sandbox_id: the sandbox it is part of; kept, nothing more.
                spec: a merge patch of the OCI runtime spec, or a function that edits it.

        Returns:
            Its handle; leaving `with` deletes it.

        Raises:
            AlreadyExists: The id is taken.
            Conflict: replace, and another live process owns it.
            InvalidArgument: An option is wrong; .field says which.

        Example:
            >>> with engine.containers.create(rootfs, "echo", "hello", memory="64M") as c:
            ...     c.start().wait()
            <ExitStatus 0>
        """
        check_known(options, CREATE_KEYS, "create")
        return self._create(image, args, options)

    def _create(self, image: object, args: tuple[str, ...], options: Mapping[str, Any]) -> Container:
        engine = self._engine
        made = create_options(image, args, engine._with_defaults(options))
        container = Container(engine, _rows.container_info(engine._core.create(engine.namespace, made)), made_here=True)
        if not (made.spec.spec_patch or options.get("spec")):
            container._args = tuple(made.spec.args)
        return container

    def restore(
        self,
        checkpoint: Checkpoint | str | os.PathLike[str],
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
        """Make a container of a checkpoint: with its layer, its processes, a new id, hostname and cgroup.

        Args:
            checkpoint: A Checkpoint, a stored one's name, or a directory.
            start: Let it run at once; else task().start() does.
            allow_untrusted: Only of a container of your own: see Container.create_task.
            allow_other_kernel: Try it under another kernel than it was made under.
            tcp: What happens to connections; None is what the checkpoint was told.
            id: Its name; made up when absent.
            replace: Delete one of this name first.
            labels: None is what the checkpointed container had.
            hostname: None is the new id, if it was the old one.
            lifetime: "owner" (it ends with this process) or "detached".
            on_exit: "keep", or "delete".
            runtime: None is the one that made it.

        Raises:
            CheckpointNotFound: There is no such checkpoint.
            PermissionDenied: It is not of this root.
            DataLoss: It is damaged.
            FailedPrecondition: It cannot be restored as it is; .hint and .context["log_path"] say why.
            Unsupported: This machine cannot restore; .hint says what to install.

        Example:
            >>> with engine.containers.restore("warm", id="twin") as twin:  # doctest: +SKIP
            ...     twin.status()
            <TaskStatus.running: 'running'>
        """
        chosen = restore_options(
            checkpoint, allow_untrusted=allow_untrusted, allow_other_kernel=allow_other_kernel, tcp=tcp
        )
        chosen.id = "" if id is None else checks.text("id", id)
        chosen.replace = checks.flag("replace", replace)
        chosen.labels = None if labels is None else checks.text_mapping("labels", labels)
        chosen.hostname = None if hostname is None else checks.text("hostname", hostname)
        chosen.detached = checks.choice("lifetime", lifetime, ("owner", "detached")) == "detached"
        chosen.delete_on_exit = checks.choice("on_exit", on_exit, ("keep", "delete")) == "delete"
        chosen.runtime = "" if runtime is None else checks.text("runtime", runtime)
        begin = checks.flag("start", start)
        row = _core.restore_container(self._engine._core, self._engine.namespace, chosen)
        container = Container(self._engine, _rows.container_info(row), made_here=True)
        try:
            task = container._restored_task(DEVNULL, LOG, LOG, True, chosen)
            if begin:
                task.start()
        except BaseException:
            container._end_quietly()
            raise
        return container

    def _forked(self, row: tuple[_core._InfoRow, _core._NewTask]) -> Container:
        info, task = row
        container = Container(self._engine, _rows.container_info(info), made_here=True)
        container._made_task(task, True)
        return container

    def get(self, id: str) -> Container:
        """Return a handle of an existing container. Leaving `with` does not delete it.

        Args:
            id: Its whole name.

        Raises:
            ContainerNotFound: There is none of this name.
            DataLoss: The records are damaged, and it has no task; one that has can still be ended by its handle.
        """
        row = self._engine._core.find(self._engine.namespace, checks.text("id", id))
        return Container(self._engine, _rows.container_info(row))

    def list(
        self,
        *filters: str,
        status: Status | Collection[Status] | None = None,
        labels: LabelChange | None = None,
        limit: int | None = None,
    ) -> ResultList[ContainerInfo]:
        """List records and states, in one consistent view.

        Args:
            filters: containerd's: fields are id, image, runtime.name and labels.<key> (quoted if it has more than
                letters, digits, dots and _: 'labels."a.b/c"==v'), alone (it is set) or with ==, != or ~= (a regular
                expression, RE2's); a comma is "and", several filters are "or". An absent field differs from any value.
            status: Only those in this state, or in one of these.
            labels: Only those with these labels; None as a value asks that the key is set.
            limit: At most so many.

        Returns:
            Values, not handles, ordered by id.

        Raises:
            InvalidArgument: A filter is not one; the message marks where.

        Example:
            >>> with engine.containers.create(rootfs, "true", id="web", labels={"env": "ci"}):
            ...     engine.containers.list("labels.env==ci,id~=^w").ids
            ['web']
        """
        texts = [checks.text("filters", one) for one in filters]
        states = [] if status is None else [status] if isinstance(status, str) else checks.items("status", status)
        numbers = [_rows.STATUS.index(TaskStatus(checks.choice("status", one, TaskStatus))) for one in states]
        most = None if limit is None else checks.integer("limit", limit)
        if most is not None and most < 0:
            raise checks.invalid("limit", limit, "negative")
        wanted = checks.change("labels", labels)
        rows = self._engine._core.list(self._engine.namespace, texts, wanted, numbers, most)
        return ResultList(map(_rows.container_info, rows))

    def update(
        self,
        id: str,
        *,
        labels: LabelChange | None = None,
        annotations: LabelChange | None = None,
        fields: Sequence[str] | None = None,
        image: str | None = None,
        spec: Mapping[str, Any] | None = None,
        snapshot_key: str | None = None,
        extensions: Mapping[str, Any] | None = None,
    ) -> ContainerInfo:
        """Change a container's record; what is not named stays.

        Args:
            id: Its name.
            labels: dict[str, str | None]; None removes the key.
            annotations: Likewise; they are the spec's.
            fields: containerd's field paths: just these become what is given here, or nothing where nothing is: labels,
                labels.<key>, spec, extensions, extensions.<key>, image, snapshotkey. An empty list: all of them.
            image: Its image's name, which need not be there.
            spec: A merge patch of its OCI spec; with fields the whole spec. It is for the next start.
            snapshot_key: Another layer that no container has; "" for none. Only without a task that lives.
            extensions: dict[str, Any], JSON that is kept with it; None removes the key.

        Returns:
            The record as it is now.

        Raises:
            ContainerNotFound: There is none of this name.
            InvalidArgument: A field cannot be updated, or not to this.

        Example:
            >>> with engine.containers.create(rootfs, "true", id="web", labels={"a": "1", "b": "2"}):
            ...     info = engine.containers.update("web", labels={"a": "9"}, fields=["labels.a"])
            >>> dict(info.labels)
            {'a': '9', 'b': '2'}
        """
        change = record_change(
            labels=labels,
            annotations=annotations,
            fields=fields,
            image=image,
            spec=spec,
            snapshot_key=snapshot_key,
            extensions=extensions,
        )
        row = self._engine._core.update(self._engine.namespace, checks.text("id", id), change)
        return _rows.container_info(row)

    def delete(self, id: str, *, force: bool = False, missing_ok: bool = False) -> None:
        """Delete a container with its layer, log and ended task.

        Args:
            id: Its name.
            force: End its task first.
            missing_ok: Do nothing if there is none.

        Raises:
            FailedPrecondition: Its task lives, and force is not given.
            ContainerNotFound: There is none of this name.
        """
        self._engine._core.remove(
            self._engine.namespace,
            checks.text("id", id),
            checks.flag("force", force),
            checks.flag("missing_ok", missing_ok),
        )

    def prune(self, *filters: str, stopped_for: float = 0.0, dry_run: bool = False) -> PruneReport:
        """Delete containers that have ended, with their layers and logs.

        Nothing that somebody may still be using goes: not what belongs to a process, this one included; not what is
        mounted or held by a lease; not what has never been started. So it takes detached containers whose task is
        stopped.

        Args:
            filters: As of list(): only those that match.
            stopped_for: Seconds since their end, at least.
            dry_run: Only say what would go.

        Raises:
            InvalidArgument: A filter is not one, the message marks where; or a negative time.

        Example:
            >>> engine.start(rootfs, "true", id="job", lifetime="detached").wait()
            <ExitStatus 0>
            >>> engine.containers.prune("labels.keep!=yes").removed
            ('job',)
        """
        texts = [checks.text("filters", one) for one in filters]
        seconds = checks.number("stopped_for", stopped_for)
        if seconds < 0:
            raise checks.invalid("stopped_for", stopped_for, "negative")
        only_say = checks.flag("dry_run", dry_run)
        return PruneReport(*self._engine._core.prune(self._engine.namespace, texts, seconds, only_say))

    def __getitem__(self, id: str, /) -> Container:
        """Return a handle; ContainerNotFound is a KeyError."""
        return self.get(id)

    def __delitem__(self, id: str, /) -> None:
        """Delete it, as delete(id) does."""
        self.delete(id)

    def __contains__(self, id: object, /) -> bool:
        """Whether there is one of this name."""
        if not isinstance(id, str):
            return False
        try:
            return self._engine._core.contains(self._engine.namespace, checks.text("id", id))
        except InvalidArgument:
            return False

    def __iter__(self) -> Iterator[str]:
        """Iterate over the ids, as they are now."""
        return iter(self._ids())

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._ids())

    def __repr__(self) -> str:
        """Return what is free to say."""
        return f"<Containers of {self._engine!r}>"

    def _ids(self) -> builtins.list[str]:
        return [row[0] for row in self._engine._core.list(self._engine.namespace, [], {}, [], None)]

    def _ipython_key_completions_(self) -> builtins.list[str]:
        return self._ids()
