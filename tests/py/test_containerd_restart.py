"""containerd is killed and started again while tasks run; a shim is killed; what nobody has told is found out."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from containerd_peer import RUNNING, STOPPED, Containerd, nothing_left
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
    with pytest.raises(Exception):  # noqa: B017  # whatever the connection that was lost is to containerd
        one.api.result(waiting)
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
