"""fsck: damage made by hand is found by it and by the checker; what can be repaired is, and then both are content."""

from __future__ import annotations

import ast
import fcntl
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import ctrd
import invariants
import pytest
from leveldb_writer import change
from support import environment, eventually, python_says
from test_invariants import Place, damages, place

__all__ = ["place"]
pytestmark = pytest.mark.root
FSCK = """if True:
    import ctrd, sys
    report = ctrd.default_engine().fsck(repair="repair" in sys.argv, verify="verify" in sys.argv)
    print([(p.kind, p.key, p.problem, p.repairable, p.repaired) for p in report.problems])
"""
MARK = ("database", "records")
Row = tuple[str, str, str, bool, bool]


def fsck(engine: ctrd.Engine, *words: str) -> list[Row]:
    """By another process: kind, key, problem, repairable, repaired."""
    rows: list[Row] = ast.literal_eval(python_says(engine, FSCK, *words))
    return rows


def kinds(rows: list[Row]) -> set[str]:
    return {f"{row[2]} {row[0]}" for row in rows}


# By the names of test_invariants: what fsck says, and whether a repair mends all of it.
MENDED = {
    "a byte of the log": {"damaged database"},
    "no CURRENT": {"damaged database"},
    "no snapshot": {"dangling container"},
    "a number from the future": {"damaged number"},
    "no namespace": {"missing namespace"},
    "no reference": {"missing reference"},
    "a reference of nothing": {"orphaned reference"},
    "no owner's reference": {"missing reference"},
    "no owner": {"missing owner"},
}
LEFT = {
    "no spec": {"missing container"},
    "an empty spec": {"damaged spec"},
    "a record that is none": {"damaged container"},  # its task lives
    "another snapshot": {"damaged container", "damaged snapshot"},
    "a snapshot of nothing": {"damaged snapshot"},
    "a snapshot upon one that may change": {"dangling snapshot"},
    "a committed snapshot without files": {"missing snapshot"},
    "a blob without its file": {"missing content"},
    "a blob without its reverse key": {"missing content", "missing reference"},
    "a task without a record": {"orphaned task", "orphaned snapshot"},
}


def test_damaged_databases(place: Place) -> None:
    metadata = place.root / "metadata"
    whole = {path: path.read_bytes() for path in metadata.iterdir()}
    cases = damages(place)
    assert cases.keys() == MENDED.keys() | LEFT.keys()
    for name, (damage, _) in cases.items():
        print(name)
        damage()
        assert place.found()
        found = fsck(place.engine)
        assert kinds(found) == (MENDED | LEFT)[name] and not any(row[4] for row in found), found
        assert place.found() and fsck(place.engine) == found  # looking changes nothing
        repaired = fsck(place.engine, "repair")
        assert kinds(found) <= kinds(repaired)
        if name in MENDED:
            assert all(row[3] and row[4] for row in repaired), repaired
            assert place.found() == [] and fsck(place.engine) == []
        else:
            assert any(not row[4] for row in repaired), repaired
            assert place.found() and fsck(place.engine)
        for path in metadata.iterdir():
            if path.is_file():
                path.unlink()
        for path, data in whole.items():
            path.write_bytes(data)
    assert sorted(path.name for path in (metadata / "lost").iterdir()) == ["000003.log", "record default_s_kept"]
    subprocess.run(["rm", "-r", metadata / "lost"], check=True)


def test_what_belongs_to_nothing_goes(place: Place) -> None:
    mkdir: Callable[[Path], object] = lambda path: path.mkdir(parents=True)  # noqa: E731
    ingest = place.root / "content/ingest/old"

    def touch(path: Path) -> None:
        path.parent.mkdir(parents=True)
        path.touch()

    def old_ingest(path: Path) -> None:
        path.mkdir(parents=True)
        for name, text in (("data", "x"), ("updatedat", "1"), ("ref", "default/old")):
            (path / name).write_text(text)
        os.utime(path / "data", (1, 1))

    cases: list[tuple[Path, Callable[[Path], object], str]] = [
        (place.root / "snapshots/99", mkdir, "orphaned snapshot"),
        (place.root / "snapshots/.restored-0123", mkdir, "orphaned file"),
        (place.root / "snapshots/.trash-98/fs", mkdir, "orphaned file"),
        (place.root / "logs/0123", mkdir, "orphaned logs"),
        (place.root / "checkpoints/7", mkdir, "orphaned checkpoint"),
        (place.root / "content/blobs/sha256" / ("b" * 64), touch, "orphaned content"),
        (place.root / "content/ingest/half", mkdir, "orphaned ingest"),
        (ingest, old_ingest, "stale ingest"),
        (place.state / "default/.new-1", mkdir, "orphaned file"),
        (place.state / ".tmp-999999-1-ab", Path.touch, "orphaned file"),
        (place.state / ".owners/99", Path.touch, "orphaned owner"),
        (place.state / "default/nobody", mkdir, "orphaned task"),
    ]
    for path, make, said in cases:
        make(path)
        found = fsck(place.engine)
        assert kinds(found) == {said}, (path, found)
        assert path.exists() and fsck(place.engine) == found  # looking changes nothing
        assert fsck(place.engine, "repair") == [(*row[:4], True) for row in found]
        assert not path.exists() and fsck(place.engine) == [] and place.found() == []


def test_what_lives_is_left_alone(place: Place) -> None:
    """A layer that a live process has locked, and the directory that a container's record names."""
    directory = place.root / "snapshots/99"
    directory.mkdir()
    (directory / "fs").mkdir()
    holder = os.open(directory / "fs", os.O_RDONLY)
    fcntl.flock(holder, fcntl.LOCK_EX)
    assert fsck(place.engine, "repair") == [("snapshot", "snapshots/99", "orphaned", True, False)]
    assert directory.exists()
    os.close(holder)
    assert fsck(place.engine, "repair") == [("snapshot", "snapshots/99", "orphaned", True, True)]
    assert not directory.exists() and place.found() == []


def test_what_criu_said_is_kept(place: Place) -> None:
    """The logs of failed checkpoints are of no task that is there, and belong there."""
    log = place.root / "logs/.criu/0123.log"
    log.parent.mkdir()
    log.write_text("Error (criu/mem.c:1)")
    assert fsck(place.engine) == [] and fsck(place.engine, "repair") == []
    assert log.exists() and place.found() == []


def test_a_dead_process(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    create = "ctrd.default_engine().containers.create(ctrd.Rootfs(sys.argv[1]), 'true', id='x')"
    code = f"import ctrd, os, sys; {create}; os.kill(os.getpid(), 9)"
    subprocess.run([sys.executable, "-c", code, rootfs.path], env=environment(engine), check=False)
    found = fsck(engine)
    assert kinds(found) == {"dead owner"} and engine.fsck() == engine.fsck()  # no recovery, twice
    assert not engine.fsck().ok
    report = engine.fsck(repair=True)
    assert report.ok and [str(p).split(":")[0] for p in report.problems] == ["dead owner 1"]
    assert len(engine.containers) == 0 and engine.fsck() == ctrd.FsckReport(())


def test_verify_reads_the_bytes(engine: ctrd.Engine) -> None:
    digest = engine.content.ingest(b"hello").digest
    path = engine.root / "content/blobs" / digest.replace(":", "/")
    path.chmod(0o600)
    path.write_bytes(b"hallo")
    assert engine.fsck().ok
    (problem,) = engine.fsck(verify=True).problems
    assert (problem.kind, problem.key, problem.problem) == ("content", f"default/{digest}", "damaged")
    assert not engine.fsck(repair=True, verify=True).ok
    path.write_bytes(b"hell")
    assert [p.problem for p in engine.fsck().problems] == ["damaged"]
    engine.content.delete(digest)
    assert engine.fsck(verify=True).ok


def test_records_that_cannot_be_read_are_made_anew_or_put_aside(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    """Of what others say; the directory of one that is lost is kept too."""
    engine.snapshots.prepare("work")
    engine.snapshots.commit("base", "work")
    (engine.root / "snapshots/1/fs/file").write_text("precious")
    engine.containers.create(ctrd.Snapshot("base"), "true", id="c", lifetime="detached")
    digest = engine.content.ingest(b"hello", labels={"a": "b"}).digest
    engine.close()
    keys = [f"default/blob/{digest}", "default/snap/overlay/base", "default/snap/overlay/c", ".ns/default", ".n/snap"]
    change(engine.root / "metadata", {key.encode(): b"\xff" for key in keys})
    with ctrd.Engine(engine.root, state=engine.state) as other:
        report = other.fsck(repair=True)
        assert {(p.kind, p.problem, p.repaired) for p in report.problems} == {
            ("content", "damaged", True),
            ("snapshot", "damaged", True),
            ("namespace", "damaged", True),
            ("number", "damaged", True),
            ("snapshot", "orphaned", True),
            ("snapshot", "dangling", False),  # the container's: its parent is lost
        }
        assert other.content.info(digest).size == 5 and other.snapshots.list().ids == ["c"]
        assert other.snapshots.stat("c").parent == "base"
        lost = engine.root / "metadata/lost"
        assert (lost / "snapshot 1/fs/file").read_text() == "precious"
        assert (lost / "record default_snap_overlay_base").read_bytes() == b"default/snap/overlay/base\n\xff"
        other.containers.delete("c")
        other.content.delete(digest)
        assert other.fsck().ok
        other.snapshots.prepare("new")  # a number that nothing has had
        assert (engine.root / "snapshots/3").is_dir() and not (engine.root / "snapshots/1").exists()
        other.snapshots.remove("new")
    subprocess.run(["rm", "-r", lost], check=True)


def lose_database(engine: ctrd.Engine) -> None:
    """Nothing of it can be read."""
    metadata = engine.root / "metadata"
    eventually(lambda: not invariants.is_locked(metadata / "db", invariants.locked_files()), "the store is closed")
    for path in [*metadata.glob("*.log"), *metadata.glob("*.ldb"), *metadata.glob("MANIFEST*")]:
        path.write_bytes(os.urandom(path.stat().st_size))


def test_b17_a_container_runs_and_the_database_is_lost(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    """It can be stopped before and after a repair that could not save its record."""
    for id in ("x", "y"):
        engine.start(rootfs, "sleep", "1000", id=id, lifetime="detached")
    metadata = engine.root / "metadata"
    lose_database(engine)
    code = "import ctrd, sys; c = ctrd.default_engine().containers[sys.argv[1]]; print(c.stop(grace=0).signal)"
    assert python_says(engine, code, "x") == "9\n"
    rows = fsck(engine, "repair")
    assert {row[:3] for row in rows if row[:2] != MARK and row[0] == "database"} == {
        ("database", path.name, "damaged") for path in (metadata / "lost").iterdir()
    }
    assert [row[:3] for row in rows if not row[4]] == [
        (*MARK, "missing"),  # until what has no record is kept elsewhere
        ("task", "default/y", "orphaned"),
        ("snapshot", "snapshots/1", "orphaned"),  # one of them is the task's
        ("snapshot", "snapshots/2", "orphaned"),
    ]
    engine.snapshots.prepare("new")  # in a directory of its own, not in that of y, which is mounted
    assert list((engine.root / "snapshots/3/fs").iterdir()) == []
    engine.snapshots.remove("new")
    assert python_says(engine, code, "y") == "9\n"
    assert all(row[4] for row in fsck(engine, "repair")) and fsck(engine) == []
    assert (metadata / "lost/snapshot 1/fs").is_dir() and (metadata / "lost/snapshot 2/fs").is_dir()
    subprocess.run(["rm", "-r", metadata / "lost"], check=True)


def test_what_a_lost_database_spoke_of_is_kept(engine: ctrd.Engine) -> None:
    """A layer, a blob and a checkpoint, whose records are gone, are in metadata/lost."""
    engine.snapshots.prepare("work")
    engine.snapshots.commit("base", "work")
    (engine.root / "snapshots/1/fs/file").write_text("precious")
    digest = engine.content.ingest(b"hello").digest
    checkpoint = engine.root / "checkpoints/7"
    checkpoint.mkdir(parents=True)
    (checkpoint / "manifest").write_text("of that time")
    lose_database(engine)
    rows = fsck(engine, "repair")
    assert kinds(rows) == {
        "damaged database",
        "missing database",
        "orphaned snapshot",
        "orphaned content",
        "orphaned checkpoint",
    }
    assert all(row[4] for row in rows) and fsck(engine) == []
    lost = engine.root / "metadata/lost"
    assert (lost / "snapshot 1/fs/file").read_text() == "precious"
    assert (lost / f"blob {digest.split(':')[1]}").read_bytes() == b"hello"
    assert (lost / "checkpoint 7/manifest").read_text() == "of that time"
    assert not checkpoint.exists() and engine.snapshots.list().ids == []
    subprocess.run(["rm", "-r", lost], check=True)


def test_a_repair_that_was_killed(engine: ctrd.Engine) -> None:
    """It had made the database anew: until the next one is through, recovery removes nothing without a record."""
    engine.containers.list()  # the state directory is known
    checkpoint = engine.root / "checkpoints/7"
    checkpoint.mkdir(parents=True)
    (engine.root / "metadata/incomplete").touch()
    python_says(engine, "import ctrd; ctrd.default_engine().containers.list()")
    assert checkpoint.exists()
    found = fsck(engine)
    assert kinds(found) == {"missing database", "orphaned checkpoint"}
    assert fsck(engine, "repair") == [(*row[:4], True) for row in found] and fsck(engine) == []
    assert (engine.root / "metadata/lost/checkpoint 7").is_dir() and not checkpoint.exists()
    subprocess.run(["rm", "-r", engine.root / "metadata/lost"], check=True)


def test_b14_a_new_database_is_seen_only_with_its_numbers(engine: ctrd.Engine) -> None:
    """A repair is killed as soon as the new one is there: what the next process makes is in a directory of its own."""
    engine.containers.list()
    theirs = engine.root / "snapshots/7/fs/file"
    theirs.parent.mkdir(parents=True)
    theirs.write_text("precious")
    lose_database(engine)
    current = engine.root / "metadata/CURRENT"
    current.unlink()
    stay = "strace -D -qq -o /dev/null -e trace=renameat -e inject=renameat:delay_exit=2000000".split()
    repair = subprocess.Popen([*stay, sys.executable, "-c", FSCK, "repair"], env=environment(engine))
    eventually(current.exists, "the new database is there")
    assert repair.poll() is None
    repair.kill()  # -D: it is strace's grandchild that traces
    repair.wait()
    engine.snapshots.prepare("new")
    assert list((engine.root / "snapshots/8/fs").iterdir()) == [] and theirs.read_text() == "precious"
    engine.snapshots.remove("new")
    assert all(row[4] for row in fsck(engine, "repair")) and fsck(engine) == []
    assert (engine.root / "metadata/lost/snapshot 7/fs/file").read_text() == "precious"
    subprocess.run(["rm", "-r", engine.root / "metadata/lost"], check=True)


def test_an_owner_that_lives_keeps_its_number(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    """The database is lost, another process comes, makes a container and dies: only that one goes with it."""
    create = "ctrd.default_engine().containers.create(ctrd.Rootfs(sys.argv[1]), 'true', id='theirs')"
    dies = f"import ctrd, os, sys; {create}; os.kill(os.getpid(), 9)"
    engine.containers.create(rootfs, "true", id="before")
    lose_database(engine)
    fsck(engine, "repair")
    after = engine.containers.create(rootfs, "true", id="after")
    assert fsck(engine) == []  # the owner's record is there again
    subprocess.run([sys.executable, "-c", dies, rootfs.path], env=environment(engine), check=False)
    assert python_says(engine, "import ctrd; print(*ctrd.default_engine().containers)") == "after\n"
    assert [path.name for path in (engine.state / ".owners").iterdir()] == ["1"]
    after.delete()
    subprocess.run(["rm", "-r", engine.root / "metadata/lost"], check=True)


def test_nobody_takes_an_owners_lock_away(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    path = engine.state / ".owners/1"
    path.touch()
    held = os.open(path, os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)
    engine.containers.create(rootfs, "true", id="c")
    assert os.fstat(held).st_ino == path.stat().st_ino
    assert sorted(path.name for path in path.parent.iterdir()) == ["1", "2"] and fsck(engine) == []
    engine.containers.delete("c")
    os.close(held)


def test_another_state_directory_is_adopted(tmp_path: Path, rootfs: ctrd.Rootfs) -> None:
    """Unless somebody uses the one that the root knows."""
    root, first, second = tmp_path / "root", tmp_path / "first", tmp_path / "second"
    with ctrd.Engine(root, state=first) as engine:
        c = engine.start(rootfs, "sleep", "1000", lifetime="detached")
        other = ctrd.Engine(root, state=second)
        with pytest.raises(ctrd.FailedPrecondition, match="second"):
            other.containers.list()
        (problem,) = other.fsck(repair=True).problems
        assert (problem.kind, problem.problem, problem.repaired) == ("state", "foreign", False)
        assert str(first) in problem.detail and c.status() == "running"
        c.delete(force=True)
    with ctrd.Engine(root, state=first) as idle:  # it has no lock of a container or a lease
        idle.containers.list()
        assert [(p.kind, p.repaired) for p in other.fsck(repair=True).problems] == [("state", False)]
        assert idle.containers.list() == []
    assert [(p.kind, p.repairable) for p in other.fsck().problems] == [("state", True)]
    with pytest.raises(ctrd.FailedPrecondition, match="second"):
        other.containers.list()
    assert other.fsck(repair=True).ok and other.containers.list() == [] and other.fsck().ok
    other.close()
    with pytest.raises(ctrd.FailedPrecondition), ctrd.Engine(root, state=first) as engine:
        engine.containers.list()


def test_the_command(engine: ctrd.Engine) -> None:
    def ctrd_fsck(*words: str) -> tuple[int, str]:
        command = [sys.executable, "-m", "ctrd", "fsck", *words]
        done = subprocess.run(command, env=environment(engine), capture_output=True, text=True, check=False)
        assert done.stderr == ""
        return done.returncode, done.stdout

    assert ctrd_fsck() == (0, "")
    (engine.root / "snapshots/99").mkdir()
    line = "orphaned snapshot snapshots/99: no record has this directory"
    assert ctrd_fsck() == (1, f"{line} [can be repaired]\n")
    assert ctrd_fsck("--repair") == (0, f"{line} [repaired]\n")
    assert ctrd_fsck("--verify") == (0, "")
