"""Commands inside a running container: run and exec, their options, their limits of time, their ends."""

from __future__ import annotations

import contextlib
import io
import os
import pickle
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import ctrd
import pytest
from support import alive, eventually, often, python_says

pytestmark = pytest.mark.root


@pytest.fixture
def c(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> Iterator[ctrd.Container]:
    """A container that sleeps, with the default runtime."""
    with engine.start(rootfs, "sleep", "1000", id="x", env={"A": "1", "B": "2"}, hostname="box") as made:
        yield made


@pytest.fixture
def each(engine: ctrd.Engine, rootfs: ctrd.Rootfs, runtime: str) -> Iterator[ctrd.Container]:
    """The same with each runtime."""
    with engine.start(rootfs, "sleep", "1000", id="x", env={"A": "1", "B": "2"}, runtime=runtime) as made:
        yield made


def test_run(each: ctrd.Container) -> None:
    result = each.run("sh", "-c", "echo out; echo err >&2; exit 3")
    assert (result.stdout, result.stderr, result.returncode, result.ok) == ("out\n", "err\n", 3, False)
    assert (result.args, result.container_id, result.signal) == (
        ("sh", "-c", "echo out; echo err >&2; exit 3"),
        "x",
        None,
    )
    assert 0 <= result.duration < 60 and result.exited_at >= result.started_at
    assert each.run(shell="echo $A-$B", text=False).stdout == b"1-2\n"
    assert each.run("cat", input="ä\n").stdout == "ä\n"
    assert each.run(shell="kill -9 $$").signal == 9
    assert each.status() == "running"


def test_run_with_options(each: ctrd.Container) -> None:
    result = each.run(
        shell="echo $A $B $C; pwd; id -u; id -g", env={"A": None, "B": "x y", "C": "z"}, cwd="/bin", user="7:8"
    )
    assert result.stdout == "x y z\n/bin\n7\n8\n"
    assert each.run(shell="exit 9", check=False).returncode == 9
    with pytest.raises(ctrd.ExitError) as caught:
        each.run(shell="echo gone; exit 9", check=True)
    assert isinstance(caught.value, subprocess.CalledProcessError) and caught.value.result.stdout == "gone\n"
    result = each.run(shell="head -c 300000 /dev/zero | tr '\\0' x; echo e >&2", stderr=ctrd.STDOUT, max_output="1K")
    assert (len(result.stdout), result.truncated, result.stderr) == (1024, True, "")
    sink = io.StringIO()
    assert each.run("echo", "into", stdout=sink).stdout == "" and sink.getvalue() == "into\n"


def test_a_user_and_capabilities(each: ctrd.Container) -> None:
    caps = each.run("grep", "Cap", "/proc/self/status").stdout
    assert each.run("grep", "Cap", "/proc/self/status", cap_add=["SYS_ADMIN"]).stdout != caps
    status = each.run("cat", "/proc/self/status").stdout
    assert "NoNewPrivs:\t1" in status and "Seccomp:\t2" in status and "SigIgn:\t0000000000000000" in status
    with pytest.raises(ctrd.NotFound):
        each.run("true", user="nobody-at-all")


def test_output_that_finds_no_room_is_an_error(each: ctrd.Container, engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    with Path("/dev/full").open("wb") as full:
        for run in (each.run, lambda *args, **options: engine.run(rootfs, *args, **options)):
            with pytest.raises(ctrd.ResourceExhausted, match="stdout"):
                run("echo", "x", stdout=full)
            with pytest.raises(ctrd.ResourceExhausted, match="stderr"):
                run("sh", "-c", "echo x >&2", stderr=full)
    assert each.run("cat", input="still\n").stdout == "still\n"
    assert [p.args for p in each.processes()] == [("sleep", "1000")] and len(engine.containers) == 1


def test_what_cannot_be_run(each: ctrd.Container) -> None:
    before = set(Path("/dev/pts").iterdir())
    for tty in (False, True):
        with pytest.raises(ctrd.PathNotFound) as caught:
            each.exec("no-such-program", tty=tty)
        assert "no-such-program" in str(caught.value)
    each.run(shell="echo x > /tmp-file; chmod 644 /tmp-file")
    with pytest.raises(ctrd.PermissionDenied):
        each.run("/tmp-file")
    assert each.run("true").ok
    bundle = each._engine.state / "default" / "x"
    assert not list((bundle / "io").glob("*")) and not list((bundle / "exec").glob("*"))
    assert set(Path("/dev/pts").iterdir()) == before


def test_wrong_arguments(c: ctrd.Container) -> None:
    for options, field in (
        ({"id": "a/b"}, "id"),
        ({"id": ""}, "id"),
        ({"cwd": "rel"}, "cwd"),
        ({"env": {"A=": "x"}}, "env"),
        ({"env": {"A": "\0"}}, "env"),
        ({"shell": "x"}, "shell"),
        ({"tty": (0, 0)}, "tty"),
        ({"tty": (65536, 1)}, "tty"),
        ({"tty": (-1, 1)}, "tty"),
        ({"tty": (1, 2, 3)}, "tty"),
        ({"cap_add": ["NOPE"]}, "cap_add"),
        ({"cap_add": "NET_ADMIN"}, "cap_add"),
        ({"stdin": ctrd.LOG}, "stdin"),
        ({"stdout": ctrd.STDOUT}, "stdout"),
    ):
        with pytest.raises(ctrd.InvalidArgument) as caught:
            c.exec("true", **options)
        assert str(caught.value.field).startswith(field), options
    for args in ((), ("",), ("a\0b",)):
        with pytest.raises(ctrd.InvalidArgument):
            c.exec(*args)
    with pytest.raises(ctrd.ResourceExhausted):
        c.exec("true", env={"A": "x" * (3 << 20)})
    with pytest.raises(TypeError, match="did you mean 'env'"):
        c.exec("true", enw={})  # type: ignore[call-overload]
    with pytest.raises(TypeError):
        c.exec(1)  # type: ignore[call-overload]
    with pytest.raises(ctrd.InvalidArgument, match="text=True"):
        c.run("cat", input=b"x")


def test_exec_is_like_popen(each: ctrd.Container) -> None:
    with each.exec("cat", stdin=ctrd.PIPE, id="one") as p:
        assert (p.id, p.container_id, p.args, p.returncode) == ("one", "x", ("cat",), None)
        assert p.pid and alive(p.pid) and p.poll() is None and p.stdin and p.stdout and p.stderr
        assert (p.state().status, p.state().pid, p.state().tty) == ("running", p.pid, False)
        p.stdin.write("a\n")
        assert p.stdout.readline(timeout=30) == "a\n"
        with pytest.raises(ctrd.Timeout):
            p.wait(timeout=0.02)
        assert p.communicate("b\n", timeout=30) == ("b\n", "")
        assert p.wait() == 0 == p.returncode == p.poll()
        assert (p.state().status, p.state().exit) == ("stopped", 0)
        with pytest.raises(ValueError, match="closed"):
            p.stdin.write("z")
        with pytest.raises(TypeError, match="pickle"):
            pickle.dumps(p)
        assert "one" in repr(p) and "Process" in repr(p)
        assert p.delete() == 0
        with pytest.raises(ctrd.ProcessNotFound):
            p.state()
        with pytest.raises(ctrd.ProcessNotFound):
            each.get_process("one")
    assert p.stdout.closed


def test_signals(each: ctrd.Container) -> None:
    code = "trap 'echo usr1' USR1; trap 'echo term; exit 5' TERM; echo up; while :; do sleep 0.02; done"
    with each.exec(shell=code) as p:
        assert p.stdout and p.stdout.readline() == "up\n"
        p.send_signal("USR1")
        assert p.stdout.readline(timeout=30) == "usr1\n"
        p.terminate()
        assert p.wait(timeout=30) == 5
        p.kill()  # of one that has ended: nothing
        for wrong in (0, 65, "SIGFOO"):
            with pytest.raises(ctrd.InvalidArgument):
                p.send_signal(wrong)
    with each.exec("sleep", "1000") as p:
        p.kill()
        status = p.wait(timeout=30)
        assert (int(status), status.signal) == (137, 9)
    with each.exec("sleep", "1000") as p:
        pid = p.pid or 0
    assert not alive(pid)  # leaving the block ends it


def test_an_exec_in_two_steps(each: ctrd.Container) -> None:
    p = each.exec("cat", stdin=ctrd.PIPE, start=False, id="two")
    assert (p.pid, p.state().status, p.poll(), p.state().pid) == (None, "created", None, None)
    with pytest.raises(ctrd.FailedPrecondition):
        p.kill()
    assert p.stdin
    p.stdin.write("early\n")
    p.close_stdin()  # before the start: remembered
    assert p.start() is p
    assert p.pid
    assert p.communicate(timeout=30) == ("early\n", "")
    with pytest.raises(ctrd.FailedPrecondition):
        p.start()
    assert p.delete() == 0
    with each.exec("true", start=False):
        pass
    bundle = each._engine.state / "default" / "x"
    assert not list((bundle / "io").glob("*"))


def test_ids(c: ctrd.Container) -> None:
    with c.exec("sleep", "1000", id="a.b") as p:
        with pytest.raises(ctrd.AlreadyExists):
            c.exec("true", id="a.b")
        assert c.get_process("a.b") is p
        assert c.get_process(p.pid or 0) is p
        assert c.get_process(c.task().pid or 0) is c.task()
        with pytest.raises(ctrd.ProcessNotFound):
            c.get_process("nobody")
        with pytest.raises(ctrd.ProcessNotFound):
            c.get_process(os.getpid())
    assert c.run("true", id="a.b").ok  # free again
    assert c.run("true", id="a.b").ok


def test_a_limit_of_time_kills_the_whole_tree(each: ctrd.Container) -> None:
    code = "echo begun; (setsid sleep 1111 &) ; sleep 1111 & echo all; sleep 1111"
    for attempt in (lambda: each.run(shell=code, timeout=1.0), lambda: each.exec(shell=code, timeout=1.0).wait()):
        with pytest.raises(ctrd.Timeout) as caught:
            attempt()
        error = caught.value
        assert isinstance(error, subprocess.TimeoutExpired) and error.timeout == 1.0
        assert error.result and (error.result.stdout, error.result.signal) == ("begun\nall\n", 9)
        assert not [p for p in each.processes() if "1111" in p.args]
    p = each.exec(shell=code, timeout=1.0)
    for attempt in (p.communicate, p.wait, p.communicate):  # each of them tells it
        with pytest.raises(ctrd.Timeout) as caught:
            attempt()
        assert caught.value.result and caught.value.result.stdout == "begun\nall\n"
    assert each.run("echo", "fine", timeout=60).stdout == "fine\n"
    assert each.status() == "running"


def test_a_timeout_of_waiting_kills_nothing(c: ctrd.Container) -> None:
    with c.exec(shell="echo a; read x; echo $x", stdin=ctrd.PIPE) as p:
        with pytest.raises(ctrd.Timeout):
            p.wait(timeout=0)
        assert p.stdin
        p.stdin.write("b\n")
        assert p.communicate(timeout=30) == ("a\nb\n", "")
    with c.exec(shell="echo a; sleep 0.3; echo b") as p:
        with pytest.raises(ctrd.Timeout):
            p.communicate(timeout=0.05)
        assert p.communicate(timeout=30) == ("a\nb\n", "")


def test_no_task_no_exec(engine: ctrd.Engine, rootfs: ctrd.Rootfs, runtime: str) -> None:
    with engine.containers.create(rootfs, "sleep", "1000", runtime=runtime) as c:
        with pytest.raises(ctrd.TaskNotFound):
            c.exec("true")
        task = c.create_task()
        assert task.run("echo", "in a created one").stdout == "in a created one\n"
        task.start()
        p = task.exec("sleep", "1000")
        task.kill()
        assert task.wait(timeout=30) == 137
        assert p.wait(timeout=30) == 137
        for attempt in (lambda: task.exec("true"), lambda: c.run("true")):
            with pytest.raises(ctrd.FailedPrecondition):
                attempt()
        task.delete()
        with pytest.raises(ctrd.TaskNotFound):
            p.state()
        assert p.wait() == 137  # it is known
        c.start()
        with pytest.raises(ctrd.TaskNotFound):
            task.run("true")  # another life
        assert c.run("true").ok


def test_a_child_that_keeps_the_pipe(each: ctrd.Container) -> None:
    began = time.monotonic()
    with each.exec(shell="sleep 1112 & echo ok") as p:
        assert p.wait(timeout=30) == 0  # at the exit, whoever holds the pipe
        assert p.communicate(timeout=30) == ("ok\n", "")
        assert p.delete().output_cut
    result = each.run(shell="sleep 1112 & echo ok")
    assert (result.stdout, result.returncode) == ("ok\n", 0)
    assert time.monotonic() - began < 60
    assert [p for p in each.processes() if "1112" in p.args]  # it is not ours to end: they go with the container


def test_many_at_once(each: ctrd.Container) -> None:
    def one(number: int) -> tuple[int, str]:
        result = each.run(shell=f"echo {number}; exit {number % 100}")
        return result.returncode, result.stdout

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(one, range(40)))
    assert found == [(number % 100, f"{number}\n") for number in range(40)]


def test_from_another_process(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    code = """
import ctrd, sys
c = ctrd.default_engine().containers["x"]
p = c.get_process("mine")
assert (p.id, p.args, p.stdin, p.stdout) == ("mine", ("/bin/sh", "-c", "read x; exit 7"), None, None), p.args
assert c.get_process(p.pid).id == "mine" and p.poll() is None
assert c.run("echo", "from afar").stdout == "from afar\\n"
c.task().close_stdin(process=p.pid)
assert p.wait(timeout=30) == 7
assert c.exec("sleep", "1000", id="left").pid
print(c.task().state().status)
"""
    with engine.start(rootfs, "sleep", "1000", id="x") as c:
        with c.exec(shell="read x; exit 7", stdin=ctrd.PIPE, id="mine") as p:
            # Our own writing end keeps the input open: it is ours to close.
            assert p.stdin
            ctrd._streams._End.close(p.stdin)
            assert python_says(engine, code) == "running\n"
            assert p.wait(timeout=30) == 7
        left = c.get_process("left")  # whose maker has ended: it goes on
        assert left.poll() is None and left.pid and alive(left.pid)
        left.kill()
        assert left.wait(timeout=30).signal == 9
        assert left.delete() == 137


def test_an_exec_whose_shim_is_killed(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    with engine.start(rootfs, "sleep", "1000", id="x") as c, ThreadPoolExecutor(1) as pool:
        p = c.exec("sleep", "1000")
        waiting = pool.submit(p.wait)
        shim = [int(pid.name) for pid in Path("/proc").glob("[0-9]*") if _is_shim(pid, engine)]
        os.kill(shim[0], 9)
        status = waiting.result(timeout=30)
        assert (int(status), status.lost) == (137, "shim")
        assert p.pid and not alive(p.pid)
        with pytest.raises(ctrd.FailedPrecondition):
            c.run("true")


def _is_shim(directory: Path, engine: ctrd.Engine) -> bool:
    try:
        line = (directory / "cmdline").read_bytes()
    except OSError:
        return False
    return b"containerd-shim-ctrd-v2" in line and str(engine.state).encode() in line


def test_events_of_an_exec(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    with engine.start(rootfs, "sleep", "1000", id="x") as c, engine.events() as events:
        assert c.run("true", id="e").ok
        topics = []
        while len(topics) < 3:
            event = events.next(timeout=30)
            topics.append(event.topic)
        assert topics == ["/tasks/exec-added", "/tasks/exec-started", "/tasks/exit"]
        assert event.data["id"] == "e" and event.data["exit_status"] == 0


def test_a_paused_container_takes_no_exec(each: ctrd.Container) -> None:
    if not hasattr(each, "pause"):
        pytest.skip("no pause yet")
    each.pause()
    with pytest.raises(ctrd.FailedPrecondition):
        each.exec("true")
    each.resume()
    assert each.run("true").ok


def test_a_slow_writer_of_files_gets_all_of_it(c: ctrd.Container, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ctrd._communicate._AFTER_END", 0.6)
    monkeypatch.setattr("ctrd._communicate._SILENCE", 0.6)

    class Slow(io.BytesIO):
        def write(self, data: object) -> int:
            time.sleep(0.7)
            return super().write(data)  # type: ignore[arg-type]

    file, left = Slow(), True
    with c.exec("head", "-c", "200000", "/dev/zero", text=False, stdout=file) as p:
        while left:  # nor does what the caller does in between count
            try:
                p.communicate(timeout=0.01)
                left = False
            except ctrd.Timeout:
                time.sleep(0.1)
    assert len(file.getvalue()) == 200000


def test_a_start_that_fails_half_way(each: ctrd.Container) -> None:
    p = each.exec("cat", stdin=ctrd.PIPE, start=False)
    bundle = each._engine.state / "default" / "x"
    next(iter((bundle / "io").glob("*/stdin"))).unlink()
    with p:
        with pytest.raises(ctrd.Error):
            p.start()  # it runs; only our own end of its input was not had
        assert p.stdin
        p.stdin.write("x\n")
        assert p.stdout and p.stdout.readline(timeout=30) == "x\n"
    assert [one.args for one in each.processes()] == [("sleep", "1000")]
    assert not list((bundle / "io").iterdir()) and not list((bundle / "exec").iterdir())


def test_processes_say_which_exec_they_are(each: ctrd.Container) -> None:
    with each.exec("sleep", "1001", id="mine") as p:
        assert {one.pid: one.exec_id for one in each.processes()} == {each.task().pid: None, p.pid: "mine"}


def test_kill_of_all_reaches_execs(each: ctrd.Container) -> None:
    waits = "trap 'exit 7' USR1; echo up; while :; do sleep 0.02; done"
    for signal in (10, "USR1", "SIGUSR1"):
        with each.exec(shell=waits) as one, each.exec(shell=waits) as two:
            assert one.stdout and one.stdout.readline() == "up\n" and two.stdout and two.stdout.readline() == "up\n"
            each.task().kill(signal, all=True)  # the first process is sleep, as process 1: it ignores it
            assert (one.wait(timeout=30), two.wait(timeout=30)) == (7, 7)
    assert each.status() == "running"
    with each.exec("sleep", "1001") as p:
        each.task().kill(9, all=True)
        assert p.wait(timeout=30) == 137 == each.wait(timeout=30)


def test_delete(each: ctrd.Container) -> None:
    p = each.exec("sleep", "1001")
    with pytest.raises(ctrd.FailedPrecondition, match="running"):
        p.delete()
    p.kill()
    p.wait(timeout=30)
    assert p.delete() == 137
    with pytest.raises(ctrd.ProcessNotFound):
        p.delete()
    assert (p.wait(), p.poll(), p.returncode) == (137, 137, 137)
    p.kill()  # of one that has ended: nothing
    p._close_streams()


def test_anothers_output_is_not_to_be_had(engine: ctrd.Engine, c: ctrd.Container) -> None:
    code = """
import ctrd, sys
c = ctrd.default_engine().containers["x"]
for p in (c.get_process("mine"), c.get_process(int(sys.argv[1]))):
    try:
        p.attach()
    except ctrd.FailedPrecondition as error:
        print(error)
"""
    with c.exec("sleep", "1001", id="mine") as p:
        said = python_says(engine, code, str(p.pid)).splitlines()
        assert said == ['process "mine": only who started it has its output'] * 2


def test_a_forgotten_process_goes_on(c: ctrd.Container) -> None:
    pid = c.exec("sleep", "1000").pid or 0
    eventually(lambda: alive(pid), "it runs")
    assert [p.pid for p in c.processes() if p.pid == pid]
    c.kill(pid=pid)
    eventually(lambda: not alive(pid), "it ended")


def shim_of(c: ctrd.Container) -> int:
    """The shim is what the first process's parent is."""
    return int(Path(f"/proc/{c.task().pid}/stat").read_text().rpartition(")")[2].split()[1])


def descriptors(pid: int) -> list[str]:
    """What it has open; not the directory that is being read, nor connections that come and go."""
    names = os.listdir(f"/proc/{pid}/fd")  # noqa: PTH208
    found = []
    for name in names:
        with contextlib.suppress(FileNotFoundError):
            found.append(os.readlink(f"/proc/{pid}/fd/{name}").split(":")[0])  # noqa: PTH115
    return sorted(one for one in found if one != "socket")


def test_b32_failures_and_unstarted_ones_leave_nothing(each: ctrd.Container) -> None:
    """B32: a missing program is said at once, with a terminal too, and its id is free again."""
    assert each.run("true", tty=True).ok
    shim = shim_of(each)
    before, ours = descriptors(shim), len(descriptors(os.getpid()))
    for number in range(often(10, 100)):
        for tty in (False, True):
            with pytest.raises(ctrd.PathNotFound):
                each.exec("no-such-program", tty=tty, id="same")
            with each.exec("true", tty=tty, start=False, stdin=ctrd.PIPE, id=f"unstarted{number}"):
                pass
    eventually(lambda: descriptors(shim) == before, f"the shim has what it had: {before}, now {descriptors(shim)}", 10)
    assert len(descriptors(os.getpid())) <= ours
    assert [p.args for p in each.processes()] == [("sleep", "1000")]


def test_a_hundred_that_exit_at_once(c: ctrd.Container) -> None:
    made = [c.exec(shell=f"exit {number}", stdout=ctrd.DEVNULL, stderr=ctrd.DEVNULL) for number in range(100)]
    assert [int(p.wait(timeout=60)) for p in made] == list(range(100))
    for p in made:
        p.delete()


def test_b2_many_end_at_once_with_the_first_process(each: ctrd.Container, engine: ctrd.Engine) -> None:
    """Each exit is told once, the first process's last."""
    many = often(60, 500)
    with ThreadPoolExecutor(8) as pool:
        made = list(
            pool.map(lambda _: each.exec("sleep", "1000", stdout=ctrd.DEVNULL, stderr=ctrd.DEVNULL), range(many))
        )
    with engine.events("topic==/tasks/exit") as events:
        each.kill()
        assert [int(p.wait(timeout=60)) for p in made] == [137] * many
        assert each.wait(timeout=60) == 137
        told = [events.next(timeout=60).data["id"] for _ in range(many + 1)]
        assert sorted(told[:-1]) == sorted(p.id for p in made) and told[-1] == "x"


def test_b7_a_program_that_leaves_its_terminal(c: ctrd.Container) -> None:
    """Nobody has the other end any more, and it lives: the shim waits without work."""
    with c.exec(shell="exec sleep 1000 <&- >&- 2>&-", tty=True) as p:
        eventually(lambda: not list(Path(f"/proc/{p.pid}/fd").iterdir()), "it has closed them")
        shim = Path(f"/proc/{parent_of(c.task().pid)}/stat")
        before, began = ticks(shim), time.monotonic()
        eventually(lambda: time.monotonic() > began + 2, "two seconds")
        assert ticks(shim) - before <= 0.05 * os.sysconf("SC_CLK_TCK") * (time.monotonic() - began)


def parent_of(pid: int | None) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def ticks(stat: Path) -> int:
    """CPU time that a process has used."""
    return sum(map(int, stat.read_text().rpartition(")")[2].split()[11:13]))


def test_what_strangers_wrote_into_passwd(each: ctrd.Container) -> None:
    for user in ("-1", "2147483648", "4294967296", "7:4294967296", "a b", ":"):
        with pytest.raises((ctrd.InvalidArgument, ctrd.NotFound)) as caught:
            each.run("true", user=user)
        assert user.split(":")[-1] in str(caught.value)
    each.run(shell="echo 'me:x:77:88::/:/bin/sh' > /etc/passwd; echo 'us:x:99:me' > /etc/group", check=True)
    assert each.run(shell="id -u; id -g; id -G", user="me").stdout == "77\n88\n88 99\n"
    assert each.run(shell="id -g", user="me:us").stdout == "99\n"


@pytest.mark.parametrize(
    "hostile", ["mkfifo /etc/passwd", "truncate -s 1G /etc/passwd", "ln -s /proc/1/environ /etc/passwd"]
)
def test_hostile_passwd(c: ctrd.Container, hostile: str) -> None:
    c.run(shell=f"rm -f /etc/passwd; {hostile}", check=True)
    began = time.monotonic()
    with pytest.raises(ctrd.Error):
        c.run("true", user="me")
    assert time.monotonic() - began < 20  # refused before a runtime could hang over it


def test_a_program_of_the_wrong_format(each: ctrd.Container) -> None:
    each.run(shell="echo garbage > /bad; chmod 755 /bad", check=True)
    try:
        result = each.run("/bad")
    except ctrd.Error as error:
        assert "/bad" in str(error)
    else:
        assert result.returncode != 0 and result.stderr
    assert each.run("true").ok


def test_a_client_that_dies_before_the_start(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    code = """
import ctrd, os
ctrd.default_engine().containers["x"].exec("cat", stdin=ctrd.PIPE, start=False, id="left")
os._exit(0)
"""
    with engine.start(rootfs, "sleep", "1000", id="x") as c:
        python_says(engine, code)
        left = c.get_process("left")
        assert left.state().status == "created" and left.args == ("cat",)
        with pytest.raises(ctrd.AlreadyExists):
            c.exec("true", id="left")
        assert left.delete() == 0
        assert c.run("true", id="left").ok
        bundle = engine.state / "default" / "x"
        assert len(list((bundle / "io").iterdir())) == 1  # its FIFOs go with the task
        c.kill()
        c.wait(timeout=30)
        c.start()
        assert not (bundle / "io").exists() or not list((bundle / "io").iterdir())
