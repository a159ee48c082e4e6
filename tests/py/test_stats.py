"""What a container uses: true figures under real loads, in one shape."""

from __future__ import annotations

import itertools
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import ctrd
import pytest
from support import PATIENCE, eventually

pytestmark = pytest.mark.root


def known(figure: Any) -> Any:
    assert figure is not None
    return figure


def test_cpu(engine: ctrd.Engine, rootfs: ctrd.Rootfs, runtime: str) -> None:
    with engine.start(rootfs, shell="while :; do :; done", cpus=0.05, runtime=runtime) as c:
        eventually(lambda: known(c.stats().cpu.usage) > 0.15, "it has used some")
        before = known(c.stats().cpu.usage)
        (process,) = c.processes()
        cpu = c.stats().cpu
        # The burner is all there is, so the process's own time lies between the two. The runtime's start counts too.
        assert before - 0.05 * PATIENCE <= process.cpu_time <= known(cpu.usage) + 0.05
        assert known(cpu.user) + known(cpu.system) == pytest.approx(known(cpu.usage), rel=0.3, abs=0.05)
        eventually(lambda: known(c.stats().cpu.throttled) > 0, "its quota is used up now and then")
        assert known(c.stats().cpu.usage) >= known(cpu.usage)


def says(path: Path, word: str) -> None:
    """Wait until it has printed that into this file."""
    eventually(lambda: word in path.read_text(), f"it has said {word}", 60)


def test_memory(engine: ctrd.Engine, rootfs: ctrd.Rootfs, runtime: str, tmp_path: Path) -> None:
    code = (
        "head -c 20000000 /dev/zero > /dev/shm/f; x=$(head -c 10000000 /dev/zero | tr '\\0' x); echo up; sleep 1000; :"
    )
    with engine.start(rootfs, shell=code, memory="256M", runtime=runtime, stdout=tmp_path / "out") as c:
        says(tmp_path / "out", "up")
        memory = c.stats().memory
        assert memory.limit == 256 << 20
        assert 30_000_000 <= known(memory.usage) <= known(memory.peak) <= 256 << 20
        assert 20_000_000 <= known(memory.cache) < known(memory.usage)
        assert memory.oom_kills == 0
        assert any(process.rss >= 10_000_000 for process in c.processes())
    with engine.start(rootfs, "sleep", "1000", runtime=runtime) as c:
        assert c.stats().memory.limit is None


def test_processes_killed_for_memory(engine: ctrd.Engine, rootfs: ctrd.Rootfs, runtime: str, tmp_path: Path) -> None:
    # The pipeline may run out of memory twice at once: without its score the second to be killed may be the init.
    hog = 'echo 1000 > /proc/self/oom_score_adj; x=$(head -c 100000000 /dev/zero | tr "\\0" x)'
    code = f"sh -c '{hog}'; echo ended; sleep 1000"
    with engine.start(rootfs, shell=code, memory="24M", runtime=runtime, stdout=tmp_path / "out") as c:
        says(tmp_path / "out", "ended")
        assert known(c.stats().memory.oom_kills) >= 1


def test_processes_and_threads(engine: ctrd.Engine, rootfs: ctrd.Rootfs, runtime: str) -> None:
    with engine.start(rootfs, shell="sleep 1000 & sleep 1000 & wait", pids=50, runtime=runtime) as c:
        eventually(lambda: c.stats().pids.current == 3, "three of them")
        assert c.stats().pids.limit == 50
        assert len(c.processes()) == 3
        c.update(pids=-1)
        assert c.stats().pids.limit is None


def disk_of(path: Path) -> str:
    """The whole disk that a file is on, as major:minor."""
    device = path.stat().st_dev
    found = Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}")
    if not found.exists():
        pytest.skip(f"{path} is on no block device")
    whole = found.resolve()
    return ((whole.parent if (whole / "partition").exists() else whole) / "dev").read_text().strip()


def test_block_devices(engine: ctrd.Engine, rootfs: ctrd.Rootfs, runtime: str, tmp_path: Path) -> None:
    # Since Linux 6.10 v1 counts only for devices that somebody has limited.
    limits: ctrd.Resources = {"io": {disk_of(engine.root): {"read_bps": 1 << 40, "write_bps": 1 << 40}}}
    write, read = "dd if=/dev/zero of=/f bs=1M count=8 oflag=direct", "dd if=/f of=/dev/null bs=1M iflag=direct"
    code = f"{write}; {read}; echo up; sleep 1000"
    with engine.start(rootfs, shell=code, runtime=runtime, resources=limits, stdout=tmp_path / "out") as c:
        says(tmp_path / "out", "up")
        io = c.stats().io
        assert 8 << 20 <= known(io.write_bytes) <= 16 << 20
        assert 8 << 20 <= known(io.read_bytes) <= 32 << 20
        assert known(io.writes) >= 8 and known(io.reads) >= 8


def test_before_the_start_while_paused_and_after_the_end(
    engine: ctrd.Engine, rootfs: ctrd.Rootfs, runtime: str
) -> None:
    with engine.containers.create(rootfs, "sleep", "1000", runtime=runtime) as c:
        with pytest.raises(ctrd.TaskNotFound):
            c.stats()
        task = c.create_task()
        assert known(c.stats().pids.current) >= 1  # runc waits with several threads
        task.start()
        c.pause()
        paused = c.stats()
        assert known(paused.memory.usage) > 0 and known(task.stats().cpu.usage) >= known(paused.cpu.usage)
        c.resume()
        c.kill()
        c.wait()
        with pytest.raises(ctrd.TaskNotFound):
            c.stats()
    with pytest.raises(ctrd.ContainerNotFound):
        c.stats()


def test_flat(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    with engine.start(rootfs, "sleep", "1000") as c:
        stats = c.stats()
    row = stats.flat()
    assert row["time"] == stats.time and abs((datetime.now(UTC) - stats.time).total_seconds()) < 60
    assert row["memory_usage"] == stats.memory.usage and row["io_read_bytes"] == stats.io.read_bytes
    assert len(row) == 17
    assert "pids.current" in stats.raw


def test_stream(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    with engine.start(rootfs, shell="while :; do :; done") as c:
        rows = list(itertools.islice(c.stats_stream(0.02), 4))
        assert [row.time for row in rows] == sorted(row.time for row in rows)
        assert known(rows[-1].cpu.usage) >= known(rows[0].cpu.usage)
        assert (rows[-1].time - rows[0].time).total_seconds() >= 0.04
        stream = c.stats_stream(interval=600)
        next(stream)
        c.kill()
        assert list(stream) == []  # at once, not after ten minutes
        with pytest.raises(ctrd.TaskNotFound):
            c.stats_stream()
        for bad in (0, -1):
            with pytest.raises(ctrd.InvalidArgument):
                c.stats_stream(bad)
        with pytest.raises(TypeError):
            c.stats_stream("1")  # type: ignore[arg-type]


def test_processes(engine: ctrd.Engine, rootfs: ctrd.Rootfs, runtime: str) -> None:
    with engine.start(rootfs, shell="sleep 1000 & wait", user="1000", runtime=runtime) as c:
        eventually(lambda: c.processes()[-1].args == ("sleep", "1000"), "the shell has its child")
        shell, child = c.processes()
        assert (shell.pid, child.ppid) == (c.info().pid, shell.pid)
        assert child.args == ("sleep", "1000")
        assert {shell.user, child.user} == {"1000"}
        assert shell.exec_id is None and child.exec_id is None
        assert c.processes().to_dicts()[1]["pid"] == child.pid
