"""Another shim, containerd-shim-runc-v2, driven without containerd: the same tests as ours, what it lacks, faults."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import conftest
import criu
import ctrd
import pytest
from support import alive, eventually, python, python_says

# The same tests: with this file's `engine` and `runtime` in place of conftest's. The others need what such a shim lacks
# (logs, limits of execs, input from files) or does otherwise (both outputs in one pipe come in no order).
from test_errors import test_row72_missing_program, test_row73_not_executable  # noqa: F401
from test_exec import (  # noqa: F401
    each,
    test_a_forgotten_process_goes_on,
    test_a_paused_container_takes_no_exec,
    test_a_timeout_of_waiting_kills_nothing,
    test_delete,
    test_exec_is_like_popen,
    test_ids,
    test_kill_of_all_reaches_execs,
    test_many_at_once,
    test_no_task_no_exec,
    test_processes_say_which_exec_they_are,
    test_run,
    test_run_with_options,
    test_signals,
    test_what_cannot_be_run,
)
from test_limits import test_limits_are_lifted, test_limits_at_creation, test_update_of_a_task_that_runs  # noqa: F401
from test_pause import (  # noqa: F401
    test_a_paused_one_that_is_killed_dies,
    test_events,
    test_from_another_process,
    test_leaving_with_ends_a_paused_one,
    test_no_task_no_pause,
    test_nothing_runs_once_it_is_paused,
    test_pause_and_resume,
    test_paused_for_a_block,
    test_stop_resumes_it,
)
from test_process import (  # noqa: F401
    test_asyncio_needs_nothing_else,
    test_fileno_after_the_end,
    test_fileno_is_readable_at_the_end,
    test_waits_from_many_processes,
)
from test_run import (  # noqa: F401
    test_a_death_by_signal_is_128_and_more,
    test_both_streams_and_the_status,
    test_check_raises_with_the_result,
    test_input_and_output_larger_than_any_pipe,
    test_input_goes_to_stdin,
    test_max_output_keeps_the_beginning,
    test_output_of_a_grandchild_that_holds_the_pipe_is_cut,
    test_streams_into_files,
    test_ten_mebibytes_on_both_streams,
    test_timeout_kills_and_raises_with_what_there_was,
    test_timeout_of_one_that_ends_in_time,
    test_what_write_raises_ends_the_run,
)
from test_stats import (  # noqa: F401
    test_before_the_start_while_paused_and_after_the_end,
    test_block_devices,
    test_cpu,
    test_flat,
    test_memory,
    test_processes,
    test_processes_and_threads,
    test_processes_killed_for_memory,
    test_stream,
)
from test_stdin import test_64_mib_through_and_out_again, test_closed_before_the_start, test_the_end_of_input  # noqa: F401
from test_task import (  # noqa: F401
    test_a_life_in_steps,
    test_a_task_is_bound_to_one_life,
    test_a_task_that_ends_while_being_waited_for_by_many,
    test_delete_while_it_lives,
    test_info_and_the_very_object,
    test_kill_and_signals,
    test_kill_of_one_process_or_all,
    test_pipes,
    test_pipes_of_bytes,
    test_start_again_on_the_same_container,
    test_stop,
    test_stop_of_one_that_was_not_started,
    test_wait_times_out_and_kills_nothing,
    test_where_streams_may_go,
)
from test_tty import (  # noqa: F401
    test_a_tty_of_an_exec,
    test_a_tty_of_the_first_process,
    test_attach_and_detach,
    test_attach_without_a_terminal,
    test_ctrl_c_goes_through,
    test_the_size_follows,
    window,
)

RUNC = "io.containerd.runc.v2"
SHIM = "containerd-shim-runc-v2"
SOCKETS = Path("/run/containerd/s")

pytestmark = pytest.mark.root
both = pytest.mark.parametrize("engine", conftest.RUNTIMES, indirect=True)


NEW_TASK = ctrd.Container._new_task


def quiet(new_task: Callable[..., Any]) -> Callable[..., Any]:
    """With DEVNULL where it would log."""

    def made(self: ctrd.Container, stdin: Any, stdout: Any, stderr: Any, text: bool, **options: Any) -> Any:
        out, err = (ctrd.DEVNULL if std is ctrd.LOG else std for std in (stdout, stderr))
        return new_task(self, stdin, out, err, text, **options)

    return made


@pytest.fixture
def runtime() -> str:
    """In place of each OCI runtime."""
    return RUNC


@pytest.fixture(autouse=True)
def no_sockets(request: pytest.FixtureRequest) -> Iterator[None]:
    """Its sockets are outside of every root; ours are named otherwise."""
    before = others_sockets()
    yield
    if not request.node.stash.get(conftest.FAILED, False):
        eventually(lambda: others_sockets() <= before, "its sockets are gone")


def others_sockets() -> set[str]:
    return {path.name for path in SOCKETS.glob("*") if len(path.name) == 64} if SOCKETS.is_dir() else set()


@pytest.fixture
def engine(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ctrd.Engine]:
    """An engine whose containers are another shim's, with what that can do where a test says nothing.

    The engine's own runtime is the OCI runtime that such a shim is given.
    """
    assert shutil.which(SHIM), f"{SHIM} is in Debian's package containerd: scripts/setup"
    below = getattr(request, "param", "auto")
    if below != "auto" and not shutil.which(below):
        pytest.skip(f"{below} is not installed")
    config = ctrd.EngineConfig(default_options={"runtime": RUNC, "lifetime": "detached"})
    made = ctrd.Engine(tmp_path / "root", state=tmp_path / "state", runtime=below, config=config)
    monkeypatch.setattr(ctrd.Container, "_new_task", quiet(NEW_TASK))
    yield made
    made.close()
    assert not (left := conftest.left_on_disk(made)), f"left on disk: {left}"
    assert not (found := conftest.broken_invariants(made)), found


@pytest.fixture
def c(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> Iterator[ctrd.Container]:
    """A container that sleeps."""
    with engine.start(rootfs, "sleep", "1000", id="x") as made:
        yield made


def shim_of(engine: ctrd.Engine, id: str) -> int:
    """The pid of the shim, by what it was started with."""
    bundle = str(engine.state / "default" / id)
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        if words[0].endswith(SHIM) and bundle in words and alive(int(process.name)):
            return int(process.name)
    raise AssertionError(f"no shim of {bundle}")


def mounts_below(path: Path) -> list[str]:
    return [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if str(path) in line.split()[4]]


def fake(directory: Path, monkeypatch: pytest.MonkeyPatch, name: str, code: str) -> None:
    """A program that is found before all others."""
    program = directory / name
    program.write_text(f"#!/bin/sh\n{code}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{directory}:{os.environ['PATH']}")


def test_what_it_lacks_is_said_before_anything_starts(
    engine: ctrd.Engine, rootfs: ctrd.Rootfs, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(ctrd.Unsupported, match="on_exit"):
        engine.containers.create(rootfs, "true", on_exit="delete")
    with engine.containers.create(rootfs, "true", lifetime="owner") as c:
        for begin in (c.start, c.create_task):
            with pytest.raises(ctrd.Unsupported) as caught:
                begin()
            assert "detached" in (caught.value.hint or "")
    (tmp_path / "in").touch()
    with engine.containers.create(rootfs, "sleep", "1000", id="x") as c:
        with pytest.raises(ctrd.Unsupported, match="stdin"):
            c.start(stdin=tmp_path / "in")
        with monkeypatch.context() as patch:
            patch.setattr(ctrd.Container, "_new_task", NEW_TASK)
            with pytest.raises(ctrd.Unsupported, match="LOG") as caught:
                c.start()
            assert "DEVNULL" in (caught.value.hint or "")
        assert c.status() == "none" and not (engine.state / "default" / "x").exists()
        c.start()
        for late in (lambda: c.run("true", timeout=60), lambda: c.exec("true", timeout=60), c.logs, c.attach):
            with pytest.raises(ctrd.Unsupported):
                late()
        assert c.info().runtime == RUNC and c.status() == "running"


@pytest.fixture
def warm(engine: ctrd.Engine, rootfs: ctrd.Rootfs, monkeypatch: pytest.MonkeyPatch) -> Iterator[ctrd.Checkpoint]:
    """Made by a container of our own shim."""
    monkeypatch.setenv("PATH", criu.path())
    with engine.start(rootfs, "sleep", "1000", id="ours", runtime=criu.runtime("runc")) as ours:
        made = ours.checkpoint("warm")
    yield made
    made.delete()


# Its layer is as it was: what such a shim lacks is said before the checkpoint's is put into its place.
def test_checkpoints_are_refused(engine: ctrd.Engine, rootfs: ctrd.Rootfs, warm: ctrd.Checkpoint) -> None:
    with engine.start(rootfs, "sleep", "1000", id="x") as c:
        c.run("sh", "-c", "echo mine >/mine", check=True)
        with pytest.raises(ctrd.Unsupported, match="checkpoints") as caught:
            c.checkpoint("cold")
        assert "runc" in (caught.value.hint or "")
        c.kill()
        c.wait(timeout=60)
        c.task().delete()
        with pytest.raises(ctrd.Unsupported, match="checkpoints"):
            c.create_task(checkpoint=warm, stdout=ctrd.DEVNULL, stderr=ctrd.DEVNULL)
        assert c.status() == "none" and not (engine.state / "default" / "x").exists()
        c.start()
        assert c.run("cat", "/mine", check=True).stdout == "mine\n"


@both
def test_a_run_with_an_owner(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    result = engine.run(rootfs, "sh", "-c", "echo a; exit 3", id="i" * 76, lifetime="owner")
    assert (result.stdout, result.returncode) == ("a\n", 3)
    with engine.start(rootfs, "sleep", "1000", id="j" * 76) as c:
        assert c.run("echo", "b", check=True).stdout == "b\n"


@both
def test_a_run_that_is_late(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    """Its limit is the engine's, which kills all of it: what it has left in the background, and what is frozen."""
    code = "sleep 1000 & trap '' TERM; echo begun; wait; sleep 1000"
    with pytest.raises(ctrd.Timeout) as caught:
        engine.run(rootfs, shell=code, id="x", timeout=3, input="x" * (1 << 20))
    result = caught.value.result
    assert (result.stdout, result.returncode, result.signal) == ("begun\n", 137, 9)
    assert not list(engine.containers)
    with pytest.raises(ctrd.Timeout), ThreadPoolExecutor(1) as pool:
        late = pool.submit(engine.run, rootfs, "sleep", "1000", id="y", timeout=3)
        eventually(lambda: "y" in engine.containers and engine.containers["y"].status() == "running", "it runs")
        engine.containers["y"].pause()
        late.result()


@both
def test_the_figures_of_one_whose_cgroup_is_elsewhere(
    engine: ctrd.Engine, rootfs: ctrd.Rootfs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a shim's with machines of its own: it is asked."""
    real = shutil.which(SHIM)
    moved = "sed -i 's|\"/ctrd-|\"/test-|' config.json"
    fake(tmp_path, monkeypatch, SHIM, f'[ "$7" != start ] || {moved}\nexec {real} "$@"')
    burn = "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; echo up; sleep 1000; :"
    with engine.start(rootfs, shell=burn, memory="64M", pids=50, stdout=tmp_path / "out") as c:
        eventually(lambda: (tmp_path / "out").read_text() == "up\n", "it has used some")
        eventually(lambda: c.stats().pids.current == 2, "its sleep")
        stats = c.stats()
        assert stats.raw == {} and (stats.memory.limit, stats.pids.limit) == (64 << 20, 50)
        assert (stats.memory.usage or 0) > 0 and stats.memory.oom_kills == 0
        burnt = c.run("cat", "/proc/1/stat").stdout.rpartition(")")[2].split()
        seconds = (int(burnt[11]) + int(burnt[12])) / os.sysconf("SC_CLK_TCK")
        assert (stats.cpu.usage or 0) >= seconds - 0.02 and (stats.cpu.user or 0) > 0
        c.kill()
        c.wait(timeout=60)
        with pytest.raises(ctrd.TaskNotFound):
            c.stats()


def test_others_are_not_there_or_have_no_such_name(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    with pytest.raises(ctrd.NotFound, match="containerd-shim-nosuch-v9 is not on PATH"):
        engine.run(rootfs, "true", runtime="io.example.nosuch.v9")
    for wrong in ("io.", "io.x", "io.example..v2", "io.a/b.v2"):
        with pytest.raises(ctrd.InvalidArgument, match="runtime"):
            engine.run(rootfs, "true", runtime=wrong)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("echo rubbish", "printed no address.*rubbish"),
        ("true", "printed no address"),
        ("echo it broke >&2; exit 3", "exit status 3.*it broke"),
        ("echo unix:///nowhere/at/all", "does not answer"),
        ('[ "$7" = start ] || exit 0; exec sleep 1000', "did not end in time"),
    ],
)
def test_a_start_that_fails(
    engine: ctrd.Engine, rootfs: ctrd.Rootfs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, said: str
) -> None:
    fake(tmp_path, monkeypatch, "containerd-shim-fake-v1", code)
    impatient = ctrd.Engine(engine.root, state=engine.state, config=ctrd.EngineConfig(rpc_timeout=2))
    with impatient, pytest.raises(ctrd.RuntimeFailed, match=said):
        impatient.run(rootfs, "true", runtime="io.example.fake.v1")
    assert not list((engine.state / "default").iterdir())


SERVER = """
import os, socket, struct, sys
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen()
open(sys.argv[1] + ".up", "w").close()
while True:
    peer = listener.accept()[0]
    head = peer.recv(10, socket.MSG_WAITALL)
    peer.recv(struct.unpack(">I", head[:4])[0], socket.MSG_WAITALL)
    peer.sendall(struct.pack(">IIBB", 4, *struct.unpack(">I", head[4:8]), 2, 0) + bytes([10, 2, 8, 12]))
    peer.close()
"""


def test_one_that_speaks_version_3_alone(
    engine: ctrd.Engine, rootfs: ctrd.Rootfs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As containerd 2's: it answers in JSON, and every call of version 2 is unimplemented."""
    (tmp_path / "server.py").write_text(SERVER)
    socket = tmp_path / "s"
    answer = f'{{"version": 3, "address": "unix://{socket}", "protocol": "ttrpc"}}'
    code = f"""[ "$7" = start ] || exit 0
{sys.executable} {tmp_path}/server.py {socket} "$@" >/dev/null 2>&1 &
while [ ! -e {socket}.up ]; do sleep 0.01; done
echo '{answer}'"""
    fake(tmp_path, monkeypatch, "containerd-shim-fake-v3", code)
    with pytest.raises(ctrd.Unsupported, match=r"containerd\.task\.v2\.Task"):
        engine.run(rootfs, "true", runtime="io.example.fake.v3")
    assert not list((engine.state / "default").iterdir())
    at = os.fsencode(tmp_path / "server.py")
    assert not [path for path in Path("/proc").glob("[0-9]*/cmdline") if at in path.read_bytes()], "it is ended"


def test_one_that_answers_in_json(
    engine: ctrd.Engine, rootfs: ctrd.Rootfs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = shutil.which(SHIM)
    json = '{"version": 2, "address": "%s", "protocol": "ttrpc"}'
    begin = f"""printf '{json}' "$({real} "$@")\""""
    fake(tmp_path, monkeypatch, SHIM, f'[ "$7" = start ] || exec {real} "$@"\n{begin}')
    assert engine.run(rootfs, "echo", "a").stdout == "a\n"


@both
@pytest.mark.parametrize("started", [True, False])
def test_it_is_killed(engine: ctrd.Engine, rootfs: ctrd.Rootfs, started: bool) -> None:
    with engine.containers.create(rootfs, "sleep", "1000", id="x") as c:
        task = c.create_task()
        if started:
            task.start()
        pid = task.pid or 0
        assert mounts_below(engine.state)
        os.kill(shim_of(engine, "x"), signal.SIGKILL)
        status = c.wait(timeout=60)
        assert (status, status.signal, status.lost) == (137, 9, "shim")
        assert not alive(pid) and not mounts_below(engine.state)
        assert c.start().run("echo", "again").stdout == "again\n"
    topics = [event.topic for event in engine.events(follow=False) if event.topic.startswith("/tasks/")]
    assert topics.count("/tasks/exit") == 3 and topics.count("/tasks/delete") == 2


def test_another_process_takes_over(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    code = """
import ctrd
c = ctrd.default_engine().containers["x"]
print(c.status(), c.run("echo", "hi").stdout.strip(), int(c.stop(grace=0.1)))
"""
    with engine.start(rootfs, "sleep", "1000", id="x") as c:
        assert python_says(engine, code).split() == ["running", "hi", "137"]
        assert c.wait(timeout=60) == 137 and c.status() == "stopped"
        assert engine.containers.list(status="stopped").ids == ["x"]


@pytest.mark.parametrize("ready", [False, True])
def test_a_client_that_dies_before_create(
    engine: ctrd.Engine, rootfs: ctrd.Rootfs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ready: bool
) -> None:
    real, begun, go = shutil.which(SHIM), tmp_path / "begun", tmp_path / "go"
    wait = f"echo > {begun}; while [ ! -e {go} ]; do sleep 0.01; done"
    run = f'{real} "$@"; echo > {tmp_path}/done; while :; do sleep 0.01; done'  # it has one, the client does not know
    fake(tmp_path, monkeypatch, SHIM, f'[ "$7" = start ] || exec {real} "$@"\n{wait}\n{run}')
    code = f"import ctrd, sys; ctrd.run(ctrd.Rootfs(sys.argv[1]), 'true', runtime='{RUNC}', id='x')"
    client = python(engine, code, str(rootfs.path))
    try:
        eventually(begun.exists, "its start runs")
        if ready:
            go.touch()
            eventually((tmp_path / "done").exists, "the shim is there")
            assert shim_of(engine, "x")
    finally:
        client.kill()
        client.communicate()
    with ctrd.Engine(engine.root, state=engine.state) as other:
        assert not list(other.containers)
    eventually(lambda: not list((engine.state / "default").glob("*")), "the bundle is gone")


def test_a_terminal_whose_size_is_given_before_the_start(c: ctrd.Container) -> None:
    """Such a shim forgets it: it comes a moment after the start."""
    # busybox's stty has words for a terminal without a size
    seen = "until [ \"$(stty size 2>/dev/null)\" = '33 77' ]; do sleep 0.01; done; echo seen"
    with c.exec(shell=seen, tty=(10, 10), start=False) as p:
        p.resize(76, 33)
        p.resize(77, 33)
        p.start()
        assert p.communicate(timeout=60)[0] == "seen\r\n"


def test_an_exec_is_started_once(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    """Such a shim would end at the container's end, if it were asked twice; and it forgets an early end of input."""
    with engine.start(rootfs, "sleep", "1000", id="x") as c:
        p = c.exec("cat", stdin=ctrd.PIPE, start=False, id="two")
        p.close_stdin()
        p.start()
        assert p.communicate(timeout=60) == ("", "")
        with c.exec("sleep", "1001", id="three") as running:
            for process in (p, running):
                with pytest.raises(ctrd.FailedPrecondition):
                    process.start()
            assert c.stop(grace=0.1) == 137
        assert c.status() == "stopped"


def test_a_client_that_dies_in_a_run(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    """Nobody watches it: whoever meets the record ends its task."""
    code = f"import ctrd, sys; ctrd.run(ctrd.Rootfs(sys.argv[1]), 'sleep', '1000', runtime='{RUNC}', id='x')"
    assert list(engine.containers) == []  # it has recovered
    client = python(engine, code, str(rootfs.path))
    try:
        eventually(lambda: "x" in engine.containers and engine.containers["x"].status() == "running", "it runs")
        pid = shim_of(engine, "x")
    finally:
        client.kill()
        client.communicate()
    eventually(lambda: list(engine.containers) == [], "its record goes")
    eventually(lambda: not alive(pid) and not mounts_below(engine.state), "its task goes")
    eventually(lambda: not (engine.state / "default" / "x").exists(), "its bundle goes")


def test_a_client_that_died_while_it_deleted(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    """The record is gone, the shim is not: as it is when a run is killed at its end."""
    bundle, aside = engine.state / "default" / "x", engine.state / "default" / ".aside"
    with engine.start(rootfs, "true", id="x") as c:
        assert c.wait(timeout=60) == 0
        pid = shim_of(engine, "x")
        bundle.rename(aside)
    aside.rename(bundle)
    assert alive(pid)
    with ctrd.Engine(engine.root, state=engine.state) as other:
        assert not list(other.containers)
    assert not alive(pid) and not bundle.exists()


def test_frames_above_4_mib(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    with engine.start(rootfs, "sleep", "1000", id="x") as c:
        with pytest.raises(ctrd.Error):
            c.run("true", env={"A": "x" * (5 << 20)})
        assert c.run("echo", "a").stdout == "a\n"


@both
def test_events_are_told_once(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    with engine.start(rootfs, "sleep", "1000", id="x") as c:
        c.run("true")
        with c.paused():
            pass
        c.kill()
        c.wait(timeout=60)
        c.poll()
    topics = [event.topic for event in engine.events(follow=False) if event.topic.startswith("/tasks/")]
    named = [topic.removeprefix("/tasks/") for topic in topics]
    assert named == "create start exec-added exec-started exit paused resumed exit delete".split()
