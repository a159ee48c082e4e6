# SPDX-License-Identifier: Apache-2.0
"""Reading what happened on a root: containers, tasks and layers, from any process."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NoReturn, Self

from . import _checks as checks
from . import _core, _rows
from ._values import RunResult
from .errors import ExitError, FailedPrecondition, NotFound

_MOST = 2**64 - 1


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened.

    Attributes:
        seq: Its position: rises by time; events(since=seq) gives what came after.
        topic: What happened: "/containers/create", "/tasks/exit", ...
        namespace: Where.
        time: When, aware UTC.
        data: dict[str, Any] with containerd's field names; exited_at and the like are datetimes.
    """

    seq: int
    topic: str
    namespace: str
    time: datetime
    data: Mapping[str, Any]


def event_options(filters: tuple[str, ...], since: int | datetime | None, follow: bool) -> _core.EventOptions:
    """Check what events() was asked for, in the core's form."""
    options = _core.EventOptions()
    options.filters = [checks.text("filters", one) for one in filters]
    options.follow = checks.flag("follow", follow)
    if isinstance(since, datetime):
        options.since_ns = checks.instant_ns("since", since)
    elif since is not None:
        number = checks.integer("since", since)
        if not 0 <= number <= _MOST:
            raise checks.invalid("since", since, "not a seq")
        options.since_seq = number
    return options


class EventStream:
    """Events in the order in which they happened. Iterate, or ask for the next one; for one reader at a time.

    What came between two streams is not lost: events(since=event.seq) goes on behind the last one seen.
    """

    def __init__(self, core: _core.EventStream) -> None:
        """Take over the core's reader."""
        self._core: _core.EventStream | None = core

    def __iter__(self) -> Self:
        """Iterate over what there is; when following, for ever."""
        return self

    def __next__(self) -> Event:
        """Return the next event."""
        row = None if self._core is None else self._core.next(None)
        if row is None:
            raise StopIteration
        return _event(row)

    def next(self, timeout: float | None = None) -> Event:
        """Return the next event, waiting for it.

        Args:
            timeout: Seconds; 0 only looks, None waits without limit.

        Raises:
            Timeout: None has come.
            NotFound: There is none and the stream does not follow, or more came than is kept, and the next is gone.
            FailedPrecondition: The stream or its engine is closed.
        """
        row = self._open().next(checks.seconds("timeout", timeout))
        if row is None:
            raise NotFound("no more events: the stream does not follow", op="events")
        return _event(row)

    def wait_for(self, topic: str, *, timeout: float | None = None, **match: str | int) -> Event:
        """Read until an event of this topic with these data, and return it; those before it are read over.

        Args:
            topic: As "/tasks/exit".
            timeout: Seconds; None waits without limit.
            match: Fields of its data: container_id="db", exit_status=0.

        Raises:
            Timeout: It has not come.
            ExitError: It was to come from the task of this container_id, which has ended before: after its
                "/tasks/exit" there is only "/tasks/delete", and "/tasks/create" and "/tasks/start" of a next one.
            NotFound: All is read and the stream does not follow.

        Example:
            >>> with engine.events() as events, engine.start(rootfs, "false") as one:
            ...     try:
            ...         events.wait_for("/tasks/exit", timeout=60, container_id=one.id, exit_status=0)
            ...     except ctrd.ExitError as error:
            ...         error.returncode
            1
        """
        checks.text("topic", topic)
        for key, value in match.items():
            if not isinstance(value, str | int):
                checks.wrong_type(key, value, "str or int")
        limit = checks.seconds("timeout", timeout)
        deadline = None if limit is None else time.monotonic() + limit
        while True:
            event = self.next(None if deadline is None else max(0.0, deadline - time.monotonic()))
            if event.topic == topic and all(event.data.get(key) == value for key, value in match.items()):
                return event
            if topic in _BEFORE_THE_END and _is_end_of(event, match.get("container_id")):
                raise _ended(event, topic)

    def fileno(self) -> int:
        """Return a descriptor for select and event loops: readable when next(timeout=0) may have something.

        Raises:
            FailedPrecondition: The stream is closed, or does not follow.
        """
        return self._open().fileno()

    def close(self) -> None:
        """Close it, from any thread: a next() that waits ends with FailedPrecondition. Once more is fine."""
        core, self._core = self._core, None
        if core is not None:
            core.close()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *exc: object) -> None:
        """Close it."""
        self.close()

    def __reduce__(self) -> NoReturn:
        """Refuse."""
        raise TypeError("cannot pickle an EventStream: pickle the seq of the last event, and read on from there")

    def _open(self) -> _core.EventStream:
        if self._core is None:
            raise FailedPrecondition("the event stream is closed", op="events")
        return self._core


# What a task that has ended does not tell any more.
_BEFORE_THE_END = frozenset(
    f"/tasks/{name}" for name in ("exit", "oom", "exec-added", "exec-started", "paused", "resumed", "checkpointed")
)


def _is_end_of(event: Event, container_id: str | int | None) -> bool:
    """Whether the first process of this container's task has ended: its exit is told last."""
    ended = event.topic == "/tasks/exit" and event.data["id"] == event.data["container_id"]
    return ended and event.data["container_id"] == container_id


def _ended(event: Event, topic: str) -> ExitError:
    status, id, at = event.data["exit_status"], event.data["container_id"], event.data["exited_at"] or event.time
    result = RunResult((), status, None, "", "", False, False, at, at, 0.0, id, None)
    return ExitError(f"the task of container {id!r} ended with {status} before {topic}", result=result)


def _event(row: _core._EventRow) -> Event:
    seq, topic, namespace, time_ns, data = row
    return Event(seq, topic, namespace, _rows.instant(time_ns), {name: _value(value) for name, value in data.items()})


def _value(value: Any) -> Any:
    if isinstance(value, tuple):
        return _rows.instant(value[0]) if value[0] else None
    if isinstance(value, dict):
        return {name: _value(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_value(one) for one in value]
    return value
