# SPDX-License-Identifier: Apache-2.0
"""One execution of a container."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Generic, NoReturn, Self

from . import _rows
from ._streams import Reader, Writer, _End
from ._values import ExitStatus, ProcessState, TaskInfo
from ._verbs import _TaskVerbs
from .errors import FailedPrecondition, NotFound

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    from . import _core
    from ._engine import Engine

    _S = TypeVar("_S", str, bytes, default=str)
else:
    from typing import TypeVar

    _S = TypeVar("_S", str, bytes)


class Task(_TaskVerbs, Generic[_S]):
    r"""One life of a container: its first process, with its pipes.

    It is bound to this life: after delete() and a new create_task() it raises TaskNotFound.

    Attributes:
        id: "", the name of a container's first process.
        container_id: The container.
        args: The command.
        pid: Its host pid, also after its end.
        stdin: Where its input is written, if it was created with stdin=PIPE.
        stdout: What it prints, if it was created with stdout=PIPE.
        stderr: Likewise.

    Example:
        >>> with c.create_task(stdout=ctrd.PIPE) as task:
        ...     task.start().stdout.readline()
        'hello\n'
    """

    id: str = ""

    def __init__(
        self,
        engine: Engine,
        container_id: str,
        instance: str,
        pid: int | None,
        args: tuple[str, ...],
        *,
        fds: tuple[int, int, int] = (-1, -1, -1),
        text: bool = True,
    ) -> None:
        """Made by create_task() and task(); takes over the descriptors."""
        self.container_id = container_id
        self.args = args
        self._engine = engine
        self._instance = instance
        self._pid = pid
        self._exit: ExitStatus | None = None
        what = f"container {container_id!r}"
        self.stdin: Writer[_S] | None = None
        if fds[0] >= 0:
            self.stdin = Writer(fds[0], text, f"stdin of {what}", self._end_input)
        self.stdout: Reader[_S] | None = Reader(fds[1], text, f"stdout of {what}") if fds[1] >= 0 else None
        self.stderr: Reader[_S] | None = Reader(fds[2], text, f"stderr of {what}") if fds[2] >= 0 else None

    @property
    def pid(self) -> int | None:
        """Host pid of the first process."""
        return self._pid

    @property
    def returncode(self) -> int | None:
        """Its exit status if poll(), wait() or another verb has learned it, else None."""
        return None if self._exit is None else int(self._exit)

    def start(self) -> Self:
        """Let the first process run.

        Raises:
            FailedPrecondition: It was started already.
            TaskNotFound: This task is gone.
        """
        self._task_core().start_task(*self._task_ref())
        return self

    def state(self) -> ProcessState:
        """Return its state.

        Raises:
            TaskNotFound: This task is gone.
        """
        state = _rows.process_state(self._task_core().task_state(*self._task_ref()))
        if state.exit is not None:
            self._ended(state.exit)
        return state

    def info(self) -> TaskInfo:
        """Return what it is made of.

        Raises:
            TaskNotFound: This task is gone.
        """
        return _rows.task_info(self._task_core().task_info(*self._task_ref()))

    def delete(self, *, force: bool = False) -> ExitStatus:
        """Remove the ended task; the container stays.

        Args:
            force: Kill it first if it lives.

        Returns:
            How it ended.

        Raises:
            FailedPrecondition: It lives, and force is not given.
            TaskNotFound: This task is gone.
        """
        status = self._ended(_rows.exit_status(self._task_core().delete_task(*self._task_ref(), bool(force))))
        self._close_streams()
        return status

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *exc: object) -> None:
        """Kill and delete the task, and close its pipes."""
        try:
            if not self._engine.closed:
                self.delete(force=True)
        except NotFound:
            pass
        finally:
            self._close_streams()

    def __repr__(self) -> str:
        """Return what is free to say."""
        return f"<Task of {self.container_id!r} pid={self._pid} returncode={self.returncode}>"

    def __reduce__(self) -> NoReturn:
        """Refuse."""
        raise TypeError("cannot pickle a Task: it has pipes of this process; pickle the Container")

    def close_stdin(self) -> None:
        """Let the process read the end of its input, once all that was written to it is read.

        Raises:
            TaskNotFound: The task was deleted.
        """
        if self.stdin is not None and not self.stdin.closed:
            self.stdin.close()
        else:
            self._task_core().close_stdin(*self._task_ref())

    def _end_input(self) -> None:
        # Not there any more: it reads nothing more either.
        with suppress(NotFound, FailedPrecondition):
            self._task_core().close_stdin(*self._task_ref())

    def _close_streams(self) -> None:
        """Close them without a word to the shim: the task is gone."""
        for stream in (self.stdin, self.stdout, self.stderr):
            if stream is not None:
                _End.close(stream)

    def _task_core(self) -> _core.Engine:
        return self._engine._core

    def _task_ref(self) -> tuple[str, str, str]:
        return self._engine.namespace, self.container_id, self._instance

    def _ended(self, status: ExitStatus) -> ExitStatus:
        self._exit = status
        return status
