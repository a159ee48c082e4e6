# SPDX-License-Identifier: Apache-2.0
"""One process of a task: its pipes, its end, and what Popen can do with one."""

from __future__ import annotations

import os
import time
import weakref
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Generic, NoReturn, Self

from . import _checks as checks
from . import _rows
from ._attach import DETACH_KEYS, Own, attach
from ._communicate import Exchange
from ._streams import Reader, Writer, _End, lent
from ._types import Sig
from ._values import ExitStatus, ProcessState, RunResult
from .errors import FailedPrecondition, NotFound, Timeout

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    from . import _core
    from ._engine import Engine

    _S = TypeVar("_S", str, bytes, default=str)
else:
    from typing import TypeVar

    _S = TypeVar("_S", str, bytes)

_KILL = 9
_END = 10.0  # seconds for a killed process to end


# Those that this process made and still holds: get_process() gives the very object with the pipes.
_processes: weakref.WeakValueDictionary[tuple[str, str, str, str, str], Process[Any]] = weakref.WeakValueDictionary()


class Process(Generic[_S]):
    r"""A command that runs inside a container, as subprocess.Popen is one outside.

    Leaving its `with` block kills it if it still runs, and deletes it. When its container's first process ends, it ends
    too. It is not tied to the process that made it: get_process() finds it from elsewhere, without its pipes. One that
    has ended stays known to its container, as a child that nobody waits for, until delete(), the end of a `with` block
    or the container's end; run() deletes its own.

    Attributes:
        id: Its name within the container, chosen or made up; "" is the first process.
        container_id: The container.
        args: The command.
        pid: Its host pid once it was started.
        returncode: Its exit status if poll(), wait() or another verb has learned it, else None.
        stdin: Where its input is written, with stdin=PIPE.
        stdout: What it prints, with stdout=PIPE.
        stderr: Likewise; with a tty all of it is in stdout.

    Example:
        >>> with c.exec("cat", stdin=ctrd.PIPE) as p:
        ...     p.communicate("hello\n")
        ('hello\n', '')
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
        id: str = "",
        io: str = "",
        fds: tuple[int, int, int] = (-1, -1, -1),
        text: bool = True,
        timeout: float | None = None,
    ) -> None:
        """Made by exec() and get_process(); takes over the descriptors."""
        self.id = id
        self.container_id = container_id
        self.args = args
        self._engine = engine
        self._instance = instance
        self._pid = pid
        self._io = io
        self._text = text
        self._timeout = timeout
        self._exit: ExitStatus | None = None
        self._late: RunResult[Any] | None = None  # what it left when its limit of time ended it
        self._parked = -1
        self._exchange: Exchange | None = None
        self._files: Mapping[int, Any] = {}  # that communicate() reads and writes, by stream number
        what = f"container {container_id!r}" if not id else f"process {id!r} of container {container_id!r}"
        self.stdin: Writer[_S] | None = None
        if fds[0] >= 0:
            self.stdin = Writer(fds[0], text, f"stdin of {what}", self._end_input)
        self.stdout: Reader[_S] | None = Reader(fds[1], text, f"stdout of {what}") if fds[1] >= 0 else None
        self.stderr: Reader[_S] | None = Reader(fds[2], text, f"stderr of {what}") if fds[2] >= 0 else None

    @classmethod
    def _made(
        cls,
        engine: Engine,
        container: str,
        args: tuple[str, ...],
        row: _core._NewProcess,
        text: bool,
        timeout: float | None,
        files: Mapping[int, Any],
    ) -> Process[Any]:
        """What exec() has made."""
        exec_id, instance, pid, io, fds = row
        made = cls(
            engine, container, instance, pid or None, args, id=exec_id, io=io, fds=fds, text=text, timeout=timeout
        )
        made._files = files
        _processes[_key(engine, container, instance, exec_id)] = made
        return made

    @staticmethod
    def _known(engine: Engine, container: str, instance: str, exec_id: str) -> Process[Any] | None:
        return _processes.get(_key(engine, container, instance, exec_id))

    @property
    def pid(self) -> int | None:
        """Host pid, also after its end; None before its start."""
        return self._pid

    @property
    def returncode(self) -> int | None:
        """Its exit status if poll(), wait() or another verb has learned it, else None."""
        return None if self._exit is None else int(self._exit)

    def start(self) -> Self:
        """Let it run, if it was made with start=False.

        Raises:
            FailedPrecondition: It was started already, or its container has ended.
            PathNotFound: There is no such program.
            ProcessNotFound: It was deleted.
        """
        with lent(self.stdin) as stdin:
            self._pid = self._task_core().start_process(*self._task_ref(), self.id, self._io, stdin)
        self._io = ""
        return self

    def poll(self) -> ExitStatus | None:
        """Return how it ended, or None while it lives.

        Raises:
            ProcessNotFound: It was deleted, and how it ended is not known here.
        """
        if self._exit is None:
            row = self._task_core().poll_process(*self._process_ref())
            return None if row is None else self._ended(_rows.exit_status(row))
        return self._exit

    def wait(self, timeout: float | None = None) -> ExitStatus:
        """Wait until it has ended; waiting ends at the timeout, the process does not.

        Whoever does not read its pipes may wait for ever, as in subprocess: communicate() reads them.

        Args:
            timeout: Seconds; None waits without limit.

        Raises:
            Timeout: It still runs; or its own timeout has killed it: then .result has what it printed.
            ProcessNotFound: It was deleted, and how it ended is not known here.
        """
        limit = checks.seconds("timeout", timeout)
        if self._exit is None:
            self._ended(_rows.exit_status(self._task_core().wait_process(*self._process_ref(), limit)))
        return self._seen_through()

    def communicate(self, input: _S | None = None, timeout: float | None = None) -> tuple[_S, _S]:
        r"""Write the input, close stdin, read everything that it prints, and wait for its end.

        What something that it left behind still holds open is read for as long as something comes at least every two
        seconds, five at most, after its end, and then no more.

        Args:
            input: For its stdin, which must be a PIPE.
            timeout: Seconds; None waits without limit. Nothing is lost by it: call again, without input.

        Returns:
            stdout and stderr; empty for what is not a PIPE.

        Raises:
            Timeout: It still runs; or its own timeout has killed it: then .result has what it printed.

        Example:
            >>> c.exec("tr", "a-z", "A-Z", stdin=ctrd.PIPE).communicate("x")
            ('X', '')
        """
        limit = checks.seconds("timeout", timeout)
        deadline = None if limit is None else time.monotonic() + limit
        if self._exchange is None:
            self._exchange = Exchange(self, input)
        elif input is not None:
            raise ValueError("communicate() was begun already: call it again without input")
        if not self._exchange.run(deadline):
            raise Timeout(f"process {self.id!r} still runs after {timeout} s", cmd=list(self.args), timeout=timeout)
        self.wait()
        return self._exchange.take()

    def _seen_through(self) -> ExitStatus:
        """How it ended; Timeout if its own limit of time ended it."""
        assert self._exit is not None
        if not self._exit.timed_out:
            return self._exit
        if self._late is None:
            exchange = self._exchange or Exchange(self, None)
            exchange.run_out()
            out, err = exchange.take()
            self._late = _rows.partial_result(self.args, self._exit, out, err, self.container_id)
        raise Timeout(
            f"process {self.id!r} of container {self.container_id!r} was killed after {self._timeout} s",
            result=self._late,
            cmd=list(self.args),
            timeout=self._timeout,
            op="exec",
        )

    def state(self) -> ProcessState:
        """Return its state.

        Raises:
            ProcessNotFound: It was deleted.
        """
        state = _rows.process_state(self._task_core().process_state(*self._process_ref()))
        if state.exit is not None:
            self._ended(state.exit)
        return state

    def send_signal(self, signal: Sig) -> None:
        """Send a signal; does nothing if it has ended.

        Args:
            signal: Number (1 to 64) or name.

        Raises:
            InvalidArgument: No such signal.
            FailedPrecondition: It was not started yet.
            ProcessNotFound: It was deleted.
        """
        number = checks.signal("signal", signal)
        if self._exit is None:
            self._task_core().kill_process(*self._process_ref(), number)

    def terminate(self) -> None:
        """Send SIGTERM; does nothing if it has ended."""
        self.send_signal("SIGTERM")

    def kill(self) -> None:
        """Send SIGKILL; does nothing if it has ended."""
        self.send_signal("SIGKILL")

    def resize(self, cols: int, rows: int) -> None:
        """Set the size of its terminal; before its start this is remembered.

        Args:
            cols: Columns, 1 to 65535.
            rows: Rows, likewise.

        Raises:
            InvalidArgument: No such size.
            FailedPrecondition: It has no terminal.
        """
        self._resize(self.id, 0, cols, rows)

    def close_stdin(self) -> None:
        """Let it read the end of its input, once all that was written to it is read; before its start too."""
        if self.stdin is not None and not self.stdin.closed:
            self.stdin.close()
        elif self._exit is None:
            self._task_core().close_stdin(*self._process_ref())

    def attach(
        self, *, detach_keys: str = DETACH_KEYS, stdin: Own = None, stdout: Own = None, stderr: Own = None
    ) -> ExitStatus | None:
        """Connect the caller's terminal to it, until it ends or the detach keys are typed.

        A terminal is raw meanwhile if the process has one too: every key goes through, Ctrl-C as well, and the window's
        size follows. It is as before afterwards, whatever happens.

        Its stdin is closed for others meanwhile.

        Args:
            detach_keys: Keys that end it when they are typed at a terminal, one after the other: "ctrl-a,d"; "" for
                none.
            stdin: A descriptor, or a file that has one, in place of this process's own.
            stdout: Likewise.
            stderr: Likewise.

        Returns:
            How it ended; None when the keys ended this.

        Raises:
            FailedPrecondition: It is another process's exec, so its output is there.
        """
        return attach(self, detach_keys, (stdin, stdout, stderr))

    def delete(self) -> ExitStatus:
        """Forget the ended process; what it has printed stays readable.

        Returns:
            How it ended.

        Raises:
            FailedPrecondition: It runs.
            ProcessNotFound: It was deleted already.
        """
        status = _rows.exit_status(self._task_core().delete_process(*self._process_ref(), self._io))
        self._io = ""
        return self._ended(status)

    def fileno(self) -> int:
        """Return a descriptor for select and event loops: readable once it has ended; then poll() tells how.

        It belongs to this object, which keeps it until it is left, deleted or forgotten.

        Raises:
            ProcessNotFound: It was deleted.
            Unavailable: Too many wait for processes of this container already.
        """
        if self._parked < 0:
            self._parked = self._task_core().park_wait(*self._process_ref())
        return self._parked

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *exc: object) -> None:
        """Kill it if it runs, delete it, and close its pipes."""
        self._close_streams()
        if self._engine.closed:
            return
        with suppress(NotFound, FailedPrecondition):
            if self._exit is None:
                self._kill_and_wait()
            self.delete()

    def __repr__(self) -> str:
        """Return what is free to say."""
        name = type(self).__name__
        return f"<{name} {self.id!r} of {self.container_id!r} pid={self._pid} returncode={self.returncode}>"

    def __reduce__(self) -> NoReturn:
        """Refuse."""
        raise TypeError(f"cannot pickle a {type(self).__name__}: it has pipes of this process")

    def __del__(self) -> None:
        """Close what select was given."""
        self._unpark()

    def _kill_and_wait(self) -> None:
        # A start() that was interrupted tells nothing: it may run.
        with suppress(FailedPrecondition):  # it never ran
            self._task_core().kill_process(*self._process_ref(), _KILL)
            with suppress(Timeout):  # it is frozen with its container: it ends once that goes on
                self._task_core().wait_process(*self._process_ref(), _END)

    def _end_input(self) -> None:
        # Not there any more: it reads nothing more either.
        with suppress(NotFound, FailedPrecondition):
            self._task_core().close_stdin(*self._process_ref())

    def _resize(self, exec_id: str, pid: int, cols: int, rows: int) -> None:
        size = checks.columns("cols", cols), checks.columns("rows", rows)
        self._task_core().resize(*self._task_ref(), exec_id, pid, *size)

    def _unpark(self) -> None:
        fd, self._parked = getattr(self, "_parked", -1), -1
        if fd >= 0:
            os.close(fd)

    def _close_input(self) -> None:
        """Without a word to the shim: it is gone, or will be."""
        self._unpark()
        if self.stdin is not None:
            _End.close(self.stdin)

    def _close_streams(self) -> None:
        self._close_input()
        for stream in (self.stdout, self.stderr):
            if stream is not None:
                stream.close()

    def _task_core(self) -> _core.Engine:
        return self._engine._core

    def _task_ref(self) -> tuple[str, str, str]:
        return self._engine.namespace, self.container_id, self._instance

    def _process_ref(self) -> tuple[str, str, str, str, int]:
        return *self._task_ref(), self.id, 0

    def _ended(self, status: ExitStatus) -> ExitStatus:
        if self._exit is None or status.output_cut:
            self._exit = status
        return self._exit


def _key(engine: Engine, container: str, instance: str, exec_id: str) -> tuple[str, str, str, str, str]:
    return str(engine.root), engine.namespace, container, instance, exec_id


def process_of(field: str, process: object) -> tuple[str, int]:
    """An exec's id or a host pid, as the core takes them; None is the first process."""
    if process is None:
        return "", 0
    if isinstance(process, str):
        return checks.text(field, process), 0
    pid = checks.integer(field, process)
    if not 0 < pid < 2**31:
        raise checks.invalid(field, process, "not a pid")
    return "", pid


def spec_args(spec: Mapping[str, Any]) -> tuple[str, ...]:
    """The command of an OCI process object."""
    return tuple(spec.get("args", ()))
