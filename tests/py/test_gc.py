"""engine.gc() and engine.explain(): containerd's roots, edges and labels, and a second reading of them (edges.py)."""

from __future__ import annotations

import os
import random
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import criu
import ctrd
import edges
import leveldb_reader
import pytest
from disk_records import Store, decode_store
from support import python, python_says

pytestmark = pytest.mark.root

ROOT = "containerd.io/gc.root"
CONTENT = "containerd.io/gc.ref.content."
SNAPSHOT = "containerd.io/gc.ref.snapshot.overlay"


def layer(engine: ctrd.Engine, name: str, parent: str | None = None, **labels: str) -> str:
    engine.snapshots.prepare(f"{name}-", parent)
    return engine.snapshots.commit(name, f"{name}-", labels=labels).key


def stored(engine: ctrd.Engine) -> Store:
    """What the database says, read without ctrd once nobody has it open."""
    deadline = time.monotonic() + 30
    while True:
        time.sleep(0.06)  # idle_close
        try:
            return decode_store(leveldb_reader.read(engine.root / "metadata"))
        except leveldb_reader.Damaged:
            assert time.monotonic() < deadline


def test_nothing_to_do(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    assert engine.gc() == ctrd.GCReport((), 0)
    with engine.start(rootfs, "sleep", "60") as c:
        assert engine.gc() == ctrd.GCReport((), 0)
        assert c.run("echo", "here").stdout == "here\n"


def test_what_nothing_keeps_goes_with_its_bytes(engine: ctrd.Engine) -> None:
    layer(engine, "base")
    engine.snapshots.prepare("top", "base")
    with engine.snapshots.mount("top") as path:
        (path / "file").write_bytes(b"x" * 100_000)
    digest = engine.content.ingest(b"y" * 5000).digest
    said = engine.gc(dry_run=True)
    assert engine.snapshots.list().ids == ["base", "top"]
    report = engine.gc()
    assert report == said
    assert report.removed == (("content", digest), ("snapshot", "base"), ("snapshot", "top"))
    assert 105_000 <= report.freed < 300_000
    assert list(engine.root.glob("snapshots/*")) == []
    assert list(engine.root.glob("content/blobs/sha256/*")) == []
    assert engine.gc() == ctrd.GCReport((), 0)


def test_containers_keep_their_chain(engine: ctrd.Engine) -> None:
    layer(engine, "base")
    layer(engine, "middle", "base")
    layer(engine, "unused", "base")
    c = engine.containers.create(ctrd.Snapshot("middle"), "true", id="c")
    why = engine.explain("snapshot", "base")
    assert why.kept and why.hint is None
    assert why.paths == (
        (
            'container "c"',
            'its layer: snapshot "c" (overlay)',
            'its parent: snapshot "middle" (overlay)',
            'its parent: snapshot "base" (overlay)',
        ),
    )
    assert str(why).splitlines()[1] == '  its layer: snapshot "c" (overlay)'
    assert engine.explain("snapshot", "unused").hint == "nothing refers to it"
    assert engine.gc().removed == (("snapshot", "unused"),)
    c.delete()
    assert engine.snapshots.list().ids == ["base", "middle"]  # whoever's base stays, until somebody collects
    assert engine.gc().removed == (("snapshot", "base"), ("snapshot", "middle"))


def test_what_a_containers_labels_alone_kept_goes_with_it(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    config = engine.content.ingest(b"config").digest
    index = engine.content.ingest(b"index", labels={CONTENT + "0": config}).digest
    c = engine.containers.create(rootfs, "true", labels={CONTENT + "index": index})
    assert engine.gc().removed == ()
    assert [path[0] for path in engine.explain("content", config).paths] == [f'container "{c.id}"']
    c.delete()
    assert engine.content.list() == [] and list(engine.root.glob("content/blobs/sha256/*")) == []


def test_deleting_a_blob_takes_what_it_alone_named(engine: ctrd.Engine) -> None:
    layer(engine, "unpacked")
    config = engine.content.ingest(b"config", labels={SNAPSHOT: "unpacked"}).digest
    index = engine.content.ingest(b"index", labels={CONTENT + "0": config}).digest
    engine.content.delete(index)
    assert engine.content.list() == [] and engine.snapshots.list() == []
    assert list(engine.root.glob("snapshots/*")) == []


def test_checkpoints_are_roots(engine: ctrd.Engine, rootfs: ctrd.Rootfs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", criu.path())
    digest = engine.content.ingest(b"for the checkpoint").digest
    with engine.start(rootfs, "sleep", "1000", runtime="runc") as c:
        checkpoint = c.checkpoint("warm", exit=True, labels={CONTENT + "x": digest})
    assert engine.gc().removed == () and engine.explain("checkpoint", "warm").kept
    assert engine.explain("content", digest).paths[0][0] == 'checkpoint "warm"'
    checkpoint.delete()
    assert engine.content.list() == []


def test_other_namespaces_are_not_collected(engine: ctrd.Engine) -> None:
    other = engine.with_namespace("other")
    digest = engine.content.ingest(b"x").digest
    other.content.ingest(b"x")
    other.snapshots.prepare("work")
    assert engine.gc() == ctrd.GCReport((("content", digest),), 0)
    assert other.content.read(digest) == b"x"
    assert other.gc().removed == (("content", digest), ("snapshot", "work"))


def test_native_has_its_own(engine: ctrd.Engine) -> None:
    native = engine.snapshots.with_snapshotter("native")
    native.prepare("work")
    engine.snapshots.prepare("work", labels={ROOT: "1"})
    assert engine.explain("snapshot", "work").kept
    assert not engine.explain("snapshot", "work", snapshotter="native").kept
    assert engine.gc().removed == (("snapshot", "work"),)
    assert native.list() == [] and engine.snapshots.list().ids == ["work"]
    engine.snapshots.remove("work")


def test_what_is_mounted_stays(engine: ctrd.Engine, tmp_path: Path) -> None:
    """By mount() here or elsewhere, as a view, and by hand."""
    layer(engine, "base")
    engine.snapshots.view("look", "base")
    engine.snapshots.prepare("mine", "base")
    mounts = engine.snapshots.prepare("by hand")
    with engine.snapshots.mount("look"):
        assert {key for _, key in engine.gc().removed} == {"mine", "by hand"}
        why = engine.explain("snapshot", "look")
        assert why.kept and "mounted at" in why.paths[0][0]
    assert engine.gc().removed == (("snapshot", "base"), ("snapshot", "look"))

    mounts = engine.snapshots.prepare("by hand")
    target = tmp_path / "target"
    target.mkdir()
    for one in mounts:
        options = ",".join(one.options)
        subprocess.run(["mount", "-t", one.type, "-o", options, one.source, target], check=True)
    try:
        assert engine.gc(dry_run=True).removed == engine.gc().removed == ()
        assert engine.explain("snapshot", "by hand").paths == ((f'snapshot "by hand" (overlay), mounted at {target}',),)
    finally:
        subprocess.run(["umount", target], check=True)
    code = """if True:
        import ctrd, sys
        engine = ctrd.default_engine()
        with engine.snapshots.mount("by hand"):
            print("mounted", flush=True)
            sys.stdin.readline()
    """
    with python(engine, code) as other:
        assert other.stdout and other.stdin
        assert other.stdout.readline() == "mounted\n"
        assert engine.gc().removed == ()
        other.kill()  # what it has left mounted is unmounted by whoever collects
        other.wait()
    assert engine.gc().removed == (("snapshot", "by hand"),)


def test_mounted_where_this_process_does_not_see_it(engine: ctrd.Engine) -> None:
    engine.snapshots.prepare("work")
    code = """if True:
        import ctypes, ctrd, sys
        assert ctypes.CDLL(None, use_errno=True).unshare(0x20000) == 0
        engine = ctrd.default_engine()
        import subprocess
        subprocess.run(["mount", "--make-rprivate", "/"], check=True)
        with engine.snapshots.mount("work"):
            print("mounted", flush=True)
            sys.stdin.readline()
    """
    with python(engine, code) as other:
        assert other.stdout and other.stdin
        assert other.stdout.readline() == "mounted\n"
        assert engine.gc().removed == ()
        assert "mounted by another process" in engine.explain("snapshot", "work").paths[0][0]
        other.communicate("\n", timeout=60)
    assert engine.gc().removed == (("snapshot", "work"),)


def test_a_view_mounted_where_this_process_does_not_see_it(engine: ctrd.Engine) -> None:
    layer(engine, "base")
    engine.snapshots.view("look", "base")
    code = """if True:
        import ctypes, ctrd, subprocess, sys
        assert ctypes.CDLL(None, use_errno=True).unshare(0x20000) == 0
        engine = ctrd.default_engine()
        subprocess.run(["mount", "--make-rprivate", "/"], check=True)
        with engine.snapshots.mount("look"):
            print("mounted", flush=True)
            sys.stdin.readline()
    """
    with python(engine, code) as other:
        assert other.stdout and other.stdin
        assert other.stdout.readline() == "mounted\n"
        assert engine.gc().removed == ()
        assert engine.explain("snapshot", "look").paths == (('snapshot "look" (overlay), mounted by another process',),)
        with pytest.raises(ctrd.FailedPrecondition, match="mounted by another process"):
            engine.snapshots.remove("look")
        other.communicate("\n", timeout=60)
    assert engine.gc().removed == (("snapshot", "base"), ("snapshot", "look"))


@pytest.mark.parametrize("what", ["blob", "container", "snapshot"])
def test_files_under_a_mounted_view_stay(engine: ctrd.Engine, rootfs: ctrd.Rootfs, what: str) -> None:
    """Whatever goes with the object that named both, until the view is unmounted."""
    engine.snapshots.prepare("base-")
    with engine.snapshots.mount("base-") as path:
        (path / "file").write_text("below")
    engine.snapshots.commit("base", "base-")
    engine.snapshots.view("look", "base")
    labels = {SNAPSHOT + "/a": "look", SNAPSHOT + "/b": "base"}
    if what == "blob":
        digest = engine.content.ingest(b"index", labels=labels).digest
    elif what == "container":
        engine.containers.create(rootfs, "true", id="c", labels=labels)
    else:
        engine.snapshots.prepare("other", labels=labels)
    with engine.snapshots.mount("look") as path:
        if what == "blob":
            engine.content.delete(digest)
        elif what == "container":
            engine.containers.delete("c")
        else:
            engine.snapshots.remove("other")
        assert engine.snapshots.list() == []
        python_says(engine, "import ctrd; ctrd.default_engine().snapshots.list()")  # recovers
        engine.gc()
        assert (path / "file").read_text() == "below"
    assert engine.gc() == ctrd.GCReport((), 0)
    assert list(engine.root.glob("snapshots/*")) == []


@pytest.mark.parametrize("what", ["collection", "removal"])
def test_what_takes_views_beside_mounts(engine: ctrd.Engine, what: str) -> None:
    """It either takes a view before it is mounted, or leaves it."""
    layer(engine, "base", **{ROOT: "1"})
    code = """if True:
        import ctrd, sys
        snapshots = ctrd.default_engine().snapshots
        mounted = 0
        while mounted < 40:
            try:
                snapshots.view(sys.argv[1], "base")
                with snapshots.mount(sys.argv[1]):
                    mounted += 1
                    assert snapshots.list(f"name=={sys.argv[1]}").ids, "its record has gone"
                snapshots.remove(sys.argv[1])
            except (ctrd.NotFound, ctrd.Conflict):
                pass  # it was taken before
    """
    others = [python(engine, code, f"look{i}") for i in range(2)]
    while any(other.poll() is None for other in others):
        if what == "collection":
            engine.gc()
        for i in range(2 * (what == "removal")):
            with suppress(ctrd.NotFound, ctrd.FailedPrecondition):
                engine.snapshots.remove(f"look{i}")
    for other in others:
        _, err = other.communicate(timeout=120)
        assert other.returncode == 0, err
    engine.snapshots.update("base", labels={ROOT: None})
    engine.gc()
    assert engine.snapshots.list() == []


def test_old_ingests(engine: ctrd.Engine) -> None:
    def broken() -> object:
        yield b"half"
        raise OSError("no more")

    for ref in ("old", "new", "held"):
        with pytest.raises(OSError, match="no more"):
            engine.content.ingest(broken(), ref=ref)  # type: ignore[arg-type]
    for path in engine.root.glob("content/ingest/*"):
        if (path / "ref").read_text() == "default/new":
            continue
        then = time.time() - 25 * 3600
        os.utime(path / "data", (then, then))
        (path / "updatedat").write_text(str(int(then * 1e9)))
    with engine.lease() as lease:
        lease.add("ingest", "held")
        why = engine.explain("ingest", "new")
        assert why.kept and why.paths == (('ingest "new", for a day after what was written last',),)
        assert not engine.explain("ingest", "old").kept
        assert engine.explain("ingest", "held").kept
        assert engine.gc(dry_run=True) == engine.gc() == ctrd.GCReport((("ingest", "old"),), 4)
        assert engine.content.ingests().ids == ["held", "new"]
    assert engine.content.ingests().ids == ["new"]
    engine.content.abort("new")


def test_events_of_what_goes(engine: ctrd.Engine) -> None:
    layer(engine, "base")
    digest = engine.content.ingest(b"x").digest
    with engine.events("topic~=^/(snapshot/remove|content/delete)") as events:
        engine.gc()
        seen = [events.next(timeout=10) for _ in range(2)]
    assert [(one.topic, one.data.get("digest") or one.data.get("key")) for one in seen] == [
        ("/content/delete", digest),
        ("/snapshot/remove", "base"),
    ]


def test_events_of_hundreds(engine: ctrd.Engine) -> None:
    """More than a batch publishes at once."""
    with engine.lease("l"):
        for i in range(300):
            engine.snapshots.prepare(f"s{i}")
        engine.leases.get("l").info()
        with engine.events("topic==/snapshot/remove") as events:
            for i in range(300):
                engine.leases.get("l").remove("snapshot", f"s{i}")
            assert len(engine.gc().removed) == 300
            keys = {events.next(timeout=10).data["key"] for _ in range(300)}
            assert keys == {f"s{i}" for i in range(300)}


def test_it_says_what_a_second_reading_says(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    """Graphs made at random, with labels of every kind, collected and read without ctrd."""
    dice = random.Random(20261127)
    for round in range(6):
        _scatter(engine, rootfs, dice)
        store = stored(engine)
        forward, back = edges.label_keys(store)
        assert (forward, back) == (store.label_refs, store.back_refs)
        wanted = edges.garbage(store, "default")
        words = {"snap": "snapshot", "blob": "content", "lease": "lease"}
        said = engine.gc(dry_run=True).removed
        assert sorted(said) == sorted((words[one[0]], one[-1]) for one in wanted), f"round {round}"
        for kind, key in said:
            assert not engine.explain(kind, key).kept
        assert engine.gc().removed == said
        after = stored(engine)
        assert edges.garbage(after, "default") == set()
        assert edges.label_keys(after) == (after.label_refs, after.back_refs)
    for id in list(engine.containers):
        engine.containers.delete(id)
    for lease in engine.leases.list():
        engine.leases.delete(lease.id)
    for one in engine.snapshots.list(f'labels."{ROOT}"'):
        engine.snapshots.update(one.key, labels={ROOT: None})
    for blob in engine.content.list(f'labels."{ROOT}"'):
        engine.content.update(blob.digest, labels={ROOT: None})
    engine.gc()
    assert engine.snapshots.list() == [] and engine.content.list() == []


def _scatter(engine: ctrd.Engine, rootfs: ctrd.Rootfs, dice: random.Random) -> None:
    """Thirty objects that refer to each other."""
    digests = [one.digest for one in engine.content.list()]
    bases = [one.key for one in engine.snapshots.list("kind==committed")]
    ids = list(engine.containers)

    def labels() -> dict[str, str]:
        some = {ROOT: "1"} if dice.random() < 0.08 else {}
        choices = (
            (CONTENT + str(dice.randrange(9)), digests),
            (SNAPSHOT + f"/{dice.randrange(9)}", bases),
            ("containerd.io/gc.bref.content", digests),
            ("containerd.io/gc.bref.snapshot.overlayfs", bases),
            ("containerd.io/gc.bref.container.x", ids),
        )
        for label, values in choices:
            if values and dice.random() < 0.3:
                some[label] = dice.choice(values)
        return some

    for _ in range(30):
        name, what = dice.randbytes(4).hex(), dice.randrange(10)
        parent = dice.choice([None, *bases])
        if what < 3:
            digests.append(engine.content.ingest(name.encode(), labels=labels()).digest)
        elif what < 6:
            engine.snapshots.prepare(f"{name}-", parent)
            bases.append(engine.snapshots.commit(name, f"{name}-", labels=labels()).key)
        elif what < 7:
            engine.snapshots.prepare(name, parent, labels=labels())
        elif what < 8:
            kept = {CONTENT + "0": dice.choice(digests)} if digests else {}
            image = ctrd.Snapshot(parent) if parent else rootfs
            ids.append(engine.containers.create(image, "true", id=name, labels=kept).id)
        elif what < 9:
            some = dice.choice(
                [{}, {"containerd.io/gc.flat": "1"}, {"containerd.io/gc.expire": "2020-01-01T00:00:00Z"}]
            )
            lease = engine.lease(name, labels=some, lifetime="detached")
            for kind, values in (("content", digests), ("snapshot", bases)):
                if values:
                    lease.add(kind, dice.choice(values))  # type: ignore[arg-type]
        elif digests:
            engine.content.update(dice.choice(digests), labels=labels())


def test_a_collection_beside_writers(engine: ctrd.Engine) -> None:
    """What is made in a lease is never taken, and what is let go of goes."""
    code = """if True:
        import ctrd, sys
        engine = ctrd.default_engine()
        for i in range(15):
            with engine.lease() as lease:
                name = f"{sys.argv[1]}-{i}"
                engine.snapshots.prepare(name + "-")
                engine.snapshots.commit(name, name + "-")
                engine.snapshots.prepare(name + "-top", name)
                digest = engine.content.ingest(name.encode()).digest
                assert engine.content.read(digest) == name.encode()
                with engine.snapshots.mount(name + "-top") as path:
                    (path / "x").write_text("x")
                assert len(lease.resources()) == 3
    """
    others = [python(engine, code, str(i)) for i in range(3)]
    while any(other.poll() is None for other in others):
        engine.gc()
    for other in others:
        _, err = other.communicate(timeout=120)
        assert other.returncode == 0, err
    engine.gc()
    assert engine.snapshots.list() == [] and engine.content.list() == [] and engine.leases.list() == []


def test_a_full_store_is_marked_in_bounded_time(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    for i in range(200):
        engine.containers.create(rootfs, "true", id=f"c{i}")
    began = time.monotonic()
    assert engine.gc().removed == ()
    assert time.monotonic() - began < 2.0
    for i in range(200):
        engine.containers.delete(f"c{i}")
