"""Input of processes: every byte, the end of it, whoever closes it and when."""

from __future__ import annotations

import hashlib
import os
import signal
import threading
from collections.abc import Iterator

import ctrd
import pytest
from support import eventually, python_says

pytestmark = pytest.mark.root
MIB = 1 << 20


@pytest.fixture
def c(engine: ctrd.Engine, rootfs: ctrd.Rootfs, runtime: str) -> Iterator[ctrd.Container]:
    """A container that sleeps, with each runtime."""
    with engine.start(rootfs, "sleep", "1000", id="x", runtime=runtime) as made:
        yield made


def through(p: ctrd.Process[bytes], chunk: bytes, count: int) -> str:
    """Write a chunk count times while another thread reads, and return the digest of what came back."""
    digest = hashlib.sha256()

    def read() -> None:
        assert p.stdout
        while data := p.stdout.read(MIB, timeout=60):
            digest.update(data)

    reader = threading.Thread(target=read)
    reader.start()
    assert p.stdin
    for _ in range(count):
        p.stdin.write(chunk)
    p.stdin.close()
    reader.join()
    return digest.hexdigest()


def digest_of(chunk: bytes, count: int) -> str:
    digest = hashlib.sha256()
    for _ in range(count):
        digest.update(chunk)
    return digest.hexdigest()


def test_64_mib_through_and_out_again(c: ctrd.Container) -> None:
    chunk = os.urandom(MIB + 1)
    with c.exec("cat", stdin=ctrd.PIPE, text=False) as p:
        assert through(p, chunk, 63) == digest_of(chunk, 63)
        assert p.wait(timeout=30) == 0
    data = os.urandom(16 * MIB + 1)
    assert c.run("cat", input=data, text=False).stdout == data
    with c.exec("cat", stdin=ctrd.PIPE, text=False) as p:
        assert p.communicate(data, timeout=120) == (data, b"")


def test_the_end_of_input(c: ctrd.Container) -> None:
    for end in ("close", "close_stdin", "communicate"):
        with c.exec("wc", "-c", stdin=ctrd.PIPE) as p:
            assert p.stdin
            p.stdin.write("12345")
            if end == "close":
                p.stdin.close()
                p.stdin.close()  # once more is fine
            elif end == "close_stdin":
                p.close_stdin()
                p.close_stdin()
            assert p.communicate(timeout=30)[0].strip() == "5", end
            assert p.wait() == 0
            with pytest.raises(ValueError, match="closed"):
                p.stdin.write("x")
            with pytest.raises(ValueError, match="closed"):
                p.stdin.flush()


def test_no_stdin_is_the_end_of_input(c: ctrd.Container) -> None:
    assert c.run("cat").stdout == ""
    with c.exec("cat") as p:
        assert p.stdin is None and p.communicate(timeout=30) == ("", "")
        with pytest.raises(ValueError, match="not a PIPE"):
            p.communicate("x")
        p.close_stdin()  # fine


def test_closed_before_the_start(engine: ctrd.Engine, rootfs: ctrd.Rootfs, runtime: str) -> None:
    with engine.containers.create(rootfs, "cat", runtime=runtime) as c:
        for early in ("", "x" * 1000):
            with c.create_task(stdin=ctrd.PIPE, stdout=ctrd.PIPE) as task:
                assert task.stdin and task.stdout
                task.stdin.write(early)
                task.stdin.close()
                task.start()
                assert task.stdout.read(timeout=30) == early
                assert task.wait(timeout=30) == 0


def test_a_broken_pipe(c: ctrd.Container) -> None:
    before = signal.getsignal(signal.SIGPIPE)
    with c.exec(shell="exec 0<&-; echo up; sleep 1000", stdin=ctrd.PIPE) as p:
        assert p.stdin and p.stdout and p.stdout.readline(timeout=30) == "up\n"

        def broken() -> bool:
            try:
                p.stdin.write("x" * 65536)  # type: ignore[union-attr]
            except BrokenPipeError as error:
                assert isinstance(error, ctrd.Unavailable) and error.errno == 32
                return True
            return False

        eventually(broken, "the pipe breaks")
    assert c.run("true", input="x" * (1 << 20)).ok  # as subprocess: who does not read it need not
    with c.exec("true", stdin=ctrd.PIPE) as p:
        assert p.communicate("x" * (1 << 20), timeout=30) == ("", "")
    assert signal.getsignal(signal.SIGPIPE) == before


def test_closed_from_another_process(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    code = """
import ctrd, sys
task = ctrd.default_engine().containers["x"].task()
assert task.stdin is None
task.close_stdin(process=int(sys.argv[1]) if sys.argv[1:] else None)
"""
    with engine.containers.create(rootfs, "cat", id="x") as c:
        task = c.create_task(stdin=ctrd.PIPE, stdout=ctrd.PIPE).start()
        assert task.stdin and task.stdout
        task.stdin.write("abc")
        p = c.exec("cat", stdin=ctrd.PIPE)
        assert p.stdin and p.stdout
        p.stdin.write("def")
        python_says(engine, code, str(p.pid))
        assert p.poll() is None  # we may still write
        p.stdin.write("g")
        p.stdin.close()
        assert (p.stdout.read(timeout=30), p.wait(timeout=30)) == ("defg", 0)
        with pytest.raises(ctrd.ProcessNotFound):
            task.close_stdin(process="nobody")
        python_says(engine, code)
        task.stdin.close()
        assert (task.stdout.read(timeout=30), task.wait(timeout=30)) == ("abc", 0)


def test_a_client_that_dies_gives_no_end(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    code = """
import ctrd, os
p = ctrd.default_engine().containers["x"].exec("cat", stdin=ctrd.PIPE, stdout=ctrd.DEVNULL, id="left")
p.stdin.write("abc")
os._exit(0)
"""
    with engine.start(rootfs, "sleep", "1000", id="x") as c:
        python_says(engine, code)
        p = c.get_process("left")
        with pytest.raises(ctrd.Timeout):
            p.wait(timeout=0.2)
        p.close_stdin()
        assert p.wait(timeout=30) == 0
        assert not list((engine.state / "default" / "x" / "io").glob("*"))
