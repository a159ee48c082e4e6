# SPDX-License-Identifier: Apache-2.0
"""One execution of a container."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from . import _checks as checks
from . import _rows
from ._process import Process, process_of
from ._values import ExitStatus, ProcessState, TaskInfo
from ._verbs import _TaskVerbs
from .errors import NotFound

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    _S = TypeVar("_S", str, bytes, default=str)
else:
    from typing import TypeVar

    _S = TypeVar("_S", str, bytes)


class Task(_TaskVerbs, Process[_S]):
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

    def start(self) -> Self:
        """Let the first process run.

        Raises:
            FailedPrecondition: It was started already.
            TaskNotFound: This task is gone.
        """
        self._task_core().start_task(*self._task_ref())
        if self._pid is None:  # of what is restored there was no process before
            self._pid = self.state().pid
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

        What it has printed into a PIPE is waited for, two seconds at most; then output_cut says that there was more.
        It can be read afterwards, too: the end of a `with` block closes what output goes to, and Container.delete does.

        Args:
            force: Kill it first if it lives.

        Returns:
            How it ended.

        Raises:
            FailedPrecondition: It lives, and force is not given.
            TaskNotFound: This task is gone.
        """
        status = self._ended(_rows.exit_status(self._task_core().delete_task(*self._task_ref(), bool(force))))
        self._close_input()  # another thread may still be reading the output
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

    def resize(self, cols: int, rows: int, *, process: str | int | None = None) -> None:
        """Set the size of its terminal; before its start this is remembered.

        Args:
            cols: Columns, 1 to 65535.
            rows: Rows, likewise.
            process: That of an exec instead, by its id or its host pid.

        Raises:
            InvalidArgument: No such size.
            FailedPrecondition: It has no terminal.
            ProcessNotFound: There is no such process.
            TaskNotFound: This task is gone.
        """
        self._resize(*process_of("process", process), cols, rows)

    def close_stdin(self, *, process: str | int | None = None) -> None:
        """Let the process read the end of its input, once all that was written to it is read; before its start too.

        Args:
            process: An exec instead of the first process, by its id or its host pid.

        Raises:
            ProcessNotFound: There is no such process.
            TaskNotFound: This task is gone.
        """
        if process is None:
            super().close_stdin()
        else:
            self._task_core().close_stdin(*self._task_ref(), *process_of("process", process))

    def _limit(self, timeout: float) -> None:
        """Before its start: once it has run for so long, it is killed with all that it has forked."""
        seconds = checks.seconds("timeout", timeout)
        if seconds is not None:
            self._task_core().limit_task(*self._task_ref(), seconds)

    def _first_process(self) -> Process[Any]:
        return self
