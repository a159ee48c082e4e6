"""A restore that fails leaves the container as it was, whatever dies; one that succeeds goes on as it ran."""

from __future__ import annotations

import os
import shutil
import signal
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import criu
import ctrd
import pytest
from criu import COUNT, counts_on, told
from support import eventually, python, python_says

pytestmark = pytest.mark.root
STARTS = """if True:
    import ctrd
    ctrd.default_engine().containers["c"].create_task(checkpoint="warm").start()
"""
AGAIN = """if True:
    import ctrd, resource, signal, sys
    engine = ctrd.default_engine()
    if sys.argv[1:]:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2)
    try:
        engine.containers["c"].create_task(checkpoint="warm")
        print("made")
    except ctrd.Error as error:
        print(type(error).__name__)
"""


@pytest.fixture(autouse=True)
def _path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", criu.path())


@pytest.fixture
def warm(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> Iterator[ctrd.Checkpoint]:
    """Of the container "c", which has ended since, and has other files now."""
    script = f"dd if=/dev/urandom of=/big bs=1M count=64 2>/dev/null; {COUNT}"
    runtime = criu.runtime(criu.RUNTIMES[0])
    with engine.start(rootfs, "/bin/sh", "-c", script, id="c", runtime=runtime, lifetime="detached") as c:
        eventually(lambda: len(told(c)) >= 3, "it counts")
        made = c.checkpoint("warm", exit=True)
        c.wait(timeout=30)
        c.task().delete()
        (own_layer(engine) / "count").write_text("after\n")
        (own_layer(engine) / "late").touch()
        yield made


def shims_of(bundle: Path) -> list[int]:
    found = []
    for process in Path("/proc").glob("[1-9]*"):
        with suppress(OSError):
            args = (process / "cmdline").read_bytes().split(b"\0")
            if os.fsencode(bundle) in args and b"serve" in args:
                found.append(int(process.name))
    return found


def own_layer(engine: ctrd.Engine) -> Path:
    """Of the one container that there is."""
    (found,) = engine.root.glob("snapshots/[0-9]*/fs")
    return found


def restored(engine: ctrd.Engine) -> list[Path]:
    return list(engine.root.glob("snapshots/.restored-*"))


def recovered(engine: ctrd.Engine) -> bool:
    """By another engine; a shim whose client was killed may need a moment to end."""
    with ctrd.Engine(engine.root, state=engine.state) as again:
        assert list(again.containers) == ["c"]
    return not restored(engine)


def is_as_it_was(engine: ctrd.Engine) -> bool:
    own = own_layer(engine)
    return (own / "count").read_text() == "after\n" and (own / "late").exists() and not restored(engine)


def test_a_start_that_fails_changes_nothing(engine: ctrd.Engine, warm: ctrd.Checkpoint) -> None:
    c = engine.containers["c"]
    task = c.create_task(checkpoint=warm)
    assert len(restored(engine)) == 1
    warm.delete()
    assert not criu.directories(engine)
    with pytest.raises(ctrd.CheckpointNotFound):
        task.start()
    assert c.status() == "created"
    task.delete(force=True)
    assert is_as_it_was(engine)
    c.start()
    assert c.run("ls", "/late").ok


def test_one_that_succeeds_has_the_files_of_then(engine: ctrd.Engine, warm: ctrd.Checkpoint) -> None:
    c = engine.containers["c"]
    task = c.create_task(checkpoint=warm)
    task.kill()  # before it was started
    task.wait(30)
    task.delete()
    assert is_as_it_was(engine)
    c.create_task(checkpoint=warm).start()
    counts_on(c)
    assert not restored(engine)
    assert not (own_layer(engine) / "late").exists()
    again = c.checkpoint("again", exit=True)  # its root is mounted from what has another name now
    c.wait(timeout=30)
    c.task().delete()
    with again.restore(id="d") as d:
        counts_on(d)
        assert int(d.run("cat", "/count").stdout or "4") >= 3


def test_a_copy_that_fails(engine: ctrd.Engine, warm: ctrd.Checkpoint) -> None:
    assert python_says(engine, AGAIN, str(1 << 20)) != "made\n"
    assert is_as_it_was(engine)
    c = engine.containers["c"]
    c.start()
    assert c.run("ls", "/late").ok


def test_a_client_that_is_killed(engine: ctrd.Engine, warm: ctrd.Checkpoint) -> None:
    with python(engine, AGAIN) as child:
        eventually(lambda: restored(engine), "it copies")
        child.kill()
    eventually(lambda: recovered(engine), "what is left goes")
    assert is_as_it_was(engine)
    c = engine.containers["c"]
    c.create_task(checkpoint=warm).start()
    counts_on(c)


@pytest.mark.parametrize("whom", ["client", "shim"])
@pytest.mark.parametrize("moment", ["status", "criu", "init.pid", "criu.log"])
def test_killed_at_its_start(engine: ctrd.Engine, warm: ctrd.Checkpoint, whom: str, moment: str) -> None:
    """Its files are those of before or those of the checkpoint, never a mixture, nor none."""
    bundle = engine.state / "default/c"
    with python(engine, STARTS) as child:
        eventually(lambda: (bundle / moment).exists() or child.poll() is not None, moment)
        if whom == "client":
            child.kill()
        else:
            for pid in shims_of(bundle):
                os.kill(pid, signal.SIGKILL)
        child.wait(60)
    c = engine.containers["c"]
    recovered(engine)
    with suppress(ctrd.TaskNotFound):
        if whom == "client" and c.status() == "running":
            counts_on(c)
        c.task().delete(force=True)
    eventually(lambda: recovered(engine), "what is left goes")
    own = own_layer(engine)
    assert (own / "big").stat().st_size == 64 << 20
    if (own / "late").exists():
        assert (own / "count").read_text() == "after\n"
    else:
        assert int((own / "count").read_text() or "3") >= 3


def test_what_a_reboot_leaves(engine: ctrd.Engine, warm: ctrd.Checkpoint) -> None:
    """The state is gone, and who had the layer with it; what lives keeps its own."""
    (engine.root / "snapshots/.restored-0123456789abcdef/big").mkdir(parents=True)
    engine.containers["c"].create_task(checkpoint=warm)
    with ctrd.Engine(engine.root, state=engine.state) as again:
        assert list(again.containers) == ["c"]
    (kept,) = restored(engine)
    assert kept.name != ".restored-0123456789abcdef"
    engine.containers["c"].task().delete(force=True)
    assert is_as_it_was(engine)


def test_one_that_is_deleted_meanwhile(engine: ctrd.Engine, warm: ctrd.Checkpoint) -> None:
    """The copy comes to its end; then there is nothing to restore."""
    with python(engine, AGAIN) as child:
        eventually(lambda: restored(engine), "it copies")
        warm.delete()
        out, err = child.communicate(timeout=60)
    assert out == "CheckpointNotFound\n", err
    assert not criu.directories(engine)
    assert is_as_it_was(engine)


def test_a_directory_that_is_moved(engine: ctrd.Engine, warm: ctrd.Checkpoint, tmp_path: Path) -> None:
    task = engine.containers["c"].create_task(checkpoint=warm.export(tmp_path / "cp"))
    (tmp_path / "cp").rename(tmp_path / "elsewhere")
    with pytest.raises(ctrd.CheckpointNotFound):
        task.start()
    (tmp_path / "elsewhere").rename(tmp_path / "cp")
    task.start()
    counts_on(engine.containers["c"])


def make_base(engine: ctrd.Engine, name: str, rootfs: ctrd.Rootfs, snapshotter: str = "overlay") -> ctrd.Snapshot:
    snapshots = engine.snapshots.with_snapshotter(snapshotter)
    snapshots.prepare("work")
    with snapshots.mount("work") as path:
        shutil.copytree(rootfs.path, path, symlinks=True, dirs_exist_ok=True)
    snapshots.commit(name, "work")
    return ctrd.Snapshot(name)


def test_upon_something_else(engine: ctrd.Engine, warm: ctrd.Checkpoint, rootfs: ctrd.Rootfs) -> None:
    base, copy = make_base(engine, "base", rootfs), make_base(engine, "copy", rootfs, "native")
    args = ("/bin/sh", "-c", COUNT)
    for image, snapshotter in ((base, "overlay"), (copy, "native")):
        with engine.containers.create(image, *args, snapshotter=snapshotter) as other:
            with pytest.raises(ctrd.FailedPrecondition, match=f'"{image.key}".*{rootfs.path}'):
                other.create_task(checkpoint=warm)
            assert not restored(engine)
            other.start()
            assert other.run("ls", "/bin/sh").ok
        engine.snapshots.with_snapshotter(snapshotter).remove(image.key)


def test_what_is_replaced_stays_if_it_cannot_be(
    engine: ctrd.Engine, rootfs: ctrd.Rootfs, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    base = make_base(engine, "base", rootfs)
    runtime = criu.runtime("runc")
    with engine.start(base, "/bin/sh", "-c", COUNT, runtime=runtime) as c:
        eventually(lambda: len(told(c)) >= 3, "it counts")
        warm = c.checkpoint("warm")
    with engine.containers.create(rootfs, "true", id="other") as other:
        with monkeypatch.context() as without:
            without.setenv("PATH", str(tmp_path))
            with pytest.raises(ctrd.Unsupported, match="CRIU"):
                warm.restore(id="other", replace=True)
        engine.snapshots.remove("base")
        with pytest.raises(ctrd.NotFound, match="base"):
            warm.restore(id="other", replace=True)
        assert other.spec()["process"]["args"] == ["true"]
    warm.delete()


def test_the_spec_that_it_runs_by(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    with engine.start(rootfs, "/bin/sh", "-c", COUNT, runtime=criu.runtime("runc")) as c:
        eventually(lambda: len(told(c)) >= 3, "it counts")
        spec = c.spec()
        added = {"destination": "/more", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid"]}
        engine.containers.update(c.id, spec=spec | {"mounts": [*spec["mounts"], added]})
        with c.checkpoint("warm").restore() as twin:
            counts_on(twin)
            assert twin.spec()["mounts"] == spec["mounts"]
        for copy in c.fork():
            with copy:
                counts_on(copy)


def test_a_fork_goes_at_its_exit_as_the_original(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    with engine.start(rootfs, "/bin/sh", "-c", COUNT, runtime=criu.runtime(criu.RUNTIMES[0]), on_exit="delete") as c:
        eventually(lambda: len(told(c)) >= 3, "it counts")
        (copy,) = c.fork(ids=["copy"])
        counts_on(copy)
        copy.kill()
        eventually(lambda: "copy" not in engine.containers, "it goes")


def test_the_options_of_the_original(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    options = {"no_new_keyring": True}
    with engine.start(
        rootfs,
        "/bin/sh",
        "-c",
        COUNT,
        runtime=criu.runtime("runc"),
        runtime_options=options,
        extensions={"x": {"y": 1}},
        sandbox_id="box",
    ) as c:
        eventually(lambda: len(told(c)) >= 3, "it counts")
        twins = [c.checkpoint("warm").restore(), *c.fork()]
        for twin in twins:
            with twin:
                info = twin.info()
                assert (info.runtime_options, info.extensions, info.sandbox_id) == (options, {"x": {"y": 1}}, "box")
                counts_on(twin)


def test_empty_namespaces(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    for name in criu.RUNTIMES:
        with engine.start(rootfs, "/bin/sh", "-c", COUNT, runtime=criu.runtime(name)) as c:
            eventually(lambda: len(told(c)) >= 3, "it counts")
            with pytest.raises(ctrd.InvalidArgument, match="nonsense"):
                c.checkpoint(empty_namespaces=["nonsense"])
            report = c.checkpoint(dry_run=True, empty_namespaces=["network"])
            assert report.ok == (name == "runc"), report
            if name == "crun":
                with pytest.raises(ctrd.Unsupported):
                    c.checkpoint(empty_namespaces=["network"])
                continue
            with c.checkpoint(empty_namespaces=["network"]).restore() as twin:
                counts_on(twin)
                devices = twin.run("cat", "/proc/net/dev").stdout
                assert "lo:" in devices and "dummy7" not in devices


def test_the_event_names_what_is_there(engine: ctrd.Engine, rootfs: ctrd.Rootfs, tmp_path: Path) -> None:
    with (
        engine.events() as events,
        engine.start(rootfs, "/bin/sh", "-c", COUNT, runtime=criu.runtime(criu.RUNTIMES[0])) as c,
    ):
        eventually(lambda: len(told(c)) >= 3, "it counts")
        for ref in ("warm", tmp_path / "cp"):
            made = c.checkpoint(ref)
            event = events.wait_for("/tasks/checkpointed", timeout=30)
            assert Path(event.data["checkpoint"]) == made.path == made.info().path
            assert (made.path / "images").is_dir()
        for copy in c.fork():
            copy.delete(force=True)
        with pytest.raises(ctrd.AlreadyExists):
            c.checkpoint("warm")
        c.checkpoint("last", exit=True)
        topics = []
        for event in events:
            topics.append((event.topic, event.data.get("container_id")))
            if topics[-1] == ("/tasks/exit", c.id):
                break
        ours = [topic for topic, id in topics if id == c.id]
        assert ours == ["/tasks/checkpointed", "/tasks/exit"], topics


QUICKLY = f"dd if=/dev/urandom of=/big bs=1M count=200 2>/dev/null; {COUNT.replace('0.02', '0.001')}"


@pytest.mark.parametrize("paused", [False, True])
def test_files_are_never_ahead_of_memory(engine: ctrd.Engine, rootfs: ctrd.Rootfs, paused: bool) -> None:
    """While one copies the layer, nothing that others do lets the task run."""
    with engine.start(rootfs, "/bin/sh", "-c", QUICKLY, runtime=criu.runtime(criu.RUNTIMES[0])) as c:
        eventually(lambda: len(told(c)) >= 3, "it counts")
        made: list[ctrd.Checkpoint | Exception] = []

        def checkpoint(ref: str) -> None:
            try:
                made.append(c.checkpoint(ref))
            except ctrd.FailedPrecondition as error:
                made.append(error)

        if paused:
            c.pause()
        threads = [threading.Thread(target=checkpoint, args=(ref,)) for ref in ("a", "b")]
        threads[0].start()
        eventually(lambda: list(engine.root.glob("checkpoints/.new-*/images/inventory.img")), "it is dumped")
        threads[1].start()
        if paused:
            c.resume()
        for thread in threads:
            thread.join()
        assert c.status() == "running"
        stored = [one for one in made if isinstance(one, ctrd.Checkpoint)]
        assert stored
        for one in stored:
            in_file = int((one.path / "layer/count").read_text() or "0")
            with one.restore() as twin:
                counts_on(twin)
                assert told(twin)[0] > in_file
