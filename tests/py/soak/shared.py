"""Eight at a time that change the same few objects: some order of it explains everything that each was told."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import ctrd
import history
from place import Place, Violation, fork, join, join_all, new_place

IDS = [f"c{n}" for n in range(10)]


class Sharer:
    """One of them: mixed verbs on what all of them have."""

    def __init__(self, place: Place, engine: ctrd.Engine, seed: int, notes: Path) -> None:
        self.random = random.Random(seed)
        self.place, self.name = place, f"{seed}"
        self.engine = engine
        self.notes = history.Notes(notes)
        self.verbs: list[Callable[[str, str], object]] = [
            self.create,
            self.create,
            self.change,
            self.change,
            self.delete,
            self.read,
            self.list,
            self.collect,
            self.hold,
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

    def collect(self, id: str, value: str) -> None:
        """Nothing is garbage: containers keep their layers, and living processes' leases what is made in them."""
        if removed := self.engine.gc().removed:
            raise Violation(f"gc of {self.name} took {removed}")

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
    """8 processes, 8 threads, 2 x 4 of both, x `count` verbs on the same ten containers, gc and leases beside them."""
    with new_place() as place:
        return "; ".join(_share(place, count, seed, *arrangement) for arrangement in ARRANGEMENTS)


def _share(place: Place, count: int, seed: int, processes: int, threads: int) -> str:
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
        last.notes.save()

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
    said = (
        f"{processes} x {threads} x {count} in {took:.1f} s ({8 * count / took:.0f}/s), all explained; a verb took "
        f"{waits[len(waits) // 2]:.1f} ms, {waits[len(waits) * 99 // 100]:.1f} at 99 %, {waits[-1]:.1f} at most"
    )
    if waits[-1] > 100 and count >= 500:
        raise Violation(f"{said}: above 100 ms")
    return said
