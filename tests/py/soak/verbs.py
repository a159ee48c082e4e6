"""The verbs that are swept (sweeps.py): what is prepared, what is done, what there is then."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass

import ctrd
import invariants
from leveldb_writer import change
from place import Place

ID = "swept"
LABEL = "1"
Seen = dict[str, tuple[str, str, int | None]]  # id -> the label, its task's status, its exit code


@dataclass(frozen=True)
class Verb:
    """What is prepared by another process, what the swept one does, and what there is then."""

    prepare: Callable[[Place], object]
    do: Callable[[Place, ctrd.Engine], object]
    done: Seen  # once it was told that it is done
    undone: Seen  # when nothing has happened
    halves: tuple[Seen, ...] = ()  # of one that did not come to its end: what it does in steps
    look: Callable[[Place], Seen] = lambda place: _containers(place)
    is_first: bool = False  # the process has done nothing before
    mend: Callable[[Place], object] = lambda place: None  # by another process, before the invariants must hold


def _containers(place: Place) -> Seen:
    """What is on disk: read without ctrd."""
    root = invariants.Root(place.root, place.state)
    found: Seen = {}
    for (ns, id), record in root.store.containers.items():
        bundle = root.bundles.get((ns, id))
        code = bundle.exit[0] if bundle and bundle.exit else None
        found[id] = (record.labels.get("v", ""), bundle.status if bundle else "none", code)
    return found


def create(place: Place, engine: ctrd.Engine, command: str = "true") -> ctrd.Container:
    annotations = {"x": os.urandom(4500).hex()}
    return engine.containers.create(
        place.image,
        shell=command,
        id=ID,
        annotations=annotations,
        labels={"v": LABEL},
        lifetime="detached",
        replace=True,
    )


def _created(place: Place) -> None:
    with place.engine() as engine:
        create(place, engine)


def _running(place: Place) -> None:
    create(place, place.engine(), "exec sleep 1000").start()


def _nothing(place: Place) -> None:
    with place.engine() as engine:
        engine.containers.delete(ID, force=True, missing_ok=True)


def _wreck(place: Place) -> None:
    """A container whose shim was killed, another whose owner was; then the maker dies."""
    engine = place.engine()
    create(place, engine, "exec sleep 1000").start()
    for id in ("o1", "o2"):
        engine.containers.create(place.image, "sleep", "1000", id=id, replace=True).start()
    for pid, (_, id) in place.shims().items():
        if id in (ID, "o1"):
            os.kill(pid, 9)
    os._exit(0)


def _kill(_: Place, engine: ctrd.Engine) -> None:
    c = engine.containers[ID]
    c.kill()
    c.wait(timeout=30)


def _ended(place: Place) -> None:
    engine = place.engine()
    create(place, engine, "exec sleep 1000").start()
    _kill(place, engine)


def _prune(_: Place, engine: ctrd.Engine) -> None:
    if engine.containers.prune().removed != (ID,):
        raise ctrd.Unavailable("it was left")


def _run(place: Place, engine: ctrd.Engine) -> None:
    result = engine.run(place.image, "echo", "x")
    assert (result.returncode, result.stdout) == (0, "x\n"), result


# Layers.
FILE = "x" * 5000


def _layers(place: Place, *upto: str) -> None:
    """A committed layer of a file, and what is asked for upon it; nothing else."""
    with place.engine() as engine:
        layers = engine.snapshots.with_snapshotter("native")
        for key in ("above", "committed", "work", "base"):
            with suppress(ctrd.NotFound):
                layers.remove(key)
        layers.prepare("base is made")
        with layers.mount("base is made") as root:
            (root / "file").write_text(FILE)
        layers.commit("base", "base is made")
        if "work" in upto:
            layers.prepare("work", "base")


def _mount(_: Place, engine: ctrd.Engine) -> None:
    with engine.snapshots.with_snapshotter("native").mount("work") as root, suppress(OSError):  # of the look itself
        assert (root / "file").read_text() == FILE


def _loose(place: Place, *upto: str) -> None:
    """A layer, or two, that nothing keeps, and no blob."""
    _nothing(place)
    _no_blob(place)
    with place.engine() as engine, suppress(ctrd.NotFound):
        engine.leases.delete("swept")
    _layers(place, *upto)


def _held(place: Place) -> None:
    """The same, held by a lease that is no process's."""
    _loose(place, "work")
    with place.engine() as engine:
        lease = engine.lease("swept", lifetime="detached")
        for key in ("base", "work"):
            lease.add("snapshot", key, snapshotter="native")


def _hold(_: Place, engine: ctrd.Engine) -> None:
    """What is made in the lease goes with it, or with this process."""
    with engine.lease():
        engine.snapshots.with_snapshotter("native").prepare("work", "base")
        engine.content.ingest(DATA)


BASE: Seen = {"base": ("", "3", None)}
WORK: Seen = {**BASE, "work": ("base", "1", None)}


def _snapshots(place: Place) -> Seen:
    """What snapshots there are: parent and kind. Of what a killed process had mounted nothing is left."""
    root = invariants.Root(place.root, place.state)
    return {
        key: (one.parent + one.labels.get("v", ""), str(one.kind), None)
        for (_, kind, key), one in root.store.snapshots.items()
        if kind == "native"
    }


def _snapshot_verb(do: Callable[[ctrd.Snapshots], object], done: Seen, undone: Seen, *upto: str) -> Verb:
    return Verb(
        lambda place: _layers(place, *upto),
        lambda _, engine: do(engine.snapshots.with_snapshotter("native")),
        done=done,
        undone=undone,
        look=_snapshots,
    )


# Content.
DATA = b"blob" * 50_000
DIGEST = "sha256:" + hashlib.sha256(DATA).hexdigest()
TO_BASE = {"v": LABEL, "containerd.io/gc.ref.snapshot.native/l": "base"}
TO_BLOB = {"v": LABEL, "containerd.io/gc.ref.content.l": DIGEST}
BLOB: Seen = {DIGEST: ("", str(len(DATA)), None)}
LABELLED_BLOB: Seen = {DIGEST: (LABEL, str(len(DATA)), None)}


def _blobs(place: Place) -> Seen:
    store = invariants.Root(place.root, place.state).store
    return {
        digest: (store.blob_labels[ns, digest].get("v", ""), str(size), None)
        for (ns, digest), size in store.blobs.items()
    }


def _no_blob(place: Place) -> None:
    with place.engine() as engine:
        for blob in engine.content.list():
            engine.content.delete(blob.digest)
        for part in engine.content.ingests():
            engine.content.abort(part.ref)


def _blob(place: Place) -> None:
    _no_blob(place)
    with place.engine() as engine:
        engine.content.ingest(DATA)


def _part(place: Place) -> None:
    """No blob, but a part of it."""
    _no_blob(place)
    with place.engine() as engine:
        _begin_ingest(engine)


def _begin_ingest(engine: ctrd.Engine) -> None:
    def stops() -> Iterator[bytes]:
        yield DATA[:70_000]
        raise InterruptedError

    with suppress(InterruptedError):
        engine.content.ingest(stops(), ref="swept", expected=DIGEST)


def _ingest(_: Place, engine: ctrd.Engine) -> None:
    """In pieces; of what is there already none is read again."""
    pieces = (DATA[at : at + 50_000] for at in range(0, len(DATA), 50_000))
    assert engine.content.ingest(pieces, ref="swept", expected=DIGEST, labels=TO_BASE).digest == DIGEST


def _blob_verb(do: Callable[[ctrd.Content], object], done: Seen, undone: Seen = BLOB) -> Verb:
    return Verb(_blob, lambda _, engine: do(engine.content), done=done, undone=undone, look=_blobs)


# A graph of which a half is garbage: a container names a blob, that one a layer.
def _graph(place: Place) -> None:
    _loose(place, "work")
    _blob(place)
    with place.engine() as engine:
        engine.content.ingest(b"nobody's")
        engine.content.update(DIGEST, labels=TO_BASE)
        create(place, engine).update(labels=TO_BLOB)


GARBAGE: Seen = {"sha256:" + hashlib.sha256(b"nobody's").hexdigest(): ("", "8", None)}


def _graph_left(place: Place) -> Seen:
    return _snapshots(place) | _blobs(place)


# Namespaces.
def _other_namespace(place: Place) -> None:
    """With a part of a blob in it, which is no object; and nobody has all of it, or it would be shared."""
    _no_blob(place)
    with ctrd.Engine(place.root, state=place.state, namespace="other") as engine:
        engine.namespaces.update("other", labels={"v": LABEL})
        _begin_ingest(engine)


def _no_namespace(place: Place) -> None:
    with place.engine() as engine, suppress(ctrd.NotFound):
        engine.namespaces.delete("other")


def _namespaces(place: Place) -> Seen:
    store = invariants.Root(place.root, place.state).store
    return {name: ("", "", None) for name in store.namespaces - {"default"}}


OTHER: Seen = {"other": ("", "", None)}


# Repairs.
def _litter(place: Place) -> None:
    """What belongs to nothing, and a reverse key that is missing."""
    _loose(place, "work")
    _blob(place)
    _leave(place)
    lost = b"default/ref/snap/native/base/snap/work"
    while True:
        try:
            return change(place.root / "metadata", {lost: None})
        except AssertionError:  # too near to a block's end: go on
            _created(place)


def _leave(place: Place) -> None:
    layer, checkpoint = place.root / "snapshots/900000/fs", place.root / "checkpoints/900000"
    for directory in (layer, checkpoint):
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        (directory / "file").write_text(FILE)
    orphan = place.root / "content/blobs/sha256" / hashlib.sha256(FILE.encode()).hexdigest()
    orphan.unlink(missing_ok=True)
    orphan.write_text(FILE)


def _lose(place: Place) -> None:
    """Nothing of the database can be read, and what was kept of those before is gone."""
    _layers(place, "work")
    _blob(place)
    _leave(place)
    shutil.rmtree(place.root / "metadata/lost", ignore_errors=True)
    for path in (place.root / "metadata").iterdir():
        if path.suffix in (".log", ".ldb") or path.name.startswith("MANIFEST"):
            path.write_bytes(os.urandom(max(100, path.stat().st_size)))


def _repair(place: Place) -> None:
    """By a second process: it finishes what the swept one has begun, and a third look finds nothing."""
    with place.engine() as engine:
        engine.fsck(repair=True)
        left = engine.fsck().problems
        assert not left, [str(one) for one in left]


def _repair_lost(place: Place) -> None:
    """Before that somebody comes in between: he is refused, or what he makes is new (B14)."""
    with place.engine() as engine, suppress(ctrd.DataLoss):
        layers = engine.snapshots.with_snapshotter("native")
        layers.prepare("between")
        with layers.mount("between") as root:
            assert list(root.iterdir()) == []
        layers.remove("between")
    _repair(place)


def _litter_left(place: Place) -> Seen:
    """Of what belongs to nothing; and the layers and blobs that have records are there."""
    ours = [*place.root.glob("*/900000"), *place.root.glob(f"content/*/*/{hashlib.sha256(FILE.encode()).hexdigest()}")]
    return _graph_left(place) | {path.name: ("", "", None) for path in ours}


def _kept(place: Place) -> Seen:
    """What nobody may destroy when its record is lost: how many copies there are, in place or in lost."""
    lost = place.root / "metadata/lost"
    places = [place.root / "snapshots", place.root / "checkpoints", place.root / "content/blobs", lost]
    files = [path for top in places for path in top.rglob("*") if path.is_file()]
    contents = [path.read_bytes() for path in files]
    return {"files": ("", "", contents.count(FILE.encode())), "blob": ("", "", contents.count(DATA))}


RECORD: Seen = {ID: (LABEL, "none", None)}
LABELLED: Seen = {ID: ("2", "none", None)}
RUNNING: Seen = {ID: (LABEL, "running", None)}
KILLED: Seen = {ID: (LABEL, "stopped", 137)}
KEPT: Seen = {"files": ("", "", 5), "blob": ("", "", 1)}  # base, work, layer, checkpoint, orphan
VERBS = {
    "create": Verb(_nothing, create, done=RECORD, undone={}),
    "run": Verb(_nothing, _run, done={}, undone={}),
    "kill": Verb(_running, _kill, done=KILLED, undone=RUNNING),
    "delete": Verb(
        _running,
        lambda _, engine: engine.containers.delete(ID, force=True),
        done={},
        undone=RUNNING,
        halves=(KILLED, RECORD),  # first it ends the task
    ),
    "prune": Verb(_ended, _prune, done={}, undone=KILLED, halves=(RECORD,)),
    "label": Verb(
        _created,
        lambda _, engine: engine.containers[ID].update(labels={**TO_BLOB, "v": "2"}),
        done=LABELLED,
        undone=RECORD,
    ),
    "prepare": _snapshot_verb(lambda layers: layers.prepare("work", "base"), WORK, BASE),
    "commit": _snapshot_verb(
        lambda layers: layers.commit("committed", "work"), {**BASE, "committed": ("base", "3", None)}, WORK, "work"
    ),
    "mount": Verb(lambda place: _layers(place, "work"), _mount, done=WORK, undone=WORK, look=_snapshots),
    "label-snapshot": _snapshot_verb(
        lambda layers: layers.update("base", labels={**TO_BLOB, "v": "2"}), {"base": ("2", "3", None)}, BASE
    ),
    "remove": _snapshot_verb(lambda layers: layers.remove("work"), BASE, WORK, "work"),
    "ingest": Verb(_no_blob, _ingest, done=LABELLED_BLOB, undone={}, look=_blobs),
    "resume": Verb(_part, _ingest, done=LABELLED_BLOB, undone={}, look=_blobs),
    "abort": Verb(_part, lambda _, engine: engine.content.abort("swept"), done={}, undone={}, look=_blobs),
    "label-blob": _blob_verb(lambda content: content.update(DIGEST, labels=TO_BASE), LABELLED_BLOB),
    "delete-blob": _blob_verb(lambda content: content.delete(DIGEST), {}),
    "namespace": Verb(
        _no_namespace,
        lambda _, engine: engine.namespaces.create("other", labels={"v": LABEL}),
        done=OTHER,
        undone={},
        look=_namespaces,
    ),
    "label-namespace": Verb(
        _other_namespace,
        lambda _, engine: engine.namespaces.update("other", labels={"v": "2", "w": LABEL}),
        done=OTHER,
        undone=OTHER,
        look=_namespaces,
    ),
    "delete-namespace": Verb(
        _other_namespace,
        lambda _, engine: engine.namespaces.delete("other"),
        done={},
        undone=OTHER,
        look=_namespaces,
    ),
    "lease": Verb(_loose, _hold, done=BASE, undone=BASE, look=_graph_left),
    "release": Verb(_held, lambda _, engine: engine.leases.delete("swept"), done={}, undone=WORK, look=_snapshots),
    "gc": Verb(
        _graph,
        lambda _, engine: engine.gc(),
        done=BASE | LABELLED_BLOB,
        undone=WORK | LABELLED_BLOB | GARBAGE,
        look=_graph_left,
    ),
    "recover": Verb(
        _wreck, lambda place, _: list(place.engine().containers), done=KILLED, undone=KILLED, is_first=True
    ),
    "fsck": Verb(
        _litter,
        lambda _, engine: engine.fsck(repair=True),
        done=WORK | BLOB,
        undone=WORK | BLOB,
        look=_litter_left,
        is_first=True,
        mend=_repair,
    ),
    "fsck-lost": Verb(
        _lose,
        lambda _, engine: engine.fsck(repair=True),
        done=KEPT,
        undone=KEPT,
        look=_kept,
        is_first=True,
        mend=_repair_lost,
    ),
}
