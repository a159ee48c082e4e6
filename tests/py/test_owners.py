"""Whose containers they are, and what goes by itself: owners that end, on_exit="delete", detach()."""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import threading
import time
from pathlib import Path

import ctrd
import pytest
from conftest import left_on_disk
from support import alive, eventually, python, python_says

pytestmark = pytest.mark.root


def exits(engine: ctrd.Engine) -> list[str]:
    """Whose exits are kept."""
    return sorted(path.name for path in engine.state.glob("*/.exits/*"))


def gone(engine: ctrd.Engine) -> bool:
    return not (engine.containers.list() or left_on_disk(engine))


def test_the_interpreter_ends_while_a_thread_waits(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    code = """if True:
        import ctrd, sys, threading
        c = ctrd.start(ctrd.Rootfs(sys.argv[1]), "sleep", "1000")
        threading.Thread(target=c.wait, daemon=True).start()
        print(c.task().pid)
    """
    pid = int(python_says(engine, code, str(rootfs.path)))
    eventually(lambda: not alive(pid), "its process is gone")
    eventually(lambda: gone(engine), "its record and layer are gone")


def test_on_exit_delete_takes_all_but_the_status(engine: ctrd.Engine, rootfs: ctrd.Rootfs, runtime: str) -> None:
    c = engine.start(rootfs, shell="exit 7", id="x", on_exit="delete", runtime=runtime)
    assert c.wait(timeout=60) == 7
    assert "x" not in engine.containers and engine.containers.list().ids == []
    assert left_on_disk(engine) == [] and exits(engine) == ["x"]
    # Later, by any verb that asks how it ended, and elsewhere.
    assert (c.wait(timeout=60), c.poll(), c.stop()) == (7, 7, 7)
    c.kill()
    with pytest.raises(ctrd.ContainerNotFound):
        c.status()
    with pytest.raises(ctrd.ContainerNotFound):
        c.start()
    code = "import pickle, sys; print(repr(pickle.loads(bytes.fromhex(sys.argv[1])).wait(timeout=60)))"
    assert python_says(engine, code, pickle.dumps(c).hex()) == "<ExitStatus 7>\n"
    c.delete(missing_ok=True)


def test_on_exit_delete_with_a_waiter_elsewhere(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    c = engine.start(rootfs, "sleep", "1000", id="x", on_exit="delete", lifetime="detached")
    code = "import ctrd; c = ctrd.default_engine().containers['x']; print('here', flush=True); print(repr(c.wait()))"
    others = [python(engine, code) for _ in range(3)]
    for other in others:
        assert other.stdout and other.stdout.readline() == "here\n"
    c.kill()
    for other in others:
        out, err = other.communicate(timeout=60)
        assert out == "<ExitStatus 137 signal=9>\n", err
    eventually(lambda: gone(engine), "all of it is gone")


@pytest.mark.parametrize("how", ["list", "get", "create", "an engine's first verb"])
def test_on_exit_delete_when_nobody_waits(engine: ctrd.Engine, rootfs: ctrd.Rootfs, how: str) -> None:
    code = """if True:
        import ctrd, os, sys
        c = ctrd.start(ctrd.Rootfs(sys.argv[1]), "sleep", "1000", id="x", on_exit="delete", lifetime="detached")
        print(c.task().pid, flush=True)
        os._exit(0)
    """
    pid = int(python_says(engine, code, str(rootfs.path)))
    os.kill(pid, signal.SIGTERM)
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: (engine.state / "default/x/exit").exists() or not left_on_disk(engine), "it has ended")
    if how == "list":
        assert engine.containers.list().ids == []
    elif how == "get":
        with pytest.raises(ctrd.ContainerNotFound):
            engine.containers["x"]
    elif how == "create":
        with engine.containers.create(rootfs, "true", id="x") as new:
            assert new.status() == "none"
    else:
        with ctrd.Engine(engine.root, state=engine.state) as second:
            assert len(second.containers) == 0
    eventually(lambda: gone(engine), "all of it is gone")
    assert exits(engine) == ([] if how == "create" else ["x"])


def test_on_exit_delete_of_a_killed_shim(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    c = engine.start(rootfs, "sleep", "1000", on_exit="delete")
    os.kill(shim_of(c), signal.SIGKILL)
    assert c.wait(timeout=60).lost == "shim"
    assert c.wait(timeout=60) == 137
    eventually(lambda: gone(engine), "all of it is gone")


def test_on_exit_delete_beside_other_ends(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    assert engine.run(rootfs, "echo", "x", on_exit="delete").stdout == "x\n"
    c = engine.start(rootfs, "sleep", "1000", on_exit="delete")
    c.delete(force=True)
    c = engine.start(rootfs, "sleep", "1000", on_exit="delete")
    assert c.stop(grace=0.1).escalated
    assert gone(engine)
    with engine.start(rootfs, "sleep", "1000", on_exit="delete") as c:
        c.task().delete(force=True)
        assert c.id not in engine.containers
    assert gone(engine)
    with pytest.raises(ctrd.InvalidArgument, match="on_exit"):
        engine.containers.create(rootfs, "true", on_exit="remove")  # type: ignore[arg-type]


def test_kept_exits_have_a_bound(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    assert engine.start(rootfs, "true", id="first", on_exit="delete").wait(timeout=60) == 0
    kept = engine.state / "default/.exits"
    content = (kept / "first").read_bytes()
    now = time.clock_gettime(time.CLOCK_BOOTTIME)  # a kept file's mtime: a clock that is set takes nothing away
    for i in range(1005):
        (kept / f"old{i}").write_bytes(content)
        os.utime(kept / f"old{i}", (now - 300 + i * 0.1,) * 2)
    os.utime(kept / "first", (now - 500,) * 2)
    second = engine.start(rootfs, "false", id="second", on_exit="delete")
    assert second.wait(timeout=60) == 1
    assert len(exits(engine)) == 1000
    assert {"second", "old1004", "old6"} <= set(exits(engine)) and "first" not in exits(engine)
    for name in exits(engine):
        os.utime(kept / name, (now - 700,) * 2)
    with pytest.raises(ctrd.NotFound):
        second.wait(timeout=60)
    with ctrd.Engine(engine.root, state=engine.state) as other:
        assert len(other.containers) == 0
    assert exits(engine) == []


def test_detach_at_any_moment_of_the_owners_death(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    """The owner is killed around its detach(): the container lives detached, or all of it goes."""
    code = """if True:
        import ctrd, sys
        c = ctrd.start(ctrd.Rootfs(sys.argv[1]), "sleep", "1000", id="x")
        print(c.task().pid, flush=True)
        c.detach()
        print("detached", flush=True)
        sys.stdin.read()
    """
    lived = 0
    for i in range(8):
        with python(engine, code, str(rootfs.path)) as owner:
            assert owner.stdout
            pid = int(owner.stdout.readline())
            time.sleep(i * 0.0007)  # not a synchronisation: the moment of its death
            owner.kill()
            said = owner.stdout.read()
        if alive(pid) and eventually(lambda: stays(engine, pid), "it is decided") == "lives":  # noqa: B023
            lived += 1
            assert engine.containers["x"].info().lifetime == "detached"
            engine.containers.delete("x", force=True)
        else:
            assert said == ""
        eventually(lambda: gone(engine), "nothing is left")
    with python(engine, code, str(rootfs.path)) as owner:
        assert owner.stdout
        pid = int(owner.stdout.readline())
        assert owner.stdout.readline() == "detached\n"
        owner.kill()
    assert alive(pid) and engine.containers["x"].status() == "running"
    engine.containers.delete("x", force=True)


def stays(engine: ctrd.Engine, pid: int) -> str:
    """Whether it lives on as a detached one, or is gone; nothing while that is open."""
    if not alive(pid):
        return "gone"
    return "lives" if engine.containers.list().ids == ["x"] else ""


def test_half_of_a_detach_is_finished_by_who_comes(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    """The shim knows, the record does not: what a death between the two leaves (strace kills at the record's write)."""
    code = """if True:
        import ctrd, os, sys
        c = ctrd.start(ctrd.Rootfs(sys.argv[1]), "sleep", "1000", id="x")
        print(c.task().pid, flush=True)
        sys.stdin.readline()
        c.detach()
    """
    with python(engine, code, str(rootfs.path)) as owner:
        assert owner.stdout and owner.stdin
        pid = int(owner.stdout.readline())
        status = engine.state / "default/x/status"
        before = status.read_bytes()
        held = threading.Event()
        killer = threading.Thread(target=lambda: (changed(status, before), owner.kill(), held.set()))
        killer.start()
        owner.stdin.write("\n")
        owner.stdin.flush()
        killer.join()
    assert alive(pid)
    info = engine.containers.list()
    assert [(one.id, one.lifetime, one.status) for one in info] == [("x", "detached", "running")]
    assert alive(pid)
    engine.containers.delete("x", force=True)


def changed(path: Path, before: bytes) -> None:
    while path.read_bytes() == before:
        pass


def test_the_state_directory_is_one(engine: ctrd.Engine, rootfs: ctrd.Rootfs, tmp_path: Path) -> None:
    with engine.containers.create(rootfs, "true"):
        with (
            ctrd.Engine(engine.root, state=tmp_path / "other") as other,
            pytest.raises(ctrd.FailedPrecondition) as error,
        ):
            len(other.containers)
        assert str(engine.state) in str(error.value) and str(tmp_path / "other") in str(error.value)
        token = (engine.state / ".id").read_bytes()
        (engine.state / ".id").unlink()
        lost = pytest.raises(ctrd.FailedPrecondition, match=r"\.id in it is another one, or was lost")
        with ctrd.Engine(engine.root, state=engine.state) as same, lost:
            len(same.containers)
        (engine.state / ".id").write_bytes(token)
        with ctrd.Engine(engine.root, state=engine.state) as same:
            assert len(same.containers) == 1


def test_owner_locks_and_records_are_swept(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    code = """if True:
        import ctrd, os, sys
        ctrd.default_engine().containers.create(ctrd.Rootfs(sys.argv[1]), "true", id="x")
        os._exit(0)
    """
    for _ in range(3):
        python_says(engine, code, str(rootfs.path))
    (engine.state / ".owners/99").touch()
    with ctrd.Engine(engine.root, state=engine.state) as other:
        assert len(other.containers) == 0
        assert list((engine.state / ".owners").iterdir()) == []
    assert left_on_disk(engine) == []


def test_no_caller_waits_for_a_shim(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    """$(python script.py): the shim and the container keep none of the caller's descriptors."""
    code = """if True:
        import ctrd, os, sys
        extra = os.dup(1)
        os.set_inheritable(extra, True)
        image = ctrd.Rootfs(sys.argv[1])
        ctrd.start(image, "sleep", "1000", id="x", lifetime="detached")
        ctrd.start(image, shell="exec 0<&-; sleep 1000 & wait", id="y").detach()
        print("done")
    """
    assert python_says(engine, code, str(rootfs.path)) == "done\n"  # reads to the end of the pipe
    assert {one.status for one in engine.containers.list()} == {"running"}
    for id in ("x", "y"):
        shim = shim_of(engine.containers[id])
        assert not pipes_of(shim) & pipes_of(os.getpid())
        engine.containers.delete(id, force=True)


def pipes_of(pid: int) -> set[str]:
    """Pipes and sockets that this process holds."""
    found = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):  # the one that lists this directory
            found.add(str(link.readlink()))
    return {one for one in found if one.startswith(("pipe:", "socket:"))}


def shim_of(container: ctrd.Container) -> int:
    """Pid of its shim: the parent of its first process."""
    pid = container.task().pid
    return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
