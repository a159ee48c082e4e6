# SPDX-License-Identifier: Apache-2.0
"""Leases: what one holds is not garbage."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Self, cast, get_args

from . import _checks as checks
from . import _rows
from ._types import Kind, Labels, Lifetime
from ._values import LeaseInfo, ResultList
from .errors import NotFound

if TYPE_CHECKING:
    from ._engine import Engine

EXPIRE = "containerd.io/gc.expire"
KINDS = get_args(Kind)
LONGEST = timedelta(days=200 * 365)  # nanoseconds since 1970 end in 2262


@dataclass(eq=False)
class _Block:
    """A lease's block, which may be left in another thread than it was entered in."""

    lease: Lease
    is_open: bool = True


# The blocks that this thread, or asyncio task, has entered; the innermost last.
_entered: ContextVar[tuple[_Block, ...]] = ContextVar("ctrd.leases", default=())


def entered(engine: Engine) -> str:
    """The lease that what is made through this engine belongs to now; "" for none."""
    blocks = (block for block in reversed(_entered.get()) if block.is_open)
    return next((block.lease.id for block in blocks if block.lease._engine is engine), "")


def object_of(kind: str, key: str, snapshotter: str | None) -> tuple[str, str, str]:
    """As the core wants it."""
    given = "" if snapshotter is None else checks.text("snapshotter", snapshotter)
    return checks.choice("kind", kind, KINDS), checks.text("key", key), given


class Lease:
    """A lease: what it holds is kept by every gc(). It ends with its block, its process, or at its expiry.

    Inside `with lease:` what this thread, or asyncio task, makes through its engine belongs to it: snapshots that are
    prepared, viewed or committed, ingests, and blobs, also those that were there already.

    Attributes:
        id: Its name.

    Example:
        >>> with engine.lease() as lease:
        ...     mounts = engine.snapshots.prepare("work")
        ...     lease.resources(), engine.gc().removed
        ([('snapshot', 'work')], ())
        >>> engine.snapshots.list("name==work").ids
        []
    """

    def __init__(self, engine: Engine, id: str, created_ns: int, *, made_here: bool = False) -> None:
        """Made by Engine.lease and Leases.get."""
        self.id = id
        self._created_ns = created_ns
        self._engine = engine
        self._made_here = made_here
        self._released = False
        self._blocks: list[_Block] = []  # all that are open, of any thread

    def info(self) -> LeaseInfo:
        """Return what is known of it.

        Raises:
            NotFound: It has ended.
        """
        return _rows.lease_info(self._engine._core.lease(self._engine.namespace, self.id))

    def add(self, kind: Kind, key: str, *, snapshotter: str | None = None) -> None:
        """Hold one more object, which need not be there yet.

        Args:
            kind: "snapshot", "content", "ingest" or "image".
            key: Its key, digest, ref or name.
            snapshotter: Of a snapshot; None: the engine's.

        Raises:
            NotFound: The lease has ended.
            InvalidArgument: It is no digest, or a snapshotter of something else.
            Unsupported: No lease holds such objects.
        """
        self._engine._core.add_to_lease(self._engine.namespace, self.id, *object_of(kind, key, snapshotter))

    def remove(self, kind: Kind, key: str, *, snapshotter: str | None = None) -> None:
        """Hold an object no more; one that it does not hold is fine. The next gc() may take it.

        Args:
            kind: As of add().
            key: As of add().
            snapshotter: As of add().

        Raises:
            NotFound: The lease has ended.
        """
        self._engine._core.drop_from_lease(self._engine.namespace, self.id, *object_of(kind, key, snapshotter))

    def resources(self) -> list[tuple[Kind, str]]:
        """Return what it holds, there or not: kind and key of each.

        Raises:
            NotFound: It has ended.
        """
        rows = self._engine._core.lease_resources(self._engine.namespace, self.id)
        return [(cast("Kind", kind), key) for kind, key, _ in rows]

    def release(self) -> None:
        """End it; what it alone held is gone when this returns. Once more is fine, and leaves a later one of its id."""
        if self._released:
            return
        with suppress(NotFound):
            self._engine._core.remove_lease(self._engine.namespace, self.id, self._created_ns)
        self._released = True

    def __enter__(self) -> Self:
        """Let what is made from now on belong to it."""
        block = _Block(self)
        self._blocks.append(block)
        _entered.set((*(one for one in _entered.get() if one.is_open), block))
        return self

    def __exit__(self, *exc: object) -> None:
        """End it, if it was made by this handle."""
        mine = [block for block in _entered.get() if block.lease is self and block.is_open]
        for block in (mine or self._blocks)[-1:]:
            block.is_open = False
            with suppress(ValueError):  # another thread has left it just now
                self._blocks.remove(block)
        _entered.set(tuple(one for one in _entered.get() if one.is_open))
        if self._made_here and not self._engine.closed:
            self.release()

    def __eq__(self, other: object) -> bool:
        """Whether it is a handle of the same lease."""
        return isinstance(other, Lease) and self._identity() == other._identity()

    def __hash__(self) -> int:
        """Return a hash of what it is a handle of."""
        return hash(self._identity())

    def _identity(self) -> tuple[str, str, str, str]:
        return str(self._engine.root), str(self._engine.state), self._engine.namespace, self.id

    def __repr__(self) -> str:
        """Return what is free to say."""
        return f"<Lease {self.id!r}>"


class Leases:
    """The leases of an engine's namespace; engine.lease() makes one.

    Example:
        >>> with engine.lease("build", labels={"app": "docs"}):
        ...     engine.leases.list("labels.app==docs").ids
        ['build']
    """

    def __init__(self, engine: Engine) -> None:
        """Made by Engine."""
        self._engine = engine

    def get(self, id: str) -> Lease:
        """Return a handle; leaving its block does not end the lease.

        Args:
            id: Its name.

        Raises:
            NotFound: There is none.
        """
        row = self._engine._core.lease(self._engine.namespace, checks.text("id", id))
        return Lease(self._engine, id, row[2])

    def list(self, *filters: str) -> ResultList[LeaseInfo]:
        """List leases, in one consistent view.

        Args:
            filters: As of containers.list(); fields are id and labels.<key>.

        Returns:
            Values, ordered by id.

        Raises:
            InvalidArgument: A filter is not one; the message marks where.
        """
        texts = [checks.text("filters", one) for one in filters]
        return ResultList(map(_rows.lease_info, self._engine._core.leases(self._engine.namespace, texts)))

    def delete(self, id: str, *, sync: bool = False) -> None:
        """End one, whoever made it. What it alone held is gone when this returns.

        Args:
            id: Its name.
            sync: Collect all garbage of the namespace too: engine.gc().

        Raises:
            NotFound: There is none.
        """
        collect = checks.flag("sync", sync)
        self._engine._core.remove_lease(self._engine.namespace, checks.text("id", id), 0)
        if collect:
            self._engine.gc()

    def __repr__(self) -> str:
        """Return what is free to say."""
        return f"<Leases of {self._engine!r}>"


def make(
    engine: Engine, id: str | None, expires: float | timedelta | None, labels: Labels | None, lifetime: Lifetime
) -> Lease:
    """Make a lease."""
    name = "" if id is None else checks.text("id", id)
    if id is not None and not name:
        raise checks.invalid("id", id, "empty")
    given = _labels({} if labels is None else checks.text_mapping("labels", labels), expires)
    detached = checks.choice("lifetime", lifetime, get_args(Lifetime)) == "detached"
    row = engine._core.create_lease(engine.namespace, name, given, detached)
    return Lease(engine, row[0], row[2], made_here=True)


def _labels(labels: Mapping[str, str], expires: float | timedelta | None) -> dict[str, str]:
    if expires is None or EXPIRE in labels:
        return dict(labels)
    if not isinstance(expires, timedelta):
        expires = timedelta(seconds=min(checks.number("expires", expires), LONGEST.total_seconds()))
    if expires < timedelta():
        raise checks.invalid("expires", expires, "before now")
    end = (datetime.now(UTC) + min(expires, LONGEST)).isoformat().replace("+00:00", "Z")
    return {**labels, EXPIRE: end}
