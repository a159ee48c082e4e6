"""Checkpoints and restores in whose middle client, shim, runtime or criu is killed; and one after another."""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

import ctrd
import invariants
from place import TOP, Place, Violation, fork, join, new_place, wait_for

sys.path[:0] = [str(TOP / "tests/py")]

import criu  # noqa: E402
import leakset  # noqa: E402

VERBS = 0.9  # seconds that a checkpoint and a restore take together, about
WHOM = ("client", "shim", "runtime", "criu")
SCRIPT = f"echo before >/file; {criu.COUNTER}"
# What a verb may say when one of the processes that it needs is killed in its middle.
MAY_SAY = (
    ctrd.Unavailable,
    ctrd.Conflict,
    ctrd.FailedPrecondition,
    ctrd.NotFound,
    ctrd.Unsupported,
    ctrd.RuntimeFailed,
)
ALIVE = ("running", "stopped")


def _start(place: Place, runtime: str) -> None:
    engine = place.engine()
    engine.containers.delete("source", force=True, missing_ok=True)
    engine.start(place.image, "/bin/sh", "-c", SCRIPT, id="source", lifetime="detached", runtime=runtime)


def _client(place: Place, name: str, end: bool) -> None:
    """A checkpoint and a twin of it, which ends with us."""
    engine = place.engine()
    with suppress(*MAY_SAY):
        made = engine.containers["source"].checkpoint(name, exit=end)
        with made.restore(id="twin") as twin:
            if twin.status() not in ALIVE:
                raise Violation(f"the twin is {twin.status()}")
    engine.close()


def _below(pid: int) -> list[int]:
    found = []
    with suppress(OSError):
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            found += [int(child), *_below(int(child))]
    return found


def _is(pid: int, whom: str) -> bool:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    names = {Path(word.decode(errors="replace")).name for word in words[:4]}
    return bool(names & ({"criu"} if whom == "criu" else {"crun", "runc"}))


def _victims(place: Place, client: int, whom: str) -> list[int]:
    if whom == "client":
        return [client]
    shims = place.shims()
    if whom == "shim":
        return sorted(shims)
    return [pid for shim in shims for pid in _below(shim) if _is(pid, whom)]


def _kill_one(place: Place, client: int, whom: str, chance: random.Random) -> bool:
    """At a random moment, one of them; a runtime and a criu as soon as there is one. False: there was none."""
    time.sleep(chance.random() * VERBS)
    deadline = time.monotonic() + VERBS
    while time.monotonic() < deadline:
        if pids := _victims(place, client, whom):
            with suppress(ProcessLookupError):
                os.kill(chance.choice(pids), signal.SIGKILL)
                return True
        if wait_for(client, 0.001) is not None:
            return False
    return False


def _frozen(place: Place) -> list[str]:
    """Cgroups of the root that are frozen, on v1 and v2."""
    found = []
    for cgroup in invariants.cgroups(invariants.Root(place.root, place.state)):
        for name, thawed in (("freezer.state", "THAWED"), ("cgroup.freeze", "0")):
            with suppress(OSError):
                if (cgroup / name).read_text().strip() != thawed:
                    found.append(str(cgroup))
    return found


def _workers(place: Place) -> list[str]:
    """Runtimes and criu work in a directory of the bundle."""
    found = []
    for link in Path("/proc").glob("[0-9]*/cwd"):
        with suppress(OSError):
            if place.top in link.readlink().parents and int(link.parts[2]) not in place.shims():
                found.append(f"{link} {(link.parent / 'cmdline').read_bytes()!r}")
    return found


def _look(place: Place) -> None:
    """In a process of its own: source runs on, or is stopped with its exit; what is listed can be restored."""
    engine = place.engine()
    source = engine.containers["source"]
    state = source.task().state()
    if state.status not in ALIVE or (state.status == "stopped") != (state.exit is not None):
        raise Violation(f"source is {state}")
    if state.status == "running":
        before = len(list(source.logs()))
        deadline = time.monotonic() + 20
        while len(list(source.logs())) <= before + 2:
            if time.monotonic() > deadline:
                raise Violation("source runs, and does not count on")
            time.sleep(0.02)
    if "twin" in engine.containers:
        raise Violation("the twin of a dead client is there")
    for info in engine.checkpoints.list():
        names = sorted(path.name for path in info.path.iterdir())
        if names != ["images", "layer", "manifest", "spec.json"]:
            raise Violation(f"{info.ref} has {names}")
        with engine.containers.restore(info.ref or "", id="look") as again:
            if again.run("cat", "/file").stdout != "before\n":
                raise Violation(f"{info.ref} has other files")
        engine.checkpoints.delete(info.ref or "")
    engine.close()


def _round(place: Place, number: int, runtime: str, chance: random.Random) -> bool:
    whom = WHOM[number % len(WHOM)]
    end = chance.random() < 0.2
    client = fork(lambda: _client(place, f"cp{number}", end))
    killed = _kill_one(place, client, whom, chance)
    code = wait_for(client, 60) if Path(f"/proc/{client}").exists() else 0
    if code is None:
        os.kill(client, signal.SIGKILL)
        os.waitpid(client, 0)
        raise Violation(f"a client hangs after its {whom} was killed")
    if code not in (0, -signal.SIGKILL):
        raise Violation(f"a client ended with {code} after its {whom} was killed: its words are above")
    what = f"checkpoint-kills: {whom} of {runtime}, round {number}"
    place.check(what)
    deadline = time.monotonic() + 20
    while wrong := [*_frozen(place), *_workers(place)]:
        if time.monotonic() > deadline:
            raise Violation(f"{what}: frozen, or still at work: {wrong}")
        time.sleep(0.02)
    join(fork(lambda: _look(place)), 120)
    directories = list(place.root.glob("checkpoints/*"))
    if directories:
        raise Violation(f"{what}: left: {directories}")
    return killed


def kills(count: int, seed: int) -> str:
    """kill -9 of client, shim, runtime, criu in the middle of a checkpoint and a restore."""
    chance, done, number, lives = random.Random(seed), 0, 0, 0
    os.environ["PATH"] = criu.path()
    with new_place() as place:
        while done < count:
            runtime = criu.runtime(criu.RUNTIMES[lives % 2])
            lives += 1
            join(fork(lambda runtime=runtime: _start(place, runtime)), 60)  # type: ignore[misc]
            for _ in range(len(WHOM)):
                done += _round(place, number, runtime, chance)
                number += 1
                if not place.shims():
                    break
        place.clear()
        place.check("checkpoint-kills: all deleted")
        place.nothing_left("checkpoint-kills")
    return f"{done} kills in {number} rounds: source runs on or has its exit, nothing frozen, nothing half-made"


def _rounds(place: Place, count: int, runtime: str) -> None:
    engine = place.engine()
    engine.run(place.image, "true", runtime=runtime)
    before = leakset.LeakSet.take()
    with engine.start(place.image, "/bin/sh", "-c", SCRIPT, runtime=runtime) as source:
        for _ in range(count):
            made = source.checkpoint("round", exit=True)
            source.task().delete()
            source.create_task(checkpoint=made).start()
            made.delete()
    if left := leakset.leaked_since(before, place.top):
        raise Violation(f"{count} rounds have left {left}")
    engine.close()


def rounds(count: int, seed: int) -> str:
    """Checkpoint and restore of one container, again and again: nothing is left."""
    del seed
    os.environ["PATH"] = criu.path()
    started = time.monotonic()
    with new_place() as place:
        for name in criu.RUNTIMES:
            join(fork(lambda name=name: _rounds(place, count, criu.runtime(name))), 30.0 + 10 * count)  # type: ignore[misc]
        place.clear()
        place.check("checkpoint-rounds")
        place.nothing_left("checkpoint-rounds")
    took = (time.monotonic() - started) / (2 * count)
    return f"{count} rounds with crun and with runc, {took:.2f} s each: the leak set is what it was"
