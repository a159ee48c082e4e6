"""A real containerd beside ctrd, with a root, a state and a socket of its own."""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CONFIG = """version = 2
root = "{work}/root"
state = "{work}/state"
disabled_plugins = [
  "io.containerd.grpc.v1.cri", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs",
  "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.tracing.processor.v1.otlp", "io.containerd.internal.v1.tracing",
]
[grpc]
address = "{work}/sock"
[ttrpc]
address = "{work}/sock.ttrpc"
"""


class Containerd:
    """One containerd; `ctr` talks to it."""

    def __init__(self, work: Path) -> None:
        self.socket = work / "sock"

    def ctr(self, *args: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        command = ["ctr", "--address", str(self.socket), *args]
        return subprocess.run(command, check=check, stdin=subprocess.DEVNULL, capture_output=True, text=True)

    def run_true(self, rootfs: Path, runtime: str, name: str) -> float:
        """`ctr run --rm` of /bin/true on a directory.

        Returns:
            float: seconds, the start of ctr (a Go program) included, as users pay it.
        """
        began = time.perf_counter()
        self.ctr("run", "--rm", "--runc-binary", runtime, "--rootfs", str(rootfs), name, "/bin/true")
        return time.perf_counter() - began

    def exec_true(self, rootfs: Path, runtime: str, count: int) -> list[float]:
        """`ctr task exec` of /bin/true in a container that sleeps, count times: seconds each."""
        self.ctr("run", "-d", "--runc-binary", runtime, "--rootfs", str(rootfs), "sleeps", "/bin/sleep", "1000")
        times = []
        for number in range(count):
            began = time.perf_counter()
            self.ctr("task", "exec", "--exec-id", f"e{number}", "sleeps", "/bin/true")
            times.append(time.perf_counter() - began)
        self.ctr("task", "kill", "--signal", "SIGKILL", "sleeps")
        self.ctr("container", "rm", "sleeps", check=False)
        return times


@contextmanager
def containerd() -> Iterator[Containerd]:
    """Start containerd in a temporary folder; at the end stop it."""
    with tempfile.TemporaryDirectory(prefix="ctrd-bench-containerd-") as temporary:
        work = Path(temporary)
        (work / "config.toml").write_text(CONFIG.format(work=work))
        with (work / "log").open("w") as log:
            server = subprocess.Popen(
                ["containerd", "--config", str(work / "config.toml")], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        try:
            peer = Containerd(work)
            for _ in range(200):
                if peer.ctr("version", check=False).returncode == 0:
                    break
                time.sleep(0.05)
            else:
                raise RuntimeError((work / "log").read_text()[-2000:])
            yield peer
        finally:
            server.terminate()
            server.wait()
