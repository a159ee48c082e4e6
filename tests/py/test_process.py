"""Processes seen from event loops and from other processes: readiness, many waits at once, lives."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import select
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import ctrd
import pytest
from support import alive, eventually, python, python_says

pytestmark = pytest.mark.root


@pytest.fixture
def c(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> Iterator[ctrd.Container]:
    """A container that sleeps."""
    with engine.start(rootfs, "sleep", "1000", id="x") as made:
        yield made


def ready(*what: object, timeout: float = 0) -> list[object]:
    return select.select(what, [], [], timeout)[0]


def test_fileno_is_readable_at_the_end(engine: ctrd.Engine, rootfs: ctrd.Rootfs, runtime: str) -> None:
    with engine.start(rootfs, "sleep", "1000", runtime=runtime) as c:
        p, task = c.exec("cat", stdin=ctrd.PIPE), c.task()
        assert p.stdin and p.stdout
        assert ready(p, task, p.stdout) == []
        assert p.fileno() == p.fileno() != task.fileno()
        p.stdin.close()
        assert p in ready(p, task, timeout=30)
        assert p.poll() == 0 and task.poll() is None
        assert ready(p) == [p]  # and stays so
        c.kill()
        assert ready(task, timeout=30) == [task]
        assert task.poll() == 137
        assert ready(c.task()) == [task]
        p.delete()


def test_fileno_after_the_end(c: ctrd.Container) -> None:
    with c.exec("true") as p:
        p.wait(timeout=30)
        assert ready(p, timeout=30) == [p]
        assert c.get_process(p.id) is p
    with pytest.raises(ctrd.ProcessNotFound):
        p.fileno()
    task = c.task()
    c.kill()
    assert task.wait(timeout=30) == 137
    assert ready(task, timeout=30) == [task]


def test_asyncio_needs_nothing_else(c: ctrd.Container) -> None:
    async def readable(fd: int) -> None:
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        loop.add_reader(fd, lambda: future.done() or future.set_result(None))
        try:
            await future
        finally:
            loop.remove_reader(fd)

    async def lines(reader: ctrd.Reader[str]) -> list[str]:
        found = []
        while True:
            await readable(reader.fileno())
            if not (line := reader.readline(timeout=30)):
                return found
            found.append(line)

    async def ended(p: ctrd.Process[str]) -> ctrd.ExitStatus | None:
        await readable(p.fileno())
        return p.poll()

    async def one(number: int) -> tuple[int, list[str]]:
        p = c.exec(shell=f"echo a{number}; sleep 0.1; echo b{number}; exit {number}")
        assert p.stdout
        status, printed = await asyncio.gather(ended(p), lines(p.stdout))
        p.delete()
        p._close_streams()
        assert status is not None
        return int(status), printed

    async def all_of_them() -> list[tuple[int, list[str]]]:
        return await asyncio.gather(*(one(number) for number in range(20)))

    threads = threading.active_count()
    found = asyncio.run(all_of_them())
    assert found == [(number, [f"a{number}\n", f"b{number}\n"]) for number in range(20)]
    assert threading.active_count() == threads


@pytest.fixture
def many_descriptors() -> Iterator[None]:
    """As many as we may have, for us and for the shims that we start."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(before[1], 4096), before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_a_thousand_waits_without_a_thread(many_descriptors: None, engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    with engine.start(rootfs, "sleep", "1000", id="x") as c, select.epoll() as poll:
        task = c.task()
        made = [ctrd.Task(engine, "x", task._instance, task.pid, task.args) for _ in range(1000)]
        threads = len(list(Path("/proc/self/task").iterdir()))
        for one in made:
            poll.register(one.fileno(), select.EPOLLIN)
        assert poll.poll(0) == []
        assert len(list(Path("/proc/self/task").iterdir())) <= threads
        assert c.run("true").ok  # the shim has time for others
        c.kill()
        left = {one.fileno(): one for one in made}
        while left:
            events = poll.poll(30)
            assert events
            for fd, _ in events:
                poll.unregister(fd)
                left.pop(fd)._unpark()
        assert task.wait() == 137


def test_a_shim_that_takes_no_more_says_so(many_descriptors: None, engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    code = """
import ctrd, resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (1024, 1024))  # half of them are for the shim's connections
ctrd.start(ctrd.Rootfs(sys.argv[1]), "sleep", "1000", id="x", lifetime="detached")
"""
    python_says(engine, code, str(rootfs.path))
    c = engine.containers["x"]
    with contextlib.ExitStack() as end, contextlib.ExitStack() as stack:
        end.callback(c.delete, force=True)
        p = c.exec("sleep", "1000")
        bundle = os.open(engine.state / "default" / "x", os.O_PATH)
        stack.callback(os.close, bundle)

        refused = select.poll()
        for _ in range(1100):
            one = stack.enter_context(socket.socket(socket.AF_UNIX))
            one.connect(f"/proc/self/fd/{bundle}/sock")
            refused.register(one, select.POLLIN)
        eventually(lambda: refused.poll(0), "it has refused one")
        with pytest.raises(ctrd.Unavailable):
            p.fileno()
        stack.close()

        def parked() -> bool:
            with contextlib.suppress(ctrd.Unavailable):
                return p.fileno() >= 0
            return False

        eventually(parked, "there is room again")
        poll = select.poll()
        poll.register(p.fileno(), select.POLLIN)
        assert poll.poll(0) == []
        p.__exit__()


def test_waits_from_many_processes(engine: ctrd.Engine, c: ctrd.Container) -> None:
    code = """
import ctrd
p = ctrd.default_engine().containers["x"].get_process("p")
print("up", flush=True)
print(int(p.wait(timeout=60)))
"""
    p = c.exec("sleep", "1000", id="p")
    others = [python(engine, code) for _ in range(4)]
    for other in others:
        assert other.stdout and other.stdout.readline() == "up\n"
    p.kill()
    for other in others:
        out, err = other.communicate(timeout=60)
        assert out == "137\n", err
    assert p.wait() == 137


def test_another_process_takes_over(engine: ctrd.Engine, c: ctrd.Container) -> None:
    code = """
import ctrd, sys
c = ctrd.default_engine().containers["x"]
task = c.task()
assert task.stdout is None and task.poll() is None
assert c.run("echo", "hi").stdout == "hi\\n"
p = c.exec("sleep", "1000")
p.terminate()
print(p.wait(timeout=30).signal)
c.kill()
print(int(task.wait(timeout=30)), c.status())
"""
    assert python_says(engine, code) == "15\n137 stopped\n"
    assert c.wait() == 137


def test_closing_the_engine_ends_processes(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    with ctrd.Engine(engine.root, state=engine.state) as other:
        p = other.start(rootfs, "sleep", "1000").exec("sleep", "1000")
        pid = p.pid or 0
        assert alive(pid)
    assert not alive(pid)
    for verb in (p.poll, p.wait, p.kill, p.state, p.delete, p.fileno):
        with pytest.raises(ctrd.FailedPrecondition):
            verb()
    p.__exit__()


def test_an_old_task_never_answers_for_a_new_one(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    with engine.containers.create(rootfs, "sleep", "1000") as c:
        old = c.create_task().start()
        old.kill()
        old.wait(timeout=30)
        old.delete()
        c.start()
        for verb in (lambda: old.exec("true"), lambda: old.run("true"), lambda: old.resize(80, 25)):
            with pytest.raises(ctrd.TaskNotFound):
                verb()
        with pytest.raises(ctrd.TaskNotFound):
            old.fileno()
        assert c.run("true").ok
