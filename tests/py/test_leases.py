"""engine.lease(), engine.leases: what belongs to a lease, who holds it, and what goes with it."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import ctrd
import pytest
from support import eventually, python, python_says

pytestmark = pytest.mark.root

DIGEST = "sha256:" + "a" * 64


def layer(engine: ctrd.Engine, name: str, parent: str | None = None) -> str:
    engine.snapshots.prepare(f"{name}-", parent)
    return engine.snapshots.commit(name, f"{name}-").key


def test_what_is_made_in_its_block_belongs_to_it(engine: ctrd.Engine) -> None:
    outside = engine.content.ingest(b"outside").digest
    with engine.lease("build", labels={"app": "x"}) as lease:
        assert lease.id == "build" and engine.leases.list().ids == ["build"]
        layer(engine, "base")
        engine.snapshots.prepare("work", "base")
        engine.snapshots.view("look", "base")
        made = engine.content.ingest(b"inside").digest
        held = {("snapshot", key) for key in ("base", "work", "look")} | {("content", made)}
        assert set(lease.resources()) == held
        assert engine.gc().removed == (("content", outside),)
    assert engine.snapshots.list().ids == [] and engine.content.list().ids == []
    assert engine.leases.list() == [] and list(engine.root.glob("snapshots/*")) == []


def test_what_was_there_joins_it(engine: ctrd.Engine) -> None:
    layer(engine, "base")
    engine.snapshots.prepare("work")
    digest = engine.content.ingest(b"x").digest
    other = engine.content.ingest(b"y").digest
    with engine.lease() as lease:
        with pytest.raises(ctrd.AlreadyExists):
            engine.snapshots.prepare("work")
        with pytest.raises(ctrd.AlreadyExists):
            engine.snapshots.prepare("new", labels={"containerd.io/snapshot.ref": "base"})
        assert engine.content.ingest(b"x").digest == digest
        assert engine.content.ingest(b"y", expected=other).digest == other
        held = {("snapshot", "work"), ("snapshot", "base"), ("content", digest), ("content", other)}
        assert set(lease.resources()) == held
    assert engine.snapshots.list() == [] and engine.content.list() == []


def test_ingests(engine: ctrd.Engine) -> None:
    def broken() -> Any:
        yield b"half"
        raise OSError("no more")

    with engine.lease() as lease:
        with pytest.raises(OSError, match="no more"):
            engine.content.ingest(broken(), ref="up/load")
        assert lease.resources() == [("ingest", "up/load")]
        assert engine.explain("ingest", "up/load").paths[0][-1] == 'holds ingest "up/load"'
    assert engine.content.ingests() == []


def test_threads_tasks_and_other_engines_have_their_own(engine: ctrd.Engine) -> None:
    other = engine.with_namespace("other")
    with engine.lease("outer") as outer, engine.lease("inner") as inner:
        thread = threading.Thread(target=engine.snapshots.prepare, args=("thread",))
        thread.start()
        thread.join()
        other.snapshots.prepare("elsewhere")
        engine.snapshots.prepare("mine")
        assert (outer.resources(), inner.resources()) == ([], [("snapshot", "mine")])

        async def work(name: str) -> None:
            with engine.lease(name) as lease:
                await asyncio.sleep(0)
                engine.snapshots.prepare(name)
                await asyncio.sleep(0)
                assert lease.resources() == [("snapshot", name)]

        async def both() -> None:
            await asyncio.gather(work("one"), work("two"))

        asyncio.run(both())
    assert engine.gc().removed == (("snapshot", "thread"),)
    assert other.gc().removed == (("snapshot", "elsewhere"),)


def test_a_block_that_is_left_in_another_thread(engine: ctrd.Engine) -> None:
    engine.lease("theirs", lifetime="detached")
    mine, theirs = engine.lease("mine"), engine.leases.get("theirs")
    for lease in (mine, theirs, theirs):
        lease.__enter__()
    for lease in (theirs, mine):
        thread = threading.Thread(target=lease.__exit__, args=(None, None, None))
        thread.start()
        thread.join()
    engine.snapshots.prepare("still")
    assert engine.leases.list().ids == ["theirs"] and theirs.resources() == [("snapshot", "still")]
    theirs.__exit__(None, None, None)
    engine.snapshots.prepare("outside")
    with theirs:
        engine.snapshots.prepare("again")
    theirs.__exit__(None, None, None)  # of nothing
    assert sorted(theirs.resources()) == [("snapshot", "again"), ("snapshot", "still")]
    theirs.release()
    assert engine.snapshots.list().ids == ["outside"] and engine.gc().removed == (("snapshot", "outside"),)


def test_a_lease_that_has_gone_makes_nothing(engine: ctrd.Engine) -> None:
    engine.snapshots.prepare("work")
    with engine.lease("l"):
        engine.leases.delete("l")
        verbs: list[Callable[[], object]] = [
            lambda: engine.snapshots.prepare("new"),
            lambda: engine.snapshots.view("new"),
            lambda: engine.snapshots.commit("new", "work"),
            lambda: engine.content.ingest(b"x"),
        ]
        for verb in verbs:
            with pytest.raises(ctrd.NotFound, match='lease "l"'):
                verb()
    assert engine.snapshots.list().ids == ["work"] and engine.content.list() == []
    assert engine.content.ingests() == []
    engine.snapshots.remove("work")


# semantics.md S7 and S15, a row each.
ERRORS: list[tuple[str, Callable[[ctrd.Engine], object], type[ctrd.Error]]] = [
    ("an empty id", lambda e: e.lease(""), ctrd.InvalidArgument),
    ("a long id", lambda e: e.lease("x" * 1025), ctrd.InvalidArgument),
    ("a duplicate", lambda e: e.lease("here"), ctrd.AlreadyExists),
    ("a long label", lambda e: e.lease("x", labels={"k": "v" * 4096}), ctrd.InvalidArgument),
    ("no str", lambda e: e.lease(7), ctrd.InvalidArgument),  # type: ignore[arg-type]
    ("before now", lambda e: e.lease("x", expires=-1.0), ctrd.InvalidArgument),
    ("no lifetime", lambda e: e.lease("x", lifetime="for ever"), ctrd.InvalidArgument),  # type: ignore[arg-type]
    ("get, unknown", lambda e: e.leases.get("x"), ctrd.NotFound),
    ("delete, unknown", lambda e: e.leases.delete("x"), ctrd.NotFound),
    ("a filter that is none", lambda e: e.leases.list("id=="), ctrd.InvalidArgument),
    ("no digest", lambda e: e.leases.get("here").add("content", "sha256:1"), ctrd.InvalidArgument),
    ("an empty key", lambda e: e.leases.get("here").add("snapshot", ""), ctrd.InvalidArgument),
    (
        "a snapshotter of content",
        lambda e: e.leases.get("here").add("content", DIGEST, snapshotter="overlay"),
        ctrd.InvalidArgument,
    ),
    (
        "an unknown snapshotter",
        lambda e: e.leases.get("here").add("snapshot", "k", snapshotter="zfs"),
        ctrd.Unsupported,
    ),
    ("a container", lambda e: e.leases.get("here").add("container", "web"), ctrd.Unsupported),
    ("no kind", lambda e: e.leases.get("here").add("task", "web"), ctrd.InvalidArgument),  # type: ignore[arg-type]
    ("gc, no flag", lambda e: e.gc(dry_run="yes"), ctrd.InvalidArgument),  # type: ignore[arg-type]
    ("explain, no kind", lambda e: e.explain("task", "x"), ctrd.InvalidArgument),  # type: ignore[arg-type]
    ("explain, unknown snapshot", lambda e: e.explain("snapshot", "x"), ctrd.NotFound),
    ("explain, unknown container", lambda e: e.explain("container", "x"), ctrd.ContainerNotFound),
    ("explain, unknown image", lambda e: e.explain("image", "x"), ctrd.ImageNotFound),
    ("explain, unknown ingest", lambda e: e.explain("ingest", "x"), ctrd.NotFound),
    ("explain, unknown checkpoint", lambda e: e.explain("checkpoint", "x"), ctrd.CheckpointNotFound),
]


@pytest.mark.parametrize(("verb", "error"), [row[1:] for row in ERRORS], ids=[row[0] for row in ERRORS])
def test_errors(engine: ctrd.Engine, verb: Callable[[ctrd.Engine], object], error: type[ctrd.Error]) -> None:
    with engine.lease("here") as lease:
        with pytest.raises((error, TypeError)) as raised:
            verb(engine)
        assert type(raised.value) in (error, TypeError)
        assert engine.leases.list().ids == ["here"] and lease.resources() == []


def test_a_handle_whose_lease_has_ended(engine: ctrd.Engine) -> None:
    lease = engine.lease("l")
    again = engine.leases.get("l")
    assert again == lease and hash(again) == hash(lease) and again != engine.lease("other")
    with again:  # not its own
        pass
    assert lease.info().id == "l"
    lease.release()
    lease.release()
    again.release()
    for verb in (
        again.info,
        again.resources,
        lambda: again.add("snapshot", "x"),
        lambda: again.remove("snapshot", "x"),
    ):
        with pytest.raises(ctrd.NotFound):
            verb()


def test_a_handle_leaves_a_later_lease_of_its_id(engine: ctrd.Engine) -> None:
    with engine.lease("l"):
        engine.leases.delete("l")
        other = ctrd.Engine(engine.root, state=engine.state)
        other.lease("l").add("snapshot", "theirs")
        other.snapshots.prepare("theirs")
    assert engine.leases.list().ids == ["l"] and engine.snapshots.list().ids == ["theirs"]
    old = engine.leases.get("l")
    engine.leases.delete("l")
    with ctrd.Engine(engine.root, state=engine.state) as mine:
        mine.lease("l").add("snapshot", "mine")
        mine.snapshots.prepare("mine")
        old.release()
        assert mine.leases.list().ids == ["l"] and mine.snapshots.list().ids == ["mine"]
    assert engine.leases.list() == [] and engine.snapshots.list() == []
    other.close()


def test_resources_that_are_not_there(engine: ctrd.Engine) -> None:
    with engine.lease() as lease:
        lease.add("snapshot", "to/come")
        lease.add("snapshot", "to/come", snapshotter="native")
        lease.add("content", DIGEST)
        lease.add("image", "docker.io/library/x:1")
        lease.remove("snapshot", "was/never")
        assert set(lease.resources()) == {
            ("snapshot", "to/come"), ("content", DIGEST), ("image", "docker.io/library/x:1")
        }  # fmt: skip
        engine.snapshots.prepare("to/come")
        engine.gc()
        assert engine.snapshots.list().ids == ["to/come"]
        lease.remove("snapshot", "to/come")
        assert engine.gc().removed == (("snapshot", "to/come"),)


def test_list_and_expiry(engine: ctrd.Engine) -> None:
    before = datetime.now(UTC)
    with engine.lease("day"), engine.lease("hour", expires=timedelta(hours=1)), engine.lease("ever", expires=None):
        rows = {row.id: row for row in engine.leases.list()}
        assert list(rows) == ["day", "ever", "hour"]
        assert rows["ever"].expires_at is None and rows["ever"].labels == {}
        day, hour = rows["day"].expires_at, rows["hour"].expires_at
        assert day and hour and timedelta(hours=23) < day - before < timedelta(hours=25)
        assert timedelta(minutes=59) < hour - before < timedelta(minutes=61)
        assert rows["day"].owner_pid == os.getpid() and before - timedelta(seconds=1) < rows["day"].created_at
        assert engine.leases.list("id==day", "id~=^h").ids == ["day", "hour"]
        for longest in (timedelta.max, 1e300):
            with engine.lease("long", expires=longest) as lease:
                end = lease.info().expires_at
                assert end and end - before > timedelta(days=199 * 365)
        assert engine.leases.list('labels."containerd.io/gc.expire"').ids == ["day", "hour"]


def test_an_expired_lease_holds_nothing(engine: ctrd.Engine) -> None:
    expire = "containerd.io/gc.expire"
    with (
        engine.lease("now", expires=0.0),
        engine.lease("past", labels={expire: "2020-01-01T00:00:00+01:00"}),
        engine.lease("odd", labels={expire: "some day"}),
        engine.lease("flat", labels={"containerd.io/gc.flat": "1"}),
    ):
        for id in ("now", "past", "odd", "flat"):
            engine.snapshots.prepare(id)
            engine.leases.get("flat").remove("snapshot", id)
            engine.leases.get(id).add("snapshot", id)
        why = engine.explain("snapshot", "now")
        assert not why.kept and why.hint and why.hint.startswith('lease "now" held it, and expired at')
        assert "the next gc() removes it" in str(why)
        removed = engine.gc().removed
        assert removed == (("snapshot", "now"), ("snapshot", "past"), ("lease", "now"), ("lease", "past"))
    assert engine.snapshots.list() == []


HOLDER = """if True:
    import ctrd, sys
    engine = ctrd.default_engine()
    lease = engine.lease("theirs")
    with lease:
        engine.snapshots.prepare("theirs")
        print(engine.content.ingest(b"theirs").digest, flush=True)
        sys.stdin.readline()
"""


@pytest.mark.parametrize("who", ["list", "get", "gc", "create", "another engine"])
def test_what_a_living_process_holds_goes_with_it(engine: ctrd.Engine, who: str) -> None:
    with python(engine, HOLDER) as other:
        assert other.stdout
        digest = other.stdout.readline().strip()
        assert engine.gc().removed == ()
        paths = engine.explain("snapshot", "theirs").paths
        assert paths[0][0].startswith(f'lease "theirs" of living process {other.pid}, until ')
        other.send_signal(signal.SIGKILL)
        other.wait()
        if who == "list":
            assert engine.leases.list() == []
        elif who == "get":
            with pytest.raises(ctrd.NotFound):
                engine.leases.get("theirs")
        elif who == "create":
            engine.lease("theirs").release()
        elif who == "gc":
            why = engine.explain("snapshot", "theirs")
            assert why.hint == f'lease "theirs" held it, and was of process {other.pid}, which has ended'
            wanted = (("content", digest), ("snapshot", "theirs"), ("lease", "theirs"))
            assert engine.gc(dry_run=True).removed == engine.gc().removed == wanted
        else:
            with ctrd.Engine(engine.root, state=engine.state) as new:
                assert new.leases.list() == []
    assert engine.snapshots.list() == [] and engine.content.list() == []


def test_a_normal_end_takes_it_along(engine: ctrd.Engine) -> None:
    code = """if True:
        import ctrd
        engine = ctrd.default_engine()
        engine.lease("theirs").__enter__()
        engine.snapshots.prepare("theirs")
        engine.lease("kept", lifetime="detached").add("snapshot", "kept")
        engine.snapshots.prepare("kept")
        print(engine.leases.list().ids)
    """
    assert python_says(engine, code) == "['kept', 'theirs']\n"
    assert engine.leases.list().ids == ["kept"] and engine.leases.list()[0].owner_pid is None
    assert engine.snapshots.list().ids == ["kept"]
    engine.leases.delete("kept")
    assert engine.snapshots.list() == []


def test_close_ends_those_of_the_engine(engine: ctrd.Engine) -> None:
    with ctrd.Engine(engine.root, state=engine.state) as other:
        other.lease("theirs").add("snapshot", "theirs")
        other.snapshots.prepare("theirs")
        engine.lease("mine")
    assert engine.leases.list().ids == ["mine"] and engine.snapshots.list() == []


def test_an_engine_that_is_closed_in_the_block(engine: ctrd.Engine) -> None:
    other = ctrd.Engine(engine.root, state=engine.state)
    with other.lease() as lease:
        other.snapshots.prepare("work")
        other.close()
    with pytest.raises(ctrd.FailedPrecondition, match="closed"):
        lease.release()
    assert engine.leases.list() == [] and engine.snapshots.list() == []


def test_delete_with_sync_collects_all(engine: ctrd.Engine) -> None:
    engine.lease("l", lifetime="detached").add("snapshot", "held")
    engine.snapshots.prepare("held")
    engine.snapshots.prepare("loose")
    engine.leases.delete("l")
    assert engine.snapshots.list().ids == ["loose"]
    engine.lease("l", lifetime="detached")
    engine.leases.delete("l", sync=True)
    assert engine.snapshots.list() == []


def test_containers_are_not_held_but_their_layers_may_be(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    with engine.lease() as lease:
        c = engine.containers.create(rootfs, "true", id="c")
        assert lease.resources() == []
        lease.add("snapshot", "c")
        c.delete()
        assert engine.snapshots.list().ids == ["c"]
    assert engine.snapshots.list() == []


def test_a_mounted_one_outlives_its_lease(engine: ctrd.Engine) -> None:
    with engine.lease():
        engine.snapshots.prepare("work")
        mount = engine.snapshots.mount("work")
        path = mount.__enter__()
    (path / "x").write_text("x")
    assert engine.gc().removed == () and engine.snapshots.list().ids == ["work"]
    mount.__exit__(None, None, None)
    assert engine.gc().removed == (("snapshot", "work"),)


def test_a_mounted_view_outlives_its_lease(engine: ctrd.Engine) -> None:
    with engine.lease():
        layer(engine, "base")
        engine.snapshots.view("look", "base")
        mount = engine.snapshots.mount("look")
        mount.__enter__()
    assert engine.snapshots.list().ids == ["base", "look"] and engine.gc().removed == ()
    mount.__exit__(None, None, None)
    assert engine.gc().removed == (("snapshot", "base"), ("snapshot", "look"))


def test_they_do_not_keep_a_namespace(engine: ctrd.Engine) -> None:
    other = engine.with_namespace("other")
    lease = other.lease("l", lifetime="detached")
    lease.add("snapshot", "x")
    mine = other.lease()
    engine.namespaces.delete("other")
    assert other.leases.list() == []
    mine.release()


def test_those_of_a_dead_process_do_not_either(engine: ctrd.Engine) -> None:
    code = """if True:
        import ctrd, os
        other = ctrd.default_engine().with_namespace("other")
        with other.lease():
            other.snapshots.prepare("work")
            other.content.ingest(b"x")
            os._exit(0)
    """
    engine.containers.list()  # the first verb would look for dead processes
    assert python_says(engine, code) == ""
    engine.namespaces.delete("other")
    assert engine.namespaces.list() == []


def test_many_processes_share_one(engine: ctrd.Engine) -> None:
    engine.lease("shared", lifetime="detached")
    code = """if True:
        import ctrd, os, sys
        engine = ctrd.default_engine()
        with engine.leases.get("shared"):
            for i in range(20):
                engine.snapshots.prepare(f"{sys.argv[1]}-{i}")
    """
    others = [python(engine, code, str(i)) for i in range(4)]
    for _ in range(10):
        assert engine.gc().removed == ()
    for other in others:
        _, err = other.communicate(timeout=120)
        assert other.returncode == 0, err
    assert len(engine.snapshots.list()) == len(engine.leases.get("shared").resources()) == 80
    engine.leases.delete("shared")
    assert engine.snapshots.list() == []
    eventually(lambda: not list(engine.root.glob("snapshots/*")), "their directories are gone")
