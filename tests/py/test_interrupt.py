"""Ctrl-C ends any blocking call at once, and leaves nothing half-made."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator

import ctrd
import pytest

pytestmark = pytest.mark.root
AT_MOST = 3.0  # seconds; the aim is 0.2, and what it took is printed: the machine may be busy


@pytest.fixture(autouse=True, scope="module")
def ctrl_c() -> Iterator[None]:
    """A shell starts its background jobs with SIGINT ignored; Python then leaves it so."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def interrupt(after: float, call: Callable[[], object]) -> None:
    """Expect that a SIGINT sent to this process in a moment ends the call with KeyboardInterrupt, soon."""
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
    assert took < AT_MOST


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
        interrupt(0.3, lambda: BLOCKING[name](c))
        assert c.status() == "running"
        c.kill()
        assert c.wait(timeout=30).signal == 9


@pytest.mark.parametrize("after", [0.0, 0.005, 0.02, 0.04, 0.5])
def test_run(engine: ctrd.Engine, rootfs: ctrd.Rootfs, after: float) -> None:
    interrupt(after, lambda: engine.run(rootfs, "sleep", "1000"))
    assert len(engine.containers) == 0


def test_run_with_output_and_input(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    interrupt(0.3, lambda: engine.run(rootfs, shell="yes", input="x" * 10_000_000, max_output=10))
    assert len(engine.containers) == 0


@pytest.mark.parametrize("after", [0.0, 0.01, 0.03])
def test_start(engine: ctrd.Engine, rootfs: ctrd.Rootfs, after: float) -> None:
    kept: list[ctrd.Container] = []

    def start_many() -> None:
        while True:
            kept.append(engine.start(rootfs, "sleep", "1000"))

    interrupt(after, start_many)
    assert len(engine.containers) <= len(kept) + 1  # the last may have been made without a chance to be returned
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
