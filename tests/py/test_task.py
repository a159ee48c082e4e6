"""A task's life, verb by verb, through Container and through Task."""

from __future__ import annotations

import io
import os
import pickle
import select
import signal
import subprocess
from pathlib import Path

import ctrd
import pytest
from support import alive, eventually

pytestmark = pytest.mark.root


def test_a_life_in_steps(engine: ctrd.Engine, rootfs: ctrd.Rootfs, runtime: str) -> None:
    with engine.containers.create(rootfs, "sh", "-c", "exit 7", id="x", runtime=runtime) as c:
        with pytest.raises(ctrd.TaskNotFound):
            c.wait()
        task = c.create_task()
        assert (c.status(), task.state().status, task.poll(), task.returncode) == ("created", "created", None, None)
        assert task.pid == task.state().pid == c.info().pid
        assert alive(task.pid or 0)
        assert (task.id, task.container_id, task.args) == ("", "x", ("sh", "-c", "exit 7"))
        assert task.start() is task
        assert task.wait() == 7 == task.returncode == c.wait() == c.poll()
        assert c.status() == "stopped"
        state = task.state()
        assert (state.status, state.pid, state.exit, state.tty) == ("stopped", None, 7, False)
        assert task.delete() == 7
        assert c.status() == "none"
        for verb in (task.wait, task.poll, task.state, task.start, task.delete, task.processes, task.info, c.task):
            with pytest.raises(ctrd.TaskNotFound):
                verb()


def test_info_and_the_very_object(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    with engine.start(rootfs, "sleep", "1000", id="x") as c:
        task = c.task()
        info = task.info()
        assert info.container_id == "x" and info.instance and info.runtime == c.runtime
        assert info.spec["process"]["args"] == ["sleep", "1000"]
        assert engine.containers["x"].task() is task is c.task()
        assert "Task" in repr(task) and str(task.pid) in repr(task)
        with pytest.raises(TypeError, match="pickle"):
            pickle.dumps(task)


def test_a_task_is_bound_to_one_life(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    with engine.containers.create(rootfs, "true") as c:
        first = c.create_task().start()
        first.wait()
        first.delete()
        second = c.create_task()
        assert second is c.task() and second.info().instance
        with pytest.raises(ctrd.TaskNotFound):
            first.state()
        assert second.state().status == "created"


def test_start_again_on_the_same_container(engine: ctrd.Engine, rootfs: ctrd.Rootfs, runtime: str) -> None:
    with engine.containers.create(rootfs, shell="echo x >> /n; exit $(wc -l < /n)", runtime=runtime) as c:
        assert [int(c.start().wait()) for _ in range(3)] == [1, 2, 3]
        with pytest.raises(ctrd.AlreadyExists):
            c.create_task()
        assert c.start().wait() == 4


def has_said(path: Path, text: str) -> None:
    """Wait until this is what is in its output."""
    eventually(lambda: path.exists() and path.read_text() == text, f"it has said {text!r}")


def test_kill_and_signals(engine: ctrd.Engine, rootfs: ctrd.Rootfs, runtime: str, tmp_path: Path) -> None:
    out, code = tmp_path / "out", "trap 'echo usr1' USR1; trap 'exit 5' TERM; echo up; while :; do sleep 0.02; done"
    with engine.start(rootfs, shell=code, runtime=runtime, stdout=out) as c:
        has_said(out, "up\n")
        c.kill("SIGUSR1")
        has_said(out, "up\nusr1\n")
        c.send_signal(signal.SIGUSR1)
        has_said(out, "up\nusr1\nusr1\n")
        c.terminate()
        status = c.wait(timeout=30)
        assert (status, status.signal) == (5, None)
    with engine.start(rootfs, "sleep", "1000", runtime=runtime) as c:
        c.kill()
        status = c.wait(timeout=30)
        assert (status, status.signal, status.escalated) == (137, 9, False)
        c.kill()  # of one that has ended: nothing
        c.terminate()


def test_kill_of_one_process_or_all(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    with engine.start(rootfs, shell="sleep 1001 & sleep 1002 & wait") as c:
        eventually(lambda: {"1001", "1002"} <= {p.args[-1] for p in c.processes()}, "three processes")
        found = {process.args[-1]: process for process in c.processes()}
        first, second = found["1001"], found["1002"]
        init = c.task().pid
        assert first.ppid == second.ppid == init
        assert first.rss > 0 and first.user == "0" and first.exec_id is None and first.cpu_time >= 0
        c.kill("SIGKILL", pid=first.pid)
        eventually(lambda: not alive(first.pid), "the process is gone")
        assert alive(second.pid) and c.poll() is None
        with pytest.raises(ctrd.ProcessNotFound):
            c.kill(pid=os.getpid())
        with pytest.raises(ctrd.InvalidArgument):
            c.kill(pid=-1)
        c.kill("SIGKILL", all=True)
        assert c.wait(timeout=30).signal == 9
        assert not alive(second.pid)


@pytest.mark.parametrize(
    ("trap", "signal", "grace", "expected"),
    [
        ("'exit 3' TERM", "TERM", 30.0, (3, False)),
        ("'' TERM", "TERM", 0.2, (137, True)),
        ("'exit 4' INT", "INT", 30.0, (4, False)),
    ],
)
def test_stop(
    engine: ctrd.Engine, rootfs: ctrd.Rootfs, runtime: str, tmp_path: Path,
    trap: str, signal: str, grace: float, expected: tuple[int, bool],
) -> None:  # fmt: skip
    code = f"trap {trap}; echo up; while :; do sleep 0.02; done"
    with engine.start(rootfs, shell=code, runtime=runtime, stdout=tmp_path / "out") as c:
        has_said(tmp_path / "out", "up\n")
        status = c.stop(signal=signal, grace=grace)
        assert (int(status), status.escalated) == expected
        assert c.stop() == status  # once more: the same


def test_stop_of_one_that_was_not_started(engine: ctrd.Engine, rootfs: ctrd.Rootfs, runtime: str) -> None:
    with engine.containers.create(rootfs, "true", runtime=runtime) as c:
        task = c.create_task()
        assert task.stop().signal == 9


def test_wait_times_out_and_kills_nothing(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    with engine.start(rootfs, "sleep", "1000") as c:
        for timeout in (0, 0.05):
            with pytest.raises(ctrd.Timeout) as caught:
                c.wait(timeout=timeout)
            assert isinstance(caught.value, TimeoutError)
            assert isinstance(caught.value, subprocess.TimeoutExpired)
            assert caught.value.result is None
        assert c.status() == "running" and c.poll() is None
        with pytest.raises(TypeError, match="timeout"):
            c.wait(timeout="1")  # type: ignore[arg-type]


def test_delete_while_it_lives(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    with engine.start(rootfs, "sleep", "1000", id="x") as c:
        task = c.task()
        with pytest.raises(ctrd.FailedPrecondition):
            c.delete()
        with pytest.raises(ctrd.FailedPrecondition):
            task.delete()
        assert task.delete(force=True).signal == 9
        assert c.status() == "none"
        c.start()
        c.delete(force=True)
        assert "x" not in engine.containers


def test_pipes(engine: ctrd.Engine, rootfs: ctrd.Rootfs, runtime: str) -> None:
    code = "echo ready; while read line; do echo got $line; echo err >&2; done; echo end"
    with engine.containers.create(rootfs, shell=code, runtime=runtime) as c:
        with c.create_task(stdin=ctrd.PIPE, stdout=ctrd.PIPE, stderr=ctrd.PIPE) as task:
            assert task.stdin and task.stdout and task.stderr
            task.start()
            assert task.stdout.readline() == "ready\n"
            assert task.stdin.write("ä b\n") == 4
            assert task.stdout.readline(timeout=30) == "got ä b\n"
            with pytest.raises(ctrd.Timeout):
                task.stdout.readline(timeout=0.02)
            task.stdin.write("x\ny\n")
            task.stdin.close()
            assert list(task.stdout) == ["got x\n", "got y\n", "end\n"]
            assert task.stderr.read() == "err\n" * 3
            assert task.stdout.read() == "" == task.stdout.readline()
            assert task.wait(timeout=30) == 0
            with pytest.raises(ValueError, match="closed"):
                task.stdin.write("z")
            with pytest.raises(TypeError):
                pickle.dumps(task.stdout)
        assert c.status() == "none"
        assert task.stdout.closed
        with pytest.raises(ValueError, match="closed"):
            task.stdout.fileno()


def test_pipes_of_bytes(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    data = os.urandom(300_000)
    with engine.containers.create(rootfs, "cat") as c:
        c.start(stdin=ctrd.PIPE, stdout=ctrd.PIPE, stderr=ctrd.STDOUT, text=False)
        task = c.task()
        assert task.stdin and task.stdout and not task.stderr
        got = b""
        for at in range(0, len(data), 30_000):
            assert task.stdin.write(data[at : at + 30_000]) == 30_000
            got += task.stdout.read(65536, timeout=30)
        with pytest.raises(TypeError, match="data must be bytes"):
            task.stdin.write("x")
        assert select.select([task.stdout], [], [], 0)[2] == []
        task.stdin.close()
        assert got + task.stdout.read() == data
        assert c.wait(timeout=30) == 0


def test_a_reader_that_goes_does_not_stop_the_task(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    with engine.containers.create(rootfs, shell="head -c 1000000 /dev/zero; exit 6") as c:
        task = c.create_task(stdout=ctrd.PIPE).start()
        assert task.stdout
        task.stdout.close()
        assert task.wait(timeout=30) in (6, 141)


def test_where_streams_may_go(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    wrong: tuple[tuple[str, object], ...] = (
        ("stdin", ctrd.LOG),
        ("stdout", ctrd.STDOUT),
        ("stderr", 10_000),
        ("stdout", -9),
        ("stdout", io.StringIO()),
        ("stdin", io.BytesIO()),
    )
    with engine.containers.create(rootfs, "true") as c:
        for field, value in wrong:
            with pytest.raises(ctrd.InvalidArgument) as caught:
                c.start(**{field: value})
            assert caught.value.field == field
        with pytest.raises(TypeError, match="stdout must be a Std"):
            c.create_task(stdout=1.5)  # type: ignore[call-overload]
        with pytest.raises(ctrd.PathNotFound):
            c.start(stdin="/no/such/file")
        assert c.status() == "none"


def test_files_and_descriptors(engine: ctrd.Engine, rootfs: ctrd.Rootfs, runtime: str, tmp_path: Path) -> None:
    data = os.urandom(300_000)
    (tmp_path / "in").write_bytes(data)
    with engine.containers.create(rootfs, shell="cat; echo err >&2", runtime=runtime) as c:
        with (tmp_path / "err").open("w") as file:
            c.start(stdin=tmp_path / "in", stdout=tmp_path / "out", stderr=file)
            assert c.wait(timeout=30) == 0
            eventually(lambda: (tmp_path / "out").read_bytes() == data, "all is written")
            eventually(lambda: (tmp_path / "err").read_text() == "err\n", "stderr is written")
        c.task().delete()
    with engine.start(rootfs, "sleep", "1000", runtime=runtime) as c:
        read, write = os.pipe()
        with c.exec(shell="cat; echo end", stdin=str(tmp_path / "in"), stdout=write, text=False) as p:
            os.close(write)
            got = b""
            while part := os.read(read, 65536):
                got += part
            assert got == data + b"end\n" and p.wait(timeout=30) == 0
        os.close(read)
        out, err = io.StringIO(), io.StringIO()
        with c.exec(shell="cat; echo err >&2", stdin=io.StringIO("ä" * 100_000), stdout=out, stderr=err) as q:
            assert q.communicate(timeout=30) == ("", "")
        assert (out.getvalue(), err.getvalue()) == ("ä" * 100_000, "err\n")


def test_a_task_that_ends_while_being_waited_for_by_many(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with engine.start(rootfs, "sleep", "1000") as c, ThreadPoolExecutor(8) as pool:
        waits = [pool.submit(c.wait) for _ in range(8)]
        c.kill()
        assert {int(wait.result(timeout=30)) for wait in waits} == {137}
