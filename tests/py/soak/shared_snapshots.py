"""The snapshots that all of them change: few keys, so that each verb often meets another's."""

from __future__ import annotations

import json
import random
from collections.abc import Callable

import ctrd
import history
from place import Violation

KEYS = [f"shared-key-{n}" for n in range(5)]
NAMES = [f"shared-name-{n}" for n in range(5)]
ROOT = {"containerd.io/gc.root": "1"}


class SnapshotSharer:
    """Mixed verbs on the same keys and names, each answer noted."""

    def __init__(self, engine: ctrd.Engine, rng: random.Random, notes: history.Notes) -> None:
        self.engine, self.random, self.notes = engine, rng, notes
        self.overtaken = 0
        self.verbs: list[Callable[[], None]] = [self.prepare, self.prepare, self.commit, self.commit]
        self.verbs += [self.remove, self.read, self.collect]

    def prepare(self) -> None:
        """Upon nothing, upon what is committed, or upon what is not: any of it, and that refused."""
        key, parent, labels = self._any(KEYS), self._any(["", *NAMES, *NAMES, *KEYS[:1]]), self._labels()

        def do() -> None:
            try:
                self.engine.snapshots.prepare(key, parent or None, labels=labels)
            except ctrd.Conflict:  # it was made, and another has committed or removed it since
                self.overtaken += 1

        self._do("prepare", (key, parent), labels, do)

    def commit(self) -> None:
        key, name, labels = self._any(KEYS + NAMES[:1]), self._any(NAMES + KEYS[:1]), self._labels()
        self._do("commit", (key, name), labels, lambda: self.engine.snapshots.commit(name, key, labels=labels))

    def remove(self) -> None:
        key = self._any(KEYS + NAMES)
        self._do("remove", (key, ""), {}, lambda: self.engine.snapshots.remove(key))

    def read(self) -> None:
        def call() -> str:
            rows = [row for row in self.engine.snapshots.list() if row.key in KEYS + NAMES]
            return history.tree_of({row.key: (row.kind, row.parent or "", bool(row.labels)) for row in rows})

        self.notes.do("read", history.SNAPSHOTS, "", call)

    def collect(self) -> None:
        """Takes of these what is not labelled as a root and carries nothing that is, and nothing else that is there.

        Containers keep their layers, and living processes' leases what is made in them.
        """

        def call() -> str:
            removed = self.engine.gc().removed
            ours = sorted(key for kind, key in removed if kind == "snapshot" and key in KEYS + NAMES)
            if len(ours) != len(removed):
                raise Violation(f"gc took {removed}")
            return json.dumps(ours)

        self.notes.do("gc", history.SNAPSHOTS, "", call)

    def leave(self) -> None:
        """All of them go, as garbage."""
        for row in self.engine.snapshots.list():
            if row.key in KEYS + NAMES:
                self.engine.snapshots.update(row.key, labels=dict.fromkeys(ROOT))
        self.engine.gc()
        if left := [key for key in self.engine.snapshots.list().ids if key in KEYS + NAMES]:
            raise Violation(f"gc left {left}")

    def _any(self, keys: list[str]) -> str:
        return self.random.choice(keys)

    def _labels(self) -> dict[str, str]:
        return ROOT if self.random.random() < 0.8 else {}

    def _do(self, verb: str, keys: tuple[str, str], labels: dict[str, str], do: Callable[[], object]) -> None:
        def call() -> str:
            try:
                do()
            except ctrd.AlreadyExists:
                return history.EXISTS
            except ctrd.NotFound:
                return history.MISSING
            except (ctrd.FailedPrecondition, ctrd.InvalidArgument):
                return history.REFUSED
            return history.DONE

        self.notes.do(verb, history.SNAPSHOTS, " ".join([*keys, "root" if labels else ""]), call)
