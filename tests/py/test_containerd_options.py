"""Options that containerd's clients give to a task, and where its program finds itself when there are none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from containerd_api import RpcError
from containerd_messages import any_of, message
from containerd_peer import CGROUPS, Containerd, Fifo

pytestmark = pytest.mark.root


def options(**fields: Any) -> Any:
    return any_of("containerd.runc.v1.Options", **fields)


def test_root(containerd: Containerd, root_directory: Path, tmp_path: Path) -> None:
    containerd.start_task(root_directory, "x", "/bin/sleep", "1000", options=options(root=str(tmp_path / "r")))
    assert (tmp_path / "r" / containerd.namespace / "x").is_dir()
    containerd.end("x")
    assert not list((tmp_path / "r" / containerd.namespace).glob("*"))
    with pytest.raises(RpcError, match="Root"):
        containerd.create(root_directory, "x", "/bin/true", options=options(root="relative"))


def test_binary_name(containerd: Containerd, root_directory: Path) -> None:
    for name in ("crun", "runc"):
        containerd.start_task(root_directory, "x", "/bin/sleep", "1000", options=options(binary_name=name))
        state = containerd.bundle("x") / "rt/x"
        assert (state / ("status" if name == "crun" else "state.json")).is_file()
        containerd.end("x")


def test_no_pivot_root_and_no_new_keyring(containerd: Containerd, root_directory: Path, tmp_path: Path) -> None:
    runtime = tmp_path / "runtime"
    name = containerd.environment["CTRD_RUNTIME"]
    runtime.write_text(f'#!/bin/sh\necho "$@" >>{tmp_path}/said\nexec {name} "$@"\n')
    runtime.chmod(0o755)
    for chosen in (True, False):
        given = options(binary_name=str(runtime), no_pivot_root=chosen, no_new_keyring=chosen)
        containerd.start_task(root_directory, "x", "/bin/true", options=given)
        assert containerd.wait("x") == 0
        containerd.delete("x")
    creates = [words for line in (tmp_path / "said").read_text().splitlines() if "create" in (words := line.split())]
    assert ["--no-pivot" in words for words in creates] == [True, False]
    assert ["--no-new-keyring" in words for words in creates] == [True, False]


@pytest.mark.skipif(Path("/run/systemd/system").is_dir(), reason="systemd runs here")
def test_systemd_cgroups_are_refused_clearly(containerd: Containerd, root_directory: Path) -> None:
    with pytest.raises(RpcError) as caught:
        containerd.create(root_directory, "x", "/bin/true", options=options(systemd_cgroup=True))
    assert caught.value.code == "FAILED_PRECONDITION"
    assert "SystemdCgroup" in caught.value.details


def test_io_uid_and_io_gid(containerd: Containerd, root_directory: Path, tmp_path: Path) -> None:
    stdout = Fifo(tmp_path, "out")
    spec = containerd.spec(
        root_directory, "x", "/bin/sh", "-c", "stat -L -c %u:%g /proc/self/fd/1; echo x >/proc/self/fd/1"
    )
    spec["process"]["user"] = {"uid": 77, "gid": 88}
    containerd.add_container("x", spec)
    given = options(io_uid=77, io_gid=88)
    containerd.api.task("Create", container_id="x", options=given, stdout=str(stdout.path))
    containerd.api.task("Start", container_id="x")
    assert stdout.read() == b"77:88\nx\n"
    assert containerd.wait("x") == 0
    containerd.delete("x")
    stdout.close()


def test_shim_cgroup(containerd: Containerd, root_directory: Path) -> None:
    path = f"{containerd.namespace}/shims"
    made = [mount / path for mount in CGROUPS.iterdir() if mount.is_dir() and mount.name in ("memory", "pids")]
    if (CGROUPS / "cgroup.procs").exists():
        made = [CGROUPS / path]
    for directory in made:
        directory.mkdir(parents=True)
    try:
        containerd.start_task(root_directory, "x", "/bin/sleep", "1000", options=options(shim_cgroup=f"/{path}"))
        (shim,) = containerd.shims()
        assert all(str(shim) in (directory / "cgroup.procs").read_text().split() for directory in made)
        pid = containerd.api.task("Get", container_id="x").process.pid
        assert f":/{containerd.namespace}/x" in Path(f"/proc/{pid}/cgroup").read_text()
        containerd.end("x")
    finally:
        for directory in made:
            directory.rmdir()


def test_the_shim_is_taken_before_containerd(containerd: Containerd, root_directory: Path) -> None:
    containerd.start_task(root_directory, "x", "/bin/sleep", "1000")
    (shim,) = containerd.shims()
    ours, theirs = (int(Path(f"/proc/{pid}/oom_score_adj").read_text()) for pid in (shim, containerd.process.pid))
    assert ours == theirs + 1
    containerd.end("x")


# runtime_options of a container, which containerd passes on when the task has none; of a type nobody knows.
def test_options_of_the_container(containerd: Containerd, root_directory: Path, tmp_path: Path) -> None:
    spec = containerd.spec(root_directory, "x", "/bin/sleep", "1000")
    containerd.add_container("x", spec, options=options(root=str(tmp_path / "r")))
    containerd.api.task("Create", container_id="x")
    assert (tmp_path / "r" / containerd.namespace / "x").is_dir()
    containerd.end("x")
    unknown = message("google.protobuf.Any")(type_url="some.Unknown", value=b"\xff")
    containerd.add_container("x", spec, options=unknown)
    containerd.api.task("Create", container_id="x")
    containerd.end("x")
