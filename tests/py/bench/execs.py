"""`bench.py exec`: c.run of /bin/true beside a bare `crun exec` or `runc exec` in the same container, turn by turn."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import ctrd
import peers
from bare import _spawn
from figures import ms, timed

Say = Callable[..., None]
MIB = 1 << 20


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
    idle(engine, image, say)
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
    zeros = f"dd if=/dev/zero bs=64k count={size >> 16}"
    pipe = timed(
        lambda: subprocess.run(["sh", "-c", f"{zeros} | cat | cat > /dev/null"], check=True, stderr=subprocess.DEVNULL)
    )
    say("dd | cat | cat of 256 MiB outside", f"{size / MIB / pipe:.0f} MiB/s")
    with engine.start(image, "sleep", "1000") as c:
        with Path("/dev/null").open("wb") as sink:
            out = timed(lambda: c.run(*zeros.split(), text=False, stdout=sink, stderr=ctrd.DEVNULL))
        say("256 MiB of dd's stdout, thrown away", f"{size / MIB / out:.0f} MiB/s", "aim: half of that")
        out = timed(lambda: c.run(*zeros.split(), text=False, stderr=ctrd.DEVNULL))
        say("the same, captured", f"{size / MIB / out:.0f} MiB/s")
        both = timed(lambda: c.run("cat", input=bytes(size // 4), text=False))
        say("64 MiB through stdin and out again", f"{size / 4 / MIB / both:.0f} MiB/s")


def idle(engine: ctrd.Engine, image: ctrd.Rootfs, say: Say) -> None:
    """What a shim costs whose eleven processes wait for something, one at a terminal."""

    def ticks() -> int:
        return sum(map(int, Path(f"/proc/{shim}/stat").read_text().rpartition(")")[2].split()[11:13]))

    seconds = 10
    with engine.start(image, "sleep", "1000") as c:
        waiting = [c.exec("sleep", "1000", stdin=ctrd.PIPE) for _ in range(9)]
        waiting.append(c.exec("cat", tty=True, stdin=ctrd.PIPE))
        shim = int(Path(f"/proc/{c.task().pid}/stat").read_text().rpartition(")")[2].split()[1])
        time.sleep(1)
        before = ticks()
        time.sleep(seconds)
        used = (ticks() - before) / os.sysconf("SC_CLK_TCK")
        say(f"CPU of an idle shim in {seconds} s", f"{used:.2f} s", "aim: 0")
        for process in waiting:
            process.__exit__()
