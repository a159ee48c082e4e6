"""fork(): copies of a warm container, from one dump that nothing keeps."""

from __future__ import annotations

import os
import re
import shutil
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import criu
import ctrd
import pytest
from criu import COUNT, counts_on, directories, name_of, told
from support import eventually, python

pytestmark = pytest.mark.root
FORKS = """if True:
    import ctrd, sys
    print(ctrd.default_engine().containers[sys.argv[1]].fork(4, ids=["a", "b", "c", "d"]))
"""


@pytest.fixture(params=criu.RUNTIMES)
def runtime(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each that can dump."""
    monkeypatch.setenv("PATH", criu.path())
    return criu.runtime(request.param)


@pytest.fixture
def counter(runtime: str, engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> Iterator[ctrd.Container]:
    """One that counts, and has written a file."""
    script = f"echo before >/file; {COUNT}"
    with engine.start(rootfs, "/bin/sh", "-c", script, id="one", runtime=runtime, labels={"a": "b"}) as made:
        eventually(lambda: len(told(made)) >= 5, "it counts")
        yield made


def test_copies_go_on(engine: ctrd.Engine, counter: ctrd.Container) -> None:
    copies = counter.fork(3)
    assert directories(engine) == []
    assert counter.status() == "running"
    counter.run("/bin/sh", "-c", "echo after >/file")
    before = told(counter)
    assert len({counter.id, *(copy.id for copy in copies)}) == 4
    for copy in copies:
        counts_on(copy)
        after = told(copy)
        assert after == list(range(after[0], after[0] + len(after)))
        assert before[4] < after[0] <= before[-1] + 1
        assert copy.run("cat", "/file").stdout == "before\n"
        assert name_of(copy) == copy.id
        assert copy.task().pid == copy.info().pid
        assert (dict(copy.labels()), copy.info().lifetime) == ({"a": "b"}, "owner")
        assert copy.spec()["linux"]["cgroupsPath"].endswith(copy.id)
    assert len({told(copy)[0] for copy in copies}) == 1  # one moment
    counts_on(counter)
    counter.delete(force=True)
    counts_on(copies[0])
    for again in copies[0].fork(ids=["a", "b"]):  # a copy is a container as any other
        with again:
            counts_on(again)
    for copy in copies:
        copy.delete(force=True)
    assert list(engine.containers) == []


def test_what_is_refused_before_it_is_frozen(engine: ctrd.Engine, counter: ctrd.Container, rootfs: ctrd.Rootfs) -> None:
    for count, ids in ((0, None), (-1, None), (3, ["a", "b"]), (1, []), (2, ["a", "a"]), (1, ["a/b"])):
        with pytest.raises(ctrd.InvalidArgument):
            counter.fork(count, ids=ids)
    with pytest.raises(ctrd.AlreadyExists):
        counter.fork(ids=["a", counter.id])
    with engine.containers.create(rootfs, "true", id="idle") as idle:
        with pytest.raises(ctrd.TaskNotFound):
            idle.fork()
        idle.create_task()
        with pytest.raises(ctrd.FailedPrecondition):
            idle.fork()
    assert list(engine.containers) == [counter.id]
    assert directories(engine) == []
    with counter.paused():
        (copy,) = counter.fork()
        assert (counter.status(), copy.status()) == ("paused", "running")
        with copy:
            counts_on(copy)


def kill_shim_of(engine: ctrd.Engine, id: str) -> None:
    """As soon as it is there."""
    bundle = f"{engine.state}/default/{id}".encode()

    def found() -> int:
        for directory in Path("/proc").glob("[1-9]*"):
            try:
                args = (directory / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if bundle in args and b"serve" in args:
                return int(directory.name)
        return 0

    os.kill(eventually(found, f"the shim of {id}"), signal.SIGKILL)


def test_one_that_fails(engine: ctrd.Engine, counter: ctrd.Container) -> None:
    killer = threading.Thread(target=kill_shim_of, args=(engine, "b"))
    killer.start()
    made = counter.fork(ids=["a", "b", "c"], return_exceptions=True)
    killer.join()
    assert isinstance(made[1], ctrd.Error), made
    assert made[1].op == "fork"
    for copy in (made[0], made[2]):
        assert isinstance(copy, ctrd.Container)
        with copy:
            counts_on(copy)
    assert list(engine.containers) == [counter.id]
    killer = threading.Thread(target=kill_shim_of, args=(engine, "b"))
    killer.start()
    with pytest.raises(ctrd.Error):
        counter.fork(ids=["a", "b", "c"])
    killer.join()
    assert list(engine.containers) == [counter.id]
    assert directories(engine) == []
    counts_on(counter)


@pytest.mark.parametrize("moment", ["checkpoints/.new-*/images/pages-*", "snapshots/[3-9]"])
def test_a_killed_client_leaves_nothing(engine: ctrd.Engine, counter: ctrd.Container, moment: str) -> None:
    with python(engine, FORKS, counter.id) as child:
        eventually(lambda: list(engine.root.glob(moment)), moment)
        child.kill()
    with ctrd.Engine(engine.root, state=engine.state) as again:
        assert list(again.containers) == [counter.id]
        assert directories(engine) == []
    eventually(lambda: counter.status() == "running", "it is let go")
    counts_on(counter)


@pytest.mark.parametrize("snapshotter", ["overlay", "native"])
def test_upon_a_snapshot(engine: ctrd.Engine, root_directory: Path, runtime: str, snapshotter: str) -> None:
    snapshots = engine.snapshots.with_snapshotter(snapshotter)
    snapshots.prepare("new")
    with snapshots.mount("new") as top:
        shutil.copytree(root_directory, top, symlinks=True, dirs_exist_ok=True)
    snapshots.commit("base", "new")
    base = ctrd.Snapshot("base")
    with engine.start(base, "/bin/sh", "-c", COUNT, runtime=runtime, snapshotter=snapshotter) as one:
        eventually(lambda: len(told(one)) >= 5, "it counts")
        (copy,) = one.fork()
        with copy:
            counts_on(copy)
            assert copy.info().snapshotter == snapshotter
            assert snapshots.stat(copy.snapshot_key).parent == "base"
            assert int(copy.run("cat", "/count").stdout or "5") >= 5
            stored = copy.checkpoint("stored")
        with stored.restore() as third:
            counts_on(third)
    snapshots.remove("base")
    with pytest.raises(ctrd.NotFound, match="base"):
        stored.restore()
    stored.delete()


def test_with_a_terminal(engine: ctrd.Engine, rootfs: ctrd.Rootfs, runtime: str) -> None:
    with engine.start(rootfs, "/bin/sh", "-c", "tty; " + COUNT, tty=True, id="one", runtime=runtime) as one:
        eventually(lambda: len(list(one.logs())) >= 5, "it counts")
        (copy,) = one.fork()
        with copy:
            first = eventually(lambda: [line.text for line in copy.logs()][:3], "it counts on")
            assert int(first[0]) >= 3
            assert copy.info().status == "running"


def test_what_criu_is_told(
    engine: ctrd.Engine, rootfs: ctrd.Rootfs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only runc's: crun's wrapper puts its own criu first."""
    real = shutil.which("criu", path=criu.path())
    told_file = tmp_path / "told"
    script = tmp_path / "criu"
    script.write_text(f'#!/bin/sh\necho "[$(cat "$CRIU_CONFIG_FILE" 2>/dev/null)]" >>{told_file}\nexec {real} "$@"\n')
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{criu.path()}")

    def said() -> set[str]:
        text = re.sub(r" cgroup-root [^\s\]]+", "", told_file.read_text().replace("\n", " "))  # v2's
        told_file.unlink()
        return set(re.findall(r"\[(.*?)\]", text))

    keep = "ghost-limit 1G"
    lock = " network-lock skip" if criu.version() >= (4, 1) else ""
    skip, close = keep + lock, f"{keep} tcp-close{lock}"
    with engine.start(rootfs, "/bin/sh", "-c", COUNT, runtime=criu.runtime("runc")) as one:
        one.checkpoint("warm-up").delete()  # its version is asked for once
        said()
        for tcp, told_at_dump, told_at_restore in (
            ("refuse", skip, skip),
            ("close", close, close),
            ("keep", keep, keep),
        ):
            made = one.checkpoint("made", tcp=tcp)  # type: ignore[call-overload]
            assert said() == {told_at_dump}
            with made.restore():
                assert said() == {told_at_restore}
            with made.restore(tcp="close"):
                assert said() == {close}
            made.delete()
        for copy in one.fork(2):
            copy.delete(force=True)
        assert said() == {close}
