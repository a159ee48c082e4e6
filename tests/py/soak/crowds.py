"""Many at once, many one after another, and the end of those who had many."""

from __future__ import annotations

import bisect
import json
import os
import statistics
import time
from collections import Counter

import acknowledged
import ctrd
import leakset
from load import Client
from place import Violation, alive_pids, fork, join, join_all, new_place
from support import alive, eventually

WORKERS = 8


def _must(condition: object, words: str) -> None:
    if not condition:
        raise Violation(words)


def at_once(count: int, seed: int) -> str:
    """`count` containers started by 8 processes at once on one root; each then ends with a code of its own."""
    each = count // WORKERS

    def start(worker: int) -> None:
        engine = place.engine()
        for i in range(each):
            n = worker * each + i
            command = f"read x < /go; exit {n % 200}"
            mounts = [ctrd.Mount.bind(place.top / "go", "/go")]
            c = engine.containers.create(
                place.image, shell=command, id=f"c{n}", lifetime="detached", mounts=mounts, pids=16
            )
            c.start()

    def end() -> None:
        engine = place.engine()
        rows = engine.containers.list()
        _must(len(rows) == each * WORKERS, f"{len(rows)} of {each * WORKERS} are listed")
        _must(all(row.status == "running" for row in rows), "not all are running")
        place.check("at-once: all are running", closed=False)
        go = os.open(place.top / "go", os.O_WRONLY)
        os.write(go, b"\n" * each * WORKERS)
        for n in range(each * WORKERS):
            code = engine.containers[f"c{n}"].wait(timeout=60)
            _must(code == n % 200, f"c{n} ended with {code!r}")
        os.close(go)

    with new_place() as place:
        os.mkfifo(place.top / "go")
        started = time.monotonic()
        join_all([fork(lambda worker=worker: start(worker)) for worker in range(WORKERS)], 600)  # type: ignore[misc]
        took = time.monotonic() - started
        join(fork(end), 300)
        place.clear()
        place.check("soak.py at-once")
        place.nothing_left("soak.py at-once")
    return f"{each * WORKERS} started by {WORKERS} processes in {took:.1f} s, all running, all codes right"


def _life(engine: ctrd.Engine, image: ctrd.Rootfs, n: int) -> float:
    """Start, wait and delete one; how long that took."""
    started = time.monotonic()
    with engine.start(image, shell=f"exit {n % 200}") as c:
        code = c.wait(timeout=60)
    _must(code == n % 200, f"container {n} ended with {code!r}")
    return time.monotonic() - started


def one_by_one(count: int, seed: int) -> str:
    """`count` started, waited for and deleted one after another: codes, speed at the end, leak set."""

    def work() -> None:
        engine = place.engine()
        for n in range(5):
            _life(engine, place.image, n)
        before = leakset.LeakSet.take()
        times = [_life(engine, place.image, n) for n in range(count)]
        leaked = leakset.leaked_since(before, place.top)
        _must(not leaked, f"left behind: {leaked}")
        part = min(200, count // 2)
        first, last = statistics.median(times[:part]), statistics.median(times[-part:])
        engine.close()
        (place.top / "said").write_text(json.dumps([first, last, sum(times)]))

    with new_place() as place:
        join(fork(work), 60 + count)
        first, last, total = json.loads((place.top / "said").read_text())
        files = len(list((place.root / "metadata").iterdir()))
        place.check("soak.py one-by-one")
        place.nothing_left("soak.py one-by-one")
    figures = f"{count} in {total:.0f} s, median {first * 1e3:.1f} ms at first, {last * 1e3:.1f} ms at last"
    _must(last <= 1.2 * first or count < 400, f"{figures}: the ratio is above 1.2")
    return f"{figures}: ratio {last / first:.2f}; {files} files of metadata; leak set equal"


def exits(count: int, seed: int) -> str:
    """200 containers (24 for less than 5 times) that exit at once, `count` times: each exit delivered within 2 s."""
    containers = 200 if count >= 5 else 24

    def prepare() -> None:
        engine = place.engine()
        mounts = [ctrd.Mount.bind(place.top / "go", "/go")]
        for n in range(containers):
            command = f"read x < /go; exit {n % 100}"
            engine.containers.create(
                place.image, shell=command, id=f"c{n}", lifetime="detached", mounts=mounts, pids=16
            )

    def start(worker: int) -> None:
        engine = place.engine()
        for n in range(worker, containers, WORKERS):
            engine.containers[f"c{n}"].start()

    def end() -> None:
        engine = place.engine()
        handles = [engine.containers[f"c{n}"] for n in range(containers)]
        _must(all(c.status() == "running" for c in handles), "not all are running")
        events = engine.events("topic==/tasks/exit")
        started = time.monotonic()
        go = os.open(place.top / "go", os.O_WRONLY)
        os.write(go, b"\n" * containers)  # a byte for each, also for a shell that has not come so far yet
        codes, late = [], 0.0
        for c in handles:
            codes.append(c.wait(timeout=60))
            late = max(late, time.time() - codes[-1].exited_at.timestamp())  # at most: those before it came first
        said = time.monotonic() - started
        os.close(go)
        wrong = [n for n, code in enumerate(codes) if code != n % 100 or code.lost]
        _must(not wrong, f"wrong codes of {wrong}")
        heard = [events.next(timeout=20) for _ in range(containers)]
        hearing = time.monotonic() - started
        told = Counter(str(event.data["container_id"]) for event in heard)
        more = list(engine.events("topic==/tasks/exit", since=heard[-1].seq, follow=False))
        _must(len(told) == containers and not more, f"exit events: {told.most_common(2)}, and then {more}")
        _must(codes == [c.wait(timeout=60) for c in handles], "an exit has changed")
        ends = sorted(code.exited_at.timestamp() for code in codes)
        dense = max(bisect.bisect_right(ends, end + 0.1) - n for n, end in enumerate(ends))
        (place.top / "said").write_text(json.dumps([max(said, hearing), late, ends[-1] - ends[0], dense]))

    took, lates, spreads, denses = list[float](), list[float](), list[float](), list[int]()
    with new_place() as place:
        os.mkfifo(place.top / "go")
        join(fork(prepare), 300)
        for _ in range(count):
            join_all([fork(lambda worker=worker: start(worker)) for worker in range(WORKERS)], 600)  # type: ignore[misc]
            join(fork(end), 120)
            said = json.loads((place.top / "said").read_text())
            for figures, figure in zip((took, lates, spreads, denses), said, strict=True):
                figures.append(figure)
        place.check("soak.py exits")
        place.clear()
        place.nothing_left("soak.py exits")
    said = (
        f"{count} x {containers} exits, all heard of {max(took):.2f} s after the word to end (median "
        f"{statistics.median(took):.2f}), each told at most {max(lates):.2f} s after it; ended within "
        f"{max(spreads):.2f} s of each other, {min(denses)} to {max(denses)} of them in the same 100 ms"
    )
    _must(max(took) < 2 or containers * count < 1000, f"{said}: above 2 s")
    _must(max(lates) < 2 or containers * count < 1000, f"{said}: told after more than 2 s")
    _must(max(spreads) < 1 or containers * count < 1000, f"{said}: they did not end at once")
    return f"{said}; every code right, asked twice; one event each"


def script(count: int, seed: int) -> str:
    """A script killed -9 in the middle of `count` running containers: 2 s later nothing of them lives."""

    def work() -> None:
        engine = place.engine()
        kept = []
        for _ in range(count):
            kept.append(engine.start(place.image, shell="sleep 1000 & exec sleep 1000"))
        (place.top / "ready").touch()
        while True:  # in the middle of one more
            engine.start(place.image, "true").delete(force=True)

    with new_place() as place:
        pid = fork(work)
        eventually((place.top / "ready").exists, "the script runs", 300)
        alive_before = alive_pids(place)
        _must(len(alive_before) >= 3 * count, f"only {len(alive_before)} processes")
        os.kill(pid, 9)
        os.waitpid(pid, 0)
        started = time.monotonic()
        eventually(lambda: not alive_pids(place), "every process has ended", 60)
        took = time.monotonic() - started
        _must(took < 2 or count < 50, f"the last process ended after {took:.2f} s")
        started = time.monotonic()
        place.recover()
        recovered = time.monotonic() - started
        found = place.violations()
        _must(not found, f"the next use of the root left {found}")
        place.check("soak.py script")
        place.nothing_left("soak.py script")
    return (
        f"{len(alive_before)} processes of {count} containers gone {took:.2f} s after the kill; "
        f"the next use of the root took {recovered:.2f} s and left nothing"
    )


def mixed(count: int, seed: int) -> str:
    """8 processes x `count` mixed verbs on one root: no unexpected error, and the end is what each was told."""

    def work(worker: int) -> None:
        Client(place, f"w{worker}", seed + worker).go_on(steps=count)

    with new_place() as place:
        started = time.monotonic()
        join_all([fork(lambda worker=worker: work(worker)) for worker in range(WORKERS)], 60 + 2 * count)  # type: ignore[misc]
        took = time.monotonic() - started
        place.check(f"soak.py mixed --count {count} --seed {seed}")
        place.check_again("soak.py mixed")
        noted = sum(len(acknowledged.read(path)) for path in place.ack_files()) // 2
        place.clear()
        for path in place.ack_files():
            path.unlink()
        place.nothing_left("soak.py mixed")
    return (
        f"{WORKERS} x {count} verbs in {took:.0f} s ({WORKERS * count / took:.0f}/s), {noted} acknowledged: all there"
    )


def recovery(count: int, seed: int) -> str:
    """`count` running containers whose shims are all killed: the next process recovers them."""

    def prepare(worker: int) -> None:
        engine = place.engine()
        for n in range(worker, count, WORKERS):
            engine.start(place.image, "sleep", "1000", id=f"c{n}", lifetime="detached", labels={"n": str(n)})

    def recover() -> None:
        engine = place.engine()
        started = time.monotonic()
        rows = engine.containers.list()
        took = time.monotonic() - started
        _must(len(rows) == count, f"{len(rows)} of {count} are listed")
        for row in rows:
            said = (row.status, row.exit and int(row.exit), row.exit and row.exit.lost)
            _must(said == ("stopped", 137, "shim"), f"{row.id} is {said}")
        (place.top / "said").write_text(json.dumps(took))

    with new_place() as place:
        join_all([fork(lambda worker=worker: prepare(worker)) for worker in range(WORKERS)], 600)  # type: ignore[misc]
        shims = list(place.shims())
        _must(len(shims) == count, f"{len(shims)} shims")
        for pid in shims:
            os.kill(pid, 9)
        eventually(lambda: not any(map(alive, shims)), "the shims are gone", 60)
        inits = alive_pids(place)
        join(fork(recover), 120)
        took: float = json.loads((place.top / "said").read_text())
        _must(not alive_pids(place), "processes live on")
        place.check("soak.py recovery")
        place.clear()
        place.nothing_left("soak.py recovery")
    _must(took < 5 or count < 100, f"recovery took {took:.2f} s")
    return f"{count} containers with {len(inits)} processes recovered in {took:.2f} s: all stopped, 137, lost shim"
