# SPDX-License-Identifier: Apache-2.0
"""Snapshots: the layers of root filesystems, and what stands upon what."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from . import _checks as checks
from . import _rows
from ._leases import entered
from ._snapshot_tree import SnapshotTree
from ._types import LabelChange, Labels, PathLike
from ._values import MountSpec, ResultList, SnapshotInfo, SnapshotUsage
from .errors import FailedPrecondition

if TYPE_CHECKING:
    from ._engine import Engine


class Snapshots:
    """The snapshots of an engine's namespace: layers, each upon its parent, that root filesystems are made of.

    An active one is written to; once it is committed it never changes, and others may stand upon it. A view is only
    read.

    Example:
        >>> mounts = engine.snapshots.prepare("work")
        >>> with engine.snapshots.mount("work") as path:
        ...     (path / "hello").write_text("hello")
        5
        >>> engine.snapshots.commit("docs", "work").kind
        'committed'
        >>> engine.snapshots.list("name==docs").ids
        ['docs']
        >>> engine.snapshots.remove("docs")
    """

    def __init__(self, engine: Engine, snapshotter: str = "") -> None:
        """Made by Engine."""
        self._engine = engine
        self._snapshotter = snapshotter

    def with_snapshotter(self, name: str) -> Snapshots:
        """Return those of another snapshotter; each has keys of its own.

        Args:
            name: "overlay" (containerd's "overlayfs") or "native".
        """
        return Snapshots(self._engine, checks.text("name", name))

    def prepare(self, key: str, parent: str | None = None, *, labels: Labels | None = None) -> list[MountSpec]:
        """Make an active snapshot, which is written to.

        Args:
            key: Its name until it is committed.
            parent: The committed one that it stands upon; None: it is empty.
            labels: Its labels.

        Returns:
            How to mount it; mount() does it.

        Raises:
            AlreadyExists: The key is used; or what the label containerd.io/snapshot.ref names is there already.
            NotFound: There is no such parent.
            InvalidArgument: The parent is not committed.
            ResourceExhausted: It would stand upon more than 128 layers.
            Conflict: It was made, and somebody has committed or removed it already.
        """
        return self._made(self._engine._core.prepare_snapshot, key, parent, labels)

    def view(self, key: str, parent: str | None = None, *, labels: Labels | None = None) -> list[MountSpec]:
        """Make a snapshot that is only read.

        Args:
            key: Its name.
            parent: As of prepare().
            labels: Its labels.

        Returns:
            How to mount it; mount() does it.

        Raises:
            AlreadyExists: As prepare() does; so are the others.
        """
        return self._made(self._engine._core.view_snapshot, key, parent, labels)

    def _made(
        self,
        make: object,
        key: str,
        parent: str | None,
        labels: Labels | None,
    ) -> list[MountSpec]:
        assert callable(make)
        below = "" if parent is None else checks.text("parent", parent)
        given = checks.text_mapping("labels", labels or {})
        names = self._engine.namespace, self._snapshotter, checks.text("key", key)
        rows = make(*names, below, given, entered(self._engine))
        return [MountSpec(*row) for row in rows]

    def commit(self, name: str, key: str, *, labels: Labels | None = None) -> SnapshotInfo:
        """Make an active snapshot one that never changes. It is on the disk when this returns.

        Args:
            name: Its name from now on.
            key: Its name so far, which is free then.
            labels: Its labels from now on.

        Raises:
            AlreadyExists: The name is used.
            NotFound: There is no such snapshot.
            FailedPrecondition: It is not active, or mounted, or a container has it.
        """
        given = checks.text_mapping("labels", labels or {})
        names = checks.text("name", name), checks.text("key", key)
        place = self._engine.namespace, self._snapshotter
        row = self._engine._core.commit_snapshot(*place, *names, given, entered(self._engine))
        return _rows.snapshot_info(row)

    def mounts(self, key: str) -> list[MountSpec]:
        """Return how to mount an active one or a view. Whoever mounts an active one must be the only one: mount() is.

        Args:
            key: Which.

        Raises:
            NotFound: There is no such snapshot.
            FailedPrecondition: It is committed; or somebody has it mounted by mount().
        """
        rows = self._engine._core.snapshot_mounts(self._engine.namespace, self._snapshotter, checks.text("key", key))
        return [MountSpec(*row) for row in rows]

    def mount(self, key: str, target: PathLike | None = None) -> AbstractContextManager[Path]:
        """Mount an active one or a view for the length of a `with` block.

        Args:
            key: Which.
            target: An existing directory. None: a new one, which goes with the block.

        Returns:
            What gives the directory.

        Raises:
            NotFound: There is no such snapshot.
            FailedPrecondition: It is committed; it is active, and already mounted by anybody, a container's task too;
                at the end of the block: something in it is still in use. Then it stays mounted until the next mount()
                or the engine's end.
        """
        place = None if target is None else checks.path("target", target)
        return self._mounted(checks.text("key", key), place)

    @contextmanager
    def _mounted(self, key: str, target: str | None) -> Iterator[Path]:
        close_mounts(self._engine)
        mount = self._engine._core.mount_snapshot(self._engine.namespace, self._snapshotter, key, target)
        self._engine._mounts.append(mount)
        try:
            yield Path(mount.path)
        finally:
            mount.close()
            self._engine._mounts.remove(mount)

    def stat(self, key: str) -> SnapshotInfo:
        """Return what is known of one.

        Args:
            key: Its key, or its name once it is committed.

        Raises:
            NotFound: There is no such snapshot.
        """
        row = self._engine._core.snapshot(self._engine.namespace, self._snapshotter, checks.text("key", key))
        return _rows.snapshot_info(row)

    def usage(self, key: str) -> SnapshotUsage:
        """Look how much of the disk it takes, without its parents.

        Args:
            key: Which.

        Raises:
            NotFound: There is no such snapshot.
        """
        row = self._engine._core.snapshot_usage(self._engine.namespace, self._snapshotter, checks.text("key", key))
        return SnapshotUsage(*row)

    def update(self, key: str, *, labels: LabelChange, fields: Sequence[str] | None = None) -> SnapshotInfo:
        """Change its labels; keys that are not named stay.

        Args:
            key: Which.
            labels: dict[str, str | None]; None removes the key.
            fields: containerd's field paths, "labels" or "labels.<key>": just what they name becomes what labels says,
                or is removed.

        Raises:
            NotFound: There is no such snapshot.
            InvalidArgument: Another field path, or a label that is too long.
        """
        change = checks.change("labels", labels)
        paths = None if fields is None else [checks.text("fields", one) for one in checks.items("fields", fields)]
        row = self._engine._core.update_snapshot(
            self._engine.namespace, self._snapshotter, checks.text("key", key), change, paths
        )
        return _rows.snapshot_info(row)

    def list(self, *filters: str) -> ResultList[SnapshotInfo]:
        """List snapshots, in one consistent view.

        Args:
            filters: As of containers.list(); fields are name, parent, kind and labels.<key>.

        Returns:
            Values, ordered by key.

        Raises:
            InvalidArgument: A filter is not one; the message marks where.
        """
        texts = [checks.text("filters", one) for one in filters]
        rows = self._engine._core.snapshots(self._engine.namespace, self._snapshotter, texts)
        return ResultList(map(_rows.snapshot_info, rows))

    def tree(self) -> SnapshotTree:
        """Return what stands upon what; print it, or look at it in a notebook."""
        return SnapshotTree(tuple(self.list()))

    def remove(self, key: str) -> None:
        """Remove one, with what it has on the disk.

        Args:
            key: Which.

        Raises:
            NotFound: There is no such snapshot.
            FailedPrecondition: Others stand upon it, or a container has it, or it is mounted.
        """
        self._engine._core.remove_snapshot(self._engine.namespace, self._snapshotter, checks.text("key", key))

    def __repr__(self) -> str:
        """Return what is free to say."""
        return f"<Snapshots of {self._engine!r}>"


def close_mounts(engine: Engine) -> None:
    """Unmount what was in use at the end of its block, and is not any more."""
    for mount in [one for one in engine._mounts if one.was_busy]:
        with suppress(FailedPrecondition):
            mount.close()
            engine._mounts.remove(mount)
