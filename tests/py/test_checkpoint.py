"""Checkpoints by the engine: a counter goes on where it was, with the files that it had then."""

from __future__ import annotations

import inspect
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import criu
import ctrd
import pytest
from criu import COUNT, counts_on, directories, name_of, told
from support import eventually, python, python_says

pytestmark = pytest.mark.root


@pytest.fixture(autouse=True)
def _path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", criu.path())


@pytest.fixture(params=criu.RUNTIMES)
def counter(request: pytest.FixtureRequest, engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> Iterator[ctrd.Container]:
    """One that counts, and has written a file."""
    script = f"echo before >/file; {COUNT}"
    with engine.start(rootfs, "/bin/sh", "-c", script, runtime=criu.runtime(request.param), labels={"a": "b"}) as made:
        eventually(lambda: len(told(made)) >= 5, "it counts")
        yield made


@pytest.mark.parametrize("snapshotter", ["overlay", "native"])
def test_a_layer_upon_a_snapshot_is_put_back(engine: ctrd.Engine, rootfs: ctrd.Rootfs, snapshotter: str) -> None:
    """The container's own layer, upon what it stands on; what came after the checkpoint is not there."""
    snapshots = engine.snapshots.with_snapshotter(snapshotter)
    snapshots.prepare("work")
    with snapshots.mount("work") as path:
        shutil.copytree(rootfs.path, path, symlinks=True, dirs_exist_ok=True)
        (path / "base").write_text("base")
    snapshots.commit("base", "work")
    runtime = criu.runtime("runc")
    script = f"echo before >/file; rm /base; {COUNT}"
    made = engine.containers.create(
        ctrd.Snapshot("base"), "/bin/sh", "-c", script, id="c", runtime=runtime, snapshotter=snapshotter
    )
    with made as c:
        c.start()
        eventually(lambda: len(told(c)) >= 5, "it counts")
        warm = c.checkpoint("warm", exit=True, labels={"a": "b"})
        assert warm.info().labels == engine.checkpoints.get("warm").info().labels == {"a": "b"}
        c.wait(timeout=30)
        c.task().delete()
        with snapshots.mount("c") as path:
            (path / "file").write_text("after")
            (path / "late").touch()
        c.create_task(checkpoint=warm).start()
        counts_on(c)
        assert c.run("cat", "/file").stdout == "before\n" and c.run("ls", "/bin/sh").ok
        assert not c.run("ls", "/late").ok and not c.run("ls", "/base").ok
    warm.delete()
    snapshots.remove("base")


def test_a_twin_goes_on(engine: ctrd.Engine, counter: ctrd.Container) -> None:
    made = counter.checkpoint("warm", labels={"kind": "test"})
    assert counter.status() == "running"
    counts_on(counter)
    counter.run("/bin/sh", "-c", "echo after >/file; echo x >/late")
    before = told(counter)
    assert (made.ref, made.container_id, made.size > 0) == ("warm", counter.id, True)
    with made.restore() as twin:
        assert twin.id != counter.id
        counts_on(twin)
        after = told(twin)
        assert after == list(range(after[0], after[0] + len(after)))
        assert before[4] < after[0] <= before[-1]
        assert twin.run("cat", "/file").stdout == "before\n"
        assert twin.run("/bin/sh", "-c", "[ -e /late ]").returncode == 1
        assert name_of(counter) == counter.id
        inside = {one.pid for one in twin.processes()}
        assert twin.task().pid in inside and inside.isdisjoint(one.pid for one in counter.processes())
        assert name_of(twin) == twin.id
        assert dict(twin.labels()) == {"a": "b"}
        assert twin.info().lifetime == "owner"
        counts_on(counter)
    assert engine.checkpoints.list().ids == ["warm"]
    assert engine.checkpoints.get("warm").info().labels == {"kind": "test"}
    made.delete()
    assert directories(engine) == []
    with pytest.raises(ctrd.CheckpointNotFound):
        engine.checkpoints.get("warm")


def test_exit_and_back_into_the_same_container(engine: ctrd.Engine, counter: ctrd.Container) -> None:
    made = counter.checkpoint(exit=True)
    ended = counter.wait(30)
    assert (int(ended), ended.signal) == (137, 9)
    before = told(counter)
    counter.task().delete()
    task = counter.create_task(checkpoint=made)
    assert (task.state().status, task.pid) == ("created", None)
    task.start()
    assert counter.status() == "running"
    counts_on(counter)
    after = told(counter)
    assert before[-1] < after[0] <= before[-1] + 2
    made.delete()


def test_in_a_directory_and_from_another_process(engine: ctrd.Engine, counter: ctrd.Container, tmp_path: Path) -> None:
    where = tmp_path / "cp"
    made = counter.checkpoint(where)
    assert (made.ref, made.path) == (None, where)
    assert where.stat().st_mode & 0o777 == 0o700
    with pytest.raises(ctrd.AlreadyExists):
        counter.checkpoint(where)
    code = (
        "import ctrd, pathlib, sys\n"
        "engine = ctrd.default_engine()\n"
        "with engine.containers.restore(pathlib.Path(sys.argv[1]), id='twin') as c:\n"
        "    for line in c.logs(follow=True):\n"
        "        print(line.text, c.status())\n"
        "        break\n"
    )
    number, status = python_says(engine, code, str(where)).split()
    assert int(number) > 4
    assert status in ("running", "TaskStatus.running")
    assert "twin" not in engine.containers


def test_a_damaged_one_is_refused(engine: ctrd.Engine, counter: ctrd.Container, tmp_path: Path) -> None:
    made = counter.checkpoint("warm")
    image = next(iter(sorted(made.path.glob("images/pages-*.img"))))
    with image.open("r+b") as file:
        file.write(b"\xff" * 8)
    with pytest.raises(ctrd.DataLoss, match=image.name):
        made.restore()
    image.unlink()
    with pytest.raises(ctrd.DataLoss, match=image.name):
        made.restore()
    (made.path / "manifest").write_bytes(b"\x01\xff\xff")
    with pytest.raises(ctrd.DataLoss):
        made.restore()
    assert list(engine.containers) == [counter.id]
    made.delete()


def test_a_foreign_one_is_refused(
    engine: ctrd.Engine, counter: ctrd.Container, rootfs: ctrd.Rootfs, tmp_path: Path
) -> None:
    counter.checkpoint(tmp_path / "cp", exit=True)
    other = ctrd.Engine(tmp_path / "other", state=tmp_path / "other-state")
    try:
        with pytest.raises(ctrd.PermissionDenied):
            other.containers.restore(tmp_path / "cp")
        with pytest.raises(ctrd.PermissionDenied):
            other.containers.restore(tmp_path / "cp", allow_untrusted=True)
        args = counter.spec()["process"]["args"]
        with other.containers.create(rootfs, *args, runtime=counter.runtime) as mine:
            with pytest.raises(ctrd.PermissionDenied):
                mine.create_task(checkpoint=tmp_path / "cp")
            mine.create_task(checkpoint=tmp_path / "cp", allow_untrusted=True).start()
            counts_on(mine)
    finally:
        other.close()


def test_a_checkpoint_restores_with_all_options() -> None:
    """The method spells them out, as the verb of containers does."""
    own = inspect.signature(ctrd.Checkpoint.restore).parameters
    whole = inspect.signature(ctrd.Containers.restore).parameters
    assert {n: (p.default, p.annotation) for n, p in own.items() if n != "self"} == {
        n: (p.default, p.annotation) for n, p in whole.items() if n not in ("self", "checkpoint")
    }


def test_what_cannot_be(engine: ctrd.Engine, counter: ctrd.Container, rootfs: ctrd.Rootfs, tmp_path: Path) -> None:
    with pytest.raises(ctrd.CheckpointNotFound):
        engine.containers.restore("none")
    with pytest.raises(ctrd.CheckpointNotFound):
        engine.containers.restore(tmp_path / "none")
    with pytest.raises(ctrd.InvalidArgument):
        counter.checkpoint("a/b")
    with pytest.raises(ctrd.InvalidArgument):
        counter.checkpoint(tcp="maybe")  # type: ignore[arg-type]
    with engine.containers.create(rootfs, "true", runtime=counter.runtime) as idle:
        with pytest.raises(ctrd.TaskNotFound):
            idle.checkpoint()
        idle.create_task()
        with pytest.raises(ctrd.FailedPrecondition):
            idle.checkpoint()
    made = counter.checkpoint("warm")
    with pytest.raises(ctrd.AlreadyExists):
        counter.checkpoint("warm")
    with pytest.raises(ctrd.AlreadyExists):
        made.restore(id=counter.id)
    assert counter.status() == "running"
    assert len(directories(engine)) == 1
    counter.kill()
    counter.wait(30)
    with pytest.raises(ctrd.FailedPrecondition):
        counter.checkpoint()
    made.delete()
    assert directories(engine) == []


def test_doctor_tries_criu(engine: ctrd.Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    criu_of = {check.name: check for check in engine.doctor().checks}["criu"]
    assert criu_of.ok, criu_of.found
    monkeypatch.setenv("PATH", "/usr/sbin:/usr/bin")
    if criu.BIN.is_dir():
        criu_of = {check.name: check for check in engine.doctor().checks}["criu"]
        assert not criu_of.ok
        assert "install criu" in criu_of.hint
    assert engine.doctor().ok


def test_what_criu_lacks_is_said(
    engine: ctrd.Engine, counter: ctrd.Container, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without iptables no network of its own is locked: CRIU works, and doctor and the report say for what not."""
    real = shutil.which("criu", path=criu.path())
    assert real
    (tmp_path / "criu").symlink_to(real)
    assert "iptables" not in str(engine.doctor())
    assert counter.checkpoint(dry_run=True, tcp="keep").ok
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert not shutil.which("iptables-restore")
    report = engine.doctor()
    (check,) = (check for check in report.checks if check.name == "criu")
    assert check.ok and "no iptables" in check.found and "install iptables" in check.hint
    assert "install iptables" in str(report)
    (problem,) = counter.checkpoint(dry_run=True, tcp="keep").problems
    assert (problem.kind, problem.fatal) == ("host", True) and "install iptables" in problem.what
    assert counter.checkpoint(dry_run=True).ok is (criu.version() >= (4, 1))


def test_a_runtime_without_it(engine: ctrd.Engine, rootfs: ctrd.Rootfs, monkeypatch: pytest.MonkeyPatch) -> None:
    """Debian 12's crun: doctor, the report and the error say the same, and it runs on."""
    crun = shutil.which("crun", path="/usr/sbin:/usr/bin")
    assert crun
    can = criu.dumps(crun)
    with engine.start(rootfs, "/bin/sh", "-c", COUNT, runtime=crun) as c:
        eventually(lambda: len(told(c)) >= 5, "it counts")
        report = c.checkpoint(dry_run=True)
        assert report.ok is can
        if not can:
            assert "built without CRIU: use runc" in str(report)
            for verb in (c.checkpoint, c.fork):
                with pytest.raises(ctrd.Unsupported, match="built without CRIU") as failed:
                    verb()
                assert "use runc" in str(failed.value.hint)
        counts_on(c)
    monkeypatch.setenv("PATH", "/usr/sbin:/usr/bin")
    (check,) = (check for check in engine.doctor().checks if check.name == "crun")
    assert check.ok and ("built without CRIU" in check.found) is ("+CRIU" in check.hint) is not can


def test_a_handle_is_that_very_one(engine: ctrd.Engine, counter: ctrd.Container) -> None:
    """Of another namespace, or by its path; and not the next one of its name."""
    made = counter.checkpoint("warm")
    inner = engine.with_namespace("inner")
    other = inner.checkpoints.load(made.path, ref="warm")
    assert other.path != made.path
    for source in (made, made.path):
        with inner.containers.restore(source) as twin:
            counts_on(twin)
    made.delete()
    counter.checkpoint("warm")
    with pytest.raises(ctrd.CheckpointNotFound):
        made.restore()
    other.delete()
    with pytest.raises(ctrd.CheckpointNotFound):
        inner.containers.restore("warm")
    with pytest.raises(ctrd.CheckpointNotFound):
        engine.containers.restore(other)
    engine.checkpoints.delete("warm")


def test_a_place_that_is_taken(counter: ctrd.Container, engine: ctrd.Engine, tmp_path: Path) -> None:
    """Told before it is frozen; an empty directory makes way."""
    (tmp_path / "file").write_text("x")
    (tmp_path / "full").mkdir()
    (tmp_path / "full/file").touch()
    (tmp_path / "link").symlink_to("full")
    (tmp_path / "dangling").symlink_to("none")
    (tmp_path / "mounted").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "none", tmp_path / "mounted"], check=True)
    try:
        for name in ("file", "full", "link", "dangling", "mounted"):
            with pytest.raises(ctrd.AlreadyExists) as failed:
                counter.checkpoint(tmp_path / name)
            assert str(tmp_path / name) in str(failed.value)
            with pytest.raises(ctrd.AlreadyExists):
                counter.checkpoint(tmp_path / name, dry_run=True)
    finally:
        subprocess.run(["umount", tmp_path / "mounted"], check=True)
    (tmp_path / "empty").mkdir()
    with counter.checkpoint(tmp_path / "empty").restore() as twin:
        counts_on(twin)


def names_in(path: Path) -> list[str]:
    return [one.name for one in path.iterdir()]


CHECKPOINT = """if True:
    import ctrd, pathlib, sys
    ctrd.default_engine().containers[sys.argv[1]].checkpoint(pathlib.Path(sys.argv[2]))
"""


def test_a_killed_client_leaves_nothing_in_a_directory_of_its_own(
    engine: ctrd.Engine, counter: ctrd.Container, tmp_path: Path
) -> None:
    """Not even on another filesystem, where it is made beside its place."""
    counter.run("dd", "if=/dev/zero", "of=/big", "bs=1M", "count=64")
    with tempfile.TemporaryDirectory(dir="/dev/shm") as memory:
        assert Path(memory).stat().st_dev != engine.root.stat().st_dev
        for parent in (tmp_path / "here", Path(memory) / "there"):
            parent.mkdir()
            where = engine.root / "checkpoints" if parent.parent == tmp_path else parent
            with python(engine, CHECKPOINT, counter.id, str(parent / "cp")) as child:
                eventually(lambda p=where: list(p.glob(".new-*/images/inventory.img")), "it is dumped")
                child.kill()
            with ctrd.Engine(engine.root, state=engine.state) as again:
                assert list(again.containers) == [counter.id]
            assert (names_in(parent), directories(engine)) == ([], [])
            with counter.checkpoint(parent / "cp").restore() as twin:
                counts_on(twin)
            assert (names_in(parent), directories(engine)) == (["cp"], [])
    counts_on(counter)


def test_a_killed_one_leaves_nothing(engine: ctrd.Engine, counter: ctrd.Container) -> None:
    (engine.root / "checkpoints/.new-0123456789abcdef/images").mkdir(parents=True)
    (engine.root / "checkpoints/77").mkdir()
    again = ctrd.Engine(engine.root, state=engine.state)
    try:
        assert list(again.containers) == [counter.id]
        assert directories(engine) == []
    finally:
        again.close()


def test_copies_out_and_in(engine: ctrd.Engine, counter: ctrd.Container, tmp_path: Path) -> None:
    made = counter.checkpoint("warm", labels={"kind": "test"})
    out = made.export(tmp_path / "out")
    assert out.stat().st_mode & 0o777 == 0o700
    with pytest.raises(ctrd.AlreadyExists):
        made.export(out)
    made.delete()
    again = engine.checkpoints.load(out, ref="again")
    assert (again.ref, again.info().labels, again.container_id) == ("again", {"kind": "test"}, counter.id)
    with pytest.raises(ctrd.AlreadyExists):
        engine.checkpoints.load(out, ref="again")
    for source in (again, engine.checkpoints.load(out)):
        with source.restore() as twin:
            counts_on(twin)
    assert engine.checkpoints.list("labels.kind==test", "name==none").ids == ["again"]
    assert engine.checkpoints.list(f"container=={counter.id},labels.kind!=test").ids == []
    with pytest.raises(ctrd.InvalidArgument):
        engine.checkpoints.list("name=")
    other = ctrd.Engine(tmp_path / "other", state=tmp_path / "other-state")
    try:
        with pytest.raises(ctrd.PermissionDenied):
            other.checkpoints.load(out, ref="mine")
        assert directories(other) == []
    finally:
        other.close()
    again.delete()


def test_its_namespace_stays(engine: ctrd.Engine, counter: ctrd.Container, tmp_path: Path) -> None:
    counter.checkpoint(tmp_path / "cp")
    inner = engine.with_namespace("inner")
    made = inner.checkpoints.load(tmp_path / "cp", ref="warm")
    with pytest.raises(ctrd.FailedPrecondition, match="checkpoints"):
        engine.namespaces.delete("inner")
    made.delete()
    engine.namespaces.delete("inner")
