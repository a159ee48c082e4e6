"""Eight at a time that change the same few objects: some order of it explains everything that each was told."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import ctrd
import history
from place import Place, Violation, fork, join, join_all, new_place
from shared_snapshots import SnapshotSharer

IDS = [f"c{n}" for n in range(10)]


class Sharer:
    """One of them: mixed verbs on what all of them have."""

    def __init__(self, place: Place, engine: ctrd.Engine, seed: int, notes: Path) -> None:
        self.random = random.Random(seed)
        self.place, self.name = place, f"{seed}"
        self.engine = engine
        self.notes = history.Notes(notes)
        self.snapshots = SnapshotSharer(engine, self.random, self.notes)
        self.verbs: list[Callable[[str, str], object]] = [
            self.create,
            self.create,
            self.change,
            self.change,
            self.delete,
            self.read,
            self.list,
            self.hold,
            *[self.snapshot] * 9,
        ]

    def go_on(self, steps: int) -> None:
        for n in range(steps):
            self.random.choice(self.verbs)(self.random.choice(IDS), f"{self.name}-{n}")
        self.notes.save()

    def create(self, id: str, value: str) -> None:
        def call() -> str:
            try:
                self.engine.containers.create(self.place.image, "true", id=id, labels={"v": value}, lifetime="detached")
            except ctrd.AlreadyExists:
                return history.EXISTS
            return history.DONE

        self.notes.do("create", id, value, call)

    def change(self, id: str, value: str) -> None:
        self._unless_missing("change", id, value, lambda: self.engine.containers.update(id, labels={"v": value}))

    def delete(self, id: str, value: str) -> None:
        self._unless_missing("delete", id, value, lambda: self.engine.containers.delete(id))

    def _unless_missing(self, verb: str, id: str, value: str, do: Callable[[], object]) -> None:
        def call() -> str:
            try:
                do()
            except ctrd.ContainerNotFound:
                return history.MISSING
            return history.DONE

        self.notes.do(verb, id, value, call)

    def read(self, id: str, value: str) -> None:
        def call() -> str:
            try:
                return self.engine.containers.get(id).labels()["v"]
            except ctrd.ContainerNotFound:
                return history.ABSENT

        self.notes.do("read", id, "", call)

    def snapshot(self, id: str, value: str) -> None:
        self.random.choice(self.snapshots.verbs)()

    def hold(self, id: str, value: str) -> None:
        with self.engine.lease() as lease:
            self.engine.snapshots.prepare(f"held {value}")
            if lease.resources() != [("snapshot", f"held {value}")]:
                raise Violation(f"lease of {self.name} holds {lease.resources()}")

    def list(self, id: str, value: str) -> None:
        self.notes.read_all(IDS, lambda: {row.id: row.labels["v"] for row in self.engine.containers.list("labels.v")})


# Processes, and threads in each.
ARRANGEMENTS = [(8, 1), (1, 8), (2, 4)]


def shared(count: int, seed: int) -> str:
    """8 processes, 8 threads, 2 x 4 of both, x `count` verbs on ten containers and ten snapshots, gc and leases."""
    alone = os.getloadavg()[0] < len(os.sched_getaffinity(0))  # else the waits are others' doing
    with new_place() as place:
        return "; ".join(_share(place, count, seed, alone, *arrangement) for arrangement in ARRANGEMENTS)


def _share(place: Place, count: int, seed: int, alone: bool, processes: int, threads: int) -> str:
    """Some order of it explains each answer."""

    def work(process: int) -> None:
        engine = place.engine()
        sharers = [
            Sharer(place, engine, seed * 1000 + process * threads + n, place.top / f"{process}-{n}.notes")
            for n in range(threads)
        ]
        with ThreadPoolExecutor(threads) as pool:
            for one in [pool.submit(sharer.go_on, count) for sharer in sharers]:
                one.result()

    def look() -> None:
        last = Sharer(place, place.engine(), 0, place.top / "last.notes")
        last.list("", "")
        last.snapshots.read()
        last.notes.save()
        last.snapshots.leave()

    began = time.monotonic()
    join_all([fork(lambda process=process: work(process)) for process in range(processes)], 60 + count)  # type: ignore[misc]
    took = time.monotonic() - began
    join(fork(look), 60)
    what = f"soak.py shared --count {count} --seed {seed}, {processes} x {threads}"
    ops = history.load(sorted(place.top.glob("*.notes")))
    if said := history.explain(ops):
        raise Violation(f"{what}:\n{said}")
    place.check(what)
    place.clear()
    place.nothing_left(what)
    for path in place.top.glob("*.notes"):
        path.unlink()
    waits = sorted((op.ended - op.began) / 1e6 for op in ops)
    turns = {verb: took / TURNS.get(verb, 1) for verb, took in _longest(ops).items()}
    said = (
        f"{processes} x {threads} x {count} in {took:.1f} s ({8 * count / took:.0f}/s), all explained; a verb took "
        f"{waits[len(waits) // 2]:.1f} ms, {waits[len(waits) * 99 // 100]:.1f} at 99 %, {waits[-1]:.1f} at most; the "
        f"longest wait {max(turns.values()):.0f} ms at load {os.getloadavg()[0]:.1f}"
    )
    if max(turns.values()) > 100 and alone and count >= 500:
        raise Violation(f"{said}: above 100 ms: {turns}")
    return said


# How often a verb waits for its turn at the store, where it is more than once: a verb that meets seven others that are
# all faster than it waits so often in the whole queue.
TURNS = {"prepare snapshots": 3, "commit snapshots": 4, "remove snapshots": 3, "read snapshots": 3, "gc snapshots": 5}


def _longest(ops: list[history.Op]) -> dict[str, float]:
    """Of each verb, in ms."""
    longest: dict[str, float] = {}
    for op in ops:
        verb = f"{op.verb} {history.SNAPSHOTS}" if op.key == history.SNAPSHOTS else op.verb
        longest[verb] = max(longest.get(verb, 0), (op.ended - op.began) / 1e6)
    return longest
