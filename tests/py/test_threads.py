"""Any method from any thread; a blocked call blocks no other; the GIL is free meanwhile."""

from __future__ import annotations

import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import ctrd
import pytest
from support import python_says

pytestmark = pytest.mark.root


def test_runs_in_threads(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda i: engine.run(rootfs, "echo", str(i)), range(40)))
    assert [result.stdout for result in results] == [f"{i}\n" for i in range(40)]


def test_the_gil_is_free_during_a_wait(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    with engine.start(rootfs, "sleep", "1000") as c:
        thread = threading.Thread(target=c.wait)
        thread.start()
        counted = 0
        until = time.monotonic() + 0.2
        while time.monotonic() < until:
            counted += 1
        assert counted > 1000
        c.kill()
        thread.join(timeout=30)
        assert not thread.is_alive()


def test_a_blocked_call_blocks_no_other(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    with engine.start(rootfs, "sleep", "1000", id="blocked") as c, ThreadPoolExecutor(4) as pool:
        waiting = [pool.submit(c.wait), pool.submit(lambda: list(c.logs(follow=True)))]
        for i in range(5):
            assert engine.run(rootfs, "echo", str(i)).ok
            assert c.status() == "running" and len(c.processes()) == 1
        assert not any(one.done() for one in waiting)
        c.kill()
        assert waiting[0].result(timeout=30) == 137
        assert waiting[1].result(timeout=30) == []


def test_mixed_verbs_in_threads(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    def life(me: int) -> None:
        for turn in range(4):
            with engine.containers.create(rootfs, shell="echo $A", id=f"t{me}-{turn}", env={"A": f"{me}"}) as c:
                c.start()
                c.update(labels={"turn": str(turn)})
                assert c.wait(timeout=60) == 0
                assert c.logs().read() == f"{me}\n"
                assert c.id in engine.containers.list(labels={"turn": str(turn)}).ids

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(life, range(6)))
    assert len(engine.containers) == 0


def test_one_id_has_one_winner(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    def create(_: int) -> bool:
        try:
            engine.containers.create(rootfs, "true", id="x")
        except ctrd.AlreadyExists:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        for _ in range(5):
            assert sum(pool.map(create, range(8))) == 1
            engine.containers.delete("x")


def test_two_engines_on_one_root(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    with ctrd.Engine(engine.root, state=engine.state) as other:
        with other.start(rootfs, "sleep", "1000", id="x") as c:
            assert engine.containers["x"].status() == "running" == c.status()
        mine = engine.containers.create(rootfs, "true", id="mine")
        other.containers.create(rootfs, "true", id="others")
    assert list(engine.containers) == ["mine"]  # closing ended what was made through that one
    assert mine.status() == "none"


def test_daemon_threads_at_the_end_of_the_interpreter(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    code = """if True:
        import ctrd, sys, threading
        c = ctrd.start(ctrd.Rootfs(sys.argv[1]), "sleep", "1000")
        for _ in range(4):
            threading.Thread(target=c.wait, daemon=True).start()
        threading.Thread(target=lambda: list(c.logs(follow=True)), daemon=True).start()
        print("end")
    """
    for _ in range(3):
        assert python_says(engine, code, str(rootfs.path)) == "end\n"


def test_messages_go_to_the_logger(engine: ctrd.Engine, rootfs: ctrd.Rootfs, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, logger="ctrd"):
        engine.run(rootfs, "true")
    assert all(record.name.startswith("ctrd") for record in caplog.records if "ctrd" in record.name)
    assert logging.getLogger("ctrd").handlers  # a NullHandler: nothing is printed unasked


def test_ctrd_log_prints(engine: ctrd.Engine, rootfs: ctrd.Rootfs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CTRD_LOG", "debug")
    code = (
        "import ctrd, logging, sys; print(logging.getLogger('ctrd').level); ctrd.run(ctrd.Rootfs(sys.argv[1]), 'true')"
    )
    assert python_says(engine, code, str(rootfs.path)) == "10\n"
