"""Freezing a task and thawing it, from this process and from others."""

from __future__ import annotations

from pathlib import Path

import ctrd
import pytest
from support import alive, eventually, python_says

pytestmark = pytest.mark.root

BEAT = "i=0; while :; do i=$((i+1)); echo $i; sleep 0.01; done"


def test_pause_and_resume(engine: ctrd.Engine, rootfs: ctrd.Rootfs, runtime: str, tmp_path: Path) -> None:
    out = tmp_path / "out"

    def beats() -> int:
        return len(out.read_text().splitlines())

    with engine.start(rootfs, shell=BEAT, id="x", runtime=runtime, stdout=out) as c:
        eventually(beats, "a beat")
        c.pause()
        assert c.status() == "paused" == c.task().state().status == c.info().status
        assert engine.containers.list(status="paused").ids == ["x"]
        frozen = beats()
        for illegal in (c.pause, c.task().start, c.task().delete):
            with pytest.raises(ctrd.FailedPrecondition):
                illegal()
        with pytest.raises(ctrd.FailedPrecondition):
            c.delete()
        assert c.processes() and c.poll() is None
        assert beats() <= frozen + 1  # one may have been on its way
        c.resume()
        assert c.status() == "running"
        with pytest.raises(ctrd.FailedPrecondition):
            c.resume()
        eventually(lambda: beats() > frozen + 1, "another beat")


def test_nothing_runs_once_it_is_paused(engine: ctrd.Engine, rootfs: ctrd.Rootfs, runtime: str) -> None:
    """However busily it forks: crun does not wait for the freezer."""
    with engine.start(rootfs, shell=BEAT, runtime=runtime, stdout=ctrd.DEVNULL, stderr=ctrd.DEVNULL) as c:
        for _ in range(100):
            c.pause()
            assert c.status() == "paused"
            c.resume()


def test_paused_for_a_block(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    with engine.start(rootfs, "sleep", "1000") as c:
        with c.paused():
            assert c.status() == "paused"
        assert c.status() == "running"
        with pytest.raises(ZeroDivisionError), c.task().paused():
            raise ZeroDivisionError
        assert c.status() == "running"
        with c.paused():
            c.resume()
        with c.paused():
            c.kill()
            assert c.wait() == 137
        for illegal in (c.pause, c.resume):
            with pytest.raises(ctrd.FailedPrecondition):
                illegal()
        with pytest.raises(ctrd.FailedPrecondition), c.paused():
            raise AssertionError


def test_no_task_no_pause(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    with engine.containers.create(rootfs, "sleep", "1000") as c:
        for verb in (c.pause, c.resume):
            with pytest.raises(ctrd.TaskNotFound):
                verb()
        c.create_task()
        for verb in (c.pause, c.resume):
            with pytest.raises(ctrd.FailedPrecondition):
                verb()


@pytest.mark.parametrize("all", [False, True])
def test_a_paused_one_that_is_killed_dies(engine: ctrd.Engine, rootfs: ctrd.Rootfs, runtime: str, all: bool) -> None:
    with engine.start(rootfs, "sleep", "1000", runtime=runtime) as c:
        c.pause()
        c.kill(all=all)
        assert c.wait(timeout=30).signal == 9
        assert c.status() == "stopped"


@pytest.mark.parametrize(("trap", "grace", "ended"), [("'exit 3' TERM", 30, (3, False)), ("'' TERM", 0.1, (137, True))])
def test_stop_resumes_it(
    engine: ctrd.Engine, rootfs: ctrd.Rootfs, runtime: str, tmp_path: Path,
    trap: str, grace: float, ended: tuple[int, bool],
) -> None:  # fmt: skip
    out, code = tmp_path / "out", f"trap {trap}; echo up; while :; do sleep 0.02; done"
    with engine.start(rootfs, shell=code, runtime=runtime, stdout=out) as c:
        eventually(lambda: out.read_text() == "up\n", "its trap is set")
        c.pause()
        status = c.stop(grace=grace)
        assert (int(status), status.escalated) == ended


def test_leaving_with_ends_a_paused_one(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    with engine.start(rootfs, "sleep", "1000") as c:
        pid = c.info().pid or 0
        c.pause()
    assert not alive(pid)
    assert not engine.containers


def test_from_another_process(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    with engine.start(rootfs, "sleep", "1000", id="x") as c:
        code = "import ctrd; c = ctrd.default_engine().containers['x']; c.pause(); print(c.status())"
        assert python_says(engine, code) == "paused\n"
        assert c.status() == "paused"
        c.resume()
        code = "import ctrd; print(ctrd.default_engine().containers.list()[0].status)"
        assert python_says(engine, code) == "running\n"
        assert Path(f"/proc/{c.info().pid}").exists()


def test_events(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    with engine.start(rootfs, "sleep", "1000", id="x") as c:
        with c.paused():
            pass
        c.kill()
        c.wait()
    topics = [event.topic for event in engine.events(since=0, follow=False) if event.topic.startswith("/tasks/")]
    assert topics == [f"/tasks/{what}" for what in ("create", "start", "paused", "resumed", "exit", "delete")]
