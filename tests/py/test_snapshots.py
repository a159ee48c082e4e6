"""engine.snapshots: containerd's conformance list over both snapshotters, mounts, containers upon chains, crashes."""

from __future__ import annotations

import json
import os
import pickle
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from xml.etree import ElementTree

import ctrd
import pytest
from support import environment, eventually, often, python, python_says

pytestmark = pytest.mark.root
NAMES = ("overlay", "native")


def clear(snapshots: ctrd.Snapshots) -> None:
    """Remove them all, from the top."""
    while found := snapshots.list():
        parents = {one.parent for one in found}
        for one in found:
            if one.key not in parents:
                snapshots.remove(one.key)


@pytest.fixture(params=NAMES)
def snapshots(request: pytest.FixtureRequest, engine: ctrd.Engine) -> Iterator[ctrd.Snapshots]:
    """Those of one snapshotter; none of them is left."""
    made = engine.snapshots.with_snapshotter(request.param)
    yield made
    clear(made)


@pytest.fixture
def overlay(engine: ctrd.Engine) -> Iterator[ctrd.Snapshots]:
    """Those of overlay."""
    made = engine.snapshots.with_snapshotter("overlayfs")  # containerd's name for it
    yield made
    clear(made)


def layer(snapshots: ctrd.Snapshots, name: str, parent: str | None, change: Callable[[Path], object]) -> None:
    """Make a committed snapshot."""
    snapshots.prepare(f"{name} is made", parent)
    with snapshots.mount(f"{name} is made") as root:
        change(root)
    snapshots.commit(name, f"{name} is made")


def seen(snapshots: ctrd.Snapshots, name: str) -> dict[str, str]:
    """The files of a view, by path: what is in them, where a link leads, or what else they are."""
    snapshots.view("look", name)
    found = {}
    with snapshots.mount("look") as root:
        for path in sorted(root.rglob("*")):
            text = (
                str(path.readlink())
                if path.is_symlink()
                else "/"
                if path.is_dir()
                else path.read_text(errors="replace")
            )
            found[str(path.relative_to(root))] = text
    snapshots.remove("look")
    return found


def numbers(engine: ctrd.Engine) -> set[str]:
    """The directories on the disk."""
    return {path.name for path in engine.root.glob("snapshots/*")}


def base(root: Path) -> None:
    (root / "file").write_text("one")
    (root / "gone").write_text("one")
    (root / "dir/sub").mkdir(parents=True)
    (root / "dir/sub/file").write_text("deep")
    (root / "link").symlink_to("file")


def test_basic_flow(snapshots: ctrd.Snapshots) -> None:
    mounts = snapshots.prepare("work", labels={"a": "1", "none": ""})
    assert mounts == snapshots.mounts("work") and mounts[0].options[-1:] == ("rw",)
    one = snapshots.stat("work")
    assert (one.key, one.id, one.parent, one.kind, one.labels) == ("work", "work", None, "active", {"a": "1"})
    with snapshots.mount("work") as root:
        base(root)
    done = snapshots.commit("base", "work", labels={"b": "2"})
    assert (done.key, done.kind, done.labels) == ("base", "committed", {"b": "2"})  # those given, not inherited
    assert done == snapshots.stat("base") and done.created_at >= one.created_at
    with pytest.raises(ctrd.NotFound):
        snapshots.stat("work")
    snapshots.prepare("work", "base")  # its key is free
    assert snapshots.stat("work").parent == "base"
    snapshots.view("look", "base")
    assert snapshots.stat("look").kind == "view"
    with snapshots.mount("work") as root, snapshots.mount("look") as below, snapshots.mount("look") as again:
        (root / "file").write_text("two")
        assert (below / "file").read_text() == (again / "file").read_text() == "one"
        with pytest.raises(OSError, match="Read-only"):
            (below / "file").write_text("three")
    assert pickle.loads(pickle.dumps(snapshots.list())) == snapshots.list()


STATES = {"base": "committed", "top": "committed", "active": "active", "view": "view", "upon": "active"}


def make_states(snapshots: ctrd.Snapshots) -> None:
    layer(snapshots, "base", None, base)
    layer(snapshots, "top", "base", lambda root: (root / "file").write_text("top"))
    snapshots.prepare("active")
    snapshots.view("view", "base")
    snapshots.prepare("upon", "top")


# What is done, and what it is refused with; everything stays as it was.
REFUSED: list[tuple[str, Callable[[ctrd.Snapshots], object], type[ctrd.Error]]] = [
    ("prepare, the key is used", lambda s: s.prepare("active", "base"), ctrd.AlreadyExists),
    ("prepare, a name is used", lambda s: s.prepare("base", "base"), ctrd.AlreadyExists),
    ("prepare, no such parent", lambda s: s.prepare("x", "nobody"), ctrd.NotFound),
    ("prepare, an active parent", lambda s: s.prepare("x", "active"), ctrd.InvalidArgument),
    ("prepare, a view as parent", lambda s: s.prepare("x", "view"), ctrd.InvalidArgument),
    ("prepare, no key", lambda s: s.prepare(""), ctrd.InvalidArgument),
    ("prepare, a long key", lambda s: s.prepare("k" * 1025), ctrd.InvalidArgument),
    ("prepare, a long label", lambda s: s.prepare("x", labels={"k" * 64: "v" * 4096}), ctrd.InvalidArgument),
    (
        "prepare, it is there already",
        lambda s: s.prepare("x", "base", labels={"containerd.io/snapshot.ref": "top"}),
        ctrd.AlreadyExists,
    ),
    ("view, the key is used", lambda s: s.view("view", "base"), ctrd.AlreadyExists),
    ("view, no such parent", lambda s: s.view("x", "nobody"), ctrd.NotFound),
    ("view, an active parent", lambda s: s.view("x", "active"), ctrd.InvalidArgument),
    ("commit, the name is used", lambda s: s.commit("base", "active"), ctrd.AlreadyExists),
    ("commit, its own key", lambda s: s.commit("active", "active"), ctrd.AlreadyExists),
    ("commit, no such key", lambda s: s.commit("x", "nobody"), ctrd.NotFound),
    ("commit, a view", lambda s: s.commit("x", "view"), ctrd.FailedPrecondition),
    ("commit, a committed one", lambda s: s.commit("x", "top"), ctrd.FailedPrecondition),
    ("commit, no name", lambda s: s.commit("", "active"), ctrd.InvalidArgument),
    ("mounts, a committed one", lambda s: s.mounts("base"), ctrd.FailedPrecondition),
    ("mounts, no such key", lambda s: s.mounts("nobody"), ctrd.NotFound),
    ("mount, a committed one", lambda s: s.mount("base").__enter__(), ctrd.FailedPrecondition),
    ("mount, no such key", lambda s: s.mount("nobody").__enter__(), ctrd.NotFound),
    ("mount, no such target", lambda s: s.mount("active", "/no/such").__enter__(), ctrd.PathNotFound),
    ("mount, a relative target", lambda s: s.mount("active", "tmp").__enter__(), ctrd.InvalidArgument),
    ("stat, no such key", lambda s: s.stat("nobody"), ctrd.NotFound),
    ("usage, no such key", lambda s: s.usage("nobody"), ctrd.NotFound),
    ("update, no such key", lambda s: s.update("nobody", labels={}), ctrd.NotFound),
    ("update, no name", lambda s: s.update("", labels={}), ctrd.InvalidArgument),
    ("update, another field", lambda s: s.update("base", labels={}, fields=["parent"]), ctrd.InvalidArgument),
    ("remove, no such key", lambda s: s.remove("nobody"), ctrd.NotFound),
    ("remove, one stands upon it", lambda s: s.remove("top"), ctrd.FailedPrecondition),
    ("remove, a view upon it", lambda s: s.remove("base"), ctrd.FailedPrecondition),
    ("list, no filter", lambda s: s.list("name=="), ctrd.InvalidArgument),
    ("another snapshotter", lambda s: s.with_snapshotter("btrfs").list(), ctrd.Unsupported),
]


def test_what_is_refused(snapshots: ctrd.Snapshots, engine: ctrd.Engine) -> None:
    make_states(snapshots)
    rows, directories = snapshots.list(), numbers(engine)
    assert {one.key: one.kind for one in rows} == STATES
    for what, verb, error in REFUSED:
        with pytest.raises(ctrd.Error) as caught:
            verb(snapshots)
        assert type(caught.value) is error, f"{what}: {caught.value!r}"
        assert snapshots.list() == rows and numbers(engine) == directories, what


def test_transitivity(snapshots: ctrd.Snapshots) -> None:
    layer(snapshots, "1", None, lambda root: (root / "1").write_text(""))
    layer(snapshots, "2", "1", lambda root: (root / "2").write_text(""))
    layer(snapshots, "3", "2", lambda root: (root / "3").write_text(""))
    assert [snapshots.stat(name).parent for name in "123"] == [None, "1", "2"]
    assert [sorted(seen(snapshots, name)) for name in "123"] == [["1"], ["1", "2"], ["1", "2", "3"]]


def test_layers_change_what_is_below(snapshots: ctrd.Snapshots) -> None:
    def two(root: Path) -> None:
        (root / "file").write_text("two")
        (root / "gone").unlink()
        subprocess.run(["rm", "-r", root / "dir"], check=True)
        (root / "new").write_text("new")
        (root / "link").unlink()
        (root / "link").symlink_to("new")

    def three(root: Path) -> None:
        (root / "dir").mkdir()  # what was in it stays gone
        (root / "dir/other").write_text("other")
        (root / "new").rename(root / "dir/moved")
        (root / "gone").write_text("back")

    layer(snapshots, "one", None, base)
    layer(snapshots, "two", "one", two)
    layer(snapshots, "three", "two", three)
    assert seen(snapshots, "two") == {"file": "two", "link": "new", "new": "new"}
    assert seen(snapshots, "three") == {
        "file": "two",
        "link": "new",
        "dir": "/",
        "dir/other": "other",
        "dir/moved": "new",
        "gone": "back",
    }
    assert seen(snapshots, "one")["dir/sub/file"] == "deep"  # nothing below has changed


def test_owners_and_modes(snapshots: ctrd.Snapshots) -> None:
    def own(root: Path) -> None:
        base(root)
        (root / "file").chmod(0o4711)
        root.chmod(0o1777)

    def change(root: Path) -> None:
        os.chown(root / "file", 12, 34)
        (root / "file").chmod(0o4711)
        os.chown(root / "dir", 5, 6)
        (root / "dir").chmod(0o700)
        (root / "suid").write_text("")
        (root / "suid").chmod(0o6755)

    layer(snapshots, "one", None, own)
    layer(snapshots, "two", "one", change)
    snapshots.prepare("work", "two")
    with snapshots.mount("work") as root:
        file, directory = (root / "file").stat(), (root / "dir").stat()
        assert (file.st_uid, file.st_gid, stat.S_IMODE(file.st_mode)) == (12, 34, 0o4711)
        assert (directory.st_uid, directory.st_gid, stat.S_IMODE(directory.st_mode)) == (5, 6, 0o700)
        assert stat.S_IMODE((root / "suid").stat().st_mode) == 0o6755
        assert stat.S_IMODE(root.stat().st_mode) == 0o1777
        root.chmod(0o755)
    snapshots.commit("three", "work")
    snapshots.view("look", "three")
    with snapshots.mount("look") as root:
        assert stat.S_IMODE(root.stat().st_mode) == 0o755


def test_an_empty_one_has_a_root_for_all(snapshots: ctrd.Snapshots) -> None:
    umask = os.umask(0o077)
    try:
        snapshots.prepare("work")
    finally:
        os.umask(umask)
    with snapshots.mount("work") as root:
        assert stat.S_IMODE(root.stat().st_mode) == 0o755 and (root.stat().st_uid, root.stat().st_gid) == (0, 0)


def test_renaming_a_directory_of_a_layer_below(snapshots: ctrd.Snapshots) -> None:
    layer(snapshots, "one", None, base)
    snapshots.prepare("work", "one")
    overlays = snapshots.mounts("work")[0].type == "overlay"
    with snapshots.mount("work") as root:
        (root / "own").mkdir()
        (root / "own").rename(root / "own2")
        (root / "file").rename(root / "file2")
        if overlays:  # it would need a redirect, which we do not follow: programs copy it then
            with pytest.raises(OSError, match="cross-device"):
                (root / "dir").rename(root / "dir2")
        subprocess.run(["mv", root / "dir", root / "dir2"], check=True)
    snapshots.commit("two", "work")
    found = seen(snapshots, "two")
    assert found["dir2/sub/file"] == "deep" and "dir" not in found and "own2" in found and found["file2"] == "one"


def test_remove(snapshots: ctrd.Snapshots, engine: ctrd.Engine) -> None:
    make_states(snapshots)
    assert numbers(engine)
    for key in ("upon", "view", "top", "active", "base"):
        snapshots.remove(key)
        with pytest.raises(ctrd.NotFound):
            snapshots.remove(key)
    assert snapshots.list() == [] and numbers(engine) == set()


def test_remove_an_intermediate_one(snapshots: ctrd.Snapshots) -> None:
    layer(snapshots, "one", None, base)
    snapshots.prepare("a", "one")
    snapshots.prepare("b", "one")
    snapshots.remove("a")
    snapshots.commit("two", "b")
    assert seen(snapshots, "two")["file"] == "one"


def test_list_and_labels(snapshots: ctrd.Snapshots) -> None:
    make_states(snapshots)
    snapshots.update("base", labels={"app": "web", "a.b/c": "1"})
    assert snapshots.update("base", labels={"app": "db", "a.b/c": None}).labels == {"app": "db"}
    assert snapshots.update("base", labels={"x": "1"}, fields=["labels"]).labels == {"x": "1"}
    assert snapshots.update("base", labels={"y": "2"}, fields=["labels.y"]).labels == {"x": "1", "y": "2"}
    assert snapshots.update("base", labels={}, fields=["labels.x"]).labels == {"y": "2"}
    assert snapshots.stat("base").updated_at > snapshots.stat("base").created_at
    for filters, expected in [
        ((), sorted(STATES)),
        (("kind==active",), ["active", "upon"]),
        (("kind==view", "name==top"), ["top", "view"]),
        (("kind==committed,parent==base",), ["top"]),
        (("labels.y",), ["base"]),
        (("name~=^a",), ["active"]),
    ]:
        assert snapshots.list(*filters).ids == expected, filters
    assert [snapshots.stat(one.key) for one in snapshots.list()] == snapshots.list()  # stat in walk


def test_keys_may_be_any_text(snapshots: ctrd.Snapshots) -> None:
    keys = ["a/b", "..", "%2F", "../../etc", "é ,:\\=", "a\nb"]
    for key in keys:
        layer(snapshots, key, None, base)
        assert seen(snapshots, key)["file"] == "one"
    assert snapshots.list().ids == sorted(keys, key=str.encode)
    assert len(str(snapshots.tree()).splitlines()) == len(keys)


def test_namespaces_and_snapshotters_are_apart(engine: ctrd.Engine, snapshots: ctrd.Snapshots) -> None:
    other = engine.with_namespace("other").snapshots.with_snapshotter("native")
    snapshots.prepare("same")
    other.prepare("same")
    for name in NAMES:
        expected = ["same"] if name == snapshots._snapshotter else []
        assert engine.snapshots.with_snapshotter(name).list().ids == expected
    clear(other)
    assert snapshots.list().ids == ["same"]


def test_events_in_order(snapshots: ctrd.Snapshots, engine: ctrd.Engine) -> None:
    with engine.events("topic~=^/snapshot/") as events:
        layer(snapshots, "base", None, base)
        snapshots.view("look", "base")  # no event
        snapshots.prepare("work", "base")
        with pytest.raises(ctrd.AlreadyExists):
            snapshots.prepare("work", "base")
        for key in ("work", "look", "base"):
            snapshots.remove(key)
        kind = snapshots._snapshotter
        for topic, data in [
            ("/snapshot/prepare", {"key": "base is made", "parent": "", "snapshotter": kind}),
            ("/snapshot/commit", {"key": "base is made", "name": "base", "snapshotter": kind}),
            ("/snapshot/prepare", {"key": "work", "parent": "base", "snapshotter": kind}),
            ("/snapshot/remove", {"key": "work", "snapshotter": kind}),
            ("/snapshot/remove", {"key": "look", "snapshotter": kind}),
            ("/snapshot/remove", {"key": "base", "snapshotter": kind}),
        ]:
            event = events.next(timeout=30)
            assert (event.topic, event.data) == (topic, data)


def test_usage(snapshots: ctrd.Snapshots) -> None:
    def fill(root: Path) -> None:
        with (root / "sparse").open("wb") as file:
            file.truncate(1 << 30)
            file.write(b"x" * 100_000)
        (root / "many").write_bytes(b"y" * 50_000)
        os.link(root / "many", root / "names")
        (root / "link").symlink_to("many")

    layer(snapshots, "one", None, fill)
    used = snapshots.usage("one")
    assert used.inodes == 4 and 150_000 <= used.size <= 250_000
    snapshots.prepare("two", "one")
    snapshots.view("look", "one")
    assert snapshots.usage("look") == ctrd.SnapshotUsage(0, 0)
    if snapshots._snapshotter == "native":
        assert snapshots.usage("two") == used  # a whole copy, with its holes and its links
    else:
        assert snapshots.usage("two").inodes == 1


def test_a_crafted_layer_leads_nowhere(overlay: ctrd.Snapshots, tmp_path: Path) -> None:
    """trusted.overlay.* in a layer: whoever unpacks a hostile one may have them."""
    (tmp_path / "secret").write_text("host")

    def below(root: Path) -> None:
        (root / "private").mkdir()
        (root / "private/key").write_text("secret")
        (root / "file").write_text("secret")

    def hostile(root: Path) -> None:
        for name, target in (("a", "/private"), ("b", str(tmp_path)), ("c", "../../../.."), ("d", "private")):
            (root / name).mkdir()
            os.setxattr(root / name, "trusted.overlay.redirect", target.encode())
        (root / "copy").write_text("")
        os.setxattr(root / "copy", "trusted.overlay.metacopy", b"")
        os.setxattr(root / "copy", "trusted.overlay.redirect", b"/private/key")
        (root / "opaque").mkdir()
        os.setxattr(root / "opaque", "trusted.overlay.opaque", b"x")

    layer(overlay, "below", None, below)
    overlay.prepare("hostile", "below")
    number = overlay.mounts("hostile")[0]
    upper = next(one for one in number.options if one.startswith("upperdir=")).partition("=")[2]
    hostile(Path(upper))
    overlay.commit("top", "hostile")
    overlay.prepare("work", "top")
    overlay.view("look", "top")
    for key in ("work", "look"):
        with overlay.mount(key) as root:
            for name in "abcd":
                with suppress(OSError):  # refused is fine too
                    assert list((root / name).iterdir()) == [], name
            with suppress(OSError):
                assert (root / "copy").read_text() == ""
            assert (root / "private/key").read_text() == "secret"


def deep(snapshots: ctrd.Snapshots, layers: int) -> str:
    name = None
    for at in range(layers):
        layer(snapshots, f"l{at}", name, lambda root, at=at: (root / f"f{at}").write_text(str(at)))  # type: ignore[misc]
        name = f"l{at}"
    assert name is not None
    return name


def test_128_layers(
    overlay: ctrd.Snapshots, engine: ctrd.Engine, root_directory: Path, report: ctrd.DoctorReport
) -> None:
    def system(root: Path) -> None:
        subprocess.run(["cp", "-a", f"{root_directory}/.", root], check=True)

    layer(overlay, "system", None, system)
    name = "system"
    for at in range(127):
        key = f"l{at}"
        overlay.prepare("work", name)
        number = next(one for one in overlay.mounts("work")[0].options if one.startswith("upperdir="))
        (Path(number.partition("=")[2]) / f"f{at}").write_text(str(at))
        overlay.commit(key, "work")
        name = key
    overlay.prepare("work", name)
    with overlay.mount("work") as root:
        assert len(list(root.glob("f*"))) == 127
        (root / "f1").write_text("new")
    script = "ls / | grep -c ^f; echo x > /f1; cat /f1"
    for runtime in [check.name for check in report.checks if check.name in ("crun", "runc") and check.ok]:
        assert engine.run(ctrd.Snapshot(name), "sh", "-c", script, runtime=runtime).stdout == "127\nx\n"
    overlay.commit("one more", "work")
    with pytest.raises(ctrd.ResourceExhausted, match="129 layers"):
        overlay.prepare("work", "one more")
    assert overlay.list("name==work") == []


def test_128_layers_of_native() -> None:
    """In memory, where a sync of each layer costs nothing."""
    with (
        tempfile.TemporaryDirectory(dir="/dev/shm") as memory,
        ctrd.Engine(f"{memory}/root", state=f"{memory}/state", snapshotter="native") as engine,
    ):
        native, parent = engine.snapshots, None
        for at in range(128):
            layer(native, f"l{at}", parent, lambda root, at=at: (root / f"f{at}").write_text(str(at)))  # type: ignore[misc]
            parent = f"l{at}"
        assert seen(native, "l127") == {f"f{at}": str(at) for at in range(128)}
        native.prepare("work", "l127")
        native.commit("one more", "work")
        with pytest.raises(ctrd.ResourceExhausted, match="129 layers"):
            native.prepare("work", "one more")
        assert native.list("name==work") == []


def test_a_long_path(tmp_path: Path) -> None:
    root = tmp_path / ("r" * 200) / ("s:,\\ " * 8)
    root.mkdir(parents=True)
    with ctrd.Engine(root, state=tmp_path / "state", snapshotter="overlay") as engine:
        name = deep(engine.snapshots, 40)
        assert len(seen(engine.snapshots, name)) == 40
        engine.snapshots.prepare("work", name)
        with engine.snapshots.mount("work"), pytest.raises(ctrd.FailedPrecondition, match="another process has it"):
            engine.snapshots.commit("x", "work")
        clear(engine.snapshots)


@pytest.fixture
def system(snapshots: ctrd.Snapshots, root_directory: Path) -> str:
    """The name of a committed snapshot that is a root filesystem, of two layers."""

    def fill(root: Path) -> None:
        subprocess.run(["cp", "-a", f"{root_directory}/.", root], check=True)

    def users(root: Path) -> None:
        (root / "etc").mkdir(exist_ok=True)
        (root / "etc/passwd").write_text("root:x:0:0::/:/bin/sh\nweb:x:77:88::/:/bin/sh\n")
        (root / "from-top").write_text("top")

    layer(snapshots, "below", None, fill)
    layer(snapshots, "system", "below", users)
    return "system"


def test_containers_upon_a_chain(snapshots: ctrd.Snapshots, engine: ctrd.Engine, system: str, runtime: str) -> None:
    kind = snapshots._snapshotter
    image = ctrd.Snapshot(system)
    result = engine.run(image, "sh", "-c", "id -u; cat /from-top", user="web", runtime=runtime, snapshotter=kind)
    assert result.stdout == "77\ntop"
    before = numbers(engine)
    with engine.start(image, "sleep", "1000", id="one", runtime=runtime, snapshotter=kind) as c:
        assert engine.containers["one"].info().image is None
        own = snapshots.stat("one")
        assert (own.kind, own.parent) == ("active", system)
        assert snapshots.list("name==one")[0].container == "one"
        c.run("sh", "-c", "echo changed > /from-top")
        for verb in (
            snapshots.remove,
            lambda key: snapshots.commit("x", key),
            lambda key: snapshots.mount(key).__enter__(),
        ):
            with pytest.raises(ctrd.FailedPrecondition, match="one"):
                verb("one")
        with pytest.raises(ctrd.FailedPrecondition, match="stands upon it"):
            snapshots.remove(system)
        c.kill()
        c.wait()
        with snapshots.mount("one") as root:  # its task has ended
            assert (root / "from-top").read_text() == "changed\n"
            with pytest.raises(ctrd.FailedPrecondition, match="another process has it mounted"):
                c.start()
        assert c.start().status() == "running"
    assert snapshots.list("name==one") == [] and numbers(engine) == before
    assert seen(snapshots, system)["from-top"] == "top"


def test_a_container_of_an_active_snapshot(snapshots: ctrd.Snapshots, engine: ctrd.Engine, system: str) -> None:
    kind = snapshots._snapshotter
    snapshots.prepare("work", system)
    with snapshots.mount("work") as root:
        (root / "mine").write_text("mine")
        c = engine.containers.create(ctrd.Snapshot("work"), "sh", "-c", "cat /mine", id="one", snapshotter=kind)
        with pytest.raises(ctrd.FailedPrecondition, match="mounted"):
            c.start()
    for refused in ("work", "nobody"):
        with pytest.raises((ctrd.FailedPrecondition, ctrd.NotFound), match=refused):
            engine.containers.create(ctrd.Snapshot(refused), "true", id="two", snapshotter=kind)
    assert "two" not in engine.containers
    assert c.start().wait() == 0 and c.logs().read() == "mine"
    c.delete()
    assert snapshots.list("name==work") == []
    snapshots.view("look", system)
    other = engine.containers.create(ctrd.Snapshot(system), "true", snapshotter=kind)
    for verb in (
        lambda: engine.run(ctrd.Snapshot("look"), "true", snapshotter=kind),  # crun mounts a bind anew, writably
        lambda: engine.containers.update(other.id, snapshot_key="look"),
    ):
        with pytest.raises(ctrd.FailedPrecondition, match="is a view"):
            verb()
    other.delete()


def test_what_cannot_be_replaced_goes_on(snapshots: ctrd.Snapshots, engine: ctrd.Engine, system: str) -> None:
    kind = snapshots._snapshotter
    snapshots.view("look", system)

    def replace(base: str) -> ctrd.Container:
        return engine.containers.create(ctrd.Snapshot(base), "true", id="db", replace=True, snapshotter=kind)

    db = engine.start(ctrd.Snapshot(system), "sleep", "1000", id="db", snapshotter=kind)
    db.run("sh", "-c", "echo kept > /mine")
    other = engine.containers.create(ctrd.Snapshot(system), "true", id="other", snapshotter=kind)
    for base in ("typo", "look", "other"):
        with pytest.raises((ctrd.NotFound, ctrd.FailedPrecondition), match=f'snapshot "{base}"'):
            replace(base)
    lease = engine.lease()
    lease.add("snapshot", "db", snapshotter=kind)
    with pytest.raises(ctrd.AlreadyExists, match='snapshot "db"'):
        replace(system)
    lease.release()
    assert db.run("cat", "/mine").stdout == "kept\n"
    assert engine.containers["db"].created_at == db.created_at and db.status() == "running"
    with replace(system) as now:
        assert now.status() == "none" and now.start().wait() == 0
    other.delete()


def digests(engine: ctrd.Engine) -> list[str]:
    return [blob.digest for blob in engine.content.list()]


def test_what_a_replacement_uses_stays(snapshots: ctrd.Snapshots, engine: ctrd.Engine, system: str) -> None:
    kind = snapshots._snapshotter
    snapshots.prepare("work", system)
    with snapshots.mount("work") as root:
        (root / "mine").write_text("mine")
    digest = engine.content.ingest(b"named by a label").digest
    layer(snapshots, "named", None, base)
    labels = {f"containerd.io/gc.ref.snapshot.{kind}": "named", "containerd.io/gc.ref.content.0": digest}
    for image in ("work", "work", system, "named"):
        c = engine.containers.create(
            ctrd.Snapshot(image), "cat", "/mine", id="one", labels=labels, replace=True, snapshotter=kind
        )
        assert snapshots.stat("named").kind == "committed" and digests(engine) == [digest]
        if image == "work":
            assert c.start().wait() == 0 and c.logs().read() == "mine"
    assert snapshots.list("name==work") == [] and snapshots.stat("one").parent == "named"
    c.delete()
    assert snapshots.list("name==named") == [] and digests(engine) == []


def test_rootfs_with_native(engine: ctrd.Engine, rootfs: ctrd.Rootfs, runtime: str) -> None:
    result = engine.run(rootfs, "sh", "-c", "echo x > /written; cat /written", snapshotter="native", runtime=runtime)
    assert result.stdout == "x\n" and not (rootfs.path / "written").exists()
    assert numbers(engine) == set()


def test_native_where_overlay_is_missing(tmp_path: Path, root_directory: Path) -> None:
    """Overlay refuses an upper directory on an overlay."""
    for name in ("lower", "upper", "work", "merged"):
        (tmp_path / name).mkdir()
    options = ",".join(f"{a}dir={tmp_path / a}" for a in ("lower", "upper", "work"))
    subprocess.run(["mount", "-t", "overlay", "-o", options, "overlay", tmp_path / "merged"], check=True)
    try:
        with ctrd.Engine(tmp_path / "merged/root", state=tmp_path / "state") as engine:
            result = engine.run(ctrd.Rootfs(root_directory), "sh", "-c", "echo x > /written; cat /written")
            assert result.stdout == "x\n"
            with engine.start(ctrd.Rootfs(root_directory), "true") as c:
                assert c.info().snapshotter == "native"
            layer(engine.snapshots, "base", None, base)
            assert engine.snapshots.with_snapshotter("native").list().ids == ["base"]
            with pytest.raises(ctrd.Unsupported, match="overlay does not work"):
                engine.snapshots.with_snapshotter("overlay").prepare("x")
            with pytest.raises(ctrd.Unsupported, match="overlay does not work"):
                engine.run(ctrd.Rootfs(root_directory), "true", snapshotter="overlay")
            clear(engine.snapshots)
    finally:
        subprocess.run(["umount", tmp_path / "merged"], check=True)


HOLD = """
import sys, ctrd
snapshots = ctrd.default_engine().snapshots.with_snapshotter(sys.argv[1])
with snapshots.mount("work", *sys.argv[2:]) as root:
    (root / "theirs").write_text("x")
    print(root, flush=True)
    sys.stdin.read()
"""


def mounted_at(path: str) -> int:
    with Path("/proc/self/mountinfo").open() as table:
        return sum(line.split()[4] == path for line in table)


def test_two_processes_never_have_the_same_one(snapshots: ctrd.Snapshots, engine: ctrd.Engine, tmp_path: Path) -> None:
    kind = snapshots._snapshotter
    layer(snapshots, "base", None, base)
    snapshots.prepare("work", "base")
    target = tmp_path / "target"
    target.mkdir()
    for given in ([], [str(target)]):
        with python(engine, HOLD, kind, *given) as process:
            assert process.stdout is not None
            where = process.stdout.readline().strip()
            assert mounted_at(where) == 1
            for verb in (
                lambda: snapshots.mount("work").__enter__(),
                lambda: snapshots.mounts("work"),
                lambda: snapshots.commit("x", "work"),
                lambda: snapshots.remove("work"),
            ):
                with pytest.raises(ctrd.FailedPrecondition, match="another process has it mounted at"):
                    verb()
            process.communicate("", timeout=60)
            assert process.returncode == 0
        assert mounted_at(where) == 0 and target.exists()
        with snapshots.mount("work") as root:
            assert (root / "theirs").read_text() == "x"


@pytest.mark.parametrize("given", [False, True], ids=["own", "target"])
def test_a_killed_process_has_it_mounted_no_more(
    snapshots: ctrd.Snapshots, engine: ctrd.Engine, tmp_path: Path, given: bool
) -> None:
    layer(snapshots, "base", None, base)
    snapshots.prepare("work", "base")
    (tmp_path / "target").mkdir()
    for then in ("mount", "commit", "recover"):
        with python(engine, HOLD, snapshots._snapshotter, *([str(tmp_path / "target")] if given else [])) as process:
            assert process.stdout is not None
            where = process.stdout.readline().strip()
            process.kill()
            process.wait(timeout=60)
        assert mounted_at(where) == 1
        if then == "mount":
            with snapshots.mount("work") as root:
                assert mounted_at(where) == 0 and (root / "theirs").read_text() == "x"
        elif then == "commit":
            snapshots.commit("two", "work")
            snapshots.prepare("work", "two")
        else:
            python_says(engine, "import ctrd; ctrd.default_engine().snapshots.list()")
            snapshots.remove("work")
        assert mounted_at(where) == 0
        assert list(engine.state.glob(".mnt-*")) == []


def by_hand(mounts: list[ctrd.Mount], target: Path) -> None:
    """Mount it as a user would."""
    [how] = mounts
    command = ["mount", "-t", how.type, "-o", ",".join(how.options), how.source, str(target)]
    if how.type == "bind":
        command = ["mount", "--rbind", how.source, str(target)]
    target.mkdir(exist_ok=True)
    subprocess.run(command, check=True)


def test_what_was_mounted_by_hand_is_seen(snapshots: ctrd.Snapshots, tmp_path: Path) -> None:
    layer(snapshots, "base", None, base)
    snapshots.prepare("work", "base")
    by_hand(snapshots.mounts("work"), tmp_path / "hand")
    try:
        for verb in (
            lambda: snapshots.mount("work").__enter__(),
            lambda: snapshots.commit("x", "work"),
            lambda: snapshots.remove("work"),
        ):
            with pytest.raises(ctrd.FailedPrecondition, match=f"mounted at {tmp_path}/hand"):
                verb()
    finally:
        subprocess.run(["umount", tmp_path / "hand"], check=True)
    snapshots.commit("x", "work")


def test_what_was_mounted_by_hand_is_not_started(
    snapshots: ctrd.Snapshots, engine: ctrd.Engine, system: str, rootfs: ctrd.Rootfs, tmp_path: Path
) -> None:
    kind = snapshots._snapshotter
    snapshots.prepare("web", system)  # a user's, though the container has its name
    for image, name in ((ctrd.Snapshot("web"), "web"), (ctrd.Snapshot(system), "upon"), (rootfs, "c")):
        c = engine.containers.create(image, "true", id=name, snapshotter=kind)
        by_hand(snapshots.mounts(name), tmp_path / "hand")
        try:
            with pytest.raises(ctrd.FailedPrecondition, match=f"mounted at {tmp_path}/hand"):
                c.start()
        finally:
            subprocess.run(["umount", tmp_path / "hand"], check=True)
        assert c.start().wait() == 0
        assert c.start().wait() == 0
        c.delete()


def test_a_snapshot_of_its_name_is_not_its_own(
    snapshots: ctrd.Snapshots, engine: ctrd.Engine, system: str, rootfs: ctrd.Rootfs
) -> None:
    kind = snapshots._snapshotter
    c = engine.containers.create(rootfs, "cat", "/from-top", id="x", snapshotter=kind)
    engine.containers.update("x", snapshot_key="")
    snapshots.prepare("x", system)
    engine.containers.update("x", snapshot_key="x")
    assert c.start().wait() == 0 and c.logs().read() == "top"
    c.delete()


@pytest.mark.parametrize("image", ["users", "own", "upon"])
def test_a_run_leaves_a_layer_that_can_be_mounted(
    snapshots: ctrd.Snapshots, engine: ctrd.Engine, system: str, rootfs: ctrd.Rootfs, image: str
) -> None:
    kind = snapshots._snapshotter
    snapshots.prepare("users", system)
    upon = {"users": ctrd.Snapshot("users"), "own": rootfs, "upon": ctrd.Snapshot(system)}[image]
    lease = engine.lease()
    lease.add("snapshot", image, snapshotter=kind)
    assert engine.run(upon, "sh", "-c", "echo x > /mine", id=image, snapshotter=kind).returncode == 0
    assert snapshots.stat(image).kind == "active"
    assert list(engine.root.glob("snapshots/*/work/work/incompat")) == []
    with snapshots.mount(image) as root:
        assert (root / "mine").read_text() == "x\n"
    lease.release()


RUN = """
import ctrd
ctrd.run(ctrd.Snapshot("system"), "sleep", "1000", id="run", snapshotter="overlay")
"""


@pytest.mark.parametrize("then", ["mount", "by hand", "a container"])
def test_a_killed_run_leaves_a_layer_that_can_be_mounted(
    overlay: ctrd.Snapshots, engine: ctrd.Engine, root_directory: Path, tmp_path: Path, then: str
) -> None:
    layer(overlay, "system", None, lambda root: subprocess.run(["cp", "-a", f"{root_directory}/.", root], check=True))
    with engine.lease() as lease, engine.events() as events:
        lease.add("snapshot", "run", snapshotter="overlay")
        with python(engine, RUN) as other:
            events.wait_for("/tasks/start", timeout=30, container_id="run")
            assert list(engine.root.glob("snapshots/*/work/work/incompat/volatile"))  # nothing is synced
            other.kill()
        bundle = engine.state / "default/run"
        eventually(lambda: engine.containers.list() == [] and not bundle.exists(), "its task has ended, it is swept")
        assert list(engine.root.glob("snapshots/*/work/work/incompat/volatile"))
        if then == "mount":
            with overlay.mount("run") as root:
                (root / "mine").touch()
        elif then == "by hand":
            by_hand(overlay.mounts("run"), tmp_path / "hand")
            subprocess.run(["umount", tmp_path / "hand"], check=True)
        else:
            c = engine.containers.create(ctrd.Snapshot("run"), "true", id="run", snapshotter="overlay")
            assert c.start().wait() == 0
            c.delete()


def test_what_is_in_use_stays_mounted(snapshots: ctrd.Snapshots) -> None:
    snapshots.prepare("work")
    mounting = snapshots.mount("work")
    root = mounting.__enter__()
    file = (root / "open").open("w")
    with pytest.raises(ctrd.FailedPrecondition, match="in use"):
        mounting.__exit__(None, None, None)
    with pytest.raises(ctrd.FailedPrecondition, match="mounted"):
        snapshots.remove("work")
    file.close()
    with snapshots.mount("work") as again:
        assert mounted_at(str(root)) == 0 and (again / "open").exists()


LOAD = """
import sys, ctrd
snapshots = ctrd.default_engine().snapshots.with_snapshotter(sys.argv[1])
at = 0
while True:
    try:
        key = f"{sys.argv[2]}-{at}"
        snapshots.prepare(key, "base")
        with snapshots.mount(key) as root:
            (root / "new").write_text("x" * 10000)
        snapshots.commit(key + "c", key)
        snapshots.view(key + "v", key + "c")
        snapshots.remove(key + "v")
        snapshots.remove(key + "c")
        at += 1
        print(at, flush=True)
    except ctrd.Error as error:
        print(repr(error), flush=True)
        raise
"""


def test_killed_at_any_point(snapshots: ctrd.Snapshots, engine: ctrd.Engine) -> None:
    layer(snapshots, "base", None, base)
    for at in range(often(3, 200)):
        with python(engine, LOAD, snapshots._snapshotter, str(at)) as process:
            assert process.stdout is not None
            for _ in range(1 + at % 3):
                assert process.stdout.readline().strip().isdigit()
            process.kill()
            process.wait(timeout=60)
        with ctrd.Engine(engine.root, state=engine.state) as other:
            again = other.snapshots.with_snapshotter(snapshots._snapshotter)
            for one in again.list():  # whole, or not there
                if one.kind == "committed":
                    assert seen(again, one.key)["file"] == "one"
                elif one.kind == "active":
                    with again.mount(one.key) as root:
                        assert (root / "file").read_text() == "one"
            assert len(again.list()) <= 3
            clear_but_base(again)
        assert len(numbers(engine)) == 1 and list(engine.state.glob(".mnt-*")) == []


def clear_but_base(snapshots: ctrd.Snapshots) -> None:
    while rest := [one for one in snapshots.list() if one.key != "base"]:
        parents = {one.parent for one in rest}
        for one in rest:
            if one.key not in parents:
                snapshots.remove(one.key)


def test_many_processes_at_once(snapshots: ctrd.Snapshots, engine: ctrd.Engine) -> None:
    layer(snapshots, "base", None, base)
    running = [python(engine, LOAD, snapshots._snapshotter, str(at)) for at in range(4)]
    try:
        for process in running:
            assert process.stdout is not None
            for _ in range(3):
                line = process.stdout.readline().strip()
                assert line.isdigit(), line
    finally:
        for process in running:
            process.kill()
            process.communicate(timeout=60)
    with ctrd.Engine(engine.root, state=engine.state) as other:  # recovers
        clear_but_base(other.snapshots.with_snapshotter(snapshots._snapshotter))
    assert len(numbers(engine)) == 1


def test_a_full_disk(tmp_path: Path, snapshotter: str = "native") -> None:
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", small], check=True)
    try:
        for kind in NAMES:
            with ctrd.Engine(small / f"root-{kind}", state=tmp_path / f"state-{kind}", snapshotter=kind) as engine:
                full_disk(engine, small)
            subprocess.run(["rm", "-rf", small / f"root-{kind}"], check=True)
    finally:
        subprocess.run(["umount", small], check=True)


def full_disk(engine: ctrd.Engine, small: Path) -> None:
    snapshots = engine.snapshots
    layer(snapshots, "base", None, lambda root: (root / "file").write_bytes(b"x" * 1_000_000))
    snapshots.prepare("work", "base")
    rows, directories = snapshots.list(), numbers(engine)
    filler = small / "filler"
    with filler.open("ab", buffering=0) as file, suppress(OSError):
        while True:
            file.write(b"x" * 4096)
    for at in range(4):  # again and again: the reserve is let go once
        with suppress(ctrd.ResourceExhausted):
            snapshots.prepare(f"more{at}", "base")
    for one in snapshots.list():
        if one.key.startswith("more"):
            snapshots.remove(one.key)
    assert snapshots.list() == rows and numbers(engine) == directories
    snapshots.remove("work")  # gives space back, so it works on a full disk
    snapshots.remove("base")
    assert snapshots.list() == [] and numbers(engine) == set()
    filler.unlink()
    layer(snapshots, "base", None, base)
    clear(snapshots)


def test_the_tree(snapshots: ctrd.Snapshots, engine: ctrd.Engine, system: str) -> None:
    snapshots.prepare("work", system)
    snapshots.view("look", "below")
    snapshots.prepare("<a & b>")
    with engine.start(ctrd.Snapshot(system), "true", id="one", snapshotter=snapshots._snapshotter):
        tree = snapshots.tree()
        assert str(tree).splitlines() == [
            "<a & b>  active",
            "below  committed",
            "├─ look  view",
            "└─ system  committed",
            "   ├─ one  active, container one",
            "   └─ work  active",
        ]
    picture = ElementTree.fromstring(tree._repr_svg_())
    texts = [one.text for one in picture.iter("{http://www.w3.org/2000/svg}text")]
    assert texts[0] == "<a & b>  active" and texts[-1] == "work  active" and len(texts) == 6
    assert len(list(picture.iter("{http://www.w3.org/2000/svg}path"))) == 4
    assert pickle.loads(pickle.dumps(tree)) == tree
    empty = ctrd.SnapshotTree(())
    assert str(empty) == "" and ElementTree.fromstring(empty._repr_svg_()).tag.endswith("svg")


def test_the_command_line(engine: ctrd.Engine, overlay: ctrd.Snapshots, root_directory: Path) -> None:
    pytest.importorskip("click")

    def says(*args: str, status: int = 0) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "ctrd", *args],
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
            env=environment(engine),
        )
        assert done.returncode == status, done.stderr
        return done.stdout or done.stderr

    layer(overlay, "base", None, lambda root: subprocess.run(["cp", "-a", f"{root_directory}/.", root], check=True))
    assert says("snapshot", "prepare", "work", "-p", "base").startswith("mount -t overlay -o ")
    assert "committed" in says("snapshot", "ls")
    assert says("snapshot", "ls", "-q", "--filter", "kind==active") == "work\n"
    assert json.loads(says("snapshot", "ls", "--json", "-f", "name==work"))["parent"] == "base"
    assert says("snapshot", "tree") == "base  committed\n└─ work  active\n"
    assert "base" in says("snapshot", "usage")
    assert says("run", "--snapshot", "base", "echo", "hello") == "hello\n"
    assert "stands upon it" in says("snapshot", "rm", "base", status=125)
    assert says("snapshot", "commit", "top", "work") == "top\n"
    assert says("snapshot", "rm", "top", "base") == "top\nbase\n" and overlay.list() == []
