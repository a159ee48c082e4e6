# SPDX-License-Identifier: Apache-2.0
"""One engine on one root directory, and the engine that the module's own functions use."""

from __future__ import annotations

import atexit
import logging
import os
import threading
import weakref
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal, NoReturn, Self, Unpack, cast, overload

from . import _checks as checks
from . import _core, _leases, _rows
from ._checkpoint import Checkpoints
from ._config import EngineConfig, core_config
from ._container import Container
from ._containers import Containers
from ._content import Content
from ._events import EventStream, event_options
from ._fsck import FsckProblem, FsckReport
from ._leases import Lease, Leases
from ._mounts import ImageLike
from ._namespaces import Namespaces
from ._options import create_options
from ._run import RUN_KEYS, run
from ._signature import check_known, takes
from ._snapshots import Snapshots, close_mounts
from ._types import DEVNULL, LOG, PIPE, Kind, Labels, Lifetime, PathLike, RunOptions, StartOptions
from ._values import DoctorReport, Explanation, GCReport, RunResult
from .errors import FailedPrecondition, ForkedEngine

START_KEYS = frozenset(StartOptions.__annotations__)
_STREAMS = ("stdin", "stdout", "stderr")

_engines: weakref.WeakSet[Engine] = weakref.WeakSet()  # for handles that are unpickled
_open: dict[int, _core.Engine] = {}  # not closed yet, whether or not somebody still holds the Engine
_inherited: list[_core.Engine] = []  # of the parent, in a forked child: never closed, never destroyed


class Engine:
    """A root directory with its containers, seen in one namespace. Any method may be called from any thread.

    Attributes:
        root: Where its data are.
        state: Where what lives is.
        namespace: Containers of other namespaces are not seen.
        containers: The collection of its containers.
        checkpoints: The stored checkpoints.
        namespaces: The collection of the root's namespaces.
        content: Its blobs.
        snapshots: Its layers, of its snapshotter.
        leases: The collection of its leases.

    Example:
        >>> with ctrd.Engine("/tmp/ctrd-docs/root", state="/tmp/ctrd-docs/state") as engine:
        ...     len(engine.containers)
        0
    """

    def __init__(
        self,
        root: PathLike | None = None,
        *,
        state: PathLike | None = None,
        namespace: str = "default",
        runtime: str = "auto",
        snapshotter: str = "auto",
        lock_timeout: float | None = 30.0,
        config: EngineConfig | None = None,
    ) -> None:
        """Check the directories; no lock is taken before the first verb.

        Args:
            root: Directory of its data. None: CTRD_ROOT, else /var/lib/ctrd.
            state: Directory of what lives. None: CTRD_STATE if root is None too, else a folder of /run/ctrd that
                belongs to this root.
            namespace: Name of its part of the root; made with its first container.
            runtime: "auto" (what the namespace's label containerd.io/defaults/runtime says, else the first of crun,
                runc that works here), a name or a path.
            snapshotter: "auto" (what the label containerd.io/defaults/snapshotter says, else "overlay" if it works,
                else "native"), "overlay", or "native", which makes whole copies.
            lock_timeout: Seconds to wait for other processes' use of the root; None waits without limit.
            config: More settings.

        Raises:
            PermissionDenied: The directory is somebody else's, or writable by others.
        """
        self._settings = config or EngineConfig()
        self._core_config = core_config(root, state, runtime, snapshotter, lock_timeout, self._settings)
        self._views: list[Engine] = []
        self.namespace: str = checks.text("namespace", namespace)
        self._join()

    def _join(self) -> None:
        self._core = _core.Engine.open(self._core_config)
        self.root: Path = Path(self._core.root)
        self.state: Path = Path(self._core.state)
        self.containers: Containers = Containers(self)
        self.namespaces: Namespaces = Namespaces(self)
        self.content: Content = Content(self)
        self.checkpoints: Checkpoints = Checkpoints(self)
        self.snapshots: Snapshots = Snapshots(self)
        self.leases: Leases = Leases(self)
        self._mounts: list[_core.SnapshotMount] = []
        _open[id(self._core)] = self._core
        _engines.add(self)

    def with_namespace(self, name: str) -> Engine:
        """Return an engine on the same root that sees another namespace. Closing this one closes it.

        Args:
            name: The namespace.

        Example:
            >>> engine.with_namespace("ci").namespace
            'ci'
        """
        if isinstance(self._core, _Closed):
            self._core.with_namespace()
        if any(core is self._core for core in _inherited):
            raise ForkedEngine("with_namespace: the engine was made before os.fork()", op="with_namespace")
        view = Engine.__new__(Engine)
        view._settings, view._core_config, view._views = self._settings, self._core_config, []
        view.namespace = checks.text("name", name)
        view._join()
        self._views.append(view)
        return view

    @overload
    def run(
        self, image: ImageLike, *args: str, text: Literal[True] = True, **options: Unpack[RunOptions]
    ) -> RunResult[str]: ...
    @overload
    def run(
        self, image: ImageLike, *args: str, text: Literal[False], **options: Unpack[RunOptions]
    ) -> RunResult[bytes]: ...
    @overload
    def run(self, image: ImageLike, *args: str, text: bool, **options: Unpack[RunOptions]) -> RunResult[Any]: ...
    @takes(RunOptions, stdout=PIPE, stderr=PIPE)
    def run(self, image: ImageLike, *args: str, text: bool = True, **options: Unpack[RunOptions]) -> RunResult[Any]:
        r"""Run a command in a new container to its end; the container is gone afterwards.

        Args:
            image: A Rootfs, or a Snapshot.
            args: The command and its arguments; never split by a shell.
            text: Whether stdout and stderr are str; bytes otherwise.
            options: See RunOptions and CreateOptions. input: for its stdin. stdout, stderr: PIPE (captured, the
                default), DEVNULL, STDOUT (of stderr), None (the caller's own), a descriptor, a path or a file. check:
                raise ExitError unless it ends with 0. timeout: seconds after which it is killed. max_output: bytes
                of each stream to keep.

        Returns:
            What it left.

        Raises:
            ExitError: check, and it did not end with 0.
            Timeout: It was killed at its timeout; .result has what it printed until then.
            PathNotFound: The program, or the root filesystem, does not exist.
            InvalidArgument: An option is wrong; .field says which.

        Example:
            >>> engine.run(rootfs, "echo", "hello").stdout
            'hello\n'
        """
        check_known(options, RUN_KEYS, "run")
        create = create_options(image, args, self._with_defaults(options))
        return run(self._core, self.namespace, create, options, text)

    @takes(StartOptions, stdin=DEVNULL, stdout=LOG, stderr=LOG)
    def start(self, image: ImageLike, *args: str, text: bool = True, **options: Unpack[StartOptions]) -> Container:
        r"""Run a command in a new container in the background.

        Args:
            image: A Rootfs, or a Snapshot.
            args: The command and its arguments; never split by a shell.
            text: Whether pipes give and take str; bytes otherwise.
            options: See StartOptions and CreateOptions. stdin: DEVNULL (the default), PIPE, None (the caller's own), a
                descriptor, a path or a file. stdout, stderr: LOG (the default), DEVNULL, PIPE, None, a descriptor, a
                path or a file; stderr also STDOUT.

        Returns:
            Its handle; leaving `with` ends and deletes it.

        Raises:
            PathNotFound: The program, or the root filesystem, does not exist.
            InvalidArgument: An option is wrong; .field says which.

        Example:
            >>> with engine.start(rootfs, "echo", "hello") as c:
            ...     c.wait(), c.logs().read()
            (<ExitStatus 0>, 'hello\n')
        """
        check_known(options, START_KEYS, "start")
        streams: dict[str, Any] = {key: value for key, value in options.items() if key in _STREAMS}
        container = self.containers._create(image, args, {k: v for k, v in options.items() if k not in streams})
        try:
            return container.start(text=text, **streams)
        except BaseException:
            container._end_quietly()
            raise

    def events(self, *filters: str, since: int | datetime | None = None, follow: bool = True) -> EventStream:
        """Read what happens on this root, in all its namespaces and whoever does it. It begins before this returns.

        The last 16 MiB of events are kept on the disk, whoever reads them: some 50,000, fewer with large labels.

        Args:
            filters: "topic==/tasks/exit,event.container_id==db": fields are topic, namespace and event.<field of its
                data>, operators ==, != and ~= (a regular expression, RE2's); a comma is "and", several filters are
                "or".
            since: A seq: what came after it; a datetime: what happened from then on. None: from now on when
                following, else all that is kept.
            follow: Whether to wait for more; otherwise it ends with what is there.

        Raises:
            NotFound: What came after that seq is no longer kept.
            InvalidArgument: A filter is not understood.

        Example:
            >>> with engine.events("topic~=^/tasks/") as events:
            ...     ok = engine.run(rootfs, "true").ok
            ...     ok, events.next(timeout=10).topic, events.wait_for("/tasks/exit").data["exit_status"]
            (True, '/tasks/create', 0)
        """
        return EventStream(self._core.events(event_options(filters, since, follow)))

    def fsck(self, *, repair: bool = False, verify: bool = False) -> FsckReport:
        """Compare the store with the disk, and with itself; repair what can be repaired.

        It looks at the root as a crash or a damaged disk has left it, before anything is recovered. A repair removes
        nothing that a living process uses. A damaged database is made anew of all that can be read of it; files and
        records that cannot be read are kept in <root>/metadata/lost, and so are layers, blobs and checkpoints without a
        record where records may be lost.

        Args:
            repair: Whether to change anything. With the state directory that this engine was given, if the root knows
                another one that nobody uses.
            verify: Whether to read all blobs and checkpoints, for their digests.

        Returns:
            What was found, and what of it is repaired.

        Raises:
            RootBusy: Another process has the root.

        Example:
            >>> engine.fsck().ok
            True
        """
        return FsckReport(tuple(FsckProblem(*row) for row in _core.fsck(self._core, repair, verify)))

    def lease(
        self,
        id: str | None = None,
        *,
        expires: float | timedelta | None = 86400,
        labels: Labels | None = None,
        lifetime: Lifetime = "owner",
    ) -> Lease:
        """Make a lease: what belongs to it is not garbage, whoever collects.

        Args:
            id: Its name; None: one is made up.
            expires: Seconds after which it holds nothing any more; None: never. A label containerd.io/gc.expire comes
                before it.
            labels: Its labels; containerd.io/gc.flat: it holds just what is named, not what that refers to by labels.
            lifetime: "owner": it ends with this engine and with this process, whichever way that ends; "detached":
                not by itself.

        Returns:
            Its handle; inside `with` what is made belongs to it, and the end of the block ends it.

        Raises:
            AlreadyExists: There is one of this name.

        Example:
            >>> with engine.lease():
            ...     made = engine.content.ingest(b"for a moment")
            >>> made.digest in engine.content.list().ids
            False
        """
        return _leases.make(self, id, expires, labels, lifetime)

    def gc(self, *, dry_run: bool = False) -> GCReport:
        """Remove what nothing keeps in this namespace: snapshots, content, leases that have ended, old ingests.

        Kept is what containers, checkpoints, leases and objects with the label containerd.io/gc.root refer to, by
        themselves or by labels containerd.io/gc.ref.* and gc.bref.*, what stands below a kept snapshot, and what is
        mounted. A snapshot or blob that was made without a lease, and that nothing refers to, is garbage.

        Args:
            dry_run: Only say what would go.

        Returns:
            What went, and how many bytes.

        Example:
            >>> mounts = engine.snapshots.prepare("forgotten")
            >>> engine.gc(dry_run=True).removed == engine.gc().removed
            True
        """
        removed, freed = self._core.gc(self.namespace, checks.flag("dry_run", dry_run))
        return GCReport(tuple((cast("Kind", kind), key) for kind, key, _ in removed), freed)

    def explain(self, kind: Kind, key: str, *, snapshotter: str | None = None) -> Explanation:
        """Say why an object is there still: the shortest way from each thing that keeps it.

        Args:
            kind: "container", "snapshot", "content", "ingest", "lease" or "checkpoint".
            key: Its id, key, digest, ref or name.
            snapshotter: Of a snapshot; None: the engine's.

        Raises:
            NotFound: There is none.

        Example:
            >>> c = engine.containers.create(rootfs, "true", id="why")
            >>> print(engine.explain("snapshot", "why"))
            container "why"
              its layer: snapshot "why" (overlay)
            >>> c.delete()
        """
        row = self._core.explain(self.namespace, *_leases.object_of(kind, key, snapshotter))
        return Explanation(row[0], row[1], row[2] or None)

    def doctor(self) -> DoctorReport:
        """Look at what this machine has of what containers need.

        Example:
            >>> engine.doctor().ok
            True
        """
        return DoctorReport(tuple(map(_rows.check, self._core.doctor())))

    def close(self) -> None:
        """End and delete what was made through this engine with lifetime "owner", also through its namespaces' views.

        Every verb raises FailedPrecondition afterwards. Once more is fine.
        """
        try:
            for view in self._views:
                view.close()
        finally:
            self._close_core()

    def _close_core(self) -> None:
        core = self._core
        if isinstance(core, _Closed):
            return
        close_mounts(self)
        try:
            core.close()
        finally:
            if core.closed:
                _open.pop(id(core), None)
                self._core = cast("_core.Engine", _Closed(core.root))  # its descriptors go with the last verb under way

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        return isinstance(self._core, _Closed)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *exc: object) -> None:
        """Close it."""
        self.close()

    def __repr__(self) -> str:
        """Return what is free to say."""
        return f"<Engine {str(self.root)!r} namespace={self.namespace!r}>"

    def __reduce__(self) -> NoReturn:
        """Refuse."""
        raise TypeError("cannot pickle an Engine; make one with the same root, or pickle its containers")

    def _with_defaults(self, options: Mapping[str, Any]) -> dict[str, Any]:
        defaults: dict[str, Any] = dict(self._settings.default_options)
        limits = options.get("resources")
        if isinstance(limits, Mapping):  # a limit there is no second word on the default
            defaults = {key: value for key, value in defaults.items() if key not in limits}
        return {**defaults, **options}


class _Closed:
    """What stands for the core of a closed engine: every verb of it refuses."""

    def __init__(self, root: str) -> None:
        self.root = root

    def __getattr__(self, verb: str) -> Callable[..., NoReturn]:
        def refuse(*args: object) -> NoReturn:
            raise FailedPrecondition(f"{verb}: the engine on {self.root!r} is closed", op=verb)

        return refuse


def engine_at(root: str, state: str, namespace: str) -> Engine:
    """An open engine of this process on this root, or a new one."""
    same = [e for e in _engines if (str(e.root), str(e.state)) == (root, state) and id(e._core) in _open]
    for engine in same:
        if engine.namespace == namespace:
            return engine
    return same[0].with_namespace(namespace) if same else Engine(root, state=state, namespace=namespace)


_default_lock = threading.Lock()
_default: Engine | None = None


def default_engine() -> Engine:
    """Return the engine that ctrd.run and ctrd.start use; made at the first call.

    CTRD_ROOT, CTRD_STATE, CTRD_NAMESPACE and CTRD_RUNTIME say where and how.

    Example:
        >>> ctrd.default_engine().namespace
        'default'
    """
    global _default
    with _default_lock:
        if _default is None or _default.closed:
            _default = Engine(
                namespace=os.environ.get("CTRD_NAMESPACE") or "default",
                runtime=os.environ.get("CTRD_RUNTIME") or "auto",
            )
        return _default


def set_default_engine(engine: Engine | None) -> None:
    """Let ctrd.run and ctrd.start use this engine; None: a new one from the environment, at the next call.

    Args:
        engine: The engine. The one before is not closed.
    """
    global _default
    if engine is not None and not isinstance(engine, Engine):
        checks.wrong_type("engine", engine, "ctrd.Engine or None")
    with _default_lock:
        _default = engine


def _close_all() -> None:
    """End what this process owns, at its normal end."""
    for core in list(_open.values()):
        try:
            core.close()
        except Exception as error:
            logging.getLogger("ctrd").warning("closing %s: %s", core.root, error)


def _forget_after_fork() -> None:
    """In a forked child the parent's engines are the parent's."""
    global _default, _default_lock
    _inherited.extend(_open.values())
    _open.clear()
    _engines.clear()
    _default, _default_lock = None, threading.Lock()


atexit.register(_close_all)
os.register_at_fork(after_in_child=_forget_after_fork)
