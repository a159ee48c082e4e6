"""Execs by the thousand, bursts just before an exit, and a gigabyte through a pipe: every exit and every byte."""

from __future__ import annotations

import hashlib
import os
import random
import threading
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import ctrd
import leakset
from place import Violation, fork, join, new_place
from support import eventually

MIB = 1 << 20
WORKERS = 8


def _must(condition: object, words: str) -> None:
    if not condition:
        raise Violation(words)


def _shim_of(c: ctrd.Container) -> int:
    return int(Path(f"/proc/{c.task().pid}/stat").read_text().rpartition(")")[2].split()[1])


def _descriptors(shim: int) -> int:
    """How many it has once its clients have gone: then one socket, on which it listens."""

    def links() -> list[str]:
        return [str(path.readlink()) for path in Path(f"/proc/{shim}/fd").iterdir()]

    def idle() -> list[str]:
        found = links()
        return found if sum(link.startswith("socket:") for link in found) == 1 else []

    return len(eventually(idle, "its clients have gone"))


def _memory_kib(pid: int) -> int:
    """What it has written: its share of the program's pages grows when another shim ends."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Private_Dirty:"))


def execs(count: int, seed: int) -> str:
    """`count` execs in one container, 8 at a time: exit codes, the shim's descriptors and memory, the client's too."""
    told: list[str] = []

    def one(c: ctrd.Container, n: int) -> None:
        result = c.run(shell=f"echo {n}; exit {n % 200}")
        _must((result.returncode, result.stdout) == (n % 200, f"{n}\n"), f"exec {n} left {result!r}")

    def work() -> None:
        engine = place.engine()
        with engine.start(place.image, "sleep", "100000") as c, ThreadPoolExecutor(WORKERS) as pool:
            list(pool.map(lambda n: one(c, n), range(200)))
            shim = _shim_of(c)
            before = _descriptors(shim), _memory_kib(shim), leakset.LeakSet.take()
            began = time.monotonic()
            list(pool.map(lambda n: one(c, n), range(count)))
            took = time.monotonic() - began
            fds, memory = _descriptors(shim), _memory_kib(shim)
            _must(fds == before[0], f"the shim has {fds} descriptors, {before[0]} before")
            _must(memory - before[1] <= 1024, f"the shim has {memory} KiB, {before[1]} before")
            (place.top / "told").write_text(f"{count / took:.0f} a second, the shim {memory - before[1]:+} KiB")

    with new_place() as place:
        join(fork(work), 7200)
        told.append((place.top / "told").read_text())
        place.check("soak.py execs")
        place.nothing_left("soak.py execs")
    return f"{count} execs, {WORKERS} at a time, all codes and outputs right, {told[0]}"


def bursts(count: int, seed: int) -> str:
    """`count` bursts of 1 to 128 MiB and a byte more or less, then exit; deleted right after the wait: byte-exact."""
    sizes = [(1 << power) + off for power in range(20, 28) for off in (-1, 0, 1)]
    order = random.Random(seed)

    def work() -> None:
        engine = place.engine()
        chunk = os.urandom(MIB)
        (place.top / "pattern").write_bytes(chunk * 129)
        mounts = [ctrd.Mount.bind(place.top / "pattern", "/pattern", read_only=True)]
        crcs = {}
        for size in sizes:
            crcs[size] = zlib.crc32((chunk * 129)[:size])
        with engine.start(place.image, "sleep", "100000", mounts=mounts) as c:
            for n in range(count):
                # The larger ones are rarer: a thousand of all would be 40 GB.
                size = order.choice(sizes if n % 10 == 0 else sizes[:12])
                out = c.run("head", "-c", str(size), "/pattern", text=False).stdout
                _must((len(out), zlib.crc32(out)) == (size, crcs[size]), f"burst {n}: {len(out)} of {size} bytes")

    with new_place() as place:
        join(fork(work), 7200)
        place.check("soak.py bursts")
        place.nothing_left("soak.py bursts")
    return f"{count} of {count} byte-exact"


def gigabyte(count: int, seed: int) -> str:
    """`count` MiB through a process's stdin and out of its stdout again."""

    def once(c: ctrd.Container, chunk: bytes, wanted: str) -> None:
        digest = hashlib.sha256()
        with c.exec("cat", stdin=ctrd.PIPE, text=False) as p:
            assert p.stdin and p.stdout
            stdout = p.stdout

            def read() -> None:
                while data := stdout.read(MIB):
                    digest.update(data)

            reader = threading.Thread(target=read)
            reader.start()
            for _ in range(count):
                p.stdin.write(chunk)
            p.stdin.close()
            reader.join()
            _must(p.wait(timeout=60) == 0, "cat failed")
        _must(digest.hexdigest() == wanted, "other bytes came out")

    def work() -> None:
        engine = place.engine()
        chunk = os.urandom(MIB)
        digest = hashlib.sha256()
        for _ in range(count):
            digest.update(chunk)
        with engine.start(place.image, "sleep", "100000") as c:
            once(c, chunk, digest.hexdigest())

    with new_place() as place:
        began = time.monotonic()
        join(fork(work), 7200)
        took = time.monotonic() - began
        place.check("soak.py gigabyte")
        place.nothing_left("soak.py gigabyte")
    return f"{count} MiB byte-exact, {count / took:.0f} MiB/s in and out"
