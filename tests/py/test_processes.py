"""Several processes on one root: they see each other's containers, and take nothing of each other's with them."""

from __future__ import annotations

import json
import multiprocessing
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import ctrd
import pytest
from conftest import left_on_disk
from support import alive, environment, eventually, python, python_says

pytestmark = pytest.mark.root

OWNER = """if True:
    import ctrd, os, sys
    image = ctrd.Rootfs(sys.argv[1])
    engine = ctrd.default_engine()
    a = engine.start(image, "sleep", "1000", id="owned")
    b = engine.start(image, "sleep", "1000", id="kept", lifetime="detached")
    c = engine.containers.create(image, "true", id="record")
    engine.start(image, "sleep", "1000", id="given").detach()
    print(a.task().pid, b.task().pid, flush=True)
    sys.stdin.read()
"""


def test_a_second_process_lists_waits_and_kills(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    with engine.start(rootfs, "sleep", "1000", id="x", labels={"a": "b"}) as c:
        code = """if True:
            import ctrd, json, sys
            engine = ctrd.default_engine()
            info = engine.containers.list()[0]
            c = engine.containers["x"]
            print(json.dumps([info.id, info.status, info.pid, dict(info.labels), info.owner_pid, len(c.processes())]))
            task = c.task()
            print(json.dumps([task.stdin, task.pid, task.args]))
            with c:
                c.update(labels={"c": "d"})
            print(c.poll())
            c.kill("TERM")
            c.kill()
            print(int(c.wait(timeout=30)))
        """
        lines = python_says(engine, code).splitlines()
        pid = c.task().pid
        assert json.loads(lines[0]) == ["x", "running", pid, {"a": "b"}, os.getpid(), 1]
        assert json.loads(lines[1]) == [None, pid, ["sleep", "1000"]]
        assert lines[2:] == ["None", "137"]
        assert c.wait(timeout=30).signal == 9
        assert c.labels() == {"a": "b", "c": "d"}


def test_one_waits_while_another_ends_it(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    with engine.start(rootfs, "sleep", "1000", id="x") as c:
        code = (
            "import ctrd; c = ctrd.default_engine().containers['x']; print('here', flush=True); print(repr(c.wait()))"
        )
        with python(engine, code) as other:
            assert other.stdout and other.stdout.readline() == "here\n"
            c.kill()
            assert other.stdout.readline() == "<ExitStatus 137 signal=9>\n"


@pytest.mark.parametrize("how", ["kill -9", "exit", "exception", "os._exit"])
def test_the_end_of_the_owner(engine: ctrd.Engine, rootfs: ctrd.Rootfs, how: str) -> None:
    last = {"exception": "raise SystemExit(3)", "os._exit": "os._exit(0)"}.get(how, "")
    with python(engine, OWNER + f"    {last}\n", str(rootfs.path)) as owner:
        assert owner.stdout and owner.stdin
        line = owner.stdout.readline()
        assert line, owner.stderr.read() if owner.stderr else ""
        owned, kept = map(int, line.split())
        assert engine.containers.list().ids == ["given", "kept", "owned", "record"]
        if how == "kill -9":
            owner.kill()
        owner.stdin.close()
        owner.wait(timeout=60)
    eventually(lambda: not alive(owned), "the owned container's process is gone")
    eventually(lambda: engine.containers.list().ids == ["given", "kept"], "the records are gone")
    assert alive(kept)
    assert engine.containers["kept"].status() == engine.containers["given"].status() == "running"
    with pytest.raises(ctrd.ContainerNotFound):
        engine.containers["owned"]
    for id in ("kept", "given"):
        engine.containers.delete(id, force=True)
    # Whoever meets what a dead owner left removes it, once its shim has gone.
    eventually(lambda: not (engine.containers.list() or left_on_disk(engine)), "nothing is left on disk")


def test_an_owner_that_exits_cleans_up_at_once(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    code = """if True:
        import ctrd, sys
        image, engine = ctrd.Rootfs(sys.argv[1]), ctrd.default_engine()
        engine.start(image, "sleep", "1000")
        ctrd.Engine(engine.root, state=engine.state).start(image, "sleep", "1000")  # nobody holds this engine
    """
    python_says(engine, code, str(rootfs.path))
    assert left_on_disk(engine) == []
    assert len(engine.containers) == 0


def test_replace_of_anothers_is_refused(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    with engine.start(rootfs, "sleep", "1000", id="x") as c:
        code = """if True:
            import ctrd, sys
            try:
                ctrd.default_engine().containers.create(ctrd.Rootfs(sys.argv[1]), "true", id="x", replace=True)
            except ctrd.Conflict as error:
                print(error.code)
        """
        assert python_says(engine, code, str(rootfs.path)) == "aborted\n"
        assert c.status() == "running"


def test_a_fork_may_not_use_the_engine(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    code = """if True:
        import ctrd, os, sys
        image = ctrd.Rootfs(sys.argv[1])
        engine = ctrd.default_engine()
        c = engine.start(image, "sleep", "1000", id="parents")
        pid = os.fork()
        if pid == 0:
            try:
                for verb in (lambda: len(engine.containers), c.status, c.kill, lambda: engine.run(image, "true")):
                    try:
                        verb()
                        os._exit(3)
                    except ctrd.ForkedEngine:
                        pass
                child = ctrd.default_engine()
                assert child is not engine
                assert "parents" in child.containers
                assert ctrd.run(image, "echo", "from the child").stdout == "from the child\\n"
                ctrd.start(image, "sleep", "1000", id="childs")
                child.close()
                assert child.closed
                os._exit(0)
            except BaseException as error:
                print(repr(error), file=sys.stderr, flush=True)
                os._exit(4)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        assert engine.containers.list().ids == ["parents"]
        assert c.status() == "running"
        print(ctrd.run(image, "echo", "fine").stdout, end="")
    """
    assert python_says(engine, code, str(rootfs.path)) == "fine\n"
    assert left_on_disk(engine) == []


def test_a_forked_child_does_not_keep_its_parents_containers(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    code = """if True:
        import ctrd, os, sys
        c = ctrd.start(ctrd.Rootfs(sys.argv[1]), "sleep", "1000", id="x")
        if os.fork() == 0:
            os.setsid()
            sys.stdin.read()
            os._exit(0)
        print(c.task().pid, flush=True)
        os.kill(os.getpid(), 9)
    """
    with python(engine, code, str(rootfs.path)) as owner:
        assert owner.stdout and owner.stdin
        pid = int(owner.stdout.readline())
        owner.wait(timeout=30)
        eventually(lambda: not alive(pid), "the container ended though the child lives")
        eventually(lambda: "x" not in engine.containers, "its record is gone")
        owner.stdin.close()


def _in_a_pool(where: tuple[str, str, str]) -> str:
    with ctrd.Engine(where[0], state=where[1]) as engine:
        return engine.run(ctrd.Rootfs(where[2]), "echo", "x").stdout


def test_a_pool_of_spawned_processes(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    code = """if True:
        import concurrent.futures, multiprocessing, sys
        sys.path.insert(0, sys.argv[1])
        from test_processes import _in_a_pool
        if __name__ == "__main__":
            where = tuple(sys.argv[2:5])
            with concurrent.futures.ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
                print(list(pool.map(_in_a_pool, [where] * 6)))
    """
    args = (str(Path(__file__).parent), str(engine.root), str(engine.state), str(rootfs.path))
    assert python_says(engine, code, *args) == f"{['x' + chr(10)] * 6}\n"
    assert multiprocessing.active_children() == []


def test_many_processes_at_once(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    code = """if True:
        import ctrd, sys
        image, me = ctrd.Rootfs(sys.argv[1]), sys.argv[2]
        engine = ctrd.default_engine()
        for i in range(5):
            with engine.containers.create(image, shell=f"echo {me}-{i}", id=f"p{me}-{i}", labels={"me": me}) as c:
                assert c.start().wait() == 0
                assert c.logs().read() == f"{me}-{i}\\n"
                assert engine.containers.list(labels={"me": me}).ids == [c.id]
    """
    others = [python(engine, code, str(rootfs.path), str(me)) for me in range(4)]
    for other in others:
        _, err = other.communicate(timeout=120)
        assert other.returncode == 0, err
    assert len(engine.containers) == 0


def test_a_shim_that_is_killed(engine: ctrd.Engine, rootfs: ctrd.Rootfs, runtime: str) -> None:
    with engine.start(rootfs, "sleep", "1000", runtime=runtime) as c:
        init = c.task().pid or 0
        shim = int(Path(f"/proc/{init}/stat").read_text().rsplit(")", 1)[1].split()[1])
        assert "shim" in Path(f"/proc/{shim}/cmdline").read_text()
        os.kill(shim, signal.SIGKILL)
        status = c.wait(timeout=60)
        assert (int(status), status.lost) == (137, "shim")
        assert not alive(init)
        assert c.status() == "stopped"
        assert c.start().status() == "running"


def test_ctrl_c_in_a_terminal_does_not_reach_the_shim(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    with engine.start(rootfs, "sleep", "1000") as c:
        init = c.task().pid or 0
        assert os.getpgid(init) != os.getpgid(0)
        shim = int(Path(f"/proc/{init}/stat").read_text().rsplit(")", 1)[1].split()[1])
        assert os.getsid(shim) == shim != os.getsid(0)


@pytest.mark.parametrize("shim", ["io.containerd.ctrd.v2", "io.containerd.runc.v2"])
def test_what_is_detached_outlives_its_terminal(engine: ctrd.Engine, rootfs: ctrd.Rootfs, shim: str) -> None:
    code = """if True:
        import ctrd, sys, time
        quiet = {"stdout": ctrd.DEVNULL, "stderr": ctrd.DEVNULL}
        other = {} if "ctrd" in sys.argv[2] else {"runtime": sys.argv[2]}
        ctrd.start(ctrd.Rootfs(sys.argv[1]), "sleep", "1000", id="x", lifetime="detached", **quiet, **other)
        print("up", flush=True)
        time.sleep(1000)
    """
    master, slave = pty.openpty()
    command = ["setsid", "--ctty", sys.executable, "-c", code, str(rootfs.path), shim]
    with subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, env=environment(engine)) as client:
        os.close(slave)
        with os.fdopen(master) as screen:
            assert screen.readline() == "up\n"
        assert client.wait(60) == -signal.SIGHUP
    c = engine.containers["x"]
    assert c.status() == "running" and c.run("echo", "on").stdout == "on\n"
    c.delete(force=True)


def test_signals_and_umask_of_the_caller_do_not_reach_the_container(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    code = """if True:
        import ctrd, os, signal, sys
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
        os.umask(0o777)
        os.dup2(0, 9)
        look = "grep -E 'Sig(Blk|Ign)|Umask' /proc/self/status; ls /proc/self/fd"
        said = ctrd.run(ctrd.Rootfs(sys.argv[1]), shell=look).stdout
        os.umask(0o022)
        print(said)
    """
    said = python_says(engine, code, str(rootfs.path)).split()
    facts = dict(zip(said[:6:2], said[1:6:2], strict=True))
    assert int(facts["SigBlk:"], 16) == 0 and facts["Umask:"] == "0022"
    assert int(facts["SigIgn:"], 16) & ((1 << 31) - 1) == 0
    assert set(said[6:]) <= {"0", "1", "2", "3"}


def test_a_deleted_working_directory(engine: ctrd.Engine, rootfs: ctrd.Rootfs, tmp_path: Path) -> None:
    (tmp_path / "gone").mkdir()
    code = """if True:
        import ctrd, pathlib, sys
        pathlib.Path.cwd().rmdir()
        print(ctrd.run(ctrd.Rootfs(sys.argv[1]), "echo", "x").stdout)
    """
    environment = {**os.environ, "CTRD_ROOT": str(engine.root), "CTRD_STATE": str(engine.state)}
    command = [sys.executable, "-c", code, str(rootfs.path)]
    done = subprocess.run(command, cwd=tmp_path / "gone", env=environment, capture_output=True, text=True, check=False)
    assert done.stdout == "x\n\n", done.stderr
