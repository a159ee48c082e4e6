"""Debian's containerd with everything of its own below a directory, and a namespace that nobody else has."""

from __future__ import annotations

import contextlib
import copy
import functools
import itertools
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ctrd
from containerd_api import Api, RpcError
from containerd_messages import message
from support import PATIENCE, eventually

RUNTIME = "io.containerd.ctrd.v2"
RUNC = "io.containerd.runc.v2"
CGROUPS = Path("/sys/fs/cgroup")
OCI = "types.containerd.io/opencontainers/runtime-spec/1/"
_NUMBERS = itertools.count()  # of their namespaces: names that nobody else has
CREATED, RUNNING, STOPPED, PAUSED = 1, 2, 3, 4  # of a task
CONFIG = """
version = 2
root = "{dir}/root"
state = "{dir}/state"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.snapshotter.v1.aufs",
  "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs"]
[grpc]
  address = "{dir}/c.sock"
"""


def shim_program() -> Path:
    """What these tests are about."""
    return Path(os.environ.get("CTRD_SHIM", Path(ctrd.__file__).parent / "_bin/containerd-shim-ctrd-v2"))


class Containerd:
    """It runs from construction on; close() ends it and removes what containerd itself leaves behind."""

    def __init__(self, at: Path, runtime: str, **environment: str) -> None:
        self.dir = at
        self.namespace = f"test-{os.getpid()}-{next(_NUMBERS)}"
        (at / "config.toml").write_text(CONFIG.format(dir=at))
        (at / "fifo").mkdir()
        path = f"{shim_program().parent}:{os.environ['PATH']}"
        self.sockets = at / "s"  # not /run/containerd/s, which all have in common
        ours = {"PATH": path, "CTRD_RUNTIME": runtime, "SHIM_SOCKET_DIR": str(self.sockets)}
        self.environment = ours | environment
        self.start()
        self.api = Api(at / "c.sock", self.namespace)  # which finds containerd again after a restart

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

    def close(self) -> None:
        self.api.close()
        self.process.terminate()
        self.process.wait()
        for path in self.cgroups():
            path.rmdir()  # containerd's parents of the containers' cgroups
        with contextlib.suppress(OSError):
            Path("/run/containerd/runc", self.namespace).rmdir()

    def command(self, *args: str) -> list[str]:
        return ["ctr", "-a", str(self.dir / "c.sock"), "-n", self.namespace, *args]

    def ctr(self, *args: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run ctr to its end."""
        limit = 60 * PATIENCE
        return subprocess.run(
            self.command(*args), input=stdin, capture_output=True, text=True, timeout=limit, check=False
        )

    def run_words(self, root: Path, id: str, *command: str, options: tuple[str, ...] = ()) -> list[str]:
        """What ctr is told to run a container."""
        fifos = ("--fifo-dir", str(self.dir / "fifo"))
        return ["run", *options, *fifos, "--runtime", RUNTIME, "--rootfs", str(root), id, *command]

    def run(self, root: Path, id: str, *command: str, options: tuple[str, ...] = ()) -> tuple[int, str, str]:
        """Run a container: its exit status, stdout and stderr."""
        done = self.ctr(*self.run_words(root, id, *command, options=options))
        return done.returncode, done.stdout, done.stderr

    def bundles(self) -> list[Path]:
        """What there is of tasks."""
        return list((self.dir / "state/io.containerd.runtime.v2.task").glob("*/*"))

    def bundle(self, id: str) -> Path:
        return self.dir / "state/io.containerd.runtime.v2.task" / self.namespace / id

    def shims(self) -> list[int]:
        """Those that serve a task of this one's."""
        found = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                words = path.read_bytes().split(b"\0")
                if b"-bundle" in words and os.fsencode(self.dir) in words[words.index(b"-bundle") + 1]:
                    found.append(int(path.parent.name))
        return found

    def cgroups(self) -> list[Path]:
        """What is left of this namespace's, the deepest first."""
        found = [path for path in CGROUPS.glob(f"*/{self.namespace}/**/") if path.is_dir()]
        found += [path for path in CGROUPS.glob(f"{self.namespace}/**/") if path.is_dir()]
        return sorted(found, key=lambda path: -len(path.parts))

    @functools.cached_property
    def _spec(self) -> dict[str, Any]:
        spec: dict[str, Any] = json.loads(self.ctr("oci", "spec").stdout)
        return spec

    def spec(self, root: Path, id: str, *args: str, terminal: bool = False) -> dict[str, Any]:
        """A container's, as ctr would make it."""
        spec = copy.deepcopy(self._spec)
        spec["root"] = {"path": str(root)}
        spec["process"] |= {"args": list(args), "terminal": terminal, "env": ["PATH=/bin"]}
        spec["linux"]["cgroupsPath"] = f"/{self.namespace}/{id}"
        return spec

    def add_container(self, id: str, spec: dict[str, Any], runtime: str = RUNTIME, options: Any = None) -> None:
        """Its record, by the API."""
        any = message("google.protobuf.Any")(type_url=f"{OCI}Spec", value=json.dumps(spec).encode())
        container = {"id": id, "runtime": {"name": runtime, "options": options}, "spec": any}
        self.api.container("Create", container=container)

    def create(self, root: Path, id: str, *args: str, options: Any = None, **fields: Any) -> int:
        """A container and its task, by the API; its pid."""
        self.add_container(id, self.spec(root, id, *args, terminal=bool(fields.get("terminal"))))
        try:
            pid: int = self.api.task("Create", container_id=id, options=options, **fields).pid
        except Exception:
            self.api.container("Delete", id=id)
            raise
        return pid

    def start_task(self, root: Path, id: str, *args: str, **fields: Any) -> int:
        """Made and started."""
        pid = self.create(root, id, *args, **fields)
        self.api.task("Start", container_id=id)
        return pid

    def add_exec(self, id: str, exec_id: str, *args: str, terminal: bool = False, **fields: Any) -> None:
        process = {"args": list(args), "cwd": "/", "env": ["PATH=/bin"], "terminal": terminal}
        process["user"] = {"uid": 0, "gid": 0}
        any = message("google.protobuf.Any")(type_url=f"{OCI}Process", value=json.dumps(process).encode())
        self.api.task("Exec", container_id=id, exec_id=exec_id, spec=any, terminal=terminal, **fields)

    def status(self, id: str, exec_id: str = "") -> int:
        status: int = self.api.task("Get", container_id=id, exec_id=exec_id).process.status
        return status

    def kill(self, id: str, signal: int = 9, **fields: Any) -> None:
        self.api.task("Kill", container_id=id, signal=signal, **fields)

    def wait(self, id: str, exec_id: str = "") -> int:
        """Until its end: its exit status."""
        status: int = self.api.task("Wait", container_id=id, exec_id=exec_id).exit_status
        return status

    def delete(self, id: str) -> int:
        """The stopped task and its container; its exit status."""
        status: int = self.api.task("Delete", container_id=id).exit_status
        self.api.container("Delete", id=id)
        return status

    def end(self, id: str) -> int:
        """Killed and deleted."""
        self.kill(id)
        self.wait(id)
        return self.delete(id)

    def sweep(self) -> None:
        """Remove whatever a test may have left."""
        for process in self.api.task("List").tasks:
            with contextlib.suppress(RpcError):
                self.kill(process.id)
            with contextlib.suppress(RpcError):
                self.wait(process.id)
            with contextlib.suppress(RpcError):
                self.api.task("Delete", container_id=process.id)
        for id in self.ctr("containers", "ls", "-q").stdout.split():
            self.api.container("Delete", id=id)


@contextlib.contextmanager
def nothing_left(containerd: Containerd) -> Iterator[None]:
    """What a test may not leave behind, beside what the leak set looks for: bundles, sockets, shims, cgroups."""
    yield
    eventually(lambda: not containerd.bundles(), "its bundles are gone")
    eventually(lambda: not list(containerd.sockets.glob("*")), "the shims' sockets are gone")
    eventually(lambda: not containerd.shims(), "its shims are gone")
    eventually(lambda: all(path.name == containerd.namespace for path in containerd.cgroups()), "its cgroups are gone")
    assert containerd.api.task("List").tasks == []
    assert containerd.ctr("containers", "ls", "-q").stdout == ""


class Fifo:
    """One that a client of containerd has made; read: its end is kept open for that."""

    def __init__(self, directory: Path, name: str, read: bool = True) -> None:
        self.path = directory / name
        os.mkfifo(self.path, 0o700)
        self.fd = os.open(self.path, os.O_NONBLOCK | (os.O_RDONLY if read else os.O_RDWR))

    def read(self) -> bytes:
        """All until its end."""
        os.set_blocking(self.fd, True)
        found = b""
        while piece := os.read(self.fd, 1 << 16):
            found += piece
        return found

    def read_until(self, text: bytes) -> bytes:
        """Until this has come."""
        found = b""

        def come() -> bool:
            nonlocal found
            with contextlib.suppress(BlockingIOError):
                found += os.read(self.fd, 1 << 16)
            return text in found

        eventually(come, f"{text!r} is written")
        return found

    def close_end(self) -> None:
        """Ours; the FIFO stays."""
        os.close(self.fd)
        self.fd = -1

    def close(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
        self.path.unlink()
