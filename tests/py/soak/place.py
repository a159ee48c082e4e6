"""A root for a soak, the processes that use it, and what must hold of it between two rounds.

The runner itself never opens an engine: it forks (ctrd is imported, so a client is there in milliseconds), and a forked
child that opens its own engine is a process like any other.
"""

from __future__ import annotations

import os
import select
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).resolve().parent
TOP = HERE.parents[2]
sys.path[:0] = [str(HERE.parent), str(TOP / "scripts")]

import ctrd  # noqa: E402
import invariants  # noqa: E402
import roots  # noqa: E402
from disk_records import Bundle  # noqa: E402
from support import alive  # noqa: E402

SETTLING = 30.0  # seconds for what ends by itself: shims of dead owners


class Violation(AssertionError):
    """Something that must hold does not: a bug."""


class Place:
    """A new root, below /var/tmp or where told, removed with all that is in it."""

    def __init__(self, where: Path | None = None, *, warm: bool = True) -> None:
        self.top = Path(tempfile.mkdtemp(prefix="ctrd-soak-", dir=where or "/var/tmp"))
        self.root, self.state, self.acks = self.top / "root", self.top / "state", self.top / "acks"
        self.acks.mkdir()
        self.image = ctrd.Rootfs(roots.busybox())
        self.canary = invariants.canary(self.image.path)
        if warm:
            join(fork(self._warm), 60)

    def engine(self) -> ctrd.Engine:
        """For a forked child only."""
        return ctrd.Engine(self.root, state=self.state)

    def _warm(self) -> None:
        """Runtimes are probed once, and not in the middle of a kill: that has a soak of its own."""
        with self.engine() as engine:
            engine.run(self.image, "true")

    def ack_files(self) -> list[Path]:
        """One a client, or a place of a client."""
        return sorted(self.acks.glob("*.acks"))

    def recover(self) -> None:
        """What any next use of the root does: a first verb, in a process of its own."""

        def use() -> None:
            with self.engine() as engine:
                list(engine.containers)

        join(fork(use), 60)

    def violations(self, closed: bool = True) -> list[str]:
        """Of a root that has been recovered and is not being changed; closed: no process has it open."""
        return invariants.violations(self.root, self.state, settled=True, closed=closed, acks=self.ack_files())

    def check(self, what: str, *, closed: bool = True, settling: float = SETTLING) -> None:
        """Recover, then all invariants hold, also those of a second recovery; what dies by itself gets some time.

        Args:
            closed: No process has the root open, so no lock is held and the marker says clean (I17).
            settling: Seconds for what dies by itself.

        Raises:
            Violation: They do not; `what` says what was done, and how to do it again.
        """
        self.recover()
        deadline = time.monotonic() + settling
        while found := self.violations(closed):
            if time.monotonic() > deadline:
                raise Violation(f"{what}:\n  " + "\n  ".join(found))
            time.sleep(0.05)
            self.recover()

    def check_again(self, what: str) -> None:
        """I19 and I20: a second recovery changes nothing, and nothing outside of the root has changed."""
        before = invariants.fingerprint(self.root, self.state)
        self.recover()
        after = invariants.fingerprint(self.root, self.state)
        if changed := _changes(_owners_apart(before), _owners_apart(after)):
            raise Violation(f"{what}: a second recovery changed\n  " + "\n  ".join(changed))
        if invariants.canary(self.image.path) != self.canary:
            raise Violation(f"{what}: the user's root directory has changed")

    def shims(self) -> dict[int, tuple[str, str]]:
        """Living shims of this root: pid -> (namespace, id)."""
        return invariants.shims(invariants.Root(self.root, self.state))

    def bundles(self) -> dict[tuple[str, str], Bundle]:
        """All bundles, as they are on disk now."""
        return invariants.Root(self.root, self.state).bundles

    def pids(self) -> list[int]:
        """Every process of a container of this root, by its cgroups, and every shim."""
        found = set(self.shims())
        for cgroup in [*invariants.cgroups(invariants.Root(self.root, self.state)), *self.probes()]:
            try:
                found |= {int(pid) for pid in (cgroup / "cgroup.procs").read_text().split()}
            except OSError:
                continue
        return sorted(found)

    def probes(self) -> list[Path]:
        """Cgroups of probes of this root, by their directories."""
        names = [path.name.rsplit("-", 1)[1] for path in self.state.glob(".probe-*")]
        patterns = [f"{above}ctrd-*-{name}" for name in names for above in ("", "*/")]
        return [path for pattern in patterns for path in invariants.CGROUPS.glob(pattern)]

    def clear(self) -> None:
        """Delete every container."""
        join(fork(self._clear), 120)

    def _clear(self) -> None:
        engine = self.engine()
        for id in list(engine.containers):
            engine.containers.delete(id, force=True, missing_ok=True)
        engine.close()

    def nothing_left(self, what: str) -> None:
        """After clear(): no process, no directory, no record."""
        deadline = time.monotonic() + SETTLING
        while left := [*self.state.glob("[!.]*/[!.]*"), *self.root.glob("snapshots/*"), *self.pids()]:
            if time.monotonic() > deadline:
                raise Violation(f"{what}: left behind: {left}")
            time.sleep(0.05)
            self.recover()

    def remove(self) -> None:
        """End everything and remove the directory."""
        self.clear()
        shutil.rmtree(self.top)


def _owners_apart(fingerprint: dict[str, object]) -> dict[str, object]:
    """Without what each process that looks leaves by design: none today, a number may be given out."""
    entries = fingerprint["store"]
    assert isinstance(entries, dict)
    return {**fingerprint, "store": {key: value for key, value in entries.items() if not key.startswith(b".n/")}}


def _changes(before: dict[str, object], after: dict[str, object]) -> list[str]:
    """What is in one of two fingerprints only: "- path", "+ key", and the keys of other values."""
    found: list[str] = []
    names, names_after, entries, entries_after = before["names"], after["names"], before["store"], after["store"]
    assert isinstance(names, list) and isinstance(names_after, list)
    assert isinstance(entries, dict) and isinstance(entries_after, dict)
    gone = sorted({*names} - {*names_after})
    found += [f"- {name}" for name in gone if "/.exits/" not in name]  # those go after ten minutes
    found += [f"+ {name}" for name in sorted({*names_after} - {*names})]
    for key in sorted({*entries} | {*entries_after}):
        if entries.get(key) != entries_after.get(key):
            found.append(f"{key!r}: {str(entries.get(key))[:200]} became {str(entries_after.get(key))[:200]}")
    return found


@contextmanager
def new_place(*, warm: bool = True) -> Iterator[Place]:
    """A place that is removed, unless something went wrong: then it is kept, and named."""
    place = Place(warm=warm)
    try:
        yield place
    except BaseException:
        print(f"kept for a look: {place.root} {place.state}", file=sys.stderr)
        raise
    place.remove()


def alive_pids(place: Place) -> list[int]:
    """Of place.pids() those that are no zombies."""
    return [pid for pid in place.pids() if alive(pid)]


def fork(work: Callable[[], object]) -> int:
    """Run this in a child; it ends with 0, or with 1 and its traceback on stderr."""
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        work()
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def wait_for(pid: int, seconds: float) -> int | None:
    """The exit code (-signal) of a child, None if it still runs then."""
    pidfd = os.pidfd_open(pid)
    try:
        deadline = time.monotonic() + seconds
        while True:
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                return os.waitstatus_to_exitcode(status)
            if time.monotonic() > deadline:
                return None
            select.select([pidfd], [], [], max(0.0, deadline - time.monotonic()))
    finally:
        os.close(pidfd)


def join(pid: int, seconds: float) -> None:
    """Wait for a child that must end with 0."""
    code = wait_for(pid, seconds)
    if code is None:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        raise Violation(f"a process did not end within {seconds} s")
    if code != 0:
        raise Violation(f"a process ended with {code}")


def join_all(pids: list[int], seconds: float) -> None:
    """All of them; the first that failed is told once all have ended."""
    failed: list[Violation] = []
    for pid in pids:
        try:
            join(pid, seconds)
        except Violation as error:
            failed.append(error)
    if failed:
        raise failed[0]


def kill(pid: int) -> None:
    """Kill -9 a child, and reap it."""
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
