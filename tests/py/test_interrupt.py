"""Ctrl-C ends any blocking call at once, and leaves nothing half-made."""

from __future__ import annotations

import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import ctrd
import pytest
from support import eventually

pytestmark = pytest.mark.root
AT_MOST = 0.2  # seconds, of the fastest of some tries: a busy machine may hold up a single one
TRIES = 5


@pytest.fixture(autouse=True, scope="module")
def ctrl_c() -> Iterator[None]:
    """A shell starts its background jobs with SIGINT ignored; Python then leaves it so."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def interrupt(after: float, call: Callable[[], object]) -> float:
    """Expect that a SIGINT sent to this process in a moment ends the call with KeyboardInterrupt; return how soon."""
    sent: list[float] = []

    def send() -> None:
        sent.append(time.monotonic())
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    timer = threading.Timer(after, send)
    with pytest.raises(KeyboardInterrupt):
        timer.start()
        call()
        timer.join()  # it was too fast: then here
    took = time.monotonic() - sent[0]
    timer.join()
    print(f"interrupted after {took * 1000:.0f} ms")
    return took


def expect_soon(once: Callable[[], float]) -> None:
    """Expect that an interrupt is over within AT_MOST, in one of some tries; others' work counts as waiting."""
    took = []
    while not took or min(took) > AT_MOST * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1)):
        assert len(took) < TRIES, f"interrupted after {took} s"
        took.append(once())


BLOCKING: dict[str, Callable[[ctrd.Container], object]] = {
    "wait": lambda c: c.wait(),
    "wait-timeout": lambda c: c.wait(timeout=1000),
    "task-wait": lambda c: c.task().wait(),
    "stop": lambda c: c.stop(grace=1000),
    "logs": lambda c: list(c.logs(follow=True)),
    "read": lambda c: c.task().stdout.read(),  # type: ignore[union-attr]
    "readline": lambda c: c.task().stdout.readline(timeout=1000),  # type: ignore[union-attr]
    "write": lambda c: c.task().stdin.write("x" * 1_000_000),  # type: ignore[union-attr]
}


@pytest.mark.parametrize("name", BLOCKING)
def test_calls_that_wait(engine: ctrd.Engine, rootfs: ctrd.Rootfs, name: str) -> None:
    piped = name in ("read", "readline", "write")
    with engine.containers.create(rootfs, shell="trap '' TERM; while :; do sleep 1; done") as c:
        if piped:
            c.start(stdin=ctrd.PIPE, stdout=ctrd.PIPE)
        else:
            c.start()
        expect_soon(lambda: interrupt(0.3, lambda: BLOCKING[name](c)))
        assert c.status() == "running"
        c.kill()
        assert c.wait(timeout=30).signal == 9


@pytest.mark.parametrize("after", [0.0, 0.005, 0.02, 0.04, 0.5])
def test_run(engine: ctrd.Engine, rootfs: ctrd.Rootfs, after: float) -> None:
    expect_soon(lambda: interrupt(after, lambda: engine.run(rootfs, "sleep", "1000")))
    assert len(engine.containers) == 0


class Sink:
    """Something with a write()."""

    def write(self, data: str) -> None:
        pass


@pytest.mark.parametrize(
    "options",
    [{}, {"input": "x" * 10_000_000}, {"max_output": 10}, {"stdout": Sink()}, {"stdout": "/dev/null"}],
    ids=["captured", "input", "max_output", "sink", "file"],
)
def test_run_of_a_chatty_program(engine: ctrd.Engine, rootfs: ctrd.Rootfs, options: dict[str, Any]) -> None:
    expect_soon(lambda: interrupt(0.2, lambda: engine.run(rootfs, "yes", **options)))
    assert len(engine.containers) == 0


HANGING = """#!/bin/sh
case " $* " in *" {verb} "*) sleep 98765 ;; esac
exec {runtime} "$@"
"""


@pytest.mark.parametrize(
    ("call", "verb"),
    [
        ("run", "create"),
        ("run", "start"),
        ("run", "delete"),
        ("start", "create"),
        ("start", "start"),
        ("create_task", "create"),
    ],
)
def test_a_runtime_that_hangs(
    engine: ctrd.Engine, rootfs: ctrd.Rootfs, tmp_path: Path, verb: str, call: str, runtime: str
) -> None:
    (tmp_path / "runtime").write_text(HANGING.format(verb=verb, runtime=shutil.which(runtime)))
    (tmp_path / "runtime").chmod(0o755)

    def once() -> float:
        calls: dict[str, Callable[[], object]] = {
            "run": lambda: engine.run(rootfs, "true", runtime=str(tmp_path / "runtime")),
            "start": lambda: engine.start(rootfs, "true", runtime=str(tmp_path / "runtime")),
            "create_task": container.create_task,
        }
        took = interrupt(0.3, calls[call])
        eventually(lambda: not sleepers(), "what the runtime started has gone")
        assert not list(engine.state.glob("[!.]*/[!.]*"))
        return took

    with engine.containers.create(rootfs, "true", runtime=str(tmp_path / "runtime")) as container:
        expect_soon(once)
        assert list(engine.containers) == [container.id]


def sleepers() -> list[str]:
    """Processes of a hanging runtime."""
    found = []
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found += [process.parent.name] if b"98765" in process.read_bytes().split(b"\0") else []
        except OSError:
            pass
    return found


@pytest.mark.parametrize("after", [0.0, 0.01, 0.03])
def test_start(engine: ctrd.Engine, rootfs: ctrd.Rootfs, after: float) -> None:
    kept: list[ctrd.Container] = []

    def start_many() -> None:
        while True:
            kept.append(engine.start(rootfs, "sleep", "1000"))

    expect_soon(lambda: interrupt(after, start_many))
    assert len(engine.containers) <= len(kept) + TRIES  # the last may have been made without a chance to be returned
    for id in engine.containers:
        engine.containers.delete(id, force=True)


def test_a_signal_handler_of_the_program_runs_during_a_call(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    seen: list[int] = []
    before = signal.signal(signal.SIGUSR1, lambda number, frame: seen.append(number))
    try:
        with engine.start(rootfs, "sleep", "1000") as c:
            main = threading.main_thread().ident or 0
            timer = threading.Timer(0.1, lambda: (signal.pthread_kill(main, signal.SIGUSR1), c.kill()))
            timer.start()
            assert c.wait().signal == 9
            timer.join()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert seen == [signal.SIGUSR1]


def test_a_handler_that_raises_something_else(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    def handler(number: int, frame: object) -> None:
        raise ZeroDivisionError("from a handler")

    before = signal.signal(signal.SIGALRM, handler)
    try:
        with engine.start(rootfs, "sleep", "1000") as c:
            signal.setitimer(signal.ITIMER_REAL, 0.1)
            with pytest.raises(ZeroDivisionError, match="from a handler"):
                c.wait()
    finally:
        signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("after", [0.0, 0.005, 0.02])
@pytest.mark.parametrize("call", ["exec", "run"])
def test_inside_a_container(engine: ctrd.Engine, rootfs: ctrd.Rootfs, runtime: str, call: str, after: float) -> None:
    with engine.start(rootfs, "sleep", "1000", id="x", runtime=runtime) as c:
        made: list[ctrd.Process[str]] = []
        verbs: dict[str, Callable[[], object]] = {
            "exec": lambda: made.append(c.exec("sleep", "1001")),
            "run": lambda: c.run("sleep", "1001"),
        }
        expect_soon(lambda: interrupt(after, verbs[call]))
        for p in made:  # it was faster than the interrupt
            p.__exit__()
        bundle = engine.state / "default" / "x"
        eventually(lambda: [p.args for p in c.processes()] == [("sleep", "1000")], "only the first process is there")
        for name in ("io", "exec"):
            assert not (bundle / name).exists() or not list((bundle / name).iterdir())
        assert c.run("true").ok
