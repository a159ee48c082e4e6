"""Shims, clients and machines that die: the next verb, in any process, settles what they left: reliability.md B."""

from __future__ import annotations

import concurrent.futures
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import ctrd
import invariants
import leakset
import pytest
from conftest import left_on_disk
from support import alive, environment, eventually, often, python, python_says

pytestmark = pytest.mark.root

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])


def shim_of(container: ctrd.Container) -> int:
    return parent_of(container.task().pid or 0)


def kill(pid: int) -> None:
    """SIGKILL, and wait for its end; reap it if it is ours."""
    fd = os.pidfd_open(pid)
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: not alive(pid), f"process {pid} has ended")
    os.close(fd)


def processes_of(engine: ctrd.Engine) -> list[str]:
    """Shims and runtimes: whose command line names the state directory."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(engine.state) in words and "shim" in words:
            found.append(f"{path.parent.name} {words}")
    return found


def cgroups_of(engine: ctrd.Engine, name: str) -> list[Path]:
    """The cgroups, in every hierarchy, of this engine's container of this id."""
    mark = leakset._mark(engine.root)
    at, pattern = Path("/sys/fs/cgroup"), f"ctrd-{mark}-*-{name}"
    return [path for path in (*at.glob(pattern), *at.glob(f"*/{pattern}")) if path.is_dir()]


def tree(engine: ctrd.Engine) -> dict[str, tuple[int, int]]:
    """All files but the store's own: path -> size and mtime."""
    found = {}
    for top in (engine.root, engine.state):
        for path in top.rglob("*"):
            if path.is_relative_to(engine.root / "metadata"):
                continue
            facts = path.lstat()
            found[str(path)] = (facts.st_size, facts.st_mtime_ns)
    return found


def after_reboot(engine: ctrd.Engine, code: str, *args: str, boot: str = "1") -> str:
    """What another Python says on a machine with another boot id: one that is mounted, for it alone, over the real."""
    fake = engine.root.parent / f"boot-{boot}"
    fake.write_text(f"{boot * 8}-1111-2222-3333-444444444444\n")
    script = f'mount --bind "$1" {BOOT_ID} && shift && exec "$@"'
    command = ["unshare", "-m", "sh", "-c", script, "sh", str(fake), sys.executable, "-c", code, *args]
    quiet = {"capture_output": True, "text": True, "timeout": 120, "stdin": subprocess.DEVNULL, "check": False}
    done = subprocess.run(command, env=environment(engine), **quiet)  # type: ignore[call-overload]
    assert done.returncode == 0, done.stderr
    return str(done.stdout)


@pytest.fixture
def script(tmp_path: Path) -> Iterator[Path]:
    """A runtime in front of the real runc: it does what its file `how` says before the verb that is named there."""
    path = tmp_path / "runtime"
    runc = shutil.which("runc")
    path.write_text(
        f'#!/bin/sh\nif [ -e {tmp_path}/how ]; then . {tmp_path}/how; fi\nexec {runc} "$@"\n', encoding="utf-8"
    )
    path.chmod(0o755)
    yield path


def on_verb(script: Path, verb: str, action: str) -> None:
    (script.parent / "how").write_text(f"case \" $* \" in *' {verb} '*) {action} ;; esac\n", encoding="utf-8")


def as_before(script: Path) -> None:
    (script.parent / "how").unlink()


# Reboots.


def test_b18_reboot_with_the_state_kept(engine: ctrd.Engine, rootfs: ctrd.Rootfs, runtime: str) -> None:
    """B18: stopped, 255, lost "reboot"; its pids mean nothing any more, so none is signalled; it starts again."""
    c = engine.start(rootfs, "sleep", "1000", id="x", lifetime="detached", runtime=runtime)
    init = c.task().pid or 0
    kill(shim_of(c))
    code = """if True:
        import ctrd
        engine = ctrd.default_engine()
        c = engine.containers["x"]
        print(c.status(), repr(c.wait(timeout=30)), sorted(p.name for p in (engine.state / "default/x").iterdir()))
        print(len(engine.containers), c.poll().lost)
    """
    first, second = after_reboot(engine, code).splitlines()
    assert first.startswith("stopped <ExitStatus 255") and "'sock'" not in first and "'rt'" not in first
    assert second == "1 reboot"
    assert alive(init)  # in this "boot" it is a stranger
    kill(init)
    for cgroup in cgroups_of(engine, "x"):
        eventually(lambda: not (cgroup / "cgroup.procs").read_text(), "the cgroup is empty")  # noqa: B023
        cgroup.rmdir()
    code = "import ctrd; c = ctrd.default_engine().containers['x'].start(); print(c.status()); c.delete(force=True)"
    assert after_reboot(engine, code, boot="2") == "running\n"
    assert left_on_disk(engine) == []


def test_b18_reboot_with_the_state_wiped(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    """B18: without its bundle there is no task; records stay, logs of no task go, owners are dead."""
    code = """if True:
        import ctrd, os, sys
        engine, image = ctrd.default_engine(), ctrd.Rootfs(sys.argv[1])
        engine.start(image, shell="echo hello; touch /kept; exec sleep 1000", id="x", lifetime="detached")
        engine.start(image, "sleep", "1000", id="owned")
        for _ in engine.containers["x"].logs(follow=True):
            break
        print(engine.containers["x"].task().pid, engine.containers["owned"].task().pid, flush=True)
        sys.stdin.read()
    """
    with python(engine, code, str(rootfs.path)) as owner:
        assert owner.stdout
        inits = [int(one) for one in owner.stdout.readline().split()]
        for init in inits:
            kill(parent_of(init))
            kill(init)
        owner.kill()
    for name in ("x", "owned"):
        for cgroup in cgroups_of(engine, name):
            cgroup.rmdir()
    shutil.rmtree(engine.state)
    code = """if True:
        import ctrd
        engine = ctrd.default_engine()
        print([(c.id, str(c.status)) for c in engine.containers.list()], list((engine.root / "logs").iterdir()))
        c = engine.containers["x"].start()
        print(c.status(), engine.containers.list().ids)
        c.delete(force=True)
    """
    said = after_reboot(engine, code).splitlines()
    assert said == ["[('x', 'none')] []", "running ['x']"]
    assert not list(engine.root.glob("snapshots/*"))


# Shims and clients that are killed.


def test_b19_the_shims_score(engine: ctrd.Engine, rootfs: ctrd.Rootfs, runtime: str) -> None:
    """B19: its oom_score_adj is one above its client's, and the container's is what its spec says."""
    mine = int(Path("/proc/self/oom_score_adj").read_text())
    spec = {"process": {"oomScoreAdj": mine + 500}}
    with engine.start(rootfs, "sleep", "1000", runtime=runtime, spec=spec) as c:
        assert int(Path(f"/proc/{shim_of(c)}/oom_score_adj").read_text()) == mine + 1
        assert int(Path(f"/proc/{c.task().pid}/oom_score_adj").read_text()) == mine + 500


@pytest.mark.parametrize("verb", ["create", "start", "delete"])
def test_b19_a_shim_killed_while_its_runtime_works(
    engine: ctrd.Engine, rootfs: ctrd.Rootfs, script: Path, verb: str
) -> None:
    """B19: during create, start, delete; the call says so, nothing is left, and the next try works."""
    c = engine.containers.create(rootfs, "sleep", "1000", id="x", runtime=str(script))
    if verb == "delete":
        c.start()
        c.stop(grace=0)
    on_verb(script, verb, f"echo $PPID > {script.parent}/shim; exec sleep 1000")
    pid_file = script.parent / "shim"

    def kill_shim() -> None:
        eventually(lambda: pid_file.exists() and pid_file.read_text().strip(), "the runtime runs")
        os.kill(int(pid_file.read_text()), signal.SIGKILL)

    killer = threading.Thread(target=kill_shim)
    killer.start()
    try:
        if verb == "delete":
            c.delete()
        else:
            with pytest.raises(ctrd.Error):
                c.start()
    finally:
        killer.join()
        as_before(script)
    if verb != "delete":
        assert c.start().status() == "running"
        c.delete(force=True)
    eventually(lambda: not processes_of(engine), "no shim is left")
    assert cgroups_of(engine, "x") == [] and left_on_disk(engine) == []


def test_b1_a_client_killed_while_it_runs(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    """B1: kill -9 of the client anywhere in run(): after the next engine's call no shim without a task."""
    code = """if True:
        import ctrd, sys
        image = ctrd.Rootfs(sys.argv[1])
        engine = ctrd.default_engine()
        len(engine.containers)
        print("go", flush=True)
        while True:
            engine.run(image, "true")
    """
    for i in range(7):
        with python(engine, code, str(rootfs.path)) as client:
            assert client.stdout and client.stdout.readline() == "go\n"
            time.sleep(0.002 + i * 0.007)  # not a synchronisation: the moment of its death
            client.kill()
        listed = engine.containers.list()
        assert len(listed) == 0 and len(processes_of(engine)) <= 1
        eventually(lambda: not processes_of(engine), "no shim is left", seconds=5)
    with ctrd.Engine(engine.root, state=engine.state) as other:
        eventually(lambda: not (len(other.containers) or left_on_disk(engine)), "nothing is left")


def test_client_and_shims_killed(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    code = """if True:
        import ctrd, sys
        image, engine = ctrd.Rootfs(sys.argv[1]), ctrd.default_engine()
        made = [engine.start(image, "sleep", "1000", lifetime=life) for life in ["owner", "detached"] * 3]
        print(*[c.task().pid for c in made], flush=True)
        sys.stdin.read()
    """
    with python(engine, code, str(rootfs.path)) as owner:
        assert owner.stdout
        inits = [int(one) for one in owner.stdout.readline().split()]
        shims = [parent_of(init) for init in inits]
        owner.kill()
        for shim in shims:
            if alive(shim):
                os.kill(shim, signal.SIGKILL)
    with ctrd.Engine(engine.root, state=engine.state) as other:
        rows = other.containers.list()
        assert len(rows) == 3
        assert {(row.status, row.exit and row.exit.lost) for row in rows} == {("stopped", "shim")}
        assert not any(alive(init) for init in inits)
        once = tree(engine)
        other._core.recover()
        assert tree(engine) == once  # recovering twice changes nothing
        for row in rows:
            other.containers.delete(row.id)
    assert left_on_disk(engine) == []


def test_readers_beside_removers(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    """Lists and gets never trip over a record that another process has just removed."""
    code = """if True:
        import ctrd, sys
        image, engine = ctrd.Rootfs(sys.argv[1]), ctrd.default_engine()
        for i in range(5):
            c = engine.start(image, "true", id=f"c{i % 3}")
            c.wait(timeout=60)
            c.delete()
            engine.start(image, "true", id=f"d{i % 3}", on_exit="delete").wait(timeout=60)
    """
    with python(engine, code, str(rootfs.path)) as other:
        while other.poll() is None:
            for row in engine.containers.list():
                assert row.id[0] in "cd"
            for id in ("c0", "d0"):
                if id in engine.containers:
                    try:
                        engine.containers[id].status()
                    except ctrd.NotFound:
                        pass
        _, err = other.communicate(timeout=60)
    assert other.returncode == 0, err
    assert left_on_disk(engine) == []


def test_a_shim_that_does_not_answer(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    """Each call ends at its deadline; delete(force) goes on without the shim."""
    config = ctrd.EngineConfig(rpc_timeout=0.3)
    with ctrd.Engine(engine.root, state=engine.state, config=config) as hasty:
        engine.start(rootfs, "sleep", "1000", id="running")
        engine.containers.create(rootfs, "sleep", "1000", id="made").create_task()
        c, made = hasty.containers["running"], hasty.containers["made"]
        shims = [shim_of(c), shim_of(made)]
        for shim in shims:
            os.kill(shim, signal.SIGSTOP)
        for call in (
            lambda: c.kill("TERM"),
            lambda: c.stop(grace=0.1),
            lambda: made.task().start(),
            lambda: c.wait(timeout=0.2),
            lambda: c.kill(all=True),
            c.detach,
        ):
            began = time.monotonic()
            with pytest.raises(ctrd.Timeout):
                call()
            assert time.monotonic() - began < 20
        assert c.status() == "running"  # from files
        c.delete(force=True)
        made.delete(force=True)
        assert not any(map(alive, shims))
    assert left_on_disk(engine) == []


def test_full_files_are_an_error_not_the_end(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    """RLIMIT_FSIZE is a failed write (EFBIG) for the shim, not SIGXFSZ's death."""
    code = """if True:
        import ctrd, resource, sys
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
        script = "i=0; while [ $i -lt 40000 ]; do echo 01234567890123456789012345678901; i=$((i+1)); done; exit 5"
        with ctrd.start(ctrd.Rootfs(sys.argv[1]), shell=script) as c:
            status = c.wait(timeout=100)
            print(int(status), status.lost)
    """
    assert python_says(engine, code, str(rootfs.path)) == "5 None\n"


# Tasks that end in odd ways.


def test_b2_many_exit_at_once(engine: ctrd.Engine, rootfs: ctrd.Rootfs, tmp_path: Path) -> None:
    """B2: containers that exit in the same moment: each exit is delivered, once, to each who waits."""
    (tmp_path / "gate").mkdir()
    script = "until [ -e /gate/open ]; do sleep 0.01; done; exit $N"
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        made = list(
            pool.map(
                lambda n: engine.start(rootfs, shell=script, env={"N": str(n)}, mounts=[f"{tmp_path}/gate:/gate"]),
                range(16),
            )
        )
        waiting = [pool.submit(c.wait, timeout=60) for c in made]
        (tmp_path / "gate/open").touch()
        assert [int(one.result()) for one in waiting] == list(range(16))
    assert [int(c.wait(timeout=5)) for c in made] == list(range(16))
    for c in made:
        c.delete()


def test_b4_init_dies_between_create_and_start(engine: ctrd.Engine, rootfs: ctrd.Rootfs, runtime: str) -> None:
    """B4: stopped, 137, and delete works."""
    c = engine.containers.create(rootfs, "sleep", "1000", runtime=runtime)
    task = c.create_task()
    os.kill(task.pid or 0, signal.SIGKILL)
    assert c.wait(timeout=60) == 137
    assert c.status() == "stopped"
    with pytest.raises(ctrd.FailedPrecondition):
        task.start()
    c.delete()
    assert left_on_disk(engine) == []


def test_b10_pids_that_are_used_again(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    """B10: strangers get the pids of a dead init and a dead shim; no verb signals them."""
    code = "import ctrd, sys; ctrd.start(ctrd.Rootfs(sys.argv[1]), 'sleep', '1000', id='x', lifetime='detached')"
    python_says(engine, code, str(rootfs.path))  # so that its shim is not our child
    c = engine.containers["x"]
    init, shim = c.task().pid or 0, shim_of(c)
    kill(shim)
    kill(init)
    eventually(lambda: not Path(f"/proc/{init}").exists() and not Path(f"/proc/{shim}").exists(), "both are reaped")
    strangers = [with_pid(init), with_pid(shim)]
    try:
        c.kill()
        assert c.status() == "stopped"
        assert c.wait(timeout=30).lost == "shim"
        c.delete(force=True)
        assert left_on_disk(engine) == []
        assert [one.poll() for one in strangers] == [None, None]
    finally:
        for one in strangers:
            one.kill()
            one.wait()


def with_pid(pid: int) -> subprocess.Popen[bytes]:
    """A process that has this pid: the next one after what ns_last_pid says, if nobody else is faster."""
    for _ in range(2000):
        Path("/proc/sys/kernel/ns_last_pid").write_text(str(pid - 1))
        made = subprocess.Popen(["sleep", "1000"])
        if made.pid == pid:
            return made
        made.kill()
        made.wait()
    pytest.fail(f"pid {pid} was not to be had")


def test_b11_a_frozen_container(engine: ctrd.Engine, rootfs: ctrd.Rootfs, runtime: str) -> None:
    """B11: frozen from outside, SIGKILL leaves it as it is; delete(force) thaws and ends it."""
    c = engine.start(rootfs, "sleep", "1000", id="x", runtime=runtime)
    states = [path / "freezer.state" for path in cgroups_of(engine, "x") if (path / "freezer.state").exists()]
    if not states:
        c.delete(force=True)
        pytest.skip("there is no v1 freezer here")
    states[0].write_text("FROZEN")
    with ctrd.Engine(engine.root, state=engine.state, config=ctrd.EngineConfig(rpc_timeout=1.0)) as hasty:
        began = time.monotonic()
        hasty.containers.delete("x", force=True)
        assert time.monotonic() - began < 30
    assert cgroups_of(engine, "x") == [] and left_on_disk(engine) == []


def test_b12_children_in_cgroups_below(engine: ctrd.Engine, rootfs: ctrd.Rootfs, runtime: str) -> None:
    """B12: 200 processes in cgroups below the container's; after delete no directory is left in any hierarchy."""
    script = "i=0; while [ $i -lt 200 ]; do sleep 1000 & i=$((i+1)); done; echo made; wait"
    c = engine.start(rootfs, shell=script, id="x", pids=300, runtime=runtime)
    assert next(iter(c.logs(follow=True))).text == "made"
    pids = [one.pid for one in c.processes()][-200:]
    for group in cgroups_of(engine, "x"):
        for n in range(4):
            below = group / f"below{n}/deeper"
            below.mkdir(parents=True)
            for name in ("cpuset.cpus", "cpuset.mems"):
                for one in (below.parent, below):
                    if (one / name).exists():
                        (one / name).write_text((group / name).read_text())
            for pid in pids[n::4]:
                (below / "cgroup.procs").write_text(str(pid))
    c.delete(force=True)
    assert not any(alive(pid) for pid in pids)
    assert cgroups_of(engine, "x") == [] and left_on_disk(engine) == []


def test_b13_a_mount_held_elsewhere(engine: ctrd.Engine, rootfs: ctrd.Rootfs, tmp_path: Path) -> None:
    """B13: another mount namespace holds the root filesystem's mount; delete succeeds, and touches nothing in it."""
    volume = tmp_path / "volume"
    (volume / "deep/er").mkdir(parents=True)
    (volume / "deep/er/file").write_text("mine")
    before = invariants.canary(rootfs.path), invariants.canary(volume)
    c = engine.start(rootfs, shell="echo ready; sleep 1000", id="x", mounts=[ctrd.Mount.bind(volume, "/volume")])
    assert next(iter(c.logs(follow=True))).text == "ready"
    mounted = f"{engine.state}/default/x/rootfs"
    hold = f"cd {mounted} && echo holds && exec sleep 1000"
    holder = subprocess.Popen(
        ["nsenter", "-t", str(shim_of(c)), "-m", "unshare", "-m", "sh", "-c", hold], stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout and holder.stdout.readline() == "holds\n"
    assert mounted in Path(f"/proc/{holder.pid}/mountinfo").read_text()
    inside = Path(f"/proc/{holder.pid}/cwd")
    c.delete(force=True)
    assert left_on_disk(engine) == []
    assert (inside / "bin/busybox").stat().st_size == (rootfs.path / "bin/busybox").stat().st_size  # it is there still
    assert before == (invariants.canary(rootfs.path), invariants.canary(volume))
    holder.kill()
    holder.wait()
    holder.stdout.close()
    assert mounted not in Path("/proc/self/mountinfo").read_text()
    assert before == (invariants.canary(rootfs.path), invariants.canary(volume))


def test_b15_odd_roots(rootfs: ctrd.Rootfs, tmp_path: Path) -> None:
    """B15, B26: roots with , : \\ space newline and 240 characters in their paths; no other directory is mounted."""
    for name in ("a,b", "a:b", "a\\b", "a b", "a\nb", "lowerdir=,upperdir=", "x" * 240):
        top = tmp_path / name
        image = ctrd.Rootfs(shutil.copytree(rootfs.path, top / "image", symlinks=True))
        (top / "image/mark").write_text("here")
        with ctrd.Engine(top / "root", state=top / "state") as engine:
            assert engine.run(image, shell="cat /mark; echo x > /new").stdout == "here", name
            with engine.start(image, shell="echo more; sleep 1000") as c:
                assert next(iter(c.logs(follow=True))).text == "more"
            assert left_on_disk(engine) == []
        assert not (top / "image/new").exists()


def test_b27_init_ignores_sigterm(engine: ctrd.Engine, rootfs: ctrd.Rootfs, runtime: str) -> None:
    """B27: stop(grace) ends after it by SIGKILL, 137, escalated; who waits elsewhere learns the same."""
    with engine.start(
        rootfs, shell="trap '' TERM; echo ready; while :; do sleep 1; done", runtime=runtime, id="x"
    ) as c:
        assert next(iter(c.logs(follow=True))).text == "ready"
        code = """if True:
            import ctrd
            c = ctrd.default_engine().containers["x"]
            print("here", flush=True)
            status = c.wait(timeout=60)
            print(int(status), status.escalated)
        """
        with python(engine, code) as other:
            assert other.stdout and other.stdout.readline() == "here\n"
            began = time.monotonic()
            status = c.stop(grace=0.4)
            took = time.monotonic() - began
            assert (int(status), status.escalated) == (137, True) and 0.4 <= took < 10
            assert other.stdout.readline() == "137 True\n"
    with engine.start(rootfs, shell="trap 'exit 3' TERM; echo ready; while :; do sleep 0.05; done") as c:
        assert next(iter(c.logs(follow=True))).text == "ready"
        status = c.stop(grace=30)
        assert (int(status), status.escalated) == (3, False)


def test_b30_an_id_after_failed_creates(engine: ctrd.Engine, rootfs: ctrd.Rootfs, script: Path) -> None:
    """B30: whatever fails, the id is free again: each failure in turn, 20 times with the same id."""
    failures = [("create", "exit 1"), ("start", "exit 1"), ("create", "kill -9 $$"), ("create", "kill -9 $PPID")]
    failures += [("start", "kill -9 $$"), ("start", "kill -9 $PPID"), ("create", "rm config.json; exit 0")]
    for i in range(often(3, 20) * len(failures)):
        on_verb(script, *failures[i % len(failures)])
        with pytest.raises(ctrd.Error):
            engine.start(rootfs, "sleep", "1000", id="x", runtime=str(script))
        assert "x" not in engine.containers
    as_before(script)
    with engine.start(rootfs, "sleep", "1000", id="x", runtime=str(script)) as c:
        assert c.status() == "running"
    assert left_on_disk(engine) == []


def test_b31_creators_and_removers_of_one_id(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    """B31: 8 processes create one id, then delete it: one succeeds each time, seven are told."""
    code = """if True:
        import ctrd, sys
        engine, image = ctrd.default_engine(), ctrd.Rootfs(sys.argv[1])
        len(engine.containers)
        print("ready", flush=True)
        for verb in sys.stdin:
            try:
                if verb == "create\\n":
                    engine.start(image, "sleep", "1000", id="x", lifetime="detached")
                else:
                    engine.containers.delete("x", force=True)
                print("done", flush=True)
            except (ctrd.AlreadyExists, ctrd.ContainerNotFound) as error:
                print(error.code, flush=True)
    """
    others = [python(engine, code, str(rootfs.path)) for _ in range(8)]
    for other in others:
        assert other.stdout and other.stdout.readline() == "ready\n"
    for verb, refused in (("create", "already_exists"), ("delete", "not_found")) * 2:
        for other in others:
            assert other.stdin
            other.stdin.write(f"{verb}\n")
            other.stdin.flush()
        said = sorted(other.stdout.readline().strip() for other in others if other.stdout)
        assert said == sorted(["done"] + [refused] * 7)
        assert len(engine.containers) == (verb == "create")
    for other in others:
        _, err = other.communicate(timeout=60)
        assert other.returncode == 0, err
    assert left_on_disk(engine) == []


@pytest.mark.parametrize("pids", ["private", "host"])
def test_b34_orphans(engine: ctrd.Engine, rootfs: ctrd.Rootfs, pids: str) -> None:
    """B34: a thousand double-forked orphans; none stays a zombie, also where the shim is their reaper."""

    def edit(spec: dict) -> None:  # type: ignore[type-arg]
        if pids == "host":
            spec["linux"]["namespaces"] = [one for one in spec["linux"]["namespaces"] if one["type"] != "pid"]

    script = "i=0; while [ $i -lt 1000 ]; do (true & ); i=$((i+1)); done; echo made; exec sleep 1000"
    with engine.start(rootfs, shell=script, spec=edit) as c:
        assert next(iter(c.logs(follow=True))).text == "made"
        shim = shim_of(c)
        eventually(lambda: zombies_below(shim) == [], "no zombie has the shim as its parent")


def test_b34_children_of_others_are_left_to_them(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    """B34: nothing in this process reaps a child that is not ours: who waits for it gets its status, whenever."""
    before, codes = children(), range(1, 21)
    others = [subprocess.Popen(["sh", "-c", f"exit {code}"]) for code in codes]
    asked = [os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT) for child in others]  # all have ended
    with engine.start(rootfs, "sleep", "1000") as c:
        late = subprocess.Popen(["sh", "-c", "exit 21"])
        assert engine.run(rootfs, "true").returncode == 0
        c.kill()
        assert c.wait(timeout=30).signal == 9
    assert [one and one.si_status for one in asked] == list(codes)
    assert [child.wait() for child in [*others, late]] == [*codes, 21]
    eventually(lambda: children() <= before, "a shim that has just ended is the engine's to reap")


def children() -> set[str]:
    """Of this process, zombies too: a peer that lives for the whole session may be among them."""
    return {pid for task in Path("/proc/self/task").iterdir() for pid in (task / "children").read_text().split()}


def zombies_below(shim: int) -> list[str]:
    found = []
    for child in Path(f"/proc/{shim}/task/{shim}/children").read_text().split():
        try:
            stat = Path(f"/proc/{child}/stat").read_text()
        except OSError:
            continue
        if stat.rsplit(")", 1)[1].split()[0] == "Z":
            found.append(stat)
    return found


def test_b35_failed_paths_leak_nothing(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    """B35: created and deleted without a start, and starts that fail: the leak set around this test is the check."""
    pipes = {"stdin": ctrd.PIPE, "stdout": ctrd.PIPE, "stderr": ctrd.PIPE}
    for _ in range(often(12, 500)):
        c = engine.containers.create(rootfs, "sleep", "1000")
        task = c.create_task(**pipes)
        shim = shim_of(c)
        c.delete(force=True)
        eventually(lambda: not alive(shim), "its shim has ended")  # noqa: B023
        del task
        with pytest.raises(ctrd.PathNotFound):
            engine.start(rootfs, "/no/such/program", **pipes)
    assert left_on_disk(engine) == [] and processes_of(engine) == []


def test_recovery_of_many(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    """A script killed in the middle of many containers, its shims too: one verb settles them all."""
    code = """if True:
        import concurrent.futures, ctrd, sys
        image, engine = ctrd.Rootfs(sys.argv[1]), ctrd.default_engine()
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            made = list(pool.map(lambda i: engine.start(image, "sleep", "1000"), range(20)))
        print(*[c.task().pid for c in made], flush=True)
        sys.stdin.read()
    """
    with python(engine, code, str(rootfs.path)) as owner:
        assert owner.stdout
        inits = [int(one) for one in owner.stdout.readline().split()]
        shims = [parent_of(init) for init in inits]
        for shim in shims:
            os.kill(shim, signal.SIGKILL)
        owner.kill()
    with ctrd.Engine(engine.root, state=engine.state) as other:
        assert len(other.containers) == 0
    assert not any(map(alive, inits))
    assert left_on_disk(engine) == []


@pytest.mark.parametrize(
    "content", [b"", b"\x01\xff\xff\xff", b"\x07what a newer one writes"], ids=["empty", "torn", "newer"]
)
@pytest.mark.parametrize("name", ["status", "exit"])
def test_a_damaged_file_in_one_bundle_spoils_no_other(
    engine: ctrd.Engine, rootfs: ctrd.Rootfs, name: str, content: bytes
) -> None:
    """As a power loss leaves it: whoever comes cleans up after it, and everything else works."""
    bad = engine.start(rootfs, "sleep", "1000", id="bad", lifetime="detached")
    good = engine.start(rootfs, "sleep", "1000", id="good", lifetime="detached")
    pid = bad.task().pid or 0
    kill(shim_of(bad))
    (engine.state / "default/bad" / name).write_bytes(content)
    code = """if True:
        import ctrd, sys
        engine = ctrd.default_engine()
        print([(i.id, str(i.status)) for i in engine.containers.list()])
        print(engine.run(ctrd.Rootfs(sys.argv[1]), "echo", "works").stdout, end="")
        engine.containers["bad"].start().delete(force=True)
        engine.containers["good"].kill()
        print(engine.containers["good"].wait(timeout=60))
    """
    status = "none" if name == "status" else "stopped"
    said = python_says(engine, code, str(rootfs.path))
    assert said == f"[('bad', '{status}'), ('good', 'running')]\nworks\n137\n"
    assert not alive(pid) and cgroups_of(engine, "bad") == []
    good.delete()
    assert left_on_disk(engine) == [] and list((engine.root / "logs").iterdir()) == []


def test_a_status_that_cannot_be_read_while_its_shim_lives(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    """The list says "unknown"; verbs name the file; nothing is thrown away; a later status mends it."""
    with engine.start(rootfs, "sleep", "1000", id="x", lifetime="detached") as c:
        path = engine.state / "default/x/status"
        good = path.read_bytes()
        path.write_bytes(b"")
        code = """if True:
            import ctrd
            print([(i.id, str(i.status)) for i in ctrd.default_engine().containers.list()])
        """
        assert python_says(engine, code) == "[('x', 'unknown')]\n"
        with pytest.raises(ctrd.DataLoss, match=str(path)) as error:
            c.kill()
        assert error.value.path == str(path)
        path.write_bytes(good)
        assert c.status() == "running" and c.logs().read() == ""


def test_b17_row104_damaged_records_and_a_task_that_runs(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    """The error names file and repair; what runs can be found by its id, and ended, from any process."""
    c = engine.start(rootfs, "sleep", "1000", id="x", lifetime="detached")
    pid = c.task().pid or 0
    metadata = engine.root / "metadata"
    eventually(lambda: not invariants.is_locked(metadata / "db", invariants.locked_files()), "the store is closed")
    (manifest,) = metadata.glob("MANIFEST-*")
    good = manifest.read_bytes()
    manifest.write_bytes(bytes(byte ^ 0x55 for byte in good))
    code = """if True:
        import ctrd
        engine = ctrd.default_engine()
        for verb in (engine.containers.list, engine.containers["x"].labels, lambda: engine.containers["nothing"]):
            try:
                verb()
            except ctrd.DataLoss as error:
                print("MANIFEST" in str(error), "ctrd fsck --repair" in str(error), error.path)
        c = engine.containers["x"]
        print(c.status(), [p.args[0] for p in c.processes()], c.stop(grace=0).signal, c.poll())
    """
    said = python_says(engine, code)
    assert said == f"True True {metadata}\n" * 3 + "running ['sleep'] 9 137\n" and not alive(pid)
    manifest.write_bytes(good)
    c.delete()
    assert left_on_disk(engine) == []
