"""containerd is killed and started again while tasks run; a shim is killed; what nobody has told is found out."""

from __future__ import annotations

import os
import signal
import socket
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from containerd_api import RpcError
from containerd_messages import message, parsed
from containerd_peer import RUNNING, STOPPED, Containerd, nothing_left
from disk_records import fields
from support import alive, eventually

pytestmark = pytest.mark.root


@pytest.fixture
def own_containerd(tmp_path: Path, runtime: str) -> Iterator[Containerd]:
    """One for this test alone, which may kill it."""
    made = Containerd(tmp_path, runtime)
    with nothing_left(made):
        yield made
    made.close()


def back(containerd: Containerd) -> None:
    """Started again; its API is what the test's client finds."""
    containerd.start()
    eventually(lambda: containerd.ctr("task", "ls").returncode == 0, "its tasks' service answers")


def test_tasks_run_on_and_one_ends_meanwhile(own_containerd: Containerd, root_directory: Path) -> None:
    one = own_containerd
    one.api.subscribe()
    pid = one.start_task(root_directory, "x", "/bin/sleep", "1000")
    one.add_exec("x", "e", "/bin/sleep", "1000")
    exec_pid = one.api.task("Start", container_id="x", exec_id="e").pid
    ends = one.start_task(root_directory, "ends", "/bin/sh", "-c", "exit 6", stdin="")
    sleeps = one.start_task(root_directory, "sleeps", "/bin/sh", "-c", "/bin/sleep 1000; exit 6")
    eventually(lambda: not alive(ends), "the first has ended")
    one.stop()
    assert alive(pid) and alive(exec_pid) and alive(sleeps)
    os.kill(sleeps, signal.SIGKILL)
    eventually(lambda: not alive(sleeps), "another has ended")
    back(one)
    assert [one.status(id) for id in ("x", "ends", "sleeps")] == [RUNNING, STOPPED, STOPPED]
    assert one.status("x", "e") == RUNNING
    assert (one.wait("ends"), one.wait("sleeps")) == (6, 137)
    assert one.api.task("Delete", container_id="sleeps").pid == sleeps
    one.api.container("Delete", id="sleeps")
    assert one.delete("ends") == 6
    one.kill("x", exec_id="e")
    assert one.wait("x", "e") == 137
    assert one.end("x") == 137


# What a shim has kept meanwhile may reach containerd before its first subscriber does: containerd_events_test.cpp looks
# at the order of that.
def test_events_go_on(own_containerd: Containerd, root_directory: Path) -> None:
    one = own_containerd
    one.start_task(root_directory, "x", "/bin/sleep", "1000")
    one.stop()
    back(one)
    one.api.subscribe()
    one.api.task("Pause", container_id="x")
    one.api.task("Resume", container_id="x")
    one.end("x")
    wanted = ["/tasks/paused", "/tasks/resumed", "/tasks/exit", "/tasks/delete"]
    eventually(lambda: [topic for topic, _ in one.api.events("x")] == wanted, "all events come in order")


class StandIn:
    """Takes events where containerd does when it runs."""

    def __init__(self, containerd: Containerd) -> None:
        path = containerd.dir / "c.sock.ttrpc"
        path.unlink()
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen()
        self.listener.settimeout(60)

    def take(self, count: int) -> list[tuple[str, Any]]:
        """So many of one shim: topic and message, but for starts that containerd did not take before it was stopped."""
        peer = self.listener.accept()[0]
        peer.settimeout(60)
        told = []
        with peer, peer.makefile("rb") as stream:
            while len(told) < count:
                length, number, _, _ = struct.unpack(">IIBB", stream.read(10))
                envelope = fields(fields(fields(stream.read(length))[3][0])[1][0])
                peer.sendall(struct.pack(">IIBB", 0, number, 2, 0))
                any = message("google.protobuf.Any").FromString(envelope[4][0])
                topic = envelope[3][0].decode()
                if told or topic != "/tasks/exec-started":
                    told.append((topic, parsed(any)))
        return told


def test_what_happens_while_containerd_is_down_is_told_in_order(
    own_containerd: Containerd, root_directory: Path
) -> None:
    one = own_containerd
    pid = one.start_task(root_directory, "x", "/bin/sleep", "1000")
    for exec_id in ("e1", "e2"):
        one.add_exec("x", exec_id, "/bin/sleep", "1000")
    pids = [one.api.task("Start", container_id="x", exec_id=exec_id).pid for exec_id in ("e1", "e2")]
    one.stop()
    for process in (pids[1], pids[0], pid):
        os.kill(process, signal.SIGKILL)
        eventually(lambda: not Path(f"/proc/{process}").exists(), "the shim has seen its end")  # noqa: B023
    stand_in = StandIn(one)
    told = stand_in.take(3)
    stand_in.listener.close()
    assert [(topic, event.id, event.pid, event.exit_status) for topic, event in told] == [
        ("/tasks/exit", "e2", pids[1], 137),
        ("/tasks/exit", "e1", pids[0], 137),
        ("/tasks/exit", "x", pid, 137),
    ]
    back(one)
    one.api.subscribe()
    assert one.delete("x") == 137
    eventually(lambda: one.api.events("x"), "its deletion is told")
    eventually(lambda: not one.shims(), "the shim has nothing more to tell")
    assert [topic for topic, _ in one.api.events("x")] == ["/tasks/delete"]


def test_a_shim_that_is_killed(own_containerd: Containerd, root_directory: Path) -> None:
    one = own_containerd
    one.api.subscribe()
    pid = one.start_task(root_directory, "x", "/bin/sleep", "1000")
    waiting = one.api.send_task("Wait", container_id="x")
    (shim,) = one.shims()
    os.kill(shim, signal.SIGKILL)
    eventually(lambda: not alive(pid), "its container ends with it")
    eventually(lambda: len(one.api.events("x")) >= 4, "containerd tells its exit and its deletion")
    told = one.api.events("x")[2:]
    assert [topic for topic, _ in told] == ["/tasks/exit", "/tasks/delete"]
    assert [(event.pid, event.exit_status) for _, event in told] == [(pid, 137)] * 2
    assert one.api.task("List").tasks == []
    with pytest.raises(RpcError) as caught:
        one.api.result(waiting)
    assert caught.value.code == "UNKNOWN"
    one.api.container("Delete", id="x")


def test_shim_and_containerd_killed(own_containerd: Containerd, root_directory: Path) -> None:
    one = own_containerd
    pid = one.start_task(root_directory, "x", "/bin/sleep", "1000")
    (shim,) = one.shims()
    one.stop()
    os.kill(shim, signal.SIGKILL)
    eventually(lambda: not alive(shim), "the shim has gone")
    back(one)
    eventually(lambda: not alive(pid), "containerd has our program end what is left")
    eventually(lambda: not one.bundles(), "the bundle has gone")
    assert one.api.task("List").tasks == []
    one.api.container("Delete", id="x")


def test_the_default_place_of_sockets(tmp_path: Path, root_directory: Path) -> None:
    one = Containerd(tmp_path, "crun", SHIM_SOCKET_DIR="")
    try:
        one.start_task(root_directory, "x", "/bin/sleep", "1000")
        address = (one.bundle("x") / "address").read_text()
        assert address.startswith("unix:///run/containerd/s/")
        path = Path(address.removeprefix("unix://"))
        assert path.stat().st_mode & 0o777 == 0o600
        one.end("x")
        eventually(lambda: not path.exists(), "the socket is gone")
    finally:
        one.close()
