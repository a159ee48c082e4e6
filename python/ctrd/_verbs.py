# SPDX-License-Identifier: Apache-2.0
"""The verbs that a Task has and a Container forwards to its task: written once, inherited by both."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import _checks as checks
from . import _rows
from ._types import Sig
from ._values import ExitStatus, ProcessInfo, ResultList

if TYPE_CHECKING:
    from . import _core


class _TaskVerbs:
    """Verbs of a task. A Task names one life for ever; a Container names whichever it has now."""

    def _task_core(self) -> _core.Engine:
        raise NotImplementedError

    def _task_ref(self) -> tuple[str, str, str]:
        """Namespace, container, instance ("": whichever there is)."""
        raise NotImplementedError

    def _ended(self, status: ExitStatus) -> ExitStatus:
        """Called with each exit status that was learned."""
        return status

    def poll(self) -> ExitStatus | None:
        """Return how the first process ended, or None while it lives.

        Raises:
            TaskNotFound: The container has no task.

        Example:
            >>> c.poll() is None
            True
        """
        row = self._task_core().poll_task(*self._task_ref())
        return None if row is None else self._ended(_rows.exit_status(row))

    def wait(self, timeout: float | None = None) -> ExitStatus:
        """Wait until the first process has ended; waiting ends at the timeout, the process does not.

        Args:
            timeout: Seconds; None waits without limit.

        Raises:
            Timeout: It still runs.
            TaskNotFound: The container has no task and has had none.

        Example:
            >>> c.kill()
            >>> c.wait(timeout=10).signal
            9
        """
        row = self._task_core().wait_task(*self._task_ref(), checks.seconds("timeout", timeout))
        return self._ended(_rows.exit_status(row))

    def stop(self, *, grace: float = 10.0, signal: Sig | None = None) -> ExitStatus:
        """Ask the first process to end, and kill it if it has not after the grace time.

        Args:
            grace: Seconds between the signal and SIGKILL.
            signal: What to ask with; None is SIGTERM.

        Returns:
            How it ended; .escalated says that it took SIGKILL.

        Raises:
            TaskNotFound: The container has no task.

        Example:
            >>> c.stop(grace=0.1).escalated
            True
        """
        number = checks.signal("signal", "SIGTERM" if signal is None else signal)
        limit = checks.seconds("grace", grace)
        row = self._task_core().stop_task(*self._task_ref(), number, float("inf") if limit is None else limit)
        return self._ended(_rows.exit_status(row))

    def kill(self, signal: Sig = "SIGKILL", *, pid: int | None = None, all: bool = False) -> None:
        """Send a signal; does nothing if the task has ended.

        Args:
            signal: Number (1 to 64) or name.
            pid: Another process of this container, by its host pid; None is the first process.
            all: Send it to every process of the container.

        Raises:
            InvalidArgument: No such signal.
            ProcessNotFound: The pid is not in this container.
            TaskNotFound: The container has no task.

        Example:
            >>> c.kill("SIGUSR1")
        """
        number = checks.signal("signal", signal)
        chosen = None if pid is None else checks.integer("pid", pid)
        if chosen is not None and not 0 < chosen < 2**31:
            raise checks.invalid("pid", pid, "not a pid")
        self._task_core().kill_task(*self._task_ref(), number, chosen, checks.flag("all", all))

    def send_signal(self, signal: Sig) -> None:
        """Send a signal to the first process; does nothing if it has ended.

        Args:
            signal: Number (1 to 64) or name.

        Example:
            >>> c.send_signal("SIGUSR1")
        """
        self.kill(signal)

    def terminate(self) -> None:
        """Send SIGTERM to the first process; does nothing if it has ended.

        Example:
            >>> c.terminate()
        """
        self.kill("SIGTERM")

    def processes(self) -> ResultList[ProcessInfo]:
        """List the processes inside the container.

        Raises:
            TaskNotFound: The container has no task.

        Example:
            >>> c.processes()[0].args
            ('sleep', '60')
        """
        return ResultList(map(_rows.process_info, self._task_core().task_processes(*self._task_ref())))
