"""`bench.py exec`: c.run of /bin/true beside a bare `crun exec` or `runc exec` in the same container, turn by turn."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import ctrd
import peers
from bare import _spawn

Say = Callable[..., None]
MIB = 1 << 20


def ms(seconds: list[float]) -> float:
    return statistics.median(seconds) * 1000


def timed(verb: Callable[[], object]) -> float:
    began = time.perf_counter()
    verb()
    return time.perf_counter() - began


def measure(engine: ctrd.Engine, image: ctrd.Rootfs, runs: int, say: Say) -> None:
    for runtime in ("crun", "runc"):
        print(f"exec of /bin/true with {runtime} ({runs} each, turn by turn)")
        with engine.start(image, "sleep", "1000", runtime=runtime) as c:
            root = engine.state / engine.namespace / c.id / "rt"
            bare = (shutil.which(runtime) or runtime, "--root", str(root), "exec", c.id, "/bin/true")
            ours, limited, theirs = [], [], []
            for _ in range(runs):
                ours.append(timed(lambda: c.run("/bin/true")))  # noqa: B023
                theirs.append(timed(lambda: _spawn(*bare)))  # noqa: B023
                limited.append(timed(lambda: c.run("/bin/true", timeout=60)))  # noqa: B023
            say("c.run", f"{ms(ours):.1f} ms")
            say(f"bare {runtime} exec", f"{ms(theirs):.1f} ms")
            say("c.run above bare", f"{ms(ours) - ms(theirs):+.1f} ms", "aim: at most +3 ms")
            say("c.run with timeout= above bare", f"{ms(limited) - ms(theirs):+.1f} ms")
            many(c, say)
    streams(engine, image, say)
    with peers.containerd() as containerd:
        times = containerd.exec_true(image.path, "runc", max(10, runs // 4))
        say("containerd: ctr task exec with runc", f"{ms(times):.1f} ms")


def many(c: ctrd.Container, say: Say) -> None:
    """Eight at a time: what the shim has left of it."""
    count = int(os.environ.get("BENCH_EXECS", "500"))
    began = time.perf_counter()
    with ThreadPoolExecutor(8) as pool:
        wrong = sum(pool.map(lambda n: c.run(shell=f"exit {n % 100}").returncode != n % 100, range(count)))
    rate = count / (time.perf_counter() - began)
    say(f"{count} execs, 8 at a time", f"{rate:.0f} a second", f"{wrong} wrong exit statuses")


def streams(engine: ctrd.Engine, image: ctrd.Rootfs, say: Say) -> None:
    """What goes through stdin and stdout."""
    size = 256 * MIB
    command = ["sh", "-c", f"head -c {size} /dev/zero | cat | cat > /dev/null"]
    pipe = timed(lambda: subprocess.run(command, check=True))
    say("head | cat | cat of 256 MiB outside", f"{size / MIB / pipe:.0f} MiB/s")
    with engine.start(image, "sleep", "1000") as c:
        out = timed(lambda: c.run("head", "-c", str(size), "/dev/zero", text=False))
        say("256 MiB of stdout, captured", f"{size / MIB / out:.0f} MiB/s", "aim: half of that")
        both = timed(lambda: c.run("cat", input=bytes(size // 4), text=False))
        say("64 MiB through stdin and out again", f"{size / 4 / MIB / both:.0f} MiB/s")
