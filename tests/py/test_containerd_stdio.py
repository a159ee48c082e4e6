"""Streams of tasks and execs under containerd: FIFOs, files, terminals; and the clients that do not do their part."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from containerd_api import RpcError
from containerd_peer import RUNNING, Containerd, Fifo
from support import eventually

pytestmark = pytest.mark.root


@pytest.fixture
def fifo(tmp_path: Path) -> Iterator[Callable[..., Fifo]]:
    """Makes FIFOs, which are gone after the test."""
    made: list[Fifo] = []

    def make(name: str, read: bool = True) -> Fifo:
        made.append(Fifo(tmp_path, name, read))
        return made[-1]

    yield make
    for one in made:
        one.close()


Make = Callable[..., Fifo]


def test_stdin_and_close_io(containerd: Containerd, root_directory: Path, fifo: Make) -> None:
    stdin, stdout = fifo("in", read=False), fifo("out")
    writer = os.open(stdin.path, os.O_WRONLY | os.O_NONBLOCK)
    containerd.start_task(root_directory, "x", "/bin/cat", stdin=str(stdin.path), stdout=str(stdout.path))
    os.write(writer, b"one ")
    stdout.read_until(b"one ")
    os.close(writer)  # this client goes, which is not the end
    writer = os.open(stdin.path, os.O_WRONLY | os.O_NONBLOCK)
    os.write(writer, b"two")
    stdout.read_until(b"two")
    assert containerd.status("x") == RUNNING
    for _ in range(2):
        containerd.api.task("CloseIO", container_id="x", stdin=True)
    os.close(writer)
    stdin.close_end()
    assert containerd.wait("x") == 0
    assert stdout.read() == b""
    containerd.delete("x")


def test_much_through_an_exec(containerd: Containerd, root_directory: Path, fifo: Make) -> None:
    stdout = fifo("out")
    containerd.start_task(root_directory, "x", "/bin/sleep", "1000")
    containerd.add_exec("x", "e", "/bin/dd", "if=/dev/zero", "bs=1M", "count=8", stdout=str(stdout.path))
    containerd.api.task("Start", container_id="x", exec_id="e")
    assert len(stdout.read()) == 8 << 20
    assert containerd.wait("x", "e") == 0
    containerd.api.task("DeleteProcess", container_id="x", exec_id="e")
    containerd.end("x")


# CRI waits for the end of the FIFO before it deletes.
def test_the_end_comes_without_a_delete(containerd: Containerd, root_directory: Path, fifo: Make) -> None:
    stdout, stderr = fifo("out"), fifo("err")
    command = ["/bin/sh", "-c", "echo out; echo err >&2"]
    containerd.start_task(root_directory, "x", *command, stdout=str(stdout.path), stderr=str(stderr.path))
    assert (stdout.read(), stderr.read()) == (b"out\n", b"err\n")
    containerd.wait("x")
    containerd.delete("x")


def test_a_stream_alone(containerd: Containerd, root_directory: Path, fifo: Make) -> None:
    stderr = fifo("err")
    command = ["/bin/sh", "-c", "echo out; echo err >&2"]
    containerd.start_task(root_directory, "x", *command, stderr=str(stderr.path))
    assert stderr.read() == b"err\n"
    containerd.wait("x")
    containerd.delete("x")


def test_a_terminal_of_an_exec(containerd: Containerd, root_directory: Path, fifo: Make) -> None:
    stdin, stdout = fifo("in", read=False), fifo("out")
    containerd.start_task(root_directory, "x", "/bin/sleep", "1000")
    script = "read x; stty size; tty -s && echo tty"
    containerd.add_exec(
        "x", "e", "/bin/sh", "-c", script, terminal=True, stdin=str(stdin.path), stdout=str(stdout.path)
    )
    containerd.api.task("Start", container_id="x", exec_id="e")
    containerd.api.task("ResizePty", container_id="x", exec_id="e", width=101, height=33)
    assert containerd.api.task("Get", container_id="x", exec_id="e").process.terminal
    os.write(stdin.fd, b"x\n")
    told = stdout.read()
    assert b"33 101" in told and b"tty\r\n" in told
    assert containerd.wait("x", "e") == 0
    containerd.end("x")


# Its Create waits, for a bounded time, and then nothing is left of it.
@pytest.mark.parametrize("containerd_of_session", ["crun"], indirect=True)
def test_a_reader_that_never_comes(containerd: Containerd, root_directory: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "out")
    with pytest.raises(RpcError) as caught:
        containerd.create(root_directory, "x", "/bin/echo", "x", stdout=str(tmp_path / "out"))
    assert caught.value.code == "DEADLINE_EXCEEDED"
    assert str(tmp_path / "out") in caught.value.details


def test_a_reader_that_reads_nothing_is_in_nobodys_way(
    containerd: Containerd, root_directory: Path, fifo: Make
) -> None:
    stdout = fifo("out")
    command = ["/bin/sh", "-c", "dd if=/dev/zero bs=1M count=4; sleep 1000"]
    containerd.start_task(root_directory, "x", *command, stdout=str(stdout.path))
    containerd.add_exec("x", "e", "/bin/true")
    containerd.api.task("Start", container_id="x", exec_id="e")
    assert containerd.wait("x", "e") == 0
    assert containerd.end("x") == 137


# A child that an exec leaves holds its output: its exit is told at once, its Delete is bounded, the FIFO then ends.
def test_a_child_that_keeps_the_pipe(containerd: Containerd, root_directory: Path, fifo: Make) -> None:
    stdout = fifo("out")
    containerd.start_task(root_directory, "x", "/bin/sleep", "1000")
    containerd.add_exec("x", "e", "/bin/sh", "-c", "sleep 1000 & echo done", stdout=str(stdout.path))
    containerd.api.task("Start", container_id="x", exec_id="e")
    assert containerd.wait("x", "e") == 0
    assert containerd.api.task("DeleteProcess", container_id="x", exec_id="e").exit_status == 0
    assert stdout.read() == b"done\n"
    containerd.end("x")


def test_a_file(containerd: Containerd, root_directory: Path, tmp_path: Path) -> None:
    uri = f"file://{tmp_path}/a%20log/of%25it"
    command = ["/bin/sh", "-c", "echo one; echo two >&2"]
    containerd.start_task(root_directory, "x", *command, stdout=uri, stderr=uri)
    assert containerd.api.task("Get", container_id="x").process.stdout == uri
    containerd.wait("x")
    containerd.delete("x")
    assert (tmp_path / "a log" / "of%it").read_text() == "one\ntwo\n"


def test_a_scheme_that_nobody_knows(containerd: Containerd, root_directory: Path) -> None:
    with pytest.raises(RpcError, match="unknown STDIO scheme what"):
        containerd.create(root_directory, "x", "/bin/true", stdout="what:///x")
    eventually(lambda: not containerd.shims(), "its shim ends")
