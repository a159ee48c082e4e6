"""Log programs of containerd's clients ("binary://" in stdout), which our shim runs: what they get, how they end."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from containerd_api import RpcError
from containerd_peer import Containerd
from support import alive, eventually

pytestmark = pytest.mark.root
only_crun = pytest.mark.parametrize("containerd_of_session", ["crun"], indirect=True)
COPIES = """
cat /proc/$$/environ >"$2/env"
printf '%s\\n' "$@" >"$2/args"
cat <&3 >"$2/out" 5>&- &
cat <&4 >"$2/err" 3<&- 5>&- &
echo ready >&5
exec 3<&- 4<&- 5>&-
wait
echo "all of it" >"$2/done"
"""
STUBBORN = """
trap '' TERM
echo $$ >"$2/pid"
echo ready >&5
while :; do sleep 1000; done
"""


class Logger:
    """A script with a directory of its own."""

    def __init__(self, at: Path, code: str = COPIES) -> None:
        self.at = at / "log"
        self.at.mkdir()
        self.program = at / "a logger"
        self.program.write_text(f"#!/bin/sh\n{code}")
        self.program.chmod(0o755)
        self.uri = f"binary://{at}/a%20logger?dir={self.at}&empty&words=one+two%21&dir=again"

    def read(self, name: str) -> str:
        return (self.at / name).read_bytes().decode()

    def is_complete(self) -> bool:
        return (self.at / "done").exists()


def test_what_it_gets(containerd: Containerd, root_directory: Path, tmp_path: Path) -> None:
    logger = Logger(tmp_path)
    command = ["/bin/sh", "-c", "echo one; echo two >&2; exit 3"]
    containerd.start_task(root_directory, "x", *command, stdout=logger.uri, stderr=logger.uri)
    process = containerd.api.task("Get", container_id="x").process
    assert (process.stdout, process.stderr) == (logger.uri, logger.uri)
    assert containerd.wait("x") == 3
    assert containerd.delete("x") == 3
    assert logger.is_complete()
    assert (logger.read("out"), logger.read("err")) == ("one\n", "two\n")
    assert logger.read("args").split("\n")[:-1] == ["dir", str(logger.at), "empty", "", "words", "one two!"]
    assert sorted(logger.read("env").split("\0")) == [
        "",
        "CONTAINER_ID=x",
        f"CONTAINER_NAMESPACE={containerd.namespace}",
    ]


def test_of_an_exec(containerd: Containerd, root_directory: Path, tmp_path: Path) -> None:
    logger = Logger(tmp_path)
    containerd.start_task(root_directory, "x", "/bin/sleep", "1000")
    containerd.add_exec("x", "e", "/bin/sh", "-c", "echo one; echo two >&2", stdout=logger.uri, stderr=logger.uri)
    containerd.api.task("Start", container_id="x", exec_id="e")
    assert containerd.wait("x", "e") == 0
    containerd.api.task("DeleteProcess", container_id="x", exec_id="e")
    assert logger.is_complete()
    assert (logger.read("out"), logger.read("err")) == ("one\n", "two\n")
    assert "CONTAINER_ID=e\0" in logger.read("env")
    containerd.end("x")


def test_of_terminals(containerd: Containerd, root_directory: Path, tmp_path: Path) -> None:
    for name in ("init", "exec"):
        (tmp_path / name).mkdir()
    init, of_exec = Logger(tmp_path / "init"), Logger(tmp_path / "exec")
    says = ["/bin/sh", "-c", "[ -t 1 ] && echo one >&2"]
    sleeps = [*says[:2], f"{says[2]}; sleep 1000"]
    containerd.start_task(root_directory, "x", *sleeps, terminal=True, stdout=init.uri)
    containerd.add_exec("x", "e", *says, terminal=True, stdout=of_exec.uri)
    containerd.api.task("Start", container_id="x", exec_id="e")
    assert containerd.wait("x", "e") == 0
    containerd.api.task("DeleteProcess", container_id="x", exec_id="e")
    eventually(lambda: init.read("out") == "one\r\n", "what init has written is there")
    containerd.end("x")
    for logger in (init, of_exec):
        assert logger.is_complete()
        assert (logger.read("out"), logger.read("err")) == ("one\r\n", "")


# It is a child of the shim's, as all are that a container leaves when it has no pid namespace of its own.
def test_the_end_of_the_container_does_not_take_it_along(
    containerd: Containerd, root_directory: Path, tmp_path: Path
) -> None:
    logger = Logger(tmp_path, f"{COPIES}\nsleep 0.2\necho more >>$2/done\n")
    spec = containerd.spec(root_directory, "x", "/bin/sh", "-c", "sleep 1000 & echo $!; echo one")
    spec["linux"]["namespaces"] = [one for one in spec["linux"]["namespaces"] if one["type"] != "pid"]
    containerd.add_container("x", spec)
    containerd.api.task("Create", container_id="x", stdout=logger.uri, stderr=logger.uri)
    containerd.api.task("Start", container_id="x")
    assert containerd.wait("x") == 0
    containerd.delete("x")
    left, said = logger.read("out").split()
    assert said == "one" and not alive(int(left))
    assert logger.read("done") == "all of it\nmore\n"


def test_one_that_ends_early_is_in_nobodys_way(containerd: Containerd, root_directory: Path, tmp_path: Path) -> None:
    logger = Logger(tmp_path, "exit 1")
    script = "dd if=/dev/zero bs=1M count=4 2>/dev/null && dd if=/dev/zero bs=1M count=4 >&2 2>/dev/null"
    containerd.start_task(root_directory, "x", "/bin/sh", "-c", script, stdout=logger.uri, stderr=logger.uri)
    assert containerd.wait("x") == 0
    containerd.delete("x")


@only_crun
def test_one_that_does_not_end(containerd: Containerd, root_directory: Path, tmp_path: Path) -> None:
    """It takes nothing, and no SIGTERM: the exit is told all the same, and Delete ends it."""
    logger = Logger(tmp_path, STUBBORN)
    containerd.start_task(
        root_directory, "x", "/bin/sh", "-c", "echo one; exit 4", stdout=logger.uri, stderr=logger.uri
    )
    pid = int(logger.read("pid"))
    assert containerd.wait("x") == 4
    assert alive(pid)
    assert containerd.delete("x") == 4
    assert not alive(pid)


@only_crun
def test_the_shim_is_killed(containerd: Containerd, root_directory: Path, tmp_path: Path) -> None:
    for name in ("good", "bad"):
        (tmp_path / name).mkdir()
    good, bad = Logger(tmp_path / "good"), Logger(tmp_path / "bad", STUBBORN)
    containerd.start_task(root_directory, "x", "/bin/sleep", "1000", stdout=bad.uri, stderr=bad.uri)
    containerd.add_exec("x", "e", "/bin/sh", "-c", "echo one; sleep 1000", stdout=good.uri, stderr=good.uri)
    containerd.api.task("Start", container_id="x", exec_id="e")
    eventually(lambda: good.read("out") == "one\n", "it has taken something")
    (shim,) = containerd.shims()
    os.kill(shim, signal.SIGKILL)
    pid = int(bad.read("pid"))
    eventually(lambda: not alive(pid), "our program has ended what does not end by itself")
    eventually(lambda: not containerd.bundles(), "containerd has cleaned up")
    containerd.api.container("Delete", id="x")


def test_one_that_cannot_be_run(containerd: Containerd, root_directory: Path, tmp_path: Path) -> None:
    logger = Logger(tmp_path, "exit 0")
    for uri, said in [
        ("binary:///nowhere/at/all", "cannot be executed.*/nowhere/at/all"),
        (f"binary://{tmp_path}", "cannot be executed"),
        ("binary://relative", "not the absolute path of a program"),
        (logger.uri.replace("binary", "binary-v2", 1), "has not said that it is ready"),
    ]:
        with pytest.raises(RpcError, match=said):
            containerd.create(root_directory, "x", "/bin/true", stdout=uri, stderr=uri)
        eventually(lambda: not containerd.shims(), "its shim ends")
