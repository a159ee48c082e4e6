# SPDX-License-Identifier: Apache-2.0
"""The verbs that a Task has and a Container forwards to its task: written once, inherited by both."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Literal, Unpack, overload

from . import _checks as checks
from . import _rows
from ._attach import DETACH_KEYS, Own, attach
from ._checkpoint import (
    Checkpoint,
    CheckpointReport,
    checkpoint_options,
    checkpoint_task,
    fork_task,
    report_task,
)
from ._exec import EXEC_KEYS, EXEC_RUN_KEYS, exec_options, exec_stdio
from ._process import Process, process_of, spec_args
from ._run import run_process
from ._signature import check_known, takes
from ._stats import Stats
from ._types import DEVNULL, PIPE, ExecRun, ExecStdio, Labels, Sig
from ._values import ExitStatus, ProcessInfo, ResultList, RunResult
from .errors import Error, FailedPrecondition, NotFound, TaskNotFound, Timeout

if TYPE_CHECKING:
    from . import _core
    from ._container import Container
    from ._engine import Engine


class _TaskVerbs:
    """Verbs of a task. A Task names one life for ever; a Container names whichever it has now."""

    if TYPE_CHECKING:
        _engine: Engine

        def _task_core(self) -> _core.Engine: ...
        def _task_ref(self) -> tuple[str, str, str]:
            """Namespace, container, instance ("": whichever there is)."""
            ...

        def _ended(self, status: ExitStatus) -> ExitStatus:
            """Called with each exit status that was learned."""
            ...

        def _first_process(self) -> Process[Any]: ...

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

    def pause(self) -> None:
        """Freeze every process of the container; they keep their memory and get no time.

        kill() with SIGKILL ends a paused task, stop() resumes it first; any other signal waits until resume().

        Raises:
            FailedPrecondition: It does not run.
            TaskNotFound: The container has no task.

        Example:
            >>> c.pause()
            >>> print(c.status())
            paused
        """
        self._task_core().pause_task(*self._task_ref())

    def resume(self) -> None:
        """Let a paused task run on.

        Raises:
            FailedPrecondition: It is not paused.
            TaskNotFound: The container has no task.

        Example:
            >>> c.pause()
            >>> c.resume()
            >>> print(c.status())
            running
        """
        self._task_core().resume_task(*self._task_ref())

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Pause at the beginning of a with block and resume at its end, whichever way it ends.

        Raises:
            FailedPrecondition: It does not run.
            TaskNotFound: The container has no task.

        Example:
            >>> with c.paused():
            ...     print(c.status())
            paused
        """
        self.pause()
        try:
            yield
        finally:
            # In the block it may have been resumed, ended or deleted.
            with suppress(FailedPrecondition, NotFound):
                self.resume()

    @overload
    def checkpoint(
        self,
        ref: str | os.PathLike[str] | None = None,
        *,
        dry_run: Literal[False] = False,
        exit: bool = False,
        tcp: Literal["refuse", "close", "keep"] = "refuse",
        unix_sockets: bool = False,
        terminal: bool = False,
        file_locks: bool = True,
        empty_namespaces: Collection[str] = (),
        labels: Labels | None = None,
    ) -> Checkpoint: ...
    @overload
    def checkpoint(
        self,
        ref: str | os.PathLike[str] | None = None,
        *,
        dry_run: Literal[True],
        exit: bool = False,
        tcp: Literal["refuse", "close", "keep"] = "refuse",
        unix_sockets: bool = False,
        terminal: bool = False,
        file_locks: bool = True,
        empty_namespaces: Collection[str] = (),
        labels: Labels | None = None,
    ) -> CheckpointReport: ...
    def checkpoint(
        self,
        ref: str | os.PathLike[str] | None = None,
        *,
        dry_run: bool = False,
        exit: bool = False,
        tcp: Literal["refuse", "close", "keep"] = "refuse",
        unix_sockets: bool = False,
        terminal: bool = False,
        file_locks: bool = True,
        empty_namespaces: Collection[str] = (),
        labels: Labels | None = None,
    ) -> Checkpoint | CheckpointReport:
        """Dump its processes, with the layer as it is at that moment; then they go on, or end.

        It is independent of the container. A failure leaves the task as it was, and nothing behind.

        Args:
            ref: A str is the name to store it under, a path a directory that is not there yet, or is empty. None: a
                name is made up.
            dry_run: Only look for what would fail, before anything is frozen: a CheckpointReport, whose .problems say
                which option allows them. It costs the processes nothing.
            exit: End the task once it is dumped (137).
            tcp: What happens to established connections: "refuse" to dump them, "close" them in what is restored, or
                "keep" them.
            unix_sockets: Whether it may have datagram sockets that are connected to unix sockets outside.
            terminal: Whether it may have a terminal of the host; its own, by tty=True, it may always have.
            file_locks: Whether it may hold file locks.
            empty_namespaces: Namespaces that are restored empty: "network", with nothing but lo in it (runc only).
            labels: Of the checkpoint, dict[str, str].

        Raises:
            FailedPrecondition: It does not run, or cannot be dumped as it is; .hint says what would allow it, and
                .context["log_path"] where CRIU's log is.
            Unsupported: This machine cannot dump; .hint says what to install.
            AlreadyExists: There is one of this name, or something in that directory.

        Example:
            >>> c.checkpoint("warm").restore().status()  # doctest: +SKIP
            <TaskStatus.running: 'running'>
        """
        options = checkpoint_options(
            ref,
            exit=exit,
            tcp=tcp,
            unix_sockets=unix_sockets,
            terminal=terminal,
            file_locks=file_locks,
            empty_namespaces=empty_namespaces,
            labels=labels,
        )
        verb = report_task if checks.flag("dry_run", dry_run) else checkpoint_task
        return verb(self._engine, self._task_ref(), options)

    @overload
    def fork(
        self, count: int = 1, *, ids: Sequence[str] | None = None, return_exceptions: Literal[False] = False
    ) -> list[Container]: ...
    @overload
    def fork(
        self, count: int = 1, *, ids: Sequence[str] | None = None, return_exceptions: Literal[True]
    ) -> list[Container | Error]: ...
    def fork(self, count: int = 1, *, ids: Sequence[str] | None = None, return_exceptions: bool = False) -> Any:
        """Make containers that go on from where it is now, each with a layer, id, hostname and cgroup of its own.

        It is frozen and dumped once, and goes on itself. All copies are restored from the same images, which are gone
        afterwards. Connections are closed in the copies; they have the labels and options of the original, and
        end with this process.

        Args:
            count: How many.
            ids: Their names; made up when absent.
            return_exceptions: Whether a copy that fails leaves its error in its place. Otherwise it is raised, and no
                copy is left.

        Raises:
            FailedPrecondition: It does not run, or cannot be dumped as it is, or a copy cannot be restored; .hint says
                what would allow it.
            Unsupported: This machine cannot dump; .hint says what to install.
            AlreadyExists: An id is taken.
            InvalidArgument: count, or ids that are not as many.

        Example:
            >>> c.fork(3, ids=["a", "b", "c"])  # doctest: +SKIP
            [<Container 'a'>, <Container 'b'>, <Container 'c'>]
        """
        return fork_task(self._engine, self._task_ref(), count, ids, return_exceptions)

    def processes(self) -> ResultList[ProcessInfo]:
        """List the processes inside the container.

        Raises:
            TaskNotFound: The container has no task.

        Example:
            >>> c.processes()[0].args
            ('sleep', '60')
        """
        return ResultList(map(_rows.process_info, self._task_core().task_processes(*self._task_ref())))

    @overload
    def exec(self, *args: str, text: Literal[True] = True, **options: Unpack[ExecStdio]) -> Process[str]: ...
    @overload
    def exec(self, *args: str, text: Literal[False], **options: Unpack[ExecStdio]) -> Process[bytes]: ...
    @overload
    def exec(self, *args: str, text: bool, **options: Unpack[ExecStdio]) -> Process[Any]: ...
    @takes(ExecStdio, stdin=DEVNULL, stdout=PIPE, stderr=PIPE, start=True)
    def exec(self, *args: str, text: bool = True, **options: Unpack[ExecStdio]) -> Process[Any]:
        r"""Run a command inside the container, at once, as subprocess.Popen does outside.

        What is not given (env, cwd, user, capabilities, limits) is as for the container's first process. Use it as a
        context, or delete() it in the end: until then the container remembers it.

        Args:
            args: The command and its arguments; never split by a shell.
            text: Whether its pipes give and take str; bytes otherwise.
            options: See ExecOptions. shell: a text for /bin/sh -c, in place of args. env: over the container's own;
                None removes. user: "uid", "uid:gid", "name", "name:group". tty: True (80 by 24), or (columns, rows).
                id: its name; one is made up otherwise. stdin: DEVNULL (the default), PIPE, None (the caller's own), a
                descriptor, a path or a file; a regular file is read from its beginning, wherever a descriptor of it
                stands. stdout, stderr: PIPE (the default), DEVNULL, STDOUT (of stderr), None, a descriptor, a path or a
                file; communicate() reads and writes files that have no descriptor. timeout: seconds after which it is
                killed with everything that it has forked; wait() and communicate() raise Timeout then. start:
                False only prepares it, for Process.start().

        Raises:
            FailedPrecondition: The container has no running task, or it is paused.
            AlreadyExists: It has a process of this id.
            PathNotFound: There is no such program.
            InvalidArgument: An option is wrong; .field says which.

        Example:
            >>> p = c.exec("cat", stdin=ctrd.PIPE)
            >>> p.communicate("hello")
            ('hello', '')
        """
        check_known(options, EXEC_KEYS, "exec")
        made = exec_options(args, options)
        is_text = checks.flag("text", text)
        timeout = checks.seconds("timeout", options.get("timeout"))
        if timeout is not None:
            made.set_timeout(timeout)
        made.start = checks.flag("start", options.get("start", True))
        command = tuple(made.args)
        ns, container, instance = self._task_ref()
        with exec_stdio(options) as stdio:
            row = self._task_core().exec_process(ns, container, instance, made, stdio.row)
            return Process._made(self._engine, container, command, row, is_text, timeout, stdio.files)

    @overload
    def run(self, *args: str, text: Literal[True] = True, **options: Unpack[ExecRun]) -> RunResult[str]: ...
    @overload
    def run(self, *args: str, text: Literal[False], **options: Unpack[ExecRun]) -> RunResult[bytes]: ...
    @overload
    def run(self, *args: str, text: bool, **options: Unpack[ExecRun]) -> RunResult[Any]: ...
    @takes(ExecRun, stdout=PIPE, stderr=PIPE)
    def run(self, *args: str, text: bool = True, **options: Unpack[ExecRun]) -> RunResult[Any]:
        r"""Run a command inside the container to its end.

        Args:
            args: The command and its arguments; never split by a shell.
            text: Whether stdout and stderr are str; bytes otherwise.
            options: As for exec(), and: input: for its stdin. stdout, stderr: PIPE (captured, the default), DEVNULL,
                STDOUT (of stderr), None (the caller's own), a descriptor, a path or a file. check: raise ExitError
                unless it ends with 0. timeout: seconds after which it is killed with everything that it has forked.
                max_output: bytes of each stream to keep.

        Returns:
            What it left.

        Raises:
            ExitError: check, and it did not end with 0.
            Timeout: It was killed at its timeout; .result has what it printed until then.
            FailedPrecondition: The container has no running task, or it is paused.
            PathNotFound: There is no such program.
            InvalidArgument: An option is wrong; .field says which.

        Example:
            >>> c.run("echo", "hello").stdout
            'hello\n'
        """
        check_known(options, EXEC_RUN_KEYS, "run")
        made = exec_options(args, options)
        return run_process(self._task_core(), self._task_ref(), made, options, text)

    def get_process(self, id: str | int) -> Process[Any]:
        """Return one of its processes; in the process that made it with its pipes, elsewhere without.

        Args:
            id: Its name, or its host pid if it is one that exec() or the container's start made.

        Raises:
            ProcessNotFound: There is none.
            TaskNotFound: The container has no task.
        """
        name, pid = process_of("id", id)
        if not name and not pid:
            raise checks.invalid("id", id, "empty")
        ns, container, instance = self._task_ref()
        exec_id, instance, found, text = self._task_core().find_process(ns, container, instance, name, pid)
        if not exec_id:
            return self._first_process()
        known = Process._known(self._engine, container, instance, exec_id)
        if known is not None:
            return known
        args = spec_args(json.loads(text)) if text else ()
        return Process(self._engine, container, instance, found or None, args, id=exec_id)

    def attach(
        self, *, detach_keys: str = DETACH_KEYS, stdin: Own = None, stdout: Own = None, stderr: Own = None
    ) -> ExitStatus | None:
        """Connect the caller's terminal to the first process, until it ends or the detach keys are typed.

        In the process that made the task through its pipes; elsewhere through its log, from now on, and the stdin that
        is kept open for whoever attaches: with a tty, or with stdin=PIPE.

        Args:
            detach_keys: Keys that end it when they are typed at a terminal, one after the other: "ctrl-a,d"; "" for
                none.
            stdin: A descriptor, or a file that has one, in place of this process's own.
            stdout: Likewise.
            stderr: Likewise.

        Returns:
            How it ended; None when the keys ended this.

        Raises:
            TaskNotFound: The container has no task.
        """
        return attach(self._first_process(), detach_keys, (stdin, stdout, stderr))

    def stats(self) -> Stats:
        """Read what the container uses, from its cgroup; also while it is paused, and before its start.

        Raises:
            TaskNotFound: The container has no task, or it has ended.

        Example:
            >>> c.stats().pids.current
            1
        """
        return _rows.stats(self._task_core().task_stats(*self._task_ref()))

    def stats_stream(self, interval: float = 1.0) -> Iterator[Stats]:
        """Read what the container uses, now and again after each interval, until its task ends.

        Args:
            interval: Seconds from one to the next.

        Returns:
            An iterator that waits for the next; it ends at once when the task does.

        Raises:
            InvalidArgument: The interval is not above 0.
            TaskNotFound: The container has no task, or it has ended already.

        Example:
            >>> next(c.stats_stream()).memory.usage > 0
            True
        """
        seconds = checks.number("interval", interval)
        if seconds <= 0:
            raise checks.invalid("interval", interval, "not above 0")
        namespace, id_, _ = self._task_ref()
        first = self._task_core().task_stats(*self._task_ref())
        return self._stats_from(first, (namespace, id_, first[0]), seconds)

    def _stats_from(self, row: _core._StatsRow, ref: tuple[str, str, str], seconds: float) -> Iterator[Stats]:
        due = time.monotonic()
        try:
            while True:
                yield _rows.stats(row)
                due = max(due + seconds, time.monotonic())
                try:
                    self._task_core().wait_task(*ref, max(0.0, due - time.monotonic()))
                    return
                except Timeout:
                    row = self._task_core().task_stats(*ref)
        except TaskNotFound:
            return
