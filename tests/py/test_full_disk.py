"""No space, no inodes, no descriptors: what can be done still works, the rest fails typed, nothing is half made."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import ctrd
import pytest
from conftest import broken_invariants
from support import eventually, python, python_says

pytestmark = pytest.mark.root
SMALL = 8 << 20


@contextmanager
def tmpfs(where: Path, options: str) -> Iterator[Path]:
    """A filesystem of our own for a while."""
    where.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", where], check=True)
    try:
        yield where
    finally:
        subprocess.run(["umount", where], check=True)


class Filler:
    """Takes all of a filesystem's space, or all of its inodes."""

    def __init__(self, top: Path) -> None:
        self.top, self.files = top / "filler", top / "many"

    def fill(self) -> None:
        """To 0 bytes free."""
        with self.top.open("ab", buffering=0) as file:
            for size in (1 << 16, 4096, 1):
                try:
                    while True:
                        file.write(b"x" * size)
                except OSError:
                    continue
        assert os.statvfs(self.top.parent).f_bavail == 0

    def use_up_inodes(self) -> None:
        """To 0 inodes free."""
        self.files.mkdir(exist_ok=True)
        try:
            while True:
                (self.files / str(len(list(self.files.iterdir())))).touch()
        except OSError:
            assert os.statvfs(self.files).f_favail == 0

    def give_back(self) -> None:
        """All of it."""
        self.top.unlink(missing_ok=True)
        if self.files.exists():
            for path in self.files.iterdir():
                path.unlink()


class Place:
    """An engine on small filesystems, with a container that runs, one that has ended, and a record."""

    def __init__(self, engine: ctrd.Engine, rootfs: ctrd.Rootfs, again: Callable[[], None]) -> None:
        self.engine, self.image, self.again = engine, rootfs, again
        for id, command in (("runs", "exec sleep 1000"), ("ended", "exit 3"), ("record", "true")):
            engine.containers.create(rootfs, shell=command, id=id, labels={"id": id}, lifetime="detached")
        engine.containers["runs"].start()
        assert engine.containers["ended"].start().wait() == 3
        for key in ("held", "loose"):
            engine.snapshots.prepare(key)
        engine.lease("held", lifetime="detached").add("snapshot", "held")

    def end(self) -> None:
        """Nothing lives on, whatever happened."""
        for id in self.engine.containers:
            self.engine.containers.delete(id, force=True)

    def refused(self, verb: Callable[[], object]) -> None:
        """It fails as it must, at the latest once what was held in reserve has been used up too."""
        for _ in range(5):
            self.again()
            try:
                verb()
            except ctrd.ResourceExhausted as error:
                assert error.message
                return
        pytest.fail("it was never refused")

    def well(self) -> None:
        """Nothing is half made, once somebody has come by."""
        assert broken_invariants(self.engine) == []

    def try_everything(self) -> None:
        """List, get, kill, wait and delete work; what needs space is refused, and leaves nothing."""
        engine = self.engine
        self.again()
        assert {row.id: row.status for row in engine.containers.list()} == {
            "runs": "running",
            "ended": "stopped",
            "record": "none",
        }
        assert engine.containers["record"].labels() == {"id": "record"}
        assert engine.explain("snapshot", "held").kept
        assert engine.gc(dry_run=True).removed == engine.gc().removed == (("snapshot", "loose"),)
        self.again()
        engine.leases.delete("held")
        assert "held" not in engine.snapshots.list().ids
        filled = {"x": os.urandom(60_000).hex()}
        self.refused(lambda: engine.containers.create(self.image, "true", id="new", annotations=filled))
        assert "new" not in engine.containers
        self.again()
        engine.containers["runs"].kill()
        assert engine.containers["runs"].wait(timeout=30).signal == 9
        for id in ("runs", "ended", "record"):
            self.again()
            engine.containers.delete(id)
        for id in engine.containers:  # what there was room for before it was refused
            self.again()
            engine.containers.delete(id, force=True)
        assert len(engine.containers) == 0

    def all_green(self) -> None:
        """With space again everything works."""
        self.well()
        assert self.engine.run(self.image, "echo", "x").stdout == "x\n"
        with self.engine.start(self.image, "sleep", "1000", id="new") as c:
            assert c.status() == "running"
        self.well()


@contextmanager
def placed(engine: ctrd.Engine, rootfs: ctrd.Rootfs, filler: Filler, again: Callable[[], None]) -> Iterator[Place]:
    """Three containers for a while; whatever happens, they end, and the space is given back."""
    made = Place(engine, rootfs, again)
    try:
        yield made
    finally:
        filler.give_back()
        made.end()


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    with tmpfs(tmp_path / "small", f"size={SMALL}") as made:
        yield made


def test_no_space(small: Path, rootfs: ctrd.Rootfs) -> None:
    with ctrd.Engine(small / "root", state=small / "state") as engine:
        filler = Filler(small)
        with placed(engine, rootfs, filler, filler.fill) as place:
            place.try_everything()
            filler.give_back()
            place.all_green()


def test_no_inodes(tmp_path: Path, rootfs: ctrd.Rootfs) -> None:
    with tmpfs(tmp_path / "small", "size=32m,nr_inodes=300") as small:
        with ctrd.Engine(small / "root", state=small / "state") as engine:
            filler = Filler(small)
            with placed(engine, rootfs, filler, filler.use_up_inodes) as place:
                filler.use_up_inodes()
                assert len(engine.containers.list()) == 3
                place.refused(lambda: engine.containers.create(rootfs, "true").start())
                engine.containers["runs"].kill()
                assert engine.containers["runs"].wait(timeout=30).signal == 9
                for id in engine.containers:
                    engine.containers.delete(id, force=True)
                filler.give_back()
                place.all_green()


def test_no_space_in_the_state_directory(tmp_path: Path, rootfs: ctrd.Rootfs) -> None:
    with tmpfs(tmp_path / "small", "size=1m") as small:
        with ctrd.Engine(tmp_path / "root", state=small / "state") as engine:
            filler = Filler(small)
            with placed(engine, rootfs, filler, filler.fill) as place:
                filler.fill()
                assert len(engine.containers.list(status="running")) == 1
                place.refused(lambda: engine.containers["record"].start())
                assert engine.containers["record"].status() == "none"
                place.refused(lambda: engine.run(rootfs, "true"))
                engine.containers["runs"].kill()
                assert engine.containers["runs"].wait(timeout=30).signal == 9
                for id in engine.containers:
                    engine.containers.delete(id)
                filler.give_back()
                place.all_green()


def test_no_space_and_a_process_that_has_just_come(tmp_path: Path, rootfs: ctrd.Rootfs) -> None:
    """The database was left dirty by one that was killed: opening it writes, and must work at 0 bytes free."""
    with tmpfs(tmp_path / "small", "size=32m") as small, ctrd.Engine(small / "root", state=small / "state") as engine:
        filler = Filler(small)
        with placed(engine, rootfs, filler, filler.fill) as place:
            code = """if True:
                import ctrd, itertools
                c = ctrd.default_engine().containers["record"]
                for n in itertools.count():
                    c.update(labels={"n": str(n), "x": "x" * 4000})
                    print(n, flush=True)
            """
            with python(engine, code) as writer:
                assert writer.stdout
                for _ in range(20):
                    last = int(writer.stdout.readline())
                eventually((small / "root/reserve.7").exists, "there is a reserve")  # made last
                writer.kill()
                writer.wait(timeout=30)
            filler.fill()
            code = """if True:
                import ctrd
                engine = ctrd.default_engine()
                print(engine.containers.list().ids, engine.containers["record"].labels()["n"])
                engine.containers.delete("ended")
                engine.containers.delete("runs", force=True)
                print(engine.containers.list().ids)
            """
            ids, ended = python_says(engine, code).splitlines()
            assert ids.startswith("['ended', 'record', 'runs'] ") and int(ids.split()[-1]) >= last
            assert ended == "['record']"
            filler.give_back()
            engine.containers.delete("record")
            place.all_green()


def test_the_reserve_is_made_again(tmp_path: Path, rootfs: ctrd.Rootfs) -> None:
    with tmpfs(tmp_path / "small", "size=32m") as small, ctrd.Engine(small / "root", state=small / "state") as engine:
        filler = Filler(small)
        with placed(engine, rootfs, filler, filler.fill) as place:
            reserve = small / "root/reserve"
            assert reserve.stat().st_blocks * 512 >= 4 << 20
            assert (small / "state/.reserve").stat().st_blocks * 512 >= 64 << 10
            place.try_everything()
            assert not reserve.exists() or reserve.stat().st_blocks == 0
            filler.give_back()
            place.all_green()

            def whole() -> bool:
                engine.containers.list()  # verbs make it, now and then
                with suppress(FileNotFoundError):
                    return reserve.stat().st_blocks * 512 >= 4 << 20
                return False

            eventually(whole, "the reserve is there again")


def test_no_space_and_much_garbage(tmp_path: Path) -> None:
    """More of it than the reserve could take in one batch: what each batch frees makes room for the next."""
    with tmpfs(tmp_path / "small", "size=64m") as small, ctrd.Engine(small / "root", state=small / "state") as engine:
        for n in range(2000):
            engine.snapshots.prepare(f"{n:01000}")
        for layer in (small / "root/snapshots").glob("*/fs"):
            (layer / "file").write_bytes(bytes(8192))
        filler = Filler(small)
        filler.fill()
        assert len(engine.gc().removed) == 2000
        assert engine.snapshots.list() == [] and engine.gc().removed == ()
        filler.give_back()
        assert broken_invariants(engine) == []


FEW = """if True:
    import ctrd, os, resource, sys
    image, engine, step = ctrd.Rootfs(sys.argv[1]), ctrd.default_engine(), int(sys.argv[2])
    engine.run(image, "true")
    kept = engine.start(image, "sleep", "1000", id="kept")
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    def leave(free):
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(map(int, os.listdir("/proc/self/fd"))) + 1 + free, hard))
        taken = []
        try:
            while True:
                taken.append(os.dup(0))
        except OSError:
            for fd in taken[len(taken) - free:]:
                os.close(fd)
        return taken[:len(taken) - free]
    said = {"done": 0}
    for free in range(0, 40, step):
        verbs = {
            "create": lambda: engine.containers.create(image, "true", id="new"),
            "start": lambda: engine.containers["new"].start(),
            "list": lambda: engine.containers.list(),
            "run": lambda: engine.run(image, "echo", "x"),
            "kill": lambda: kept.kill("CONT"),
            "delete": lambda: engine.containers.delete("new", force=True),
        }
        for name, verb in verbs.items():
            taken = leave(free)
            try:
                verb()
                said["done"] += 1
            except ctrd.ResourceExhausted:
                said[name] = said.get(name, 0) + 1
            except (ctrd.ContainerNotFound, ctrd.TaskNotFound, ctrd.AlreadyExists):
                pass  # for the one before it was refused
            except BaseException as error:
                print(f"{free} free: {name}: {error!r}")
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (1024, hard))
                for fd in taken:
                    os.close(fd)
        engine.containers.delete("new", force=True, missing_ok=True)
        if engine.containers.list().ids != ["kept"]:
            print(f"{free} free: left {engine.containers.list().ids}")
    assert engine.run(image, "echo", "x").stdout == "x\\n"
    assert kept.status() == "running"
    print(said["done"] > 0, sorted(said))
"""


def test_no_descriptors(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    """With 0, 1, 2 ... left: ResourceExhausted or done, never anything else, nothing half made."""
    said = python_says(engine, FEW, str(rootfs.path), "3")
    assert said == "True ['create', 'delete', 'done', 'kill', 'list', 'run', 'start']\n"
    assert broken_invariants(engine) == []


@pytest.mark.parametrize("limit", [32, 64])
def test_few_descriptors_from_the_start(engine: ctrd.Engine, rootfs: ctrd.Rootfs, limit: int) -> None:
    code = """if True:
        import resource, sys
        resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[2]), 20000))
        import ctrd
        image = ctrd.Rootfs(sys.argv[1])
        for _ in range(3):
            with ctrd.start(image, "sleep", "1000") as c:
                assert c.status() == "running"
            assert ctrd.run(image, "echo", "x").stdout == "x\\n"
        kept, refused = [], 0
        for _ in range(int(sys.argv[2]) // 2):
            try:
                kept.append(ctrd.start(image, "sleep", "1000", stdin=ctrd.PIPE, stdout=ctrd.PIPE, stderr=ctrd.PIPE))
            except ctrd.ResourceExhausted:
                refused += 1
        assert len(ctrd.default_engine().containers) == len(kept) > 0 < refused, (kept, refused)
        for c in kept:
            c.delete(force=True)
        kept.clear()
        print(ctrd.run(image, "echo", "x").stdout, end="")
    """
    assert python_says(engine, code, str(rootfs.path), str(limit)) == "x\n"
    assert len(engine.containers) == 0


def test_b22_a_limit_that_is_very_high(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    """B22: nothing walks over the numbers that descriptors could have: a run takes what it takes with few."""
    code = """if True:
        import ctrd, resource, statistics, sys, time
        image, engine = ctrd.Rootfs(sys.argv[1]), ctrd.default_engine()
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        took = {1024: [], most: []}
        for n in range(12):
            limit = [1024, most][n % 2]
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, most))
            started = time.monotonic()
            assert engine.run(image, shell="ulimit -n").stdout == "1024\\n"
            took[limit].append(time.monotonic() - started)
        print(most, *[statistics.median(times) for times in took.values()])
    """
    most, few, many = map(float, python_says(engine, code, str(rootfs.path)).split())
    print(f"a run with at most 1,024 descriptors takes {few * 1e3:.1f} ms, with {most:.0f} {many * 1e3:.1f} ms")
    assert many < 3 * few + 0.2
