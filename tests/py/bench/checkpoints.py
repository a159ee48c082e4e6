"""`bench.py checkpoint`: a counting shell's beside the bare runtime's own, turn by turn; and ten copies of a Python."""

from __future__ import annotations

import os
import shutil
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import criu
import ctrd
import roots
from bare import Bare, bare
from figures import ms, timed

Say = Callable[..., None]
COUNTER = ("/bin/sh", "-c", "i=0; while :; do i=$((i+1)); echo $i; sleep 0.02; done")
PYTHON = """
import json, socket, time
kept = bytearray(80 << 20)
for n in range(0, len(kept), 4096):
    kept[n] = n % 255 + 1
while True:
    print(socket.gethostname(), flush=True)
    time.sleep(0.02)
"""


def first_line(c: ctrd.Container) -> str:
    return next(iter(c.logs(follow=True, since=0))).text


def first_answer(c: ctrd.Container) -> str:
    """Under its own name: a copy may print a line before it gets that."""
    return next(line.text for line in c.logs(follow=True, since=0) if line.text == c.id)


def measure(engine: ctrd.Engine, image: ctrd.Rootfs, runs: int, work: Path, say: Say) -> None:
    os.environ["PATH"] = criu.path()
    for name in criu.RUNTIMES:
        runtime = criu.runtime(name)
        print(f"checkpoint and restore of a counting shell with {name} ({runs} each, turn by turn)")
        with bare(engine, image, runtime, work, *COUNTER) as peer, engine.start(image, *COUNTER, runtime=runtime) as c:
            first_line(c)
            turns(c, peer, runs, say)
        copies(engine, runtime, say)


def turns(c: ctrd.Container, peer: Bare, runs: int, say: Say) -> None:
    peer.start()
    images, dumps, restores = peer.bundle / "images", [], []
    for _ in range(runs):
        began = time.perf_counter()
        made = c.checkpoint()
        dumps.append((time.perf_counter() - began, timed(lambda: peer.checkpoint(images))))
        peer.end()
        began = time.perf_counter()
        twin = made.restore()
        restores.append((time.perf_counter() - began, timed(lambda: peer.restore(images))))  # noqa: B023
        twin.delete(force=True)
        made.delete()
        shutil.rmtree(images)
    peer.end()
    for verb, times in (("checkpoint", dumps), ("restore", restores)):
        ours, theirs = (ms(list(part)) for part in zip(*times, strict=True))
        say(f"{verb}", f"{ours:.1f} ms")
        say(f"bare {verb}", f"{theirs:.1f} ms")
        say(f"{verb} above bare", f"{ours - theirs:+.1f} ms", "aim: at most +30 ms")


def on_disk(top: Path) -> int:
    """Bytes that files below it take."""
    total = 0
    for path, _, names in os.walk(top):
        for name in names:
            try:
                total += (Path(path) / name).lstat().st_blocks * 512
            except FileNotFoundError:
                continue
    return total


def copies(engine: ctrd.Engine, runtime: str, say: Say) -> None:
    """What the disk has while ten are made, beside one stored checkpoint of the same."""
    host, mounts = ctrd.Rootfs(roots.host()), ["/usr:/usr:ro"]
    with engine.start(host, "/usr/bin/python3", "-c", PYTHON, runtime=runtime, mounts=mounts) as c:
        first_line(c)
        made = c.checkpoint()
        one = on_disk(made.path)
        made.delete()
        most, done = [0], threading.Event()

        def watch() -> None:
            before = on_disk(engine.root)
            while not done.wait(0.01):
                most[0] = max(most[0], on_disk(engine.root) - before)

        watcher = threading.Thread(target=watch)
        watcher.start()
        began = time.perf_counter()
        made_ones = c.fork(10)
        took = time.perf_counter() - began
        done.set()
        watcher.join()
        answers = {first_answer(copy) for copy in made_ones}
        say("fork(10) of a Python with 80 MB", f"{took * 1000:.0f} ms")
        say("of all ten that answer", f"{len(answers & {copy.id for copy in made_ones})} of 10")
        say("disk at most, over one checkpoint", f"x{most[0] / one:.2f} of {one / 2**20:.0f} MiB", "aim: at most 1.2")
        for copy in made_ones:
            copy.delete(force=True)
