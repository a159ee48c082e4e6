"""Tasks one after another through a real containerd, by its API."""

from __future__ import annotations

import random
import statistics
import sys
import tempfile
from pathlib import Path

from place import TOP, Violation

sys.path[:0] = [str(TOP / "scripts"), str(TOP / "tests/py/bench")]

import roots  # noqa: E402
import shims  # noqa: E402
from containerd_api import RpcError  # noqa: E402
from containerd_peer import Containerd, nothing_left  # noqa: E402
from support import eventually  # noqa: E402

WEIGHED = 20  # shims of the beginning and of the end


def one_by_one(count: int, seed: int) -> str:
    """Created, started, killed, deleted through containerd: no failure, nothing left, a shim as small as the first."""
    chosen = random.Random(seed)
    sizes: list[int] = []
    with tempfile.TemporaryDirectory(prefix="ctrd-soak-") as work:
        containerd = Containerd(Path(work), chosen.choice(["crun", "runc"]))
        try:
            with nothing_left(containerd):
                for number in range(count):
                    sizes.append(_once(containerd, f"c{number}", chosen))
        except RpcError as error:
            raise Violation(f"after {len(sizes)}: {error}") from error
        finally:
            containerd.sweep()
            containerd.close()
    few = min(WEIGHED, max(1, count // 2))
    first, last = statistics.median(sizes[:few]), statistics.median(sizes[-few:])
    if last > 1.1 * first + 64:
        raise Violation(f"a shim's PSS grew from {first} to {last} KiB")
    return f"{count} with 0 failures; a shim's PSS: {first:.0f} KiB at first, {last:.0f} KiB at last"


def _once(containerd: Containerd, id: str, chosen: random.Random) -> int:
    """A whole life; the shim's PSS in the middle of it, in KiB."""
    comm = Path(f"/proc/{containerd.start_task(roots.busybox(), id, '/bin/sleep', '1000')}/comm")
    eventually(lambda: comm.read_text() == "sleep\n", "runc's own init, which SIGTERM ends with 2, is sleep now")
    (shim,) = containerd.shims()
    size = shims.pss_kib(shim)
    signal = chosen.choice([2, 9, 15])
    if signal != 9:  # sleep takes others as it likes: it is the first of its namespace
        containerd.kill(id, signal)
    containerd.kill(id)
    status = containerd.wait(id)
    if status != 137:
        raise Violation(f"{id}: status {status}")
    containerd.delete(id)
    return size
