"""Debian's containerd runs our shim: its start contract and its events, judged by the program they belong to."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import ctrd
import pytest
from support import alive, eventually

pytestmark = pytest.mark.root
RUNTIME = "io.containerd.ctrd.v2"
SOCKETS = Path("/run/containerd/s")
CONFIG = """
version = 2
root = "{dir}/root"
state = "{dir}/state"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.snapshotter.v1.aufs",
  "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs"]
[grpc]
  address = "{dir}/c.sock"
"""


def _shim() -> Path:
    return Path(os.environ.get("CTRD_SHIM", Path(ctrd.__file__).parent / "_bin/containerd-shim-ctrd-v2"))


class Containerd:
    """One with everything of its own below a directory."""

    def __init__(self, at: Path, runtime: str) -> None:
        self.dir = at
        (at / "config.toml").write_text(CONFIG.format(dir=at))
        path = f"{_shim().parent}:{os.environ['PATH']}"
        self.environment = {"PATH": path, "CTRD_RUNTIME": runtime}
        self.start()

    def start(self) -> None:
        """Start it, and wait until it answers."""
        with (self.dir / "log").open("ab") as log:
            command = ["containerd", "-c", str(self.dir / "config.toml")]
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.environment
            )
        eventually(lambda: self.ctr("version").returncode == 0, "containerd answers")

    def stop(self) -> None:
        """Kill it: whatever runs goes on."""
        self.process.kill()
        self.process.wait()

    def ctr(self, *args: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run ctr to its end."""
        command = ["ctr", "-a", str(self.dir / "c.sock"), *args]
        return subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=60, check=False)

    def run(self, root: Path, id: str, *command: str, options: tuple[str, ...] = ()) -> tuple[int, str, str]:
        """Run a container: its exit status, stdout and stderr."""
        fifos = ("--fifo-dir", str(self.dir / "fifo"))
        done = self.ctr("run", *options, *fifos, "--runtime", RUNTIME, "--rootfs", str(root), id, *command)
        return done.returncode, done.stdout, done.stderr

    def bundles(self) -> list[Path]:
        """What there is of tasks."""
        return list((self.dir / "state/io.containerd.runtime.v2.task").glob("*/*"))


@pytest.fixture(params=["crun", "runc"])
def containerd(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Containerd]:
    """One for a test, after which no shim, bundle or socket is left."""
    sockets = set(SOCKETS.glob("*"))
    made = Containerd(tmp_path, request.param)
    yield made
    eventually(lambda: not made.bundles(), "its bundles are gone")
    eventually(lambda: set(SOCKETS.glob("*")) <= sockets, "the shims' sockets are gone")
    made.process.terminate()
    made.process.wait()


def test_run(containerd: Containerd, root_directory: Path) -> None:
    assert containerd.run(root_directory, "x", "/bin/echo", "hello", options=("--rm",)) == (0, "hello\n", "")


def test_exit_status(containerd: Containerd, root_directory: Path) -> None:
    assert containerd.run(root_directory, "x", "/bin/sh", "-c", "exit 7", options=("--rm",))[0] == 7


def test_a_program_that_is_not_there(containerd: Containerd, root_directory: Path) -> None:
    status, _, error = containerd.run(root_directory, "x", "/nothing", options=("--rm",))
    assert status == 1
    assert "/nothing" in error


def test_detached_exec_kill_and_delete(containerd: Containerd, root_directory: Path) -> None:
    assert containerd.run(root_directory, "x", "/bin/sleep", "1000", options=("-d",))[0] == 0
    fifos = ("--fifo-dir", str(containerd.dir / "fifo"))
    done = containerd.ctr("task", "exec", *fifos, "--exec-id", "e", "x", "/bin/echo", "in")
    assert (done.returncode, done.stdout) == (0, "in\n")
    assert containerd.ctr("task", "kill", "-s", "SIGKILL", "x").returncode == 0
    eventually(lambda: "STOPPED" in containerd.ctr("task", "ls").stdout, "it is stopped")
    assert "137" in containerd.ctr("task", "delete", "x").stderr
    assert containerd.ctr("container", "delete", "x").returncode == 0


def test_containerd_killed_and_started_again(containerd: Containerd, root_directory: Path) -> None:
    containerd.run(root_directory, "x", "/bin/sleep", "1000", options=("-d",))
    pid = int(containerd.ctr("task", "ls").stdout.splitlines()[1].split()[1])
    containerd.stop()
    assert alive(pid)
    containerd.start()
    assert "RUNNING" in containerd.ctr("task", "ls").stdout
    containerd.ctr("task", "delete", "-f", "x")
    assert not alive(pid)
    containerd.ctr("container", "delete", "x")
