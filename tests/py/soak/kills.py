"""K2: kill -9 at random moments, of clients, of shims, of both."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import ctrd
from load import SHIM_DIES, Client
from place import Place, Violation, fork, kill, new_place

SLOTS = 4
ROUND = 48  # kills between two looks at everything
LIFE = 0.12  # a client lives up to so long


class Clients:
    """So many slots, each with a client that lives a random while."""

    def __init__(self, place: Place, seed: int, rough: bool) -> None:
        self.place, self.random, self.rough = place, random.Random(seed), rough
        self.running: dict[str, int] = {}

    def start(self, slot: str) -> None:
        seed = self.random.getrandbits(32)
        self.running[slot] = fork(lambda: Client(self.place, slot, seed, rough=self.rough).go_on())

    def start_all(self) -> None:
        """One in each slot; none ends but by a kill."""
        for slot, pid in self.running.items():
            if os.waitpid(pid, os.WNOHANG)[0]:
                raise Violation(f"the client of {slot} ended by itself: its words are above")
        for number in range(SLOTS):
            if f"s{number}" not in self.running:
                self.start(f"s{number}")

    def kill(self, slot: str) -> None:
        kill(self.running.pop(slot))

    def __enter__(self) -> Clients:
        return self

    def __exit__(self, *exc: object) -> None:
        """None lives on."""
        for slot in list(self.running):
            try:
                self.kill(slot)
            except OSError:  # reaped already, for it ended by itself
                continue


def _rounds(name: str, count: int, seed: int, one: Callable[[Clients], int], rough: bool) -> str:
    started, done, looks = time.monotonic(), 0, 0
    with new_place() as place:
        while done < count:
            with Clients(place, seed + looks, rough) as clients:
                until = min(done + ROUND, count)
                while done < until:
                    clients.start_all()
                    done += one(clients)
            looks += 1
            place.check(f"soak.py {name} --count {count} --seed {seed}, after {done} kills")
            if looks % 8 == 1:
                place.check_again(f"soak.py {name}, after {done} kills")
        place.clear()
        for path in place.ack_files():
            path.unlink()
        place.check(f"soak.py {name}: all deleted")
        place.nothing_left(f"soak.py {name}")
    took = time.monotonic() - started
    return f"{done} kills in {took:.0f} s, {looks} looks at everything: 0 acknowledged lost, all invariants hold"


def clients(count: int, seed: int) -> str:
    """kill -9 of clients at random moments of a mixed load."""

    def one(clients: Clients) -> int:
        time.sleep(clients.random.random() * LIFE / SLOTS)
        clients.kill(clients.random.choice(list(clients.running)))
        return 1

    return _rounds("kill-clients", count, seed, one, rough=False)


def _kill_a_shim(clients: Clients) -> bool:
    """One, if there is any."""
    pids = sorted(clients.place.shims())
    if not pids:
        return False
    try:
        os.kill(clients.random.choice(pids), signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def shims(count: int, seed: int) -> str:
    """kill -9 of shims at random moments, under the same load."""

    def one(clients: Clients) -> int:
        time.sleep(clients.random.random() * LIFE)
        return int(_kill_a_shim(clients))

    return _rounds("kill-shims", count, seed, one, rough=True)


def both(count: int, seed: int) -> str:
    """kill -9 of a shim and of a client within 10 ms."""

    def one(clients: Clients) -> int:
        time.sleep(clients.random.random() * LIFE)
        if not _kill_a_shim(clients):
            return 0
        time.sleep(clients.random.random() * 0.01)
        clients.kill(clients.random.choice(list(clients.running)))
        return 1

    return _rounds("kill-both", count, seed, one, rough=True)


def probes(count: int, seed: int) -> str:
    """kill -9 of the first client of a new root, while it finds out what works here."""
    chance = random.Random(seed)
    with new_place(warm=False) as place:
        for n in range(count):
            (place.state / ".probe").unlink(missing_ok=True)
            pid = fork(lambda: place.engine().run(place.image, "true"))
            time.sleep(chance.random() * 0.12)
            kill(pid)
            if n % 10 == 9:
                place.check(f"soak.py kill-probes --count {count} --seed {seed}, after {n + 1} kills")
        place.check("soak.py kill-probes")
        place.nothing_left("soak.py kill-probes")
    return f"{count} kills: no probe is left, no process, no cgroup"


def _runs_a_runtime(shim: int) -> bool:
    try:
        children = Path(f"/proc/{shim}/task/{shim}/children").read_text().split()
        return any(Path(f"/proc/{pid}/comm").read_text().startswith(("crun", "runc")) for pid in children)
    except OSError:
        return False


def creates(count: int, seed: int) -> str:
    """kill -9 of shims whose runtime is at work, which goes on: nothing that it still makes is left."""

    def work() -> None:
        engine = place.engine()
        while True:
            with suppress(*SHIM_DIES, ctrd.FailedPrecondition, ctrd.NotFound):
                engine.start(place.image, "sleep", "1000").delete(force=True)

    chance, done = random.Random(seed), 0
    with new_place() as place:
        pid = fork(work)
        while done < count:
            for shim in place.shims():
                if _runs_a_runtime(shim):
                    time.sleep(chance.random() * 0.006)
                    with suppress(ProcessLookupError):
                        os.kill(shim, signal.SIGKILL)
                        done += 1
        kill(pid)
        place.check(f"soak.py kill-creates --count {count} --seed {seed}")
        place.nothing_left("soak.py kill-creates")
    return f"{done} kills: no process, no cgroup, no directory is left"
