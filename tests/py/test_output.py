"""Output of processes: every byte of it, however fast it ended, however slow it is read; and the log that keeps it."""

from __future__ import annotations

import base64
import os
import zlib
from collections.abc import Iterator
from pathlib import Path

import ctrd
import pytest
from support import eventually, python_says

pytestmark = pytest.mark.root
MIB = 1 << 20
BURSTS = (MIB - 1, MIB, MIB + 1, 8 * MIB - 1, 8 * MIB + 1)


@pytest.fixture
def pattern(tmp_path: Path) -> bytes:
    """What processes print the beginning of: /pattern in the container."""
    data = os.urandom(MIB) * 9
    (tmp_path / "pattern").write_bytes(data)
    return data


@pytest.fixture
def c(
    engine: ctrd.Engine, rootfs: ctrd.Rootfs, runtime: str, pattern: bytes, tmp_path: Path
) -> Iterator[ctrd.Container]:
    """A container that sleeps, with the pattern in it."""
    with engine.start(
        rootfs, "sleep", "1000", id="x", runtime=runtime, mounts=[f"{tmp_path}/pattern:/pattern:ro"]
    ) as made:
        yield made


def test_bursts_of_execs(c: ctrd.Container, pattern: bytes) -> None:
    for size in BURSTS:
        result = c.run("head", "-c", str(size), "/pattern", text=False)
        assert (len(result.stdout), zlib.crc32(result.stdout)) == (size, zlib.crc32(pattern[:size]))
    result = c.run(shell=f"head -c {MIB + 1} /pattern; head -c {MIB - 1} /pattern >&2", text=False)
    assert result.stdout == pattern[: MIB + 1] and result.stderr == pattern[: MIB - 1]


def test_bursts_of_tasks(
    engine: ctrd.Engine, rootfs: ctrd.Rootfs, runtime: str, pattern: bytes, tmp_path: Path
) -> None:
    mounts = [f"{tmp_path}/pattern:/pattern:ro"]
    for size in BURSTS[1:3]:
        made = engine.run(rootfs, "head", "-c", str(size), "/pattern", text=False, runtime=runtime, mounts=mounts)
        assert made.stdout == pattern[:size]
        with engine.start(rootfs, shell=f"head -c {size} /pattern | base64", runtime=runtime, mounts=mounts) as c:
            assert c.wait(timeout=60) == 0
            assert base64.b64decode(c.logs().read()) == pattern[:size]


def test_a_slow_reader_holds_up_nobody_else(c: ctrd.Container, pattern: bytes) -> None:
    with c.exec("head", "-c", str(4 * MIB), "/pattern", text=False) as p:
        assert p.stdout
        assert c.run("echo", "others go on").stdout == "others go on\n"
        with pytest.raises(ctrd.Timeout):
            p.wait(timeout=0.2)  # it waits for its reader
        got = b"".join(iter(lambda: p.stdout.read(MIB, timeout=60), b""))  # type: ignore[union-attr]
        assert got == pattern[: 4 * MIB]
        assert p.wait(timeout=30) == 0


def test_a_reader_that_goes(c: ctrd.Container) -> None:
    with c.exec(shell="head -c 4000000 /pattern; exit 6") as p:
        assert p.stdout
        p.stdout.close()
        assert p.wait(timeout=30) in (6, 141)


def test_what_is_unread_at_delete_stays_readable(c: ctrd.Container) -> None:
    p = c.exec("echo", "still here")
    assert p.wait(timeout=30) == 0
    assert p.delete() == 0
    assert p.stdout and p.stdout.read(timeout=30) == "still here\n"
    p._close_streams()


def test_readers(c: ctrd.Container) -> None:
    with c.exec(shell="printf 'ä\\nb\\n\\nlast'; printf '\\377\\303' >&2") as p:
        assert p.stdout and p.stderr
        assert p.stdout.readline(timeout=30) == "ä\n"
        assert p.stdout.read(1, timeout=30) == "b"
        assert p.stdout.read(0) == ""
        assert list(p.stdout) == ["\n", "\n", "last"]
        assert p.stderr.read(timeout=30) == "\ufffd\ufffd"
        assert p.stdout.read() == ""


def test_logs_in_one_order_from_any_process(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    code = "for i in 1 2 3 4 5; do echo o$i; echo e$i >&2; done; read x; echo end"
    wanted = [(stream, f"{stream[3]}{i}") for i in range(1, 6) for stream in ("stdout", "stderr")]
    reader = """
import ctrd
lines = ctrd.default_engine().containers["x"].logs(tail=10)
print([(line.stream, line.text) for line in lines])
"""
    with engine.containers.create(rootfs, shell=code, id="x") as c:
        task = c.create_task(stdin=ctrd.PIPE).start()
        follower = iter(c.logs(follow=True, since=0))
        seen = [next(follower) for _ in range(10)]
        by_stream = [[line.text for line in seen if line.stream == stream] for stream in ("stdout", "stderr")]
        assert by_stream == [[text for stream, text in wanted if stream == name] for name in ("stdout", "stderr")]
        assert [line.seq for line in seen] == sorted(line.seq for line in seen)
        assert python_says(engine, reader).count("e5") == 1
        assert [line.text for line in c.logs(since=seen[6].seq)] == [line.text for line in seen[7:]]
        assert [line.text for line in c.logs(since=seen[0].time)] == [line.text for line in seen]
        task.close_stdin()
        assert [line.text for line in follower] == ["end"]
        assert task.wait(timeout=30) == 0
        assert c.logs(stderr=False, tail=2).read() == "o5\nend\n"


def test_an_exec_prints_not_into_the_log(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    with engine.start(rootfs, shell="echo init; sleep 1000") as c:
        eventually(lambda: c.logs().read() == "init\n", "it has printed")
        assert c.run("echo", "exec").stdout == "exec\n"
        assert c.logs().read() == "init\n"
