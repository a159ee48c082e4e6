"""Terminals: their size, Ctrl-C, attaching from code and from a real terminal, and real full-screen programs."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import shlex
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import ctrd
import pytest
from ctrd._attach import attach as attach_to
from support import environment, eventually, python_says

pytestmark = pytest.mark.root
# crun gives an exec's terminal its size while the program begins, and stty ends with 0 without one.
SIZE = 'size=; until [ "$size" ]; do size=$(stty size 2> /dev/null); done; echo $size'


@pytest.fixture
def c(engine: ctrd.Engine, rootfs: ctrd.Rootfs, runtime: str) -> Iterator[ctrd.Container]:
    """A container that sleeps, with each runtime."""
    with engine.start(rootfs, "sleep", "1000", id="x", runtime=runtime) as made:
        yield made


def read_until(p: ctrd.Process[str], wanted: str) -> str:
    """What a process prints, up to and with the wanted text."""
    got = ""
    assert p.stdout
    while wanted not in got:
        part = p.stdout.read(65536, timeout=60)
        assert part, got
        got += part
    return got


def test_a_tty_of_an_exec(c: ctrd.Container) -> None:
    result = c.run(shell=f"tty; {SIZE}; echo err >&2; echo $TERM", tty=(100, 40))
    assert re.fullmatch(r"/dev/pts/\d+\r\n40 100\r\nerr\r\nxterm\r\n", result.stdout), result.stdout
    assert result.stderr == ""
    assert c.run(shell=SIZE, tty=True).stdout == "24 80\r\n"
    assert c.run("tty").stdout == "not a tty\n"
    assert c.run(shell="exit 7", tty=True).returncode == 7
    with c.exec("sh", tty=True) as p:
        assert p.stderr is None and p.state().tty


def test_the_size_follows(engine: ctrd.Engine, c: ctrd.Container) -> None:
    with c.exec("sh", tty=(100, 40), stdin=ctrd.PIPE, id="s") as p:
        assert p.stdin
        p.stdin.write("stty size; echo =1=\n")
        assert "40 100\r\n" in read_until(p, "\r\n=1=\r\n")
        p.resize(120, 50)
        p.stdin.write("stty size; echo =2=\n")
        assert "50 120\r\n" in read_until(p, "\r\n=2=\r\n")
        code = "import ctrd; ctrd.default_engine().containers['x'].task().resize(33, 22, process='s')"
        python_says(engine, code)
        c.task().resize(34, 22, process=p.pid)
        p.stdin.write("stty size; exit 3\n")
        assert "22 34\r\n" in read_until(p, "22 34\r\n")
        assert p.wait(timeout=30) == 3
        for size in ((0, 0), (65536, 1), (-1, 1)):
            with pytest.raises(ctrd.InvalidArgument):
                p.resize(*size)
    for size in ((0, 1), (1, 0), (65536, 1), (1, 65536), (-1, 1), (1, -1)):
        for process in (None, "nobody"):
            with pytest.raises(ctrd.InvalidArgument):
                c.task().resize(*size, process=process)
    with pytest.raises(ctrd.FailedPrecondition, match="no tty"):
        c.task().resize(80, 25)
    with c.exec("sleep", "1000") as p, pytest.raises(ctrd.FailedPrecondition, match="no tty"):
        p.resize(80, 25)
    with pytest.raises(ctrd.ProcessNotFound):
        c.task().resize(80, 25, process="nobody")


def test_a_resize_before_the_start(c: ctrd.Container) -> None:
    with c.exec(shell=SIZE, tty=(10, 10), start=False) as p:
        p.resize(77, 33)
        p.start()
        assert p.communicate(timeout=30)[0] == "33 77\r\n"


def sleeps(c: ctrd.Container, shell: ctrd.Process[str]) -> None:
    """It runs a sleep, which is no fork of the shell any more: that one takes no signal yet."""
    eventually(lambda: [p for p in c.processes() if p.args == ("sleep", "1000") and p.ppid == shell.pid], "it sleeps")


def test_ctrl_c_goes_through(c: ctrd.Container) -> None:
    with c.exec("sh", tty=True, stdin=ctrd.PIPE) as p:
        assert p.stdin
        p.stdin.write("echo up; sleep 1000\n")
        read_until(p, "up\r\n")
        sleeps(c, p)
        p.stdin.write("\x03")
        read_until(p, "/ # ")
        p.stdin.write("echo after=$?\n")
        read_until(p, "after=130\r\n/ # ")
        p.stdin.write("\x04")
        assert p.wait(timeout=30) == 0


def test_a_tty_of_the_first_process(engine: ctrd.Engine, rootfs: ctrd.Rootfs, runtime: str) -> None:
    assert ctrd.run(rootfs, shell="stty size; echo e >&2", tty=(90, 30), engine=engine, runtime=runtime).stdout == (
        "30 90\r\ne\r\n"
    )
    with engine.containers.create(rootfs, "sh", tty=(90, 30), runtime=runtime) as c:
        task = c.create_task(stdin=ctrd.PIPE, stdout=ctrd.PIPE)
        assert task.stderr is None and task.state().tty
        task.resize(91, 31)
        task.start()
        assert task.stdin
        task.stdin.write("stty size; echo =1=\n")
        assert "31 91\r\n" in read_until(task, "\r\n=1=\r\n")
        task.stdin.write("exit 4\n")
        assert task.wait(timeout=30) == 4


def test_attach_to_the_first_process_from_another(engine: ctrd.Engine, rootfs: ctrd.Rootfs, runtime: str) -> None:
    with engine.start(rootfs, "sh", tty=True, id="y", runtime=runtime) as c:
        lines = iter(c.logs(follow=True, since=0))
        code = """
import ctrd, os, threading
c = ctrd.default_engine().containers["y"]
into, typed = os.pipe()
shown, out = os.pipe()
thread = threading.Thread(target=lambda: print(int(c.attach(stdin=into, stdout=out)), flush=True))
thread.start()
os.write(typed, b"echo a$((40+2))b; exit 6\\n")
got = b""
while b"a42b" not in got:
    got += os.read(shown, 4096)
thread.join()
"""
        assert python_says(engine, code) == "6\n"
        assert "a42b" in [line.text.strip() for line in lines]


class Window:
    """A terminal: what is typed goes in at one end, the program has the other."""

    def __init__(self, cols: int = 80, rows: int = 24) -> None:
        self.typing, self.program = pty.openpty()
        self.resize(cols, rows)
        self.shown = b""

    def resize(self, cols: int, rows: int) -> None:
        fcntl.ioctl(self.program, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))

    def type(self, keys: str) -> None:
        os.write(self.typing, keys.encode())

    def read(self, most: int) -> bytes:
        return os.read(self.typing, most) if select.select([self.typing], [], [], 0.05)[0] else b""

    def shows(self, wanted: str) -> None:
        def look() -> bool:
            self.shown += self.read(65536)
            return wanted.encode() in self.shown

        eventually(look, f"{wanted!r} shown, not {self.shown!r}", 60)
        self.shown = self.shown.split(wanted.encode(), 1)[1]

    def is_raw(self) -> bool:
        return not termios.tcgetattr(self.program)[3] & (termios.ICANON | termios.ISIG | termios.ECHO)

    def close(self) -> None:
        os.close(self.typing)
        os.close(self.program)


@pytest.fixture
def window() -> Iterator[Window]:
    """A terminal."""
    made = Window()
    yield made
    made.close()


class Attached(threading.Thread):
    """An attach in a thread of its own: nothing of it needs the main one."""

    def __init__(self, p: ctrd.Process[str] | ctrd.Container, window: Window, keys: str = "ctrl-p,ctrl-q") -> None:
        super().__init__()
        self.p, self.window, self.keys = p, window, keys
        self.status: object = "none yet"
        self.start()

    def run(self) -> None:
        try:
            program = self.window.program
            self.status = self.p.attach(detach_keys=self.keys, stdin=program, stdout=program, stderr=program)
        except BaseException as error:
            self.status = error

    def end(self) -> object:
        self.join(60)
        return self.status


def test_attach_and_detach(c: ctrd.Container, window: Window) -> None:
    before = termios.tcgetattr(window.program)
    with c.exec("sh", tty=True, stdin=ctrd.PIPE) as p:
        attached = Attached(p, window)
        eventually(window.is_raw, "it is raw")
        window.type("echo $((6*7))=$(stty size)\n")
        window.shows("42=24 80\r\n")
        window.resize(101, 41)
        window.type("while [ $(stty size | tr ' ' x) != 41x101 ]; do sleep 0.02; done; echo size=$((40+1))\n")
        window.shows("size=41\r\n")
        window.shows("/ # ")
        window.type("sleep 1000\n")
        sleeps(c, p)
        window.type("\x03")
        window.shows("/ # ")  # what is typed before may go with the signal
        window.type("echo int=$?\n")
        window.shows("int=130\r\n")
        window.type("echo a\x10b\n")  # half of the keys goes through, once it is known not to be them
        window.type("\x10\x11")
        assert attached.end() is None
        assert termios.tcgetattr(window.program) == before
        assert p.poll() is None
        attached = Attached(p, window, keys="ctrl-a,d")
        eventually(window.is_raw, "it is raw again")
        window.type("exit 5\n")
        assert attached.end() == 5
        assert termios.tcgetattr(window.program) == before


def test_attach_ends_in_a_good_state_whatever_happens(c: ctrd.Container, window: Window) -> None:
    before = termios.tcgetattr(window.program)
    with c.exec("sh", tty=True, stdin=ctrd.PIPE) as p:
        attached = Attached(p, window)
        eventually(window.is_raw, "it is raw")
        c.kill()
        assert attached.end() == 137
        assert termios.tcgetattr(window.program) == before
    for keys in ("ctrl-", "ctrl-?", "ä", "ctrl-p,,"):
        with pytest.raises(ctrd.InvalidArgument, match="detach_keys"):
            p.attach(detach_keys=keys)


def test_what_is_typed_before_the_keys_is_its(c: ctrd.Container, window: Window) -> None:
    with c.exec("sh", tty=True, stdin=ctrd.PIPE) as p:
        attached = Attached(p, window)
        eventually(window.is_raw, "it is raw")
        window.type("exit 5\n\x10\x11")  # in one read
        assert attached.end() is None
        assert p.wait(timeout=30) == 5


def test_a_terminal_that_types_nothing_stays_as_it_is(c: ctrd.Container, window: Window) -> None:
    with c.exec(shell="echo up; exec sleep 1000", tty=True) as p:
        attached = Attached(p, window, keys="")
        window.shows("up")
        assert not window.is_raw()  # Ctrl-C is for whoever attached
        p.kill()
        assert attached.end() == 137


def test_ctrl_c_in_the_caller_restores_the_terminal(engine: ctrd.Engine, rootfs: ctrd.Rootfs, window: Window) -> None:
    code = """
import ctrd, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever runs the tests may ignore it
c = ctrd.default_engine().containers["x"]
p = c.exec("sh", tty=True, stdin=ctrd.PIPE)
try:
    p.attach()
except KeyboardInterrupt:
    sys.exit(9)
"""
    before = termios.tcgetattr(window.program)
    with engine.start(rootfs, "sleep", "1000", id="x"):
        other = subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=window.program,
            stdout=window.program,
            stderr=subprocess.PIPE,
            env=environment(engine),
        )
        eventually(window.is_raw, "it is raw")
        other.send_signal(signal.SIGINT)
        _, err = other.communicate(timeout=60)
        assert other.returncode == 9, err
        assert termios.tcgetattr(window.program) == before


def test_attach_without_a_terminal(c: ctrd.Container) -> None:
    into, typed = os.pipe()
    shown, out = os.pipe()
    with c.exec("tr", "a-z", "A-Z", stdin=ctrd.PIPE) as p:
        os.write(typed, b"hello\n")
        os.close(typed)  # the end of ours is the end of its input
        assert p.attach(stdin=into, stdout=out) == 0
        assert os.read(shown, 100) == b"HELLO\n"
        assert p.stdin and p.stdin.closed
    for fd in (into, shown, out):
        os.close(fd)


def test_a_slow_window_is_typed_into_all_the_same(engine: ctrd.Engine, rootfs: ctrd.Rootfs, window: Window) -> None:
    """A log is always ahead of it, so that what is typed must not wait for its end."""
    with engine.start(rootfs, "sh", tty=True) as c:
        attached = Attached(c, window)
        eventually(window.is_raw, "it is raw")
        window.type("tr '\\0' y < /dev/zero\n")
        window.shows("y" * 1000)
        assert len(c.processes()) == 2
        logs = engine.root / "logs"
        eventually(lambda: sum(path.stat().st_size for path in logs.rglob("0*")) > 1 << 20, "a log that is ahead")
        window.type("\x03")

        def is_over() -> bool:
            window.read(4096)
            return len(c.processes()) == 1

        eventually(is_over, "Ctrl-C has ended it", 20)
        window.type("\x10\x11")
        eventually(lambda: window.read(65536) == b"" and not attached.is_alive(), "it is left", 20)
        assert attached.end() is None


def test_keys_are_typed_not_piped(c: ctrd.Container, tmp_path: Path) -> None:
    data = os.urandom(1 << 19) + b"\x10\x11" + os.urandom(1 << 19)
    into, typed = os.pipe()

    def write() -> None:
        with contextlib.suppress(BrokenPipeError), os.fdopen(typed, "wb") as file:
            file.write(data)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        with c.exec("cat", stdin=ctrd.PIPE, text=False) as p, (tmp_path / "out").open("wb") as out:
            assert p.attach(stdin=into, stdout=out) == 0
    finally:
        os.close(into)
        thread.join()
    assert (tmp_path / "out").read_bytes() == data


def descriptors() -> set[str]:
    return {path.name for path in Path("/proc/self/fd").iterdir()}


def test_an_attach_that_fails_owes_nobody_a_descriptor(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    into, typed = os.pipe()
    shown, out = os.pipe()
    os.close(typed)
    os.close(shown)
    with engine.start(rootfs, "sh", tty=True) as c:
        with c.exec(shell="cat; echo up; exec sleep 1000", stdin=ctrd.PIPE) as p:
            with pytest.raises(ctrd.Error):
                p.attach(stdin=into, stdout=out)  # nobody reads what it prints
            assert p.stdin and p.stdin.closed  # the end of ours came before
        task, before = c.task(), descriptors()
        with pytest.raises(ctrd.Error):
            attach_to(task, "", (into, out, out), replay=True)  # through the FIFO that is kept for whoever attaches
        assert descriptors() <= before
    os.close(into)
    os.close(out)


def test_whoever_reads_slowly_gets_all_of_it(c: ctrd.Container) -> None:
    """What is in pipes at its end is there however late it is read."""
    into, typed = os.pipe()
    shown, out = os.pipe()
    with c.exec(shell="read x; exec head -c 60000 /dev/zero", stdin=ctrd.PIPE) as p:
        assert p.stdout
        for fd in (out, p.stdout.fileno()):
            fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, 4096)
        os.write(typed, b"\n")
        os.close(typed)
        thread = threading.Thread(target=lambda: p.attach(stdin=into, stdout=out))
        thread.start()
        eventually(lambda: p.state().status == "stopped", "it has ended")
        got = 0
        while got < 20000:
            got += len(os.read(shown, 4096))
        time.sleep(2.2)  # the slow reader
        while got < 60000 and select.select([shown], [], [], 10 if thread.is_alive() else 0)[0]:
            got += len(os.read(shown, 4096))
        thread.join()
        assert got == 60000
    for fd in (into, shown, out):
        os.close(fd)


def test_what_was_read_before_an_attach_comes_first(c: ctrd.Container) -> None:
    shown, out = os.pipe2(os.O_NONBLOCK)
    os.set_blocking(shown, True)
    fcntl.fcntl(out, fcntl.F_SETPIPE_SZ, 4096)
    got = []

    def read() -> None:
        with os.fdopen(shown, "rb") as file:
            got.append(file.read())

    thread = threading.Thread(target=read)
    with c.exec("seq", "1", "20000", text=False) as p, open(os.devnull, "rb") as nothing:  # noqa: PTH123
        assert p.stdout and p.stdout.readline() == b"1\n"
        thread.start()
        try:
            assert p.attach(stdin=nothing, stdout=out) == 0
        finally:
            os.close(out)
            thread.join()
    assert b"".join(got) == b"".join(b"%d\n" % number for number in range(2, 20001))


class Tmux:
    """A real terminal emulator, driven by its keys and read from its screen."""

    def __init__(self, directory: Path, engine: ctrd.Engine, command: str) -> None:
        self.socket = str(directory / "tmux")
        env = {**environment(engine), "TERM": "xterm", "LANG": "C.UTF-8"}
        where = shlex.join([sys.executable, "-m", "ctrd"])
        self.call("-f", "/dev/null", "new-session", "-d", "-x", "100", "-y", "30", f"{where} {command}", env=env)

    def call(self, *args: str, env: dict[str, str] | None = None) -> str:
        done = subprocess.run(
            ["tmux", "-S", self.socket, *args],
            capture_output=True,
            text=True,
            check=False,
            env=env,
            stdin=subprocess.DEVNULL,
        )
        return done.stdout if done.returncode == 0 else ""

    def type(self, *keys: str) -> None:
        self.call("send-keys", *keys)

    def screen(self) -> str:
        return self.call("capture-pane", "-p")

    def shows(self, wanted: str) -> str:
        return eventually(
            lambda: s if re.search(wanted, s := self.screen(), re.M) else "", f"{wanted!r} on the screen", 60
        )

    def end(self) -> None:
        self.call("kill-server")
        eventually(lambda: not self.call("list-sessions"), "tmux has ended")


def test_a_keyboard_is_heard_over_much_output(engine: ctrd.Engine, root_directory: Path, tmp_path: Path) -> None:
    pytest.importorskip("click")
    tmux = Tmux(tmp_path, engine, f"run -it --rootfs {root_directory} sh")
    try:
        tmux.shows(r"[#$] *$")
        tmux.type("yes", "Enter")
        tmux.shows("^y\ny\n")
        tmux.type("C-c")
        tmux.type("clear; echo code=$?", "Enter")
        tmux.shows("^code=")
        tmux.type("exit", "Enter")
        eventually(lambda: not tmux.screen(), "it has ended")
    finally:
        tmux.end()
    eventually(lambda: not list(engine.containers), "it is gone")


def test_a_terminal_for_output_alone(engine: ctrd.Engine, root_directory: Path, tmp_path: Path) -> None:
    pytest.importorskip("click")
    tmux = Tmux(tmp_path, engine, f"run -t --rootfs {root_directory} sh -c 'trap  INT; tty; exec sleep 1000'")
    try:
        tmux.shows("^/dev/pts/")
        tmux.type("C-c")  # for ctrd itself
        eventually(lambda: not tmux.screen(), "it has ended")
    finally:
        tmux.end()
    eventually(lambda: not list(engine.containers), "it is gone")


def test_full_screen_programs_in_a_real_terminal(engine: ctrd.Engine, rootfs: ctrd.Rootfs, tmp_path: Path) -> None:
    pytest.importorskip("click")
    with engine.start(rootfs, "sleep", "1000", id="x") as c:
        c.run(shell="for i in $(seq 1 200); do echo line $i; done > /lines")
        tmux = Tmux(tmp_path, engine, "exec -it x sh")
        try:
            tmux.shows(r"[#$] *$")
            tmux.type("stty size", "Enter")
            tmux.shows("^30 100")
            tmux.type("less /lines", "Enter")
            first = tmux.shows("^line 29")
            assert "line 30\n" not in first.split("line 29\n")[1]
            tmux.type("G")
            tmux.shows("^line 200")
            tmux.call("resize-window", "-x", "60", "-y", "20")
            tmux.type("q")
            tmux.type("clear; stty size", "Enter")
            tmux.shows("^20 60")
            tmux.type("vi /new", "Enter")
            tmux.shows("^~")
            tmux.type("i")
            tmux.shows("^I /new")
            tmux.type("typed in vi", "Escape")
            tmux.shows("^- /new")
            tmux.type(":wq", "Enter")
            eventually(lambda: c.run("cat", "/new").stdout == "typed in vi\n", "vi has written it")
            tmux.type("clear; top", "Enter")
            tmux.shows("Load average|CPU:")
            tmux.type("q")
            tmux.type("clear; sleep 1000", "Enter")
            eventually(lambda: len([p for p in c.processes() if p.args == ("sleep", "1000")]) == 2, "sleep runs")
            tmux.type("C-c")
            tmux.type("echo code=$?", "Enter")
            tmux.shows("^code=130")
            tmux.type("exit 3", "Enter")
            eventually(lambda: not tmux.screen(), "it has ended")
        finally:
            tmux.end()
