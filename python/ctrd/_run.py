# SPDX-License-Identifier: Apache-2.0
"""run(): where its streams go, and what becomes of its end."""

from __future__ import annotations

import codecs
import contextlib
import io
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any

from . import _checks as checks
from . import _core, _rows
from ._stdio import descriptor, open_for_writing
from ._types import DEVNULL, INHERIT, PIPE, STDOUT, RunOptions
from ._values import RunResult
from .errors import ExitError, Timeout

RUN_KEYS = frozenset(RunOptions.__annotations__)

_Sink = _core.RunOptions.Sink
_STREAMS = {1: "stdout", 2: "stderr"}
_FILES = (io.TextIOWrapper, io.BufferedWriter, io.BufferedRandom, io.FileIO)  # used by their descriptor


class Sinks:
    """Where both streams of one run go; a context that closes what it opened and writes what is left."""

    def __init__(self, options: _core.RunOptions, text: bool) -> None:
        """Fill in these options."""
        self._options = options
        self._text = text
        self._stack = contextlib.ExitStack()
        self._writers: dict[int, Callable[[bytes, bool], None]] = {}

    def __enter__(self) -> Sinks:
        """Return itself."""
        return self

    def __exit__(self, *exc: object) -> None:
        """Close the files that were opened."""
        self._stack.close()

    def finish(self) -> None:
        """Write what a decoder still holds."""
        for write in self._writers.values():
            write(b"", True)

    def set(self, stream: int, target: object) -> None:
        """Send a stream to what the caller gave as stdout= or stderr=."""
        name = _STREAMS[stream]
        if target is None or (_is_number(target) and target == INHERIT):
            target = getattr(sys, name)
            if target is None:  # no console (pythonw, a daemon)
                target = DEVNULL
        if isinstance(target, bool):
            checks.wrong_type(name, target, "a Std, a descriptor, a path or a file")
        if _is_number(target):
            self._set_number(stream, name, int(target))  # type: ignore[call-overload]
        elif isinstance(target, str | os.PathLike):
            self._set_fd(stream, self._stack.enter_context(open_for_writing(name, checks.path(name, target))))
        elif callable(getattr(target, "write", None)):
            self._set_file(stream, target)
        else:
            checks.wrong_type(name, target, "a Std, a descriptor, a path or a file")

    def _set_number(self, stream: int, name: str, number: int) -> None:
        if number == PIPE:
            self._options.set_sink(stream, _Sink.CAPTURE, -1)
        elif number == DEVNULL:
            self._options.set_sink(stream, _Sink.DEVNULL, -1)
        elif number == STDOUT and stream == 2:
            self._options.set_sink(stream, _Sink.STDOUT, -1)
        elif number >= 0:
            self._set_fd(stream, descriptor(name, number))
        else:
            raise checks.invalid(name, number, "not PIPE, DEVNULL, INHERIT, STDOUT (of stderr) or a descriptor")

    def _set_fd(self, stream: int, file: int | io.FileIO) -> None:
        self._options.set_sink(stream, _Sink.FD, file if isinstance(file, int) else file.fileno())

    def _set_file(self, stream: int, file: Any) -> None:
        if type(file) in _FILES:
            with contextlib.suppress(OSError, ValueError):
                fd = file.fileno()
                file.flush()
                self._set_fd(stream, fd)
                return
        self._writers[stream] = writer(file, self._text)
        self._options.set_sink(stream, _Sink.CALL, -1)
        self._options.set_write(self._write)

    def _write(self, stream: int, data: bytes) -> None:
        self._writers[stream](data, False)


def _is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def writer(file: Any, text: bool) -> Callable[[bytes, bool], None]:
    """What hands bytes to file.write, as str if the file is one of text."""
    if isinstance(file, io.RawIOBase | io.BufferedIOBase) or not (text or isinstance(file, io.TextIOBase)):
        return lambda data, final: _write_all(file, data)
    decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def write(data: bytes, final: bool) -> None:
        decoded = decoder.decode(data, final)
        if decoded:
            file.write(decoded)

    return write


def _write_all(file: Any, data: bytes) -> None:
    """A raw file may take less than all of it."""
    while data:
        taken = file.write(data)
        data = data[taken:] if isinstance(taken, int) else b""


def _set_input(options: _core.RunOptions, given: object, text: bool) -> None:
    if not isinstance(given, str | bytes):
        checks.wrong_type("input", given, "str or bytes")
    if isinstance(given, str) is not text:
        raise checks.invalid("input", given, "bytes with text=True" if text else "str with text=False")
    if isinstance(given, str):
        given = checks.text("input", given).encode()
    options.set_input(given)


def run(
    core: _core.Engine, ns: str, create: _core.CreateOptions, given: Mapping[str, Any], text: bool
) -> RunResult[Any]:
    """Run a container to its end, with checked CreateOptions and the RunOptions as they were given."""
    return _run(lambda options: core.run(ns, create, options), given, text)


def run_process(
    core: _core.Engine, task: tuple[str, str, str], process: _core.ExecOptions, given: Mapping[str, Any], text: bool
) -> RunResult[Any]:
    """Run a further process to its end, with checked ExecOptions and the ExecRun as it was given."""
    return _run(lambda options: core.run_process(*task, process, options), given, text)


def _run(
    begin: Callable[[_core.RunOptions], tuple[_core._RunRow, str | None]], given: Mapping[str, Any], text: bool
) -> RunResult[Any]:
    options = _core.RunOptions()
    is_text = checks.flag("text", text)
    check = checks.flag("check", given.get("check", False))
    timeout = checks.seconds("timeout", given.get("timeout"))
    if given.get("input") is not None:
        _set_input(options, given["input"], is_text)
    if timeout is not None:
        options.set_timeout(timeout)
    if given.get("max_output") is not None:
        options.max_output = checks.size("max_output", given["max_output"])
    with Sinks(options, is_text) as sinks:
        sinks.set(1, given.get("stdout", PIPE))
        sinks.set(2, given.get("stderr", PIPE))
        row, timed_out = begin(options)
        sinks.finish()
    result = _rows.run_result(row, is_text)
    if timed_out is not None:
        raise Timeout(timed_out, result=result, cmd=list(result.args), timeout=timeout, op="run")
    if check and not result.ok:
        raise ExitError.of(result)
    return result
