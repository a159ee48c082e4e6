"""Debian's containerd runs our shim: what ctr makes of it, judged by the program it belongs to."""

from __future__ import annotations

import errno
import fcntl
import os
import pty
import select
import shutil
import signal
import struct
import subprocess
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest
from containerd_peer import RUNNING, Containerd, nothing_left, shim_program
from support import alive, eventually

pytestmark = pytest.mark.root
REMOVED = ("--rm",)


def test_run(containerd: Containerd, root_directory: Path) -> None:
    assert containerd.run(root_directory, "x", "/bin/echo", "hello", options=REMOVED) == (0, "hello\n", "")


def test_exit_status_and_both_outputs(containerd: Containerd, root_directory: Path) -> None:
    script = "echo out; echo err >&2; exit 7"
    assert containerd.run(root_directory, "x", "/bin/sh", "-c", script, options=REMOVED) == (7, "out\n", "err\n")


def test_much_output(containerd: Containerd, root_directory: Path) -> None:
    script = "/bin/dd if=/dev/zero bs=1M count=8 2>/dev/null"
    status, out, _ = containerd.run(root_directory, "x", "/bin/sh", "-c", script, options=REMOVED)
    assert (status, len(out)) == (0, 8 << 20)


def test_a_program_that_is_not_there(containerd: Containerd, root_directory: Path) -> None:
    status, _, error = containerd.run(root_directory, "x", "/nothing", options=REMOVED)
    assert status == 1
    assert "/nothing" in error


def test_ids_of_76_characters(containerd: Containerd, root_directory: Path) -> None:
    id = "x" * 76
    assert containerd.run(root_directory, id, "/bin/echo", "long", options=REMOVED) == (0, "long\n", "")


@pytest.fixture
def sleeper(containerd: Containerd, root_directory: Path) -> Iterator[str]:
    """A container that runs detached, and is removed at the end with what ctr calls force."""
    assert containerd.run(root_directory, "x", "/bin/sleep", "1000", options=("-d",))[0] == 0
    yield "x"
    containerd.ctr("task", "delete", "-f", "x")
    assert containerd.ctr("container", "delete", "x").returncode == 0


def test_detached_exec_kill_and_delete(containerd: Containerd, sleeper: str) -> None:
    fifos = ("--fifo-dir", str(containerd.dir / "fifo"))
    done = containerd.ctr("task", "exec", *fifos, "--exec-id", "e", sleeper, "/bin/echo", "in")
    assert (done.returncode, done.stdout) == (0, "in\n")
    done = containerd.ctr("task", "exec", *fifos, "--exec-id", "e", sleeper, "/bin/sh", "-c", "exit 9")
    assert done.returncode == 9
    assert containerd.ctr("task", "kill", "-s", "SIGKILL", sleeper).returncode == 0
    eventually(lambda: "STOPPED" in containerd.ctr("task", "ls").stdout, "it is stopped")
    assert "137" in containerd.ctr("task", "delete", sleeper).stderr


def test_pause_and_resume(containerd: Containerd, sleeper: str) -> None:
    assert containerd.ctr("task", "pause", sleeper).returncode == 0
    assert "PAUSED" in containerd.ctr("task", "ls").stdout
    assert containerd.ctr("task", "resume", sleeper).returncode == 0
    assert "RUNNING" in containerd.ctr("task", "ls").stdout


def test_metrics_and_ps(containerd: Containerd, sleeper: str) -> None:
    done = containerd.ctr("task", "metrics", sleeper)
    assert done.returncode == 0, done.stderr
    figures = dict(line.split()[:2] for line in done.stdout.splitlines() if len(line.split()) == 2)
    assert int(figures["memory.usage_in_bytes"]) > 0
    assert int(figures["pids.current"]) == 1
    pid = containerd.ctr("task", "ls", "-q").stdout.split()
    assert pid == [sleeper]
    assert len(containerd.ctr("task", "ps", sleeper).stdout.splitlines()) == 2


@pytest.fixture
def without_criu(tmp_path: Path, runtime: str) -> Iterator[Containerd]:
    """A containerd that finds all but CRIU, though the machine may have it."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("containerd", runtime):
        (programs / name).symlink_to(shutil.which(name) or name)
    made = Containerd(tmp_path, runtime, PATH=f"{shim_program().parent}:{programs}")
    with nothing_left(made):
        yield made
    made.close()


def test_a_checkpoint_is_refused_and_the_task_lives_on(without_criu: Containerd, root_directory: Path) -> None:
    one = without_criu
    one.start_task(root_directory, "x", "/bin/sleep", "1000")
    done = one.ctr("task", "checkpoint", "--image-path", str(one.dir / "image"), "x")
    assert done.returncode == 1
    assert "not implemented" in done.stderr
    assert one.status("x") == RUNNING
    one.end("x")


class Terminal:
    """Ours, in which a program runs as in a user's."""

    def __init__(self, command: list[str]) -> None:
        self.master, slave = pty.openpty()
        self.process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, start_new_session=True)
        os.close(slave)
        self.text = b""

    def read_until(self, text: bytes) -> None:
        while text not in self.text:
            assert select.select([self.master], [], [], 60)[0], f"{text!r} does not come"
            self.text += os.read(self.master, 4096)

    def close(self) -> int:
        """Read to the end; the program's exit status."""
        try:
            while piece := os.read(self.master, 4096):
                self.text += piece
        except OSError as error:
            assert error.errno == errno.EIO
        os.close(self.master)
        return self.process.wait(60)


@pytest.fixture
def terminal(containerd: Containerd, root_directory: Path) -> Iterator[Terminal]:
    """With ctr in it, that runs a shell which tells the size of its own."""
    script = "PATH=/bin; stty size; read x; stty size; read y; exit 4"
    words = containerd.run_words(root_directory, "x", "/bin/sh", "-c", script, options=("--rm", "-t"))
    made = Terminal(containerd.command(*words))
    yield made
    if made.process.poll() is None:
        containerd.ctr("task", "kill", "-s", "SIGKILL", "x")
        made.process.kill()
        made.process.wait()


def test_a_terminal_and_its_size(containerd: Containerd, terminal: Terminal) -> None:
    terminal.read_until(b"\n")
    fcntl.ioctl(terminal.master, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 101, 0, 0))
    pid = int(containerd.ctr("task", "ls").stdout.splitlines()[1].split()[1])

    def resized() -> bool:
        terminal.process.send_signal(signal.SIGWINCH)  # ctr may not have waited for the one before
        with Path(f"/proc/{pid}/fd/0").open() as theirs:
            return struct.unpack("HHHH", fcntl.ioctl(theirs, termios.TIOCGWINSZ, b"\0" * 8))[:2] == (33, 101)

    eventually(resized, "the container's terminal has that size")
    os.write(terminal.master, b"x\n")
    terminal.read_until(b"33 101")
    os.write(terminal.master, b"y\n")
    assert terminal.close() == 4


def test_containerd_has_killed_what_it_deletes(containerd: Containerd, root_directory: Path) -> None:
    containerd.run(root_directory, "x", "/bin/sleep", "1000", options=("-d",))
    pid = int(containerd.ctr("task", "ls").stdout.splitlines()[1].split()[1])
    containerd.ctr("task", "delete", "-f", "x")
    assert not alive(pid)
    containerd.ctr("container", "delete", "x")
