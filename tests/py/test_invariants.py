"""The invariant checker finds each violation, made by hand, and nothing in a root that is well."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import acknowledged
import ctrd
import invariants
import journal_reader
import leveldb_reader
import pytest
from leveldb_writer import change
from support import alive, eventually, python

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.root
KILLED = """if True:
    import ctrd, os, sys
    image, engine = ctrd.Rootfs(sys.argv[1]), ctrd.default_engine()
    for id, life in (("mine", "owner"), ("kept", "detached"), ("gone", "detached")):
        engine.containers.create(image, shell="echo x; exec sleep 1000", id=id, lifetime=life, labels={"v": id}).start()
    engine.containers["gone"].kill()
    print(int(engine.containers["gone"].wait()), flush=True)
    sys.stdin.read()
"""


DIGEST = b"sha256:" + b"a" * 64


def piece(kind: int, body: bytes) -> bytes:
    """A piece of a record, as a log has it."""
    typed = bytes([kind]) + body
    return leveldb_reader.masked_crc(typed).to_bytes(4, "little") + len(body).to_bytes(2, "little") + typed


def test_a_beginning_without_bytes() -> None:
    """Seven bytes are left of a block: LevelDB puts a header there, and the whole record into the next."""
    filler = b"x" * (leveldb_reader.BLOCK - 14)
    block = piece(leveldb_reader.FULL, filler) + piece(leveldb_reader.FIRST, b"")
    assert len(block) == leveldb_reader.BLOCK
    assert list(leveldb_reader.log_records(block + piece(leveldb_reader.LAST, b"word"))) == [filler, b"word"]
    for kind in (leveldb_reader.FULL, leveldb_reader.FIRST):
        with pytest.raises(leveldb_reader.Damaged, match="does not follow"):
            list(leveldb_reader.log_records(block + piece(kind, b"word")))


class Place:
    """A root with a task that runs, one that has ended, and a container of a live process."""

    def __init__(self, engine: ctrd.Engine) -> None:
        self.engine, self.root, self.state = engine, engine.root, engine.state

    def found(self, **options: bool) -> list[str]:
        return invariants.violations(self.root, self.state, **{"settled": True, **options})  # type: ignore[arg-type]

    def store(self) -> dict[bytes, bytes]:
        return leveldb_reader.read(self.root / "metadata")

    def change(self, changes: dict[bytes, bytes | None]) -> None:
        change(self.root / "metadata", changes)

    def erase(self, *keys: bytes) -> None:
        before = self.store()
        assert all(key in before for key in keys), sorted(before)
        self.change(dict.fromkeys(keys))


@pytest.fixture
def place(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> Iterator[Place]:
    with python(engine, KILLED, str(rootfs.path)) as owner:
        assert owner.stdout and owner.stdin
        assert owner.stdout.readline() == "137\n"
        made = Place(engine)
        eventually(lambda: made.found() == [], "a root that is well")
        eventually(lambda: made.found(closed=True) == [], "the database is closed when idle")
        saved = {path: path.read_bytes() for path in (made.root / "metadata").iterdir()}
        yield made
        for path in (made.root / "metadata").iterdir():
            path.unlink()
        for path, data in saved.items():
            path.write_bytes(data)
        owner.stdin.close()
        owner.wait(timeout=60)
    for id in ("kept", "gone", "mine"):
        engine.containers.delete(id, force=True, missing_ok=True)


def only(found: list[str], *names: str) -> None:
    """Each of these invariants is violated, and no other."""
    assert {line.split(": ")[0] for line in found} == set(names), found


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def damages(place: Place) -> dict[str, tuple[Callable[[], object], tuple[str, ...]]]:
    """Damage to the database alone: what is done, and what is violated then."""
    ns, store = b"default", place.store()
    log = max((place.root / "metadata").glob("*.log"))
    snapshot, record = store[ns + b"/snap/overlay/kept"], store[ns + b"/c/kept"]
    alls = [ns + b"/c/kept", ns + b"/s/kept", ns + b"/snap/overlay/kept", ns + b"/ref/snap/overlay/kept/c/kept"]
    owner_ref = next(key for key in store if key.startswith(ns + b"/ref/owner/"))
    owner = next(key for key in store if key.startswith(b".owner/"))
    return {
        "a byte of the log": (lambda: flip(log, 40), ("I1",)),
        "no CURRENT": (lambda: (place.root / "metadata/CURRENT").unlink(), ("I1",)),
        "no spec": (lambda: place.erase(alls[1]), ("I3/I4",)),
        "an empty spec": (lambda: place.change({alls[1]: b""}), ("I1", "I3/I4")),
        "a record that is none": (
            lambda: place.change({alls[0]: b"\xff" + record}),
            ("I1", "I3/I4", "I5", "I10", "I12/I13", "I14/I18"),
        ),
        "no snapshot": (lambda: place.erase(alls[2]), ("I3/I4", "I8")),
        "another snapshot": (lambda: place.change({alls[2]: snapshot + b"\x08\x01"}), ("I3/I4", "I5", "I8")),
        "a number from the future": (lambda: place.change({b".n/snap": b""}), ("I3/I4",)),
        "no namespace": (lambda: place.erase(b".ns/default"), ("I3/I4",)),
        "no reference": (lambda: place.erase(alls[3]), ("I5",)),
        "a reference of nothing": (lambda: place.change({ns + b"/ref/snap/overlay/kept/c/nobody": b""}), ("I5",)),
        "no owner's reference": (lambda: place.erase(owner_ref), ("I5",)),
        "no owner": (lambda: place.erase(owner), ("I3/I4", "I8")),
        "a snapshot of nothing": (lambda: place.change({ns + b"/snap/overlay/x": snapshot}), ("I5",)),
        "a snapshot upon one that may change": (
            lambda: place.change(
                {
                    ns + b"/snap/overlay/y": b"\x08\x63\x10\x01\x1a\x04kept",
                    ns + b"/ref/snap/overlay/kept/snap/y": b"",
                    b".n/snap": b"\x08\x63",
                }
            ),
            ("I5",),
        ),
        "a committed snapshot without files": (
            lambda: place.change({ns + b"/snap/overlay/x": b"\x08\x63\x10\x03", b".n/snap": b"\x08\x63"}),
            ("I7",),
        ),
        "a blob without its file": (
            lambda: place.change({ns + b"/blob/" + DIGEST: b"\x08\x01", b".blob/" + DIGEST + b"/default": b""}),
            ("I6",),
        ),
        "a blob without its reverse key": (lambda: place.change({ns + b"/blob/" + DIGEST: b""}), ("I6",)),
        "a task without a record": (lambda: place.erase(*alls), ("I8", "I10", "I12/I13", "I14/I18")),
    }


def test_damaged_databases(place: Place) -> None:
    metadata = place.root / "metadata"
    whole = {path: path.read_bytes() for path in metadata.iterdir()}
    for name, (damage, expected) in damages(place).items():
        print(name)
        damage()
        only(place.found(), *expected)
        for path, data in whole.items():
            path.write_bytes(data)
    only(place.found())


@contextmanager
def there(path: Path, make: Callable[[Path], object]) -> Iterator[None]:
    """Something that should not be there, for a while."""
    make(path)
    yield
    path.rmdir() if path.is_dir() else path.unlink()


def test_things_that_belong_to_nothing(place: Place) -> None:
    mkdir: Callable[[Path], object] = lambda path: path.mkdir(parents=True)  # noqa: E731
    cases: list[tuple[Path, Callable[[Path], object], tuple[str, ...]]] = [
        (place.root / "snapshots/99", mkdir, ("I8",)),
        (place.root / "logs/0123", mkdir, ("I8",)),
        (place.state / "default/.new-1", mkdir, ("I8",)),
        (place.state / "default/.del-1", mkdir, ("I8",)),
        (place.state / ".owners/.tmp-1", Path.touch, ("I8",)),
        (place.state / ".owners/99", Path.touch, ("I8",)),
        (place.state / "default/nobody", mkdir, ("I14/I18",)),
        (place.state / "default/kept/rt/other", mkdir, ("I14/I18",)),
        (Path(f"/sys/fs/cgroup/pids/ctrd-{invariants.Root(place.root, place.state).mark}-x-y"), mkdir, ("I12/I13",)),
        (place.state / "default/nobody/fifo", lambda path: (path.parent.mkdir(), os.mkfifo(path)), ("I14/I18",)),
    ]
    for path, make, expected in cases:
        with there(path, make):
            found = place.found()
            only(found, *expected)
            assert path.name in str(found) or path.parent.name in str(found)
            if expected != ("I12/I13",):
                only(place.found(settled=False))
    (place.state / "default/nobody").rmdir()
    only(place.found())


def test_a_bundle_that_is_damaged(place: Place) -> None:
    for name in ("status", "exit"):
        path = place.state / "default/gone" / name
        whole = path.read_bytes()
        path.write_bytes(b"\x07")
        assert any(line.startswith("I1: ") and str(path) in line for line in place.found())
        path.write_bytes(whole)


def test_a_mount(place: Place) -> None:
    where = place.state / "default/kept/rootfs"
    subprocess.run(["mount", "--bind", where, where], check=True)
    try:
        only(place.found(), "I11")
    finally:
        subprocess.run(["umount", where], check=True)
    only(place.found())


def test_a_process_in_the_cgroup_of_an_ended_task(place: Place) -> None:
    mark = invariants.Root(place.root, place.state).mark
    cgroup = Path(f"/sys/fs/cgroup/pids/ctrd-{mark}-default-gone")
    cgroup.mkdir(exist_ok=True)
    with subprocess.Popen(["sleep", "1000"]) as process:
        (cgroup / "cgroup.procs").write_text(str(process.pid))
        only(place.found(), "I12/I13")
        process.kill()
    only(place.found())


def test_a_killed_shim(place: Place) -> None:
    root = invariants.Root(place.root, place.state)
    pid = next(pid for pid, name in invariants.shims(root).items() if name == ("default", "kept"))
    bundle = root.bundles["default", "kept"]
    assert bundle.init
    os.kill(pid, 9)
    eventually(lambda: not alive(pid), "the shim is gone")
    assert any("has no shim" in line for line in place.found())
    assert not any(line.startswith("I9") for line in place.found(settled=False))  # before anybody could recover it
    os.kill(bundle.init.pid, 9)
    assert eventually(lambda: any("has no process" in line for line in place.found()), "init is missed")


def test_locks(place: Place) -> None:
    for name in ("gate", "db"):
        with (place.root / "metadata" / name).open() as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            only(place.found(closed=True), "I17")
    only(place.found(closed=True))
    marker = place.root / "metadata/db"
    marker.write_bytes(b"D" + marker.read_bytes()[1:])
    only(place.found(closed=True), "I17")
    only(place.found())


def test_an_owner_that_is_gone(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    place = Place(engine)
    create = "ctrd.default_engine().containers.create(ctrd.Rootfs(sys.argv[1]), 'true')"
    code = f"import ctrd, os, sys; {create}; os.kill(os.getpid(), 9)"
    with python(engine, code, str(rootfs.path)) as owner:
        owner.wait(timeout=60)
    only(place.found(settled=False))
    only(place.found(), "I8")
    assert len([line for line in place.found() if "is gone" in line]) == 3  # container, lock file, owner
    assert len(engine.containers) == 0
    only(place.found())


ACKNOWLEDGED: list[tuple[list[tuple[str, str, str, object]], str]] = [
    ([("done", "create", "lost", "1")], "lost is absent"),
    ([("done", "create", "kept", "1")], "kept is there with 'kept', expected there with '1'"),
    ([("done", "create", "kept", "kept"), ("done", "delete", "kept", None)], "expected absent"),
    (
        [("done", "create", "kept", "1"), ("begin", "label", "kept", "2")],
        "expected there with '1' or there with '2'",
    ),
    ([("done", "exit", "gone", 3)], "exited with 137, and 3 was reported"),
    ([("done", "exit", "kept", 3)], "exited with None, and 3 was reported"),
    ([("done", "exit", "gone", 3), ("begin", "start", "gone", None)], ""),
    ([("done", "create", "kept", "1"), ("begin", "label", "kept", "kept")], ""),
    ([("done", "create", "kept", "kept"), ("begin", "delete", "kept", None)], ""),
    ([("begin", "create", "never", "1")], ""),
    ([("begin", "create", "never", "1"), ("failed", "create", "never", None)], ""),
    ([("done", "exit", "gone", 137)], ""),
]


def test_acknowledgements(place: Place, tmp_path: Path) -> None:
    for i, (lines, words) in enumerate(ACKNOWLEDGED):
        log = acknowledged.Log(tmp_path / str(i))
        for phase, op, id, value in lines:
            log.write(phase, op, id, value)
        log.close()
        found = invariants.violations(place.root, place.state, acks=[tmp_path / str(i)])
        assert len(found) == bool(words) and words in "".join(found), (lines, found)


def test_canary_and_fingerprint(place: Place, tmp_path: Path) -> None:
    top = tmp_path / "canary"
    top.mkdir()
    seen = {invariants.canary(top)}
    (top / "a").write_text("x")
    seen.add(invariants.canary(top))
    (top / "a").write_text("y")
    seen.add(invariants.canary(top))
    (top / "a").chmod(0o600)
    seen.add(invariants.canary(top))
    (top / "b").symlink_to("a")
    seen.add(invariants.canary(top))
    assert len(seen) == 5
    before = invariants.fingerprint(place.root, place.state)
    assert before == invariants.fingerprint(place.root, place.state)
    place.change({b"x/y": b""})
    assert before != invariants.fingerprint(place.root, place.state)
    before = invariants.fingerprint(place.root, place.state)
    with there(place.state / "x", Path.mkdir):
        assert before != invariants.fingerprint(place.root, place.state)


def test_events_out_of_order(place: Place, engine: ctrd.Engine) -> None:
    assert [
        event.what for event in journal_reader.task_events(place.root / "journal") if event.container == "gone"
    ] == [
        "create",
        "start",
        "exit",
    ]
    segment = max((place.root / "journal").glob("[0-9]*"))
    whole = segment.read_bytes()
    exit = next(body for body in journal_reader.bodies(whole) if b"/tasks/exit" in body)
    segment.write_bytes(whole + b"torn" + record(exit))
    only(place.found())  # the same id: written twice
    id = exit.index(b"\xc2\x3e\x10") + 3  # field 1000, 16 bytes
    segment.write_bytes(whole + record(exit[:id] + b"0123456789abcdef" + exit[id + 16 :]))
    only(place.found(), "I16")
    segment.write_bytes(whole + record(b"\xff"))
    only(place.found(), "I16")
    segment.write_bytes(whole)
    only(place.found())


def record(body: bytes) -> bytes:
    """As the journal has it."""
    return f"\n{len(body):08x}{leveldb_reader.crc32c(body):08x}".encode() + body + b"\n"


def test_the_program(place: Place) -> None:
    program = [sys.executable, Path(invariants.__file__), place.root, place.state, "--settled"]
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "all invariants hold\n"), done.stderr
    with there(place.root / "snapshots/99", Path.mkdir):
        done = subprocess.run(program, capture_output=True, text=True, check=False)
        assert done.returncode == 1 and done.stdout.startswith("I8: "), done.stderr


def test_the_reader_against_checksums_by_others() -> None:
    """CRC-32C of RFC 3720, and LevelDB's mask of it."""
    for data, crc in ((bytes(32), 0x8A9136AA), (b"\xff" * 32, 0x62A8AB43), (bytes(range(32)), 0x46DD794E)):
        assert leveldb_reader.masked_crc(data) == ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
