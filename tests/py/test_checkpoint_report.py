"""checkpoint(dry_run=True) tells what a checkpoint then really fails of, and of nothing else."""

from __future__ import annotations

import ctypes
import os
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import criu
import ctrd
import pytest
import roots
from support import eventually

pytestmark = pytest.mark.root
READY = "import time\nprint('ready', flush=True)\ntime.sleep(1000)\n"
ORDINARY = """
import fcntl, os, socket, tempfile
a, p, e, t = os.memfd_create("a"), os.pipe(), os.eventfd(0), tempfile.TemporaryFile()
t.write(b"x" * (2 << 20))  # nobody's but this descriptor's
t.flush()
f, pair, terminal = open("/tmp/x", "w"), socket.socketpair(), os.openpty()
server = socket.socket(socket.AF_UNIX)
server.bind("/tmp/socket")
server.listen()
client = socket.socket(socket.AF_UNIX)
client.connect("/tmp/socket")
"""
LOCKS = "import fcntl\nf = open('/tmp/x', 'w')\nfcntl.flock(f, fcntl.LOCK_EX)\n"
OUTSIDE = "import socket\ns = socket.socket(socket.AF_UNIX)\ns.connect('/mnt/socket')\n"
HOST_FILE = OUTSIDE + "fds = socket.recv_fds(s, 1, 1)[1]\ns.close()\n"
LISTENS = "import socket\nl = socket.create_server(('127.0.0.1', 7))\n"
TCP = LISTENS + "a = socket.create_connection(('127.0.0.1', 7))\nb = l.accept()\n"
NAMESPACE = "import ctypes, os\nassert ctypes.CDLL(None).unshare(0x20000000) == 0\nif os.fork():\n    os.wait()\n"
PTRACE_SEIZE = 0x4206
Started = Callable[..., AbstractContextManager[ctrd.Container]]


@pytest.fixture(params=criu.RUNTIMES)
def started(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, engine: ctrd.Engine) -> Started:
    """Python in a container, until it says that it is ready."""
    monkeypatch.setenv("PATH", criu.path())
    runtime = criu.runtime(request.param)

    @contextmanager
    def start(program: str, mounts: tuple[str, ...] = (), **options: Any) -> Iterator[ctrd.Container]:
        image, all_mounts = ctrd.Rootfs(roots.host()), ["/usr:/usr:ro", *mounts]
        args = ("/usr/bin/python3", "-c", program + READY)
        with engine.start(image, *args, runtime=runtime, mounts=all_mounts, **options) as c:
            eventually(lambda: any("ready" in line.text for line in c.logs()), "it is ready")
            yield c

    return start


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[socket.socket]:
    """A server of the host's, which a container sees as /mnt/socket."""
    with socket.socket(socket.AF_UNIX) as server:
        (tmp_path / "outside").mkdir()
        server.bind(str(tmp_path / "outside/socket"))
        server.listen()
        yield server


def succeeds(c: ctrd.Container, **options: Any) -> None:
    report = c.checkpoint(dry_run=True, **options)
    assert report and report.ok and not report.problems, str(report)
    c.checkpoint(**options).delete()


def fails(c: ctrd.Container, *kinds: str, **options: Any) -> ctrd.CheckpointReport:
    """It says why, and it is so; the program has noticed nothing."""
    report = c.checkpoint(dry_run=True, **options)
    assert not report
    assert {one.kind for one in report.problems} == set(kinds), str(report)
    with pytest.raises(ctrd.Error) as caught:
        c.checkpoint(**options)
    assert isinstance(caught.value, ctrd.FailedPrecondition | ctrd.Unsupported), caught.value
    assert c.status() == "running"
    return report


def test_what_is_ordinary(started: Started) -> None:
    with started(ORDINARY) as c:
        succeeds(c)


def test_an_exec_is_left_out(started: Started) -> None:
    with started("") as c, c.exec("sleep", "1000", id="long") as p:
        report = c.checkpoint(dry_run=True)
        (problem,) = report.problems
        assert report.ok and not problem.fatal
        assert (problem.kind, problem.pid, problem.option) == ("exec", p.pid, None)
        assert '"long"' in problem.what
        made = c.checkpoint("there")
        assert len(c.processes()) == 2
        with made.restore() as other:
            assert [one.args[0] for one in other.processes()] == ["/usr/bin/python3"]
        made.delete()


def given(outside: socket.socket, *fds: int) -> None:
    """To whoever connects, until it has them."""
    end, _ = outside.accept()
    with end:
        socket.send_fds(end, [b"x"], fds)
        end.recv(1)


def test_a_terminal_of_the_host(started: Started, outside: socket.socket) -> None:
    directory, (master, slave) = Path(outside.getsockname()).parent, os.openpty()
    with ThreadPoolExecutor(1) as other:
        giving = other.submit(given, outside, slave)
        with started(HOST_FILE, (f"{directory}:/mnt",)) as c:
            giving.result(30)
            (problem,) = fails(c, "terminal").problems
            is_old = criu.version() < (4, 1)
            assert (problem.pid, problem.option) == (c.task().pid, None if is_old else "terminal=True")
            if is_old:
                fails(c, "terminal", terminal=True)
            else:
                succeeds(c, terminal=True)
    os.close(master)
    os.close(slave)


def test_its_own_terminal(started: Started) -> None:
    with started("", tty=True) as c:
        succeeds(c)


def test_a_file_lock(started: Started) -> None:
    with started(LOCKS) as c:
        (problem,) = fails(c, "file_lock", file_locks=False).problems
        assert (problem.pid, problem.option) == (c.task().pid, "file_locks=True")
        succeeds(c)


def test_a_unix_socket_outside(started: Started, outside: socket.socket) -> None:
    directory = Path(outside.getsockname()).parent
    with started(OUTSIDE, (f"{directory}:/mnt",)) as c, outside.accept()[0]:
        for options in ({}, {"unix_sockets": True}):
            (problem,) = fails(c, "unix_socket", **options).problems
            assert (problem.pid, problem.option) == (c.task().pid, None)


def test_a_datagram_socket_outside(started: Started, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(tmp_path / "socket"))
        program = OUTSIDE.replace("AF_UNIX", "AF_UNIX, socket.SOCK_DGRAM")
        with started(program, (f"{tmp_path}:/mnt",)) as c:
            for options in ({}, {"unix_sockets": True}):
                (problem,) = fails(c, "unix_socket", **options).problems
                assert (problem.pid, problem.option) == (c.task().pid, None)
        with started(program, (f"{tmp_path}:/mnt",), network="host") as c:
            (problem,) = fails(c, "unix_socket").problems
            assert (problem.pid, problem.option) == (c.task().pid, "unix_sockets=True")
            succeeds(c, unix_sockets=True)


def test_a_file_of_the_host(started: Started, outside: socket.socket, tmp_path: Path) -> None:
    directory = Path(outside.getsockname()).parent
    with ThreadPoolExecutor(1) as other, (tmp_path / "theirs").open("w") as file:
        giving = other.submit(given, outside, file.fileno())
        with started(HOST_FILE, (f"{directory}:/mnt",)) as c:
            giving.result(30)
            (problem,) = fails(c, "host_file").problems
            assert (problem.pid, problem.option) == (c.task().pid, None)
            assert str(tmp_path / "theirs") in problem.what


def refuses_network_sockets() -> bool:
    with socket.socket() as one:
        try:
            one.getsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED)
        except OSError:
            return True
        return False


def test_network_sockets(started: Started) -> None:
    """With CRIU 4.1: on a newer kernel it can dump none."""
    lacks = {"network_socket"} if refuses_network_sockets() else set()
    with started(LISTENS) as c:
        if lacks:
            fails(c, *lacks)
        else:
            succeeds(c)
    with started(TCP) as c:
        report = fails(c, "tcp_connection", *lacks)
        assert [one.option for one in report.problems if one.kind == "tcp_connection"] == ['tcp="close"'] * 2
        for tcp in ("close", "keep"):
            if lacks:
                fails(c, *lacks, tcp=tcp)
            else:
                succeeds(c, tcp=tcp)


def test_a_namespace_of_its_own(started: Started) -> None:
    with started(NAMESPACE, privileged=True) as c:
        (problem,) = fails(c, "namespace").problems
        assert problem.pid in {one.pid for one in c.processes()} - {c.task().pid}


def test_one_that_is_traced(started: Started) -> None:
    with started("") as c:
        with ThreadPoolExecutor(1) as tracer:  # it lets go when its thread ends
            libc = ctypes.CDLL(None)
            assert tracer.submit(libc.ptrace, PTRACE_SEIZE, c.task().pid, None, None).result() == 0
            (problem,) = fails(c, "traced").problems
            assert str(tracer.submit(threading.get_native_id).result()) in problem.what
        succeeds(c)


def test_what_it_says(started: Started, monkeypatch: pytest.MonkeyPatch) -> None:
    with started(LOCKS) as c:
        report = c.checkpoint(dry_run=True, file_locks=False)
        locked = f"process {c.task().pid}: it has locked /tmp/x (descriptor 3)"
        assert str(report) == f"file_lock: {locked} (file_locks=True allows it)"
        with pytest.raises(ctrd.InvalidArgument):
            c.checkpoint("a/b", dry_run=True)
        with pytest.raises(ctrd.InvalidArgument):
            c.checkpoint(dry_run=True, tcp="maybe")  # type: ignore[call-overload]
        made = c.checkpoint("there")
        with pytest.raises(ctrd.AlreadyExists):
            c.checkpoint("there", dry_run=True)
        made.delete()
        monkeypatch.setenv("PATH", "/nowhere")
        problems = c.checkpoint(dry_run=True).problems
        assert {(one.kind, one.pid) for one in problems} == {("host", None)}
        assert any("install criu" in one.what for one in problems)
        c.kill()
        c.wait(30)
        with pytest.raises(ctrd.FailedPrecondition):
            c.checkpoint(dry_run=True)
