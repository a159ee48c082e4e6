"""The states of a task and of its execs, by containerd's gRPC API: what each call answers in each."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from containerd_api import RpcError
from containerd_messages import any_of, message, parsed
from containerd_peer import CGROUPS, CREATED, OCI, PAUSED, RUNNING, STOPPED, Containerd
from support import alive, eventually

pytestmark = pytest.mark.root


@pytest.fixture
def sleeper(containerd: Containerd, root_directory: Path) -> Iterator[str]:
    """A task that runs until it is killed; a test may have deleted it."""
    containerd.start_task(root_directory, "x", "/bin/sleep", "1000")
    yield "x"
    for task in containerd.api.task("List").tasks:
        if task.status != STOPPED:
            containerd.kill(task.id)
            containerd.wait(task.id)
        containerd.delete(task.id)


def refused(containerd: Containerd, method: str, **fields: Any) -> RpcError:
    with pytest.raises(RpcError) as caught:
        containerd.api.task(method, container_id="x", **fields)
    return caught.value


def test_a_life(containerd: Containerd, root_directory: Path) -> None:
    pid = containerd.create(root_directory, "x", "/bin/sh", "-c", "exit 5")
    assert alive(pid)
    assert containerd.status("x") == CREATED
    assert containerd.api.task("Start", container_id="x").pid == pid
    assert containerd.wait("x") == 5
    assert containerd.status("x") == STOPPED
    answer = containerd.api.task("Delete", container_id="x")
    assert (answer.pid, answer.exit_status) == (pid, 5)
    assert answer.exited_at.seconds > 1_700_000_000
    containerd.api.container("Delete", id="x")


def test_calls_of_the_wrong_state(containerd: Containerd, sleeper: str) -> None:
    assert refused(containerd, "Start").code == "FAILED_PRECONDITION"
    assert refused(containerd, "Resume").code == "FAILED_PRECONDITION"
    assert refused(containerd, "Create").code == "ALREADY_EXISTS"
    assert refused(containerd, "Kill", signal=99).code == "INVALID_ARGUMENT"
    containerd.kill(sleeper)
    assert containerd.wait(sleeper) == 137
    assert refused(containerd, "Kill", signal=9).code == "NOT_FOUND"
    assert refused(containerd, "Pause").code == "FAILED_PRECONDITION"
    containerd.delete(sleeper)
    assert refused(containerd, "Get").code == "NOT_FOUND"


def test_a_created_task_is_killed_and_deleted(containerd: Containerd, root_directory: Path) -> None:
    pid = containerd.create(root_directory, "x", "/bin/sleep", "1000")
    assert containerd.end("x") == 137
    pid = containerd.create(root_directory, "x", "/bin/sleep", "1000")
    assert containerd.delete("x") == 137
    assert not alive(pid)


def test_an_exec(containerd: Containerd, sleeper: str) -> None:
    containerd.add_exec(sleeper, "e", "/bin/sh", "-c", "exit 3")
    assert containerd.status(sleeper, "e") == CREATED
    assert refused(containerd, "Kill", exec_id="e", signal=9).code == "FAILED_PRECONDITION"
    with pytest.raises(RpcError) as caught:
        containerd.add_exec(sleeper, "e", "/bin/true")
    assert caught.value.code == "ALREADY_EXISTS"
    assert containerd.api.task("Start", container_id=sleeper, exec_id="e").pid > 0
    assert containerd.wait(sleeper, "e") == 3
    assert containerd.wait(sleeper, "e") == 3
    assert containerd.api.task("DeleteProcess", container_id=sleeper, exec_id="e").exit_status == 3
    assert refused(containerd, "Get", exec_id="e").code == "NOT_FOUND"
    assert refused(containerd, "CloseIO", exec_id="e", stdin=True).code != "OK"


# The counter of runc's own shim becomes negative, and it panics when init ends.
def test_an_exec_started_twice(containerd: Containerd, sleeper: str) -> None:
    containerd.add_exec(sleeper, "e", "/bin/sleep", "1000")
    containerd.api.task("Start", container_id=sleeper, exec_id="e")
    for _ in range(3):
        assert refused(containerd, "Start", exec_id="e").code in ("UNKNOWN", "FAILED_PRECONDITION")
    containerd.kill(sleeper, exec_id="e", signal=15)
    assert containerd.wait(sleeper, "e") == 143
    assert refused(containerd, "Start", exec_id="e").code in ("UNKNOWN", "FAILED_PRECONDITION")
    containerd.kill(sleeper)
    assert containerd.wait(sleeper) == 137
    assert containerd.status(sleeper) == STOPPED


# containerd 1.6 puts it on the wire: the shim refuses it and takes the next.
def test_a_request_above_4_mib(containerd: Containerd, sleeper: str) -> None:
    with pytest.raises(RpcError) as caught:
        containerd.add_exec(sleeper, "e", "/bin/echo", "x" * (5 << 20))
    assert "limit of 4194304" in caught.value.details
    assert containerd.status(sleeper) == RUNNING


def test_an_exec_whose_program_is_not_there(containerd: Containerd, sleeper: str) -> None:
    containerd.add_exec(sleeper, "e", "/nothing")
    assert "/nothing" in refused(containerd, "Start", exec_id="e").details
    containerd.api.task("DeleteProcess", container_id=sleeper, exec_id="e")
    assert containerd.status(sleeper) == RUNNING


def test_pause_resume_and_a_kill_while_paused(containerd: Containerd, sleeper: str) -> None:
    containerd.api.task("Pause", container_id=sleeper)
    assert containerd.status(sleeper) == PAUSED
    assert refused(containerd, "Pause").code in ("UNKNOWN", "FAILED_PRECONDITION")
    with pytest.raises(RpcError):
        containerd.add_exec(sleeper, "e", "/bin/true")
    containerd.api.task("Resume", container_id=sleeper)
    assert containerd.status(sleeper) == RUNNING
    containerd.api.task("Pause", container_id=sleeper)
    containerd.kill(sleeper)
    assert containerd.wait(sleeper) == 137


# runc 1.1 thaws the whole cgroup for it, and its shim goes on to say PAUSED.
@pytest.mark.parametrize("signal", [0, 15])
def test_kill_all_of_a_paused_task(containerd: Containerd, root_directory: Path, signal: int) -> None:
    containerd.start_task(
        root_directory, "x", "/bin/sh", "-c", "trap 'exit 9' TERM; while :; do /bin/sleep 1000 & wait; done"
    )
    containerd.api.task("Pause", container_id="x")
    containerd.kill("x", signal, all=True)
    assert containerd.status("x") == PAUSED
    containerd.api.task("Resume", container_id="x")
    if not signal:
        assert containerd.status("x") == RUNNING
        containerd.kill("x")
    assert containerd.wait("x") == (9 if signal else 137)
    containerd.delete("x")


def test_metrics_pids_and_update(containerd: Containerd, sleeper: str) -> None:
    containerd.add_exec(sleeper, "e", "/bin/sleep", "1000")
    exec_pid = containerd.api.task("Start", container_id=sleeper, exec_id="e").pid
    processes = containerd.api.task("ListPids", container_id=sleeper).processes
    assert exec_pid in [one.pid for one in processes]
    assert len(processes) == 2
    limits = {"memory": {"limit": 64 << 20}, "pids": {"limit": 50}}
    any = message("google.protobuf.Any")(type_url=f"{OCI}LinuxResources", value=json.dumps(limits).encode())
    containerd.api.task("Update", container_id=sleeper, resources=any)
    (metric,) = containerd.api.task("Metrics").metrics
    assert metric.id == sleeper
    figures = parsed(metric.data)
    assert figures.pids.current == 2
    assert figures.pids.limit == 50
    if metric.data.type_url.endswith("v1.Metrics"):
        assert figures.memory.usage.limit == 64 << 20
        assert figures.cpu.usage.total > 0
        assert len(figures.cpu.usage.per_cpu) > 0
    else:
        assert figures.memory.usage_limit == 64 << 20
        assert figures.cpu.usage_usec > 0


def test_a_create_that_fails_leaves_nothing(containerd: Containerd, root_directory: Path) -> None:
    containerd.api.subscribe()
    for args, options, words in [
        (["/nothing"], None, "/nothing"),
        (["/bin/true"], any_of("containerd.runc.v1.Options", binary_name="no-runc"), '"no-runc"'),
    ]:
        with pytest.raises(RpcError) as caught:
            containerd.create(root_directory, "x", *args, options=options)
        assert words in caught.value.details
        assert containerd.api.task("List").tasks == []
    assert [topic for topic, _ in containerd.api.events("x") if topic != "/tasks/delete"] == []
    assert containerd.start_task(root_directory, "x", "/bin/sleep", "1000") > 0
    containerd.end("x")


# As a snapshotter gives it. containerd only rmdirs the bundle's rootfs: what is left there keeps the bundle for ever.
@pytest.mark.parametrize("killed", [False, True])
def test_a_root_of_mounts(containerd: Containerd, root_directory: Path, tmp_path: Path, killed: bool) -> None:
    for name in ("upper", "work"):
        (tmp_path / name).mkdir()
    options = [f"lowerdir={root_directory}", f"upperdir={tmp_path}/upper", f"workdir={tmp_path}/work"]
    spec = containerd.spec(root_directory, "x", "/bin/sh", "-c", "echo here > /written; exec sleep 1000")
    spec["root"]["path"] = "rootfs"
    containerd.add_container("x", spec)
    mount = message("containerd.types.Mount")(type="overlay", source="overlay", options=options)
    pid = containerd.api.task("Create", container_id="x", rootfs=[mount]).pid
    containerd.api.task("Start", container_id="x")
    eventually((tmp_path / "upper/written").exists, "it has written into its layer")
    if killed:
        (shim,) = containerd.shims()
        os.kill(shim, signal.SIGKILL)
        eventually(lambda: not alive(pid) and not containerd.bundles(), "containerd has had it cleaned up")
        containerd.api.container("Delete", id="x")
    else:
        containerd.end("x")


@pytest.mark.parametrize("containerd_of_session", ["crun"], indirect=True)
def test_a_hundred_at_once(containerd: Containerd, root_directory: Path) -> None:
    ids = [f"c{number}" for number in range(100)]
    for id in ids:
        containerd.add_container(id, containerd.spec(root_directory, id, "/bin/sleep", "1000"))
    for method, fields in [("Create", {}), ("Start", {}), ("Kill", {"signal": 9}), ("Wait", {}), ("Delete", {})]:
        calls = [containerd.api.send_task(method, container_id=id, **fields) for id in ids]
        answers = [containerd.api.result(call) for call in calls]
        if method == "Create":
            assert len({answer.pid for answer in answers}) == 100
        elif method in ("Wait", "Delete"):
            assert {answer.exit_status for answer in answers} == {137}
    for id in ids:
        containerd.api.container("Delete", id=id)
    eventually(lambda: not containerd.shims(), "all shims have gone")


@pytest.fixture
def cgroup_of_x(containerd: Containerd) -> Iterator[list[Path]]:
    """That of container x, in each hierarchy, before there is one."""
    mounts = {mount.resolve() for mount in CGROUPS.iterdir() if (mount / "tasks").exists() and mount.name != "cpuset"}
    paths = [mount / containerd.namespace / "x" for mount in mounts or {CGROUPS}]
    for path in paths:
        path.mkdir(parents=True)
    yield paths
    for path in paths:
        with contextlib.suppress(FileNotFoundError):  # the runtime removes what is empty
            path.rmdir()


@pytest.fixture
def neighbour(cgroup_of_x: list[Path]) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is in the cgroup of container x before there is one."""
    process = subprocess.Popen(["sleep", "1000"])
    for path in cgroup_of_x:
        (path / "cgroup.procs").write_text(str(process.pid))
    yield process
    process.kill()
    process.wait()


# Such a cgroup is not the task's own: only what we have started there is.
def test_a_cgroup_with_somebody_in_it(
    containerd: Containerd, root_directory: Path, neighbour: subprocess.Popen[bytes]
) -> None:
    pid = containerd.start_task(root_directory, "x", "/bin/sleep", "1000")
    containerd.add_exec("x", "e", "/bin/sleep", "1000")
    exec_pid = containerd.api.task("Start", container_id="x", exec_id="e").pid
    found = [process.pid for process in containerd.api.task("ListPids", container_id="x").processes]
    assert sorted(found) == sorted([pid, exec_pid])
    containerd.api.task("Pause", container_id="x")
    assert containerd.status("x") == PAUSED
    containerd.api.task("Resume", container_id="x")
    containerd.kill("x", signal=15, all=True)  # init has no handler for it
    assert containerd.wait("x", "e") == 143
    assert containerd.status("x") == RUNNING
    containerd.kill("x", all=True)
    assert containerd.wait("x") == 137
    assert neighbour.poll() is None
    neighbour.kill()  # crun's delete does
    containerd.delete("x")


def test_a_kill_while_somebody_is_paused_with_it(
    containerd: Containerd, root_directory: Path, neighbour: subprocess.Popen[bytes]
) -> None:
    containerd.start_task(root_directory, "x", "/bin/sleep", "1000")
    containerd.api.task("Pause", container_id="x")
    containerd.kill("x", all=True)
    assert containerd.wait("x") == 137
    assert neighbour.poll() is None
    neighbour.kill()  # crun's delete does
    containerd.delete("x")


def test_a_shim_in_the_cgroup_of_its_task(
    containerd: Containerd, root_directory: Path, cgroup_of_x: list[Path]
) -> None:
    """It is not frozen with it, and does not die with it."""
    given = any_of("containerd.runc.v1.Options", shim_cgroup=f"/{containerd.namespace}/x")
    containerd.start_task(root_directory, "x", "/bin/sleep", "1000", options=given)
    error = refused(containerd, "Pause")
    assert error.code == "FAILED_PRECONDITION" and "this shim is in its cgroup" in error.details
    containerd.kill("x", all=True)
    assert containerd.wait("x") == 137
    (shim,) = containerd.shims()
    for path in cgroup_of_x:  # crun's delete kills whoever is in it
        (path.parents[1] / "cgroup.procs").write_text(str(shim))
    containerd.delete("x")
