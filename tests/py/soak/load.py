"""A client with a mixed load, which notes what it was told is done, and may be killed at any moment.

A slot is a file of acknowledgements and the ids in it; one client at a time has it, and the next one carries on: it
first looks whether what was acknowledged is there, and what became of the verb in whose middle the last one died.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import acknowledged
import ctrd
from place import Place, Violation

IDS = 6  # containers of a slot
SMALL, LARGE = 9_000, 60_000  # bytes of a record
MOST = 2000  # lines of a file before it is written anew
# What a verb may say when its shim is killed in the middle of it.
SHIM_DIES = (ctrd.Unavailable, ctrd.RuntimeFailed, ctrd.Conflict)


class Client:
    """One life of a client; rough: its shims are killed too, so a verb may fail as one does then."""

    def __init__(self, place: Place, slot: str, seed: int, *, tasks: float = 0.3, rough: bool = False) -> None:
        self.random = random.Random(seed)
        self.place, self.slot, self.tasks, self.rough = place, slot, tasks, rough
        self.path = place.acks / f"{slot}.acks"
        self.engine = place.engine()
        self.known: dict[str, object] = {}
        self.exits: dict[str, int] = {}
        self.resume()

    def resume(self) -> None:
        """Look at what the one before left, and note how its last verb ended."""
        lines = acknowledged.read(self.path)
        for id, values in acknowledged.expected(lines).items():
            self.learn(id, values)
        self.exits = acknowledged.exits(lines)
        if len(lines) > MOST:
            self.path.with_suffix(".new").unlink(missing_ok=True)
            log = acknowledged.Log(self.path.with_suffix(".new"))
            self.settle(log)
            log.close()
            self.path.with_suffix(".new").rename(self.path)
        self.log = acknowledged.Log(self.path)
        self.settle(self.log)

    def learn(self, id: str, values: list[object]) -> None:
        """Look how a verb that was not acknowledged has ended: one of these."""
        value = self.value(id)
        if value not in values:
            raise Violation(f"{self.path}: container {id} is {value!r}, expected one of {values}")
        self.known[id] = value

    def settle(self, log: acknowledged.Log) -> None:
        """What is there, as if it had just been acknowledged."""
        for id in self.known:
            self.settle_one(log, id)
        for id, code in self.exits.items():
            log.write("done", "exit", id, code)

    def settle_one(self, log: acknowledged.Log, id: str) -> None:
        value = self.known[id]
        log.write("done", *(("delete", id) if value is None else ("label", id, value)))

    def value(self, id: str) -> object:
        """Its label; None if there is no such container."""
        try:
            return self.engine.containers.get(id).labels().get(acknowledged.LABEL, "")
        except ctrd.ContainerNotFound:
            return None

    def noted(self, op: str, id: str, value: object, verb: Callable[[], object]) -> None:
        """Do it, with a line before and one after; if it raises, look whether it was done."""
        after = None if op == "delete" else value
        self.log.write("begin", op, id, value)
        try:
            verb()
        except ctrd.Error:
            self.learn(id, [self.known.get(id), after])
            self.settle_one(self.log, id)
            raise
        self.log.write("done", op, id, value)
        self.known[id] = after
        if op != "label":
            self.exits.pop(id, None)

    def create(self, id: str) -> None:
        value, size = self.new_value(), self.random.choice([200, SMALL, SMALL, LARGE])
        options: ctrd.CreateOptions = {
            "id": id,
            "labels": {acknowledged.LABEL: value},
            "annotations": {"x": self.random.randbytes(size // 2).hex()},
            "lifetime": "detached",
        }
        command = self.random.choice(["exec sleep 1000", "exit 3", "echo x; exec sleep 1000"])
        self.noted(
            "create", id, value, lambda: self.engine.containers.create(self.place.image, shell=command, **options)
        )

    def label(self, id: str) -> None:
        value = self.new_value()
        labels = {acknowledged.LABEL: value, "more": self.random.randbytes(self.random.choice([10, 1900])).hex()}
        self.noted("label", id, value, lambda: self.engine.containers.update(id, labels=labels))

    def delete(self, id: str) -> None:
        self.noted("delete", id, None, lambda: self.engine.containers.delete(id, force=True))

    def start(self, id: str) -> None:
        self.log.write("begin", "start", id)
        self.exits.pop(id, None)
        self.engine.containers[id].start()

    def kill(self, id: str) -> None:
        self.engine.containers[id].kill()

    def wait(self, id: str) -> None:
        c = self.engine.containers[id]
        if c.status() == "none":
            return
        if c.status() != "stopped":
            c.kill()
        self.exited(id, int(c.wait(timeout=30)))

    def exited(self, id: str, code: int) -> None:
        """Note what was said; it never changes."""
        if self.exits.get(id, code) != code:
            raise Violation(f"{self.slot}: the exit of {id} was {self.exits[id]}, and is {code}")
        self.log.write("done", "exit", id, code)
        self.exits[id] = code

    def look(self, id: str) -> None:
        if id not in self.engine.containers.list().ids:
            raise Violation(f"{self.slot}: {id} is not in the list")

    def owned(self, id: str) -> None:
        """A container that must not outlive this process."""
        kept = self.engine.containers.create(self.place.image, "sleep", "1000", id=f"{id}-owned", replace=True)
        if self.random.random() < 0.5:
            kept.start()
        if self.random.random() < 0.5:
            kept.delete(force=True)

    def run(self, id: str) -> None:
        result = self.engine.run(self.place.image, "echo", id)
        if (result.returncode, result.stdout) != (0, id + "\n") and not (self.rough and result.returncode == 137):
            raise Violation(f"{self.slot}: run said {result!r}")

    def new_value(self) -> str:
        return self.random.randbytes(6).hex()

    def step(self) -> None:
        """One verb, which must work, but that a task may be in the way of start, kill and wait."""
        id = f"{self.slot}-{self.random.randrange(IDS)}"
        if self.known.get(id) is None:
            verb = self.create
        elif self.random.random() < self.tasks:
            verb = self.random.choice([self.start, self.start, self.kill, self.wait, self.owned, self.run])
        else:
            verb = self.random.choice([self.label, self.label, self.delete, self.look])
        try:
            verb(id)
        except (ctrd.AlreadyExists, ctrd.TaskNotFound, ctrd.FailedPrecondition) as error:
            if verb not in (self.start, self.kill, self.wait) and not self.rough:
                raise Violation(f"{self.slot}: {verb.__name__}: {error!r}") from error
        except SHIM_DIES as error:
            if not self.rough:
                raise Violation(f"{self.slot}: {verb.__name__}: {error!r}") from error

    def go_on(self, steps: int | None = None) -> None:
        """Many verbs, or for ever."""
        done = 0
        while steps is None or done < steps:
            done += 1
            self.step()


def ids(path: Path) -> list[str]:
    """The containers that one slot's file says are there."""
    return [id for id, values in acknowledged.expected(acknowledged.read(path)).items() if values != [None]]
