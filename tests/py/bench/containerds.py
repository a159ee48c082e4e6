"""Our shim beside containerd's own under one containerd, with the same runtime, turn by turn."""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import shims

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from containerd_peer import RUNC, RUNTIME, Containerd  # noqa: E402

PLENTY = 10  # containers whose shims are weighed at once


class Peer:
    """One of the two shims, with an OCI runtime."""

    def __init__(self, containerd: Containerd, root: Path, name: str, runtime: str) -> None:
        self.containerd, self.root = containerd, root
        self.words = ["--runtime", name, "--fifo-dir", str(containerd.dir / "fifo"), "--rootfs"]
        if name == RUNC:
            self.words[:0] = ["--runc-binary", runtime]

    def run_true(self, id: str) -> float:
        """`ctr run --rm` of /bin/true: seconds, the start of ctr (a Go program) included, as users pay it."""
        began = time.perf_counter()
        done = self.containerd.ctr("run", "--rm", *self.words, str(self.root), id, "/bin/true")
        took = time.perf_counter() - began
        assert done.returncode == 0, done.stderr
        return took

    def weigh(self, shim: bytes) -> float:
        """PSS of each of some shims, in KiB."""
        ids = [f"weighed{number}" for number in range(PLENTY)]
        for id in ids:
            assert (
                self.containerd.ctr("run", "-d", *self.words, str(self.root), id, "/bin/sleep", "1000").returncode == 0
            )
        sizes = [shims.pss_kib(pid) for pid in self._shims(shim)]
        assert len(sizes) == PLENTY, sizes
        for id in ids:
            self.containerd.ctr("task", "delete", "-f", id)
            self.containerd.ctr("container", "delete", id)
        return statistics.mean(sizes)

    def _shims(self, name: bytes) -> list[int]:
        found = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                words = path.read_bytes().split(b"\0")
            except OSError:
                continue
            if words[0].endswith(name) and self.containerd.namespace.encode() in words:
                found.append(int(path.parent.name))
        return found


def measure(root: Path, runs: int, say: Callable[..., None]) -> None:
    for runtime in ("crun", "runc"):
        print(f"ctr run --rm of /bin/true with {runtime} ({runs} each, turn by turn)")
        with tempfile.TemporaryDirectory(prefix="ctrd-bench-") as work:
            containerd = Containerd(Path(work), runtime)
            try:
                compare(containerd, root, runtime, runs, say)
            finally:
                containerd.sweep()
                containerd.close()


def compare(containerd: Containerd, root: Path, runtime: str, runs: int, say: Callable[..., None]) -> None:
    ours, theirs = (Peer(containerd, root, name, runtime) for name in (RUNTIME, RUNC))
    times: dict[Peer, list[float]] = {ours: [], theirs: []}
    for number in range(runs):
        for peer in (ours, theirs) if number % 2 else (theirs, ours):
            times[peer].append(peer.run_true(f"r{number}"))
    ms = {peer: statistics.median(took) * 1000 for peer, took in times.items()}
    say("containerd-shim-ctrd-v2", f"{ms[ours]:.1f} ms")
    say("containerd-shim-runc-v2", f"{ms[theirs]:.1f} ms")
    say("ours / theirs", f"x{ms[ours] / ms[theirs]:.2f}", "aim: at most x0.80")
    sizes = ours.weigh(b"containerd-shim-ctrd-v2"), theirs.weigh(b"containerd-shim-runc-v2")
    say(f"PSS of each of {PLENTY} shims: ours, theirs", f"{sizes[0]:.0f} KiB, {sizes[1]:.0f} KiB")
    say("ours / theirs", f"1/{sizes[1] / sizes[0]:.1f}", "aim: at most 1/5")
