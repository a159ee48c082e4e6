"""containerd's rules (semantics.md S1 to S10) that are the same for several kinds of object, a row a rule and kind."""

from __future__ import annotations

import hashlib
import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import ctrd
import pytest
import test_snapshots

pytestmark = pytest.mark.root
Verb = Callable[[ctrd.Engine], object]
NOWHERE = "sha256:" + "a" * 64


def digest_of(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def broken(data: bytes = b"half") -> Iterator[bytes]:
    yield data
    raise OSError("no more")


@pytest.fixture
def full(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> Iterator[ctrd.Engine]:
    """One of each kind, labelled, and one of each kind that has no label."""
    for id, labels in (("one", {"env": "ci", "a.b": "1", "0": "zero"}), ("two", {})):
        engine.containers.create(rootfs, "true", id=id, labels=labels)
        engine.snapshots.prepare(f"{id}-made")
        engine.snapshots.commit(f"{id}-base", f"{id}-made", labels=labels)
        engine.content.ingest(id.encode(), labels=labels)
        engine.lease(f"{id}-lease", labels=labels)
        with pytest.raises(OSError, match="no more"):
            engine.content.ingest(broken(), ref=f"{id}/part")
    yield engine
    for id in ("one", "two"):
        engine.snapshots.remove(f"{id}-base")
        engine.content.delete(digest_of(id.encode()))
        engine.content.abort(f"{id}/part")


# S4: which fields each kind has, and what an absent one is.
MATCH: list[tuple[str, str, list[str]]] = [
    ("containers", "labels.env==ci", ["one"]),
    ("containers", "labels.env!=ci", ["two"]),  # absent: differs from everything
    ("containers", "labels.env", ["one"]),
    ("containers", "labels.env~=^$", ["two"]),  # absent: matched as the empty string
    ("containers", "labels.env~=c|i", ["one"]),
    ("containers", "labels.env~=|^c[di]$|", ["one"]),
    ("containers", "labels.a.b==1", ["one"]),  # joined again with dots
    ("containers", 'labels."a.b"==1', ["one"]),
    ("containers", 'labels."a"."b"==1', ["one"]),
    ("containers", "labels.0==zero", ["one"]),
    ("containers", 'labels."env"=="\\x63i"', ["one"]),
    ("containers", "id==one,labels.env==ci", ["one"]),
    ("containers", "id==two,labels.env==ci", []),
    ("containers", "id", ["one", "two"]),
    ("containers", "ID==one", []),
    ("containers", "runtime.name~=ctrd", ["one", "two"]),
    ("containers", "snapshotter", []),
    ("containers", "spec", []),
    ("snapshots", "name==one-base", ["one-base"]),
    ("snapshots", "kind==active", ["one", "two"]),
    ("snapshots", "kind==Active", []),
    ("snapshots", "kind==committed,labels.env!=ci", ["two-base"]),
    ("snapshots", "parent", []),
    ("snapshots", "parent!=x,name~=base$", ["one-base", "two-base"]),
    ("snapshots", "key==one-base", []),
    ("content", f"digest=={digest_of(b'one')}", [digest_of(b"one")]),
    ("content", "labels.env==ci", [digest_of(b"one")]),
    ("content", "labels.env!=ci", [digest_of(b"two")]),
    ("content", "size==3", []),  # a stub that never matches
    ("content", "size!=3,labels.env", [digest_of(b"one")]),
    ("ingests", "ref==one/part", ["one/part"]),  # a slash in the middle needs no quotes
    ("ingests", 'ref=="two/part"', ["two/part"]),
    ("ingests", "ref~=/^one\\/part$/", ["one/part"]),
    ("ingests", "offset", []),
    ("leases", "id~=^one", ["one-lease"]),
    ("leases", "labels.env==ci", ["one-lease"]),
    ("leases", "labels.env!=ci", ["two-lease"]),
    ("leases", "created_at", []),
]
LISTS: dict[str, Callable[..., object]] = {
    "containers": lambda e, *filters: e.containers.list(*filters),
    "snapshots": lambda e, *filters: e.snapshots.list(*filters),
    "content": lambda e, *filters: e.content.list(*filters),
    "ingests": lambda e, *filters: e.content.ingests(*filters),
    "leases": lambda e, *filters: e.leases.list(*filters),
    "checkpoints": lambda e, *filters: e.checkpoints.list(*filters),
    "events": lambda e, *filters: e.events(*filters, follow=False),
    "prune": lambda e, *filters: e.containers.prune(*filters),
}


def test_what_matches(full: ctrd.Engine) -> None:
    for kind, filter, expected in MATCH:
        rows = LISTS[kind](full, filter)
        assert isinstance(rows, ctrd.ResultList)
        assert sorted(rows.ids) == sorted(expected), (kind, filter)
    for kind in ("containers", "snapshots", "content", "ingests", "leases"):
        whole = LISTS[kind](full)
        assert LISTS[kind](full, "") == LISTS[kind](full, "nothing==x", "") == whole, kind
        assert LISTS[kind](full.with_namespace("nobody")) == [], kind


# S4: what is no filter is InvalidArgument of whoever takes filters, and says where: the part after >| is wrong.
BAD_FILTERS = {
    "id=x": "id>|=|<x",
    "id==": "id==>||<",
    "id!=": "id!=>||<",
    "id~=": "id~=>||<",
    "id<3": "id>|<|<3",
    "id>=3": "id>|>|<=3",
    "==x": ">|=|<=x",
    ",": ">|,|<",
    "id==x,": "id==x,>||<",
    "id==x y": "id==x>| |<y",
    "labels.a-b==v": "labels.a>|-|<b==v",
    "labels..a": "labels.>|.|<a",
    "labels.": "labels.>||<",
    "id==/x/": "id==>|/|<x/",
    "id==|x|": "id==>|||<x|",
    "id==.x": "id==>|.|<x",
    "id===x": "id>|===|<x",
    "id==!x": "id>|==!|<x",
    "id==~x": "id>|==~|<x",
    'id=="x': 'id==>|"x|<',
    'id=="\\q"': 'id==">|\\q|<"',
    "id==x,,id==y": "id==x,>|,|<id==y",
    "id~=/x": "id~=>|/x|<",
    "'id'==x": ">|'|<id'==x",
    "\0": ">|",
    "id~=[": "id~=>|[|<",
    "id~=/(/": "id~=>|/(/|<",
    "id~=(?=x)": "id~=>|(?=x)|<",  # no RE2
    "id~=\\1": "id~=>|\\1|<",
    "é": ">|",
}


@pytest.mark.parametrize("kind", LISTS)
def test_what_is_no_filter(engine: ctrd.Engine, kind: str) -> None:
    for text, where in BAD_FILTERS.items():
        if kind == "events":
            text, where = text.replace("id", "topic"), where.replace("id", "topic")
            if text in ("topic==/x/", "topic~=/x"):
                continue  # a topic needs no quotes
        for filters in ((text,), ("id==x" if kind != "events" else "topic", text)):
            with pytest.raises(ctrd.InvalidArgument) as caught:
                LISTS[kind](engine, *filters)
            assert caught.value.field == "filter", (kind, text)
            assert where in caught.value.message, (text, caught.value.message)


# S3: whoever takes labels. Each makes or changes one object with them, and returns what it has then.
def _snapshot(e: ctrd.Engine, labels: Mapping[str, str], **how: bool) -> Mapping[str, str]:
    e.snapshots.prepare("s", labels={} if how else labels)
    try:
        if how.get("commit"):
            return e.snapshots.commit("t", "s", labels=labels).labels
        if how.get("update"):
            return e.snapshots.update("s", labels=labels).labels
        if how.get("fields"):
            return e.snapshots.update("s", labels=labels, fields=["labels"]).labels
        return e.snapshots.stat("s").labels
    finally:
        e.snapshots.remove(e.snapshots.list().ids[0])


def _view(e: ctrd.Engine, labels: Mapping[str, str]) -> Mapping[str, str]:
    e.snapshots.view("v", labels=labels)
    try:
        return e.snapshots.stat("v").labels
    finally:
        e.snapshots.remove("v")


def _lease(e: ctrd.Engine, labels: Mapping[str, str]) -> Mapping[str, str]:
    with e.lease(labels=labels, expires=None) as lease:
        return lease.info().labels


LABELLED: dict[str, Callable[[ctrd.Engine, Mapping[str, str]], Mapping[str, str]]] = {
    "prepare": _snapshot,
    "commit": lambda e, labels: _snapshot(e, labels, commit=True),
    "update of a snapshot": lambda e, labels: _snapshot(e, labels, update=True),
    "update of a snapshot by a path": lambda e, labels: _snapshot(e, labels, fields=True),
    "view": _view,
    "lease": _lease,  # containerd checks none of these: S15
}


@pytest.mark.parametrize("kind", LABELLED)
def test_labels(engine: ctrd.Engine, kind: str) -> None:
    """4,096 bytes of key and value, any characters, an empty value is none. The other kinds: test_records."""
    for wrong in ({"k": "v" * 4096}, {"k" * 4000: "ü" * 49}, {"": "v"}):
        with pytest.raises(ctrd.InvalidArgument) as caught:
            LABELLED[kind](engine, wrong)
        assert caught.value.field == "labels" and "k" * 65 not in caught.value.message, kind
    fine = {"k": "v" * 4095, "ä b/c\n=,": "\t", "containerd.io/uncompressed": "x", "empty": ""}
    assert LABELLED[kind](engine, fine) == {key: value for key, value in fine.items() if value}
    assert engine.snapshots.list() == [] and engine.leases.list() == []


# S1, S9: what an update may name, the kind's other fields, and what a key is. "a.b/c" is one key, dots and all.
GOOD_PATHS: list[tuple[list[str], dict[str, str]]] = [
    ([], {"n": "5"}),
    (["labels"], {"n": "5"}),
    (["labels.n"], {"a.b/c": "1", "x": "2", "n": "5"}),
    (["labels.a.b/c"], {"x": "2"}),
    (["labels.x", "labels.x"], {"a.b/c": "1"}),
    (["labels.nothing"], {"a.b/c": "1", "x": "2"}),
    (["labels", "labels.x"], {"n": "5"}),
    (["labels..x."], {"a.b/c": "1", "x": "2"}),
]
BAD_PATHS = ["", ".", "labels.", ".labels", "Labels", "labels x", "name", "kind", "parent", "created_at", "size"]


def test_paths_of_updates(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    labels = {"a.b/c": "1", "x": "2"}
    for fields, expected in GOOD_PATHS:
        engine.snapshots.prepare("s", labels=labels)
        c = engine.containers.create(rootfs, "true", id="c", labels=labels)
        assert engine.snapshots.update("s", labels={"n": "5"}, fields=fields).labels == expected, fields
        if fields:  # of a container [] is the whole, which has a spec
            assert engine.containers.update("c", labels={"n": "5"}, fields=fields).labels == expected, fields
        engine.snapshots.remove("s")
        c.delete()
    engine.snapshots.prepare("s", labels=labels)
    engine.containers.create(rootfs, "true", id="c", labels=labels)
    for path in BAD_PATHS:
        for verb in (engine.snapshots.update, engine.containers.update):
            with pytest.raises(ctrd.InvalidArgument) as caught:
                verb({engine.snapshots.update: "s"}.get(verb, "c"), labels={"n": "5"}, fields=["labels.n", path])
            assert caught.value.field == "fields", path
        with pytest.raises(ctrd.NotFound):  # existence before paths
            engine.containers.update("nobody", fields=[path])
        with pytest.raises(ctrd.NotFound):
            engine.snapshots.update("nobody", labels={}, fields=[path])
    assert engine.snapshots.stat("s").labels == engine.containers["c"].labels() == labels
    engine.snapshots.remove("s")


# S8: a label on one object, and which other one it keeps from a collection; "" if none.
REF, BREF, WORD = "containerd.io/gc.ref.", "containerd.io/gc.bref.", digest_of(b"word")
KEEPS: list[tuple[str, str, str]] = [
    (REF + "content", WORD, WORD),
    (REF + "content.config", WORD, WORD),
    (REF + "content/l.0", WORD, WORD),
    (REF + "content", "sha256:no", ""),
    (REF + "content", NOWHERE, ""),
    (REF + "contents", WORD, ""),
    (REF + "snapshot.overlay", "layer", "layer"),
    (REF + "snapshot.overlayfs", "layer", "layer"),  # containerd's name
    (REF + "snapshot.overlay/base", "layer", "layer"),
    (REF + "snapshot.native", "layer", ""),
    (REF + "snapshot", "layer", ""),
    (REF + "image", "layer", ""),
    ("containerd.io/gc.cond.snapshot.overlay", "layer", ""),  # not honoured: cpp/README.md 8
    ("gc.ref.snapshot.overlay", "layer", ""),
]


@pytest.mark.parametrize("who", ["container", "snapshot", "blob"])
@pytest.mark.parametrize(("label", "value", "kept"), KEEPS, ids=lambda one: one[-24:])
def test_what_a_label_keeps(
    engine: ctrd.Engine, rootfs: ctrd.Rootfs, who: str, label: str, value: str, kept: str
) -> None:
    overlay = engine.snapshots.with_snapshotter("overlay")
    overlay.prepare("layer")
    engine.content.ingest(b"word")
    root = {"containerd.io/gc.root": "any"}
    named = digest_of(b"keeps") if who == "blob" else "keeps"
    match who:
        case "container":
            engine.containers.create(rootfs, "true", id="keeps", labels={label: value})
        case "snapshot":
            overlay.prepare("keeps", labels={label: value} | root)
        case _:
            engine.content.ingest(b"keeps", labels={label: value} | root)
    gone = {("snapshot", "layer"), ("content", WORD)} - {("snapshot", kept), ("content", kept)}
    assert set(engine.gc(dry_run=True).removed) == set(engine.gc().removed) == gone
    if kept == "layer":
        assert named in str(engine.explain("snapshot", kept, snapshotter="overlay").paths[0])
    elif kept:
        assert named in str(engine.explain("content", kept).paths[0])
    if who == "snapshot":
        overlay.update("keeps", labels=dict.fromkeys(root))
    elif who == "blob":
        engine.content.delete(named)
    else:
        engine.containers.delete("keeps")
    engine.gc()
    assert overlay.list() == [] and engine.content.list() == []


# The same the other way: a label by which an object says that it is kept while another one is there.
KEPT_WHILE: list[tuple[str, str, bool]] = [
    (BREF + "container", "there", True),
    (BREF + "container.name", "there", True),
    (BREF + "snapshot.overlay", "there", True),
    (BREF + "snapshot.overlay/name", "there", True),
    (BREF + "content", digest_of(b"there"), True),
    (BREF + "container", "nobody", False),
    (BREF + "snapshot.native", "there", False),
    (BREF + "content", NOWHERE, False),
    (BREF + "content", "there", False),
]


@pytest.mark.parametrize(("label", "value", "kept"), KEPT_WHILE, ids=lambda one: str(one)[-24:])
def test_what_a_back_reference_keeps(
    engine: ctrd.Engine, rootfs: ctrd.Rootfs, label: str, value: str, kept: bool
) -> None:
    overlay = engine.snapshots.with_snapshotter("overlay")
    engine.containers.create(rootfs, "true", id="there", snapshotter="overlay")  # with its layer of that name
    there = engine.content.ingest(b"there", labels={"containerd.io/gc.root": "1"}).digest
    overlay.prepare("layer", labels={label: value})
    engine.content.ingest(b"word", labels={label: value})
    gone = () if kept else (("content", WORD), ("snapshot", "layer"))
    assert engine.gc().removed == gone
    engine.containers.delete("there")
    engine.content.delete(there)
    assert engine.gc(dry_run=True).removed == ()  # it went with what it was kept by
    assert overlay.list() == [] and engine.content.list() == []


def test_a_namespace_with_leases_only_can_be_deleted(engine: ctrd.Engine) -> None:
    """S5, S15: they go with it."""
    ci = engine.with_namespace("ci")
    lease = ci.lease("l", lifetime="detached")
    lease.add("content", NOWHERE)
    engine.namespaces.delete("ci")
    assert engine.namespaces.list() == [] and ci.leases.list() == []
    with pytest.raises(ctrd.NotFound):
        lease.resources()


def test_a_choice_is_not_empty(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    """S1: an empty runtime name is InvalidArgument; so is each other name of a create. None of them is made up."""
    for field in ("runtime", "snapshotter", "id", "sandbox_id"):
        with pytest.raises(ctrd.InvalidArgument) as caught:
            engine.containers.create(rootfs, "true", **{field: ""})  # type: ignore[misc]
        assert caught.value.field == field
    with pytest.raises(ctrd.InvalidArgument):
        engine.containers.create(rootfs, "true", extensions={"": 1})
    assert list(engine.containers) == [] and engine.snapshots.list() == []


# S1, S5, S7, S9, S10: what is not there. S2: an id is looked at before it is looked for.
ABSENT: list[tuple[str, Verb, type[ctrd.Error]]] = [
    ("containers.get", lambda e: e.containers.get("nobody"), ctrd.ContainerNotFound),
    ("containers[]", lambda e: e.containers["nobody"], ctrd.ContainerNotFound),
    ("containers.update", lambda e: e.containers.update("nobody", labels={}), ctrd.ContainerNotFound),
    ("containers.delete", lambda e: e.containers.delete("nobody"), ctrd.ContainerNotFound),
    ("containers.get, no id", lambda e: e.containers.get("no body"), ctrd.InvalidArgument),
    ("namespaces.delete", lambda e: e.namespaces.delete("nobody"), ctrd.NotFound),
    ("namespaces.delete, no name", lambda e: e.namespaces.delete("no body"), ctrd.InvalidArgument),
    ("namespaces.delete, empty", lambda e: e.namespaces.delete(""), ctrd.FailedPrecondition),
    ("snapshots.stat", lambda e: e.snapshots.stat("nobody"), ctrd.NotFound),
    ("snapshots.usage", lambda e: e.snapshots.usage("nobody"), ctrd.NotFound),
    ("snapshots.mounts", lambda e: e.snapshots.mounts("nobody"), ctrd.NotFound),
    ("snapshots.remove", lambda e: e.snapshots.remove("nobody"), ctrd.NotFound),
    ("snapshots.commit", lambda e: e.snapshots.commit("x", "nobody"), ctrd.NotFound),
    ("content.info", lambda e: e.content.info(NOWHERE), ctrd.NotFound),
    ("content.read", lambda e: e.content.read(NOWHERE), ctrd.NotFound),
    ("content.open", lambda e: e.content.open(NOWHERE), ctrd.NotFound),
    ("content.update", lambda e: e.content.update(NOWHERE, labels={"a": "1"}), ctrd.NotFound),
    ("content.delete", lambda e: e.content.delete(NOWHERE), ctrd.NotFound),
    ("content.abort", lambda e: e.content.abort("nobody"), ctrd.NotFound),
    ("leases.get", lambda e: e.leases.get("nobody"), ctrd.NotFound),
    ("leases.delete", lambda e: e.leases.delete("nobody"), ctrd.NotFound),
    ("checkpoints.get", lambda e: e.checkpoints.get("nobody"), ctrd.CheckpointNotFound),
    ("checkpoints.delete", lambda e: e.checkpoints.delete("nobody"), ctrd.CheckpointNotFound),
    ("explain", lambda e: e.explain("snapshot", "nobody"), ctrd.NotFound),
]


def test_what_is_not_there(engine: ctrd.Engine) -> None:
    """Also where nothing is there at all; looking makes no namespace."""
    for what, verb, error in ABSENT:
        for of in (engine, engine.with_namespace("never")):
            with pytest.raises(ctrd.Error) as caught:
                verb(of)
            assert type(caught.value) is error, (what, caught.value)
    assert engine.namespaces.list() == [] and engine.namespaces.labels("never") == {}


# The list of containerd's own suite for snapshotters, case by case: S9.
SNAPSHOTTERS: dict[str, Callable[..., None]] = {
    "basic flow": test_snapshots.test_basic_flow,
    "stat of active and committed": test_snapshots.test_basic_flow,
    "transitivity": test_snapshots.test_transitivity,
    "bad prepare and view": test_snapshots.test_what_is_refused,
    "update": test_snapshots.test_list_and_labels,
    "remove": test_snapshots.test_remove,
    "walk, and stat in it": test_snapshots.test_list_and_labels,
    "layer updates, removed directories, deleted and moved files": test_snapshots.test_layers_change_what_is_below,
    "chown, permissions on commit": test_snapshots.test_owners_and_modes,
    "remove an intermediate one": test_snapshots.test_remove_an_intermediate_one,
    "a view is read only": test_snapshots.test_basic_flow,
    "root permissions": test_snapshots.test_an_empty_one_has_a_root_for_all,
    "rename": test_snapshots.test_renaming_a_directory_of_a_layer_below,
}
# And that for content stores: S10.
CONTENT = "Writer UpdateStatus CommitExists Truncate Discard CopySeekAndReaderAt ReaderReadsAtOffsets SmallBlob Labels"
CONTENT += " CommitErrorState Append Share Isolate"


def test_the_conformance_lists_are_whole() -> None:
    """Each for overlay and native; 128 layers have a test for each; "close twice" is a `with` block here."""
    for case, test in SNAPSHOTTERS.items():
        assert "snapshots" in inspect.signature(test).parameters, case  # the fixture of both
    assert test_snapshots.NAMES == ("overlay", "native")
    assert test_snapshots.test_128_layers and test_snapshots.test_128_layers_of_native
    there = (Path(__file__).parents[1] / "cpp/content/conformance_test.cpp").read_text()
    assert not [case for case in CONTENT.split() if not re.search(rf"^TEST_F\(\w+, {case}\)", there, re.M)]


# S12: what is refused tells nobody.
SILENT: list[tuple[str, Verb, type[ctrd.Error]]] = [
    ("prepare, used", lambda e: e.snapshots.prepare("active"), ctrd.AlreadyExists),
    ("prepare, no parent", lambda e: e.snapshots.prepare("x", "nobody"), ctrd.NotFound),
    ("view, an active parent", lambda e: e.snapshots.view("x", "active"), ctrd.InvalidArgument),
    ("commit, used", lambda e: e.snapshots.commit("base", "active"), ctrd.AlreadyExists),
    ("commit, nobody", lambda e: e.snapshots.commit("x", "nobody"), ctrd.NotFound),
    ("commit, committed", lambda e: e.snapshots.commit("x", "base"), ctrd.FailedPrecondition),
    ("remove, a parent", lambda e: e.snapshots.remove("base"), ctrd.FailedPrecondition),
    ("remove, nobody", lambda e: e.snapshots.remove("nobody"), ctrd.NotFound),
    ("remove, a container's", lambda e: e.snapshots.remove("web"), ctrd.FailedPrecondition),
    ("ingest, another digest", lambda e: e.content.ingest(b"x", expected=NOWHERE), ctrd.DataLoss),
    ("ingest, another size", lambda e: e.content.ingest(b"x", size=2), ctrd.DataLoss),
    ("delete a blob, unknown", lambda e: e.content.delete(NOWHERE), ctrd.NotFound),
    ("delete a blob, no digest", lambda e: e.content.delete("x"), ctrd.InvalidArgument),
    ("abort, unknown", lambda e: e.content.abort("nobody"), ctrd.NotFound),
    ("namespace, used", lambda e: e.namespaces.create("default"), ctrd.AlreadyExists),
    ("namespace, no name", lambda e: e.namespaces.create(""), ctrd.FailedPrecondition),
    ("namespace, unknown", lambda e: e.namespaces.delete("nobody"), ctrd.NotFound),
    ("namespace, not empty", lambda e: e.namespaces.delete("default"), ctrd.FailedPrecondition),
    ("update, a bad path", lambda e: e.containers.update("web", fields=["id"]), ctrd.InvalidArgument),
    ("update, unknown", lambda e: e.containers.update("nobody", labels={}), ctrd.ContainerNotFound),
    ("update, no id", lambda e: e.containers.update("", labels={}), ctrd.InvalidArgument),
    ("update, a long label", lambda e: e.containers.update("web", labels={"k": "v" * 4096}), ctrd.InvalidArgument),
    ("delete, unknown", lambda e: e.containers.delete("nobody"), ctrd.ContainerNotFound),
]


def test_what_is_refused_tells_nobody(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    engine.containers.create(rootfs, "true", id="web")
    engine.snapshots.prepare("active")
    engine.snapshots.prepare("base-made")
    engine.snapshots.commit("base", "base-made")
    engine.snapshots.view("look", "base")
    with engine.events() as events:
        for what, verb, error in SILENT:
            with pytest.raises(ctrd.Error) as caught:
                verb(engine)
            assert type(caught.value) is error, what
        engine.namespaces.create("last")
        assert events.next(timeout=30).data["name"] == "last"
    for key in ("look", "base", "active"):
        engine.snapshots.remove(key)
