"""Options that containerd's clients give to a task, and where its program finds itself when there are none."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from containerd_api import RpcError
from containerd_messages import any_of, message
from containerd_peer import CGROUPS, Containerd, Fifo
from support import alive, eventually

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


class Stranger:
    """A container x that the runtime is told of by somebody else, in a root that containerd's options name."""

    def __init__(self, containerd: Containerd, root_directory: Path, at: Path) -> None:
        self.runtime, self.root, self.bundle = containerd.environment["CTRD_RUNTIME"], at / "r", at / "theirs"
        self.bundle.mkdir()
        spec = containerd.spec(root_directory, "theirs", "/bin/sleep", "1000")
        (self.bundle / "config.json").write_text(json.dumps(spec))
        self.state = self.root / containerd.namespace
        self.words = [self.runtime, "--root", str(self.state)]
        self.start_words = [*self.words, "run", "-d", "--bundle", str(self.bundle), "x"]

    def run(self, *words: str) -> None:
        null = subprocess.DEVNULL  # a container keeps what it is given
        subprocess.run(words, stdin=null, stdout=null, stderr=null, timeout=60, check=True)

    def is_running(self) -> bool:
        state = json.loads(subprocess.check_output([*self.words, "state", "x"], timeout=60))
        return state["status"] == "running" and alive(state["pid"])

    def program(self, then: str) -> str:
        """A runtime that finds the stranger's container made in the middle of its create."""
        path = self.bundle / "runtime"
        start = " ".join(self.start_words)
        path.write_text(
            f'#!/bin/sh\ncase " $* " in *" create "*) {start} </dev/null >/dev/null 2>&1; {then};; esac\n'
            f'exec {self.runtime} "$@"\n'
        )
        path.chmod(0o755)
        return str(path)


@pytest.fixture
def stranger(containerd: Containerd, root_directory: Path, tmp_path: Path) -> Iterator[Stranger]:
    made = Stranger(containerd, root_directory, tmp_path)
    yield made
    made.run(*made.words, "delete", "--force", "x")


def create_is_refused(containerd: Containerd, root_directory: Path, given: Any) -> None:
    with pytest.raises(RpcError, match="already") as caught:
        containerd.create(root_directory, "x", "/bin/true", options=given)
    assert caught.value.code == "ALREADY_EXISTS"


def test_a_root_with_a_container_of_that_id(containerd: Containerd, root_directory: Path, stranger: Stranger) -> None:
    stranger.run(*stranger.start_words)
    create_is_refused(containerd, root_directory, options(root=str(stranger.root)))
    assert stranger.is_running()


def test_a_container_of_that_id_that_comes_meanwhile(
    containerd: Containerd, root_directory: Path, stranger: Stranger
) -> None:
    given = options(root=str(stranger.root), binary_name=stranger.program(":"))
    create_is_refused(containerd, root_directory, given)
    assert stranger.is_running()


# containerd then calls `delete`, which knows no more than that there was a create.
def test_a_shim_that_dies_beside_a_container_of_that_id(
    containerd: Containerd, root_directory: Path, stranger: Stranger
) -> None:
    hangs = stranger.bundle / "hangs"
    given = options(root=str(stranger.root), binary_name=stranger.program(f"touch {hangs}; exec sleep 1000"))

    def create() -> None:
        with contextlib.suppress(RpcError):
            containerd.create(root_directory, "x", "/bin/true", options=given)

    thread = threading.Thread(target=create)
    thread.start()
    eventually(hangs.exists, "the runtime is in its create")
    (shim,) = containerd.shims()
    os.kill(shim, signal.SIGKILL)
    thread.join()
    eventually(lambda: not containerd.bundles(), "its bundle is gone")
    assert stranger.is_running()


def test_binary_name(containerd: Containerd, root_directory: Path) -> None:
    for name in ("crun", "runc"):
        containerd.start_task(root_directory, "x", "/bin/sleep", "1000", options=options(binary_name=name))
        state = containerd.bundle("x") / "rt/x"
        assert (state / ("status" if name == "crun" else "state.json")).is_file()
        containerd.end("x")


# $CTRD_RUNTIME of containerd's environment, which is not runc's for each.
def test_the_runtime_without_options(containerd: Containerd, root_directory: Path) -> None:
    containerd.start_task(root_directory, "x", "/bin/sleep", "1000")
    name = "status" if containerd.environment["CTRD_RUNTIME"] == "crun" else "state.json"
    assert (containerd.bundle("x") / "rt/x" / name).is_file()
    containerd.end("x")


def test_a_file_of_options(containerd: Containerd, root_directory: Path, tmp_path: Path) -> None:
    file = tmp_path / "f.toml"
    for name in ("crun", "runc"):
        root = tmp_path / name
        file.write_text(f'BinaryName = "{name}"\nRoot = "{root}"\n')
        words = containerd.run_words(
            root_directory, "x", "/bin/sleep", "1000", options=("-d", "--runtime-config-path", str(file))
        )
        done = containerd.ctr(*words)
        assert done.returncode == 0, done.stderr
        state = root / containerd.namespace / "x"
        assert (state / ("status" if name == "crun" else "state.json")).is_file()
        containerd.end("x")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("f.toml", "", "config_path.*not an absolute path"),
        ("{}/nothing.toml", "", "config_path.*nothing.toml.*No such file"),
        ("{}/f.toml", 'BinaryName = "crun"\nnothing', "line 2"),
        ("{}/f.toml", "BinaryName = 3", "BinaryName"),
    ],
)
def test_a_file_of_options_that_cannot_be_read(
    containerd: Containerd, root_directory: Path, tmp_path: Path, name: str, content: str, said: str
) -> None:
    (tmp_path / "f.toml").write_text(content)
    given = ("-d", "--runtime-config-path", name.format(tmp_path))
    done = containerd.ctr(*containerd.run_words(root_directory, "x", "/bin/true", options=given))
    assert done.returncode == 1
    assert re.search(said, done.stderr), done.stderr
    containerd.api.container("Delete", id="x")


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
