"""What a task has written when it ends arrives, whoever reads; who does not read holds up nobody (B5, B7, B8)."""

from __future__ import annotations

import hashlib
import signal
import threading
import time
from pathlib import Path

import ctrd
import pytest
from support import eventually, often, python
from test_full_disk import Filler, tmpfs
from test_recovery import shim_of

pytestmark = pytest.mark.root

PATTERN = b"0123456789abcdef\n"
SIZES = [(1 << power) + more for power in range(20, 25) for more in (-1, 0, 1)]
SOON = 30.0  # generous: seconds in which kill and delete end on a loaded machine


def digest(size: int) -> str:
    return hashlib.sha256((PATTERN * (size // len(PATTERN) + 1))[:size]).hexdigest()


class Reader(threading.Thread):
    """Reads all of a stream: 64 KiB at once, with a pause between two pieces."""

    def __init__(self, stream: ctrd.Reader[bytes], pause: float) -> None:
        super().__init__()
        self.stream, self.pause, self.size, self.sum = stream, pause, 0, hashlib.sha256()

    def run(self) -> None:
        while piece := self.stream.read(1 << 16, timeout=60):
            self.size += len(piece)
            self.sum.update(piece)
            if self.pause:
                time.sleep(self.pause)  # this is what is tested: a slow reader


def burst(size: int, both: bool) -> str:
    """Shell that writes so many bytes; both: to stdout, stderr, and stdout again."""
    part = size // 3 // len(PATTERN) * len(PATTERN)
    pieces = [(part, ""), (part, " >&2"), (size - 2 * part, "")] if both else [(size, "")]
    return "; ".join(f"yes 0123456789abcdef | head -c {n}{to}" for n, to in pieces)


@pytest.mark.parametrize("both", [False, True], ids=["stdout", "both"])
def test_b5_bursts_before_the_end(engine: ctrd.Engine, rootfs: ctrd.Rootfs, both: bool) -> None:
    """B5: 2^20 to 2^24 bytes, one less and one more; deleted right after wait; nothing is short, nothing is changed."""
    for n, size in enumerate(SIZES * often(1, 25)):
        c = engine.containers.create(rootfs, shell=f"{burst(size, both)}; exit 7")
        task = c.create_task(stdout=ctrd.PIPE, stderr=ctrd.STDOUT if both else ctrd.DEVNULL, text=False)
        assert task.stdout
        reader = Reader(task.stdout, 0.002 if n % 3 == 0 else 0)
        reader.start()
        task.start()
        status = task.wait(timeout=120)
        task.delete()
        reader.join()
        c.delete()
        assert (int(status), status.output_cut) == (7, False)
        assert (reader.size, reader.sum.hexdigest()) == (size, digest(size))


def test_what_a_deleted_task_printed_can_be_read(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    c = engine.containers.create(rootfs, shell="echo hello; echo error >&2")
    with c.create_task(stdout=ctrd.PIPE, stderr=ctrd.PIPE) as task:
        task.start().wait(timeout=60)
        task.delete()
        assert (task.stdout.read(), task.stderr.read()) == ("hello\n", "error\n")  # type: ignore[union-attr]
    c.delete()


def test_b5_fast_exits(engine: ctrd.Engine, rootfs: ctrd.Rootfs, runtime: str) -> None:
    """B5: what is written and ends at once: by run, which waits and deletes."""
    for n in range(often(10, 250)):
        size = 1 + n * 7919 % 100_000
        result = engine.run(
            rootfs, shell=f"yes 0123456789abcdef | head -c {size}", runtime=runtime, text=False, max_output=1 << 20
        )
        assert (len(result.stdout), hashlib.sha256(result.stdout).hexdigest()) == (size, digest(size))


def test_b7_the_logs_disk_is_full_and_then_is_not(tmp_path: Path, rootfs: ctrd.Rootfs) -> None:
    """B7: the task runs on, what finds no room is lost and said to be; with room again the log goes on, same shim."""
    (tmp_path / "told").mkdir()
    count = tmp_path / "told/n"
    told = ctrd.Mount.bind(tmp_path / "told", "/told")
    shell = "i=0; while :; do i=$((i+1)); echo line $i; echo $i >/told/new && mv /told/new /told/n; usleep 1000; done"

    def at() -> int:
        return int(count.read_text() or 0) if count.exists() else 0

    with tmpfs(tmp_path / "small", "size=32m") as small, ctrd.Engine(small / "root", state=tmp_path / "s") as engine:
        filler = Filler(small)
        with engine.start(rootfs, shell=shell, id="x", mounts=[told]) as c:
            shim = shim_of(c)
            eventually(lambda: at() > 20, "it writes")
            filler.fill()
            full = at()
            eventually(lambda: at() > full + 400, "it goes on writing", 120)  # more than what is left of a page
            used = busy(shim)
            after = at()
            eventually(lambda: at() > after + 100, "it goes on", 60)
            assert busy(shim) - used < 20  # hundredths of a second: the shim is not trying all the time
            filler.give_back()
            repaired = at()
            eventually(lambda: at() > repaired + 100, "it goes on", 60)
            c.kill()
            status = c.wait(timeout=60)
            assert status.signal == 9 and status.output_cut and status.lost is None
            lines = list(c.logs())
            numbers = [
                int(line.text.split()[1]) for line in lines if line.text.startswith("line ") and not line.partial
            ]
            assert numbers == sorted(set(numbers))
            gaps = [(one, two) for one, two in zip(numbers, numbers[1:], strict=False) if two > one + 1]
            assert gaps and numbers[0] == 1 and numbers[-1] > repaired + 50
            seqs = [line.seq for line in lines]
            assert seqs == sorted(set(seqs))
        assert engine.run(rootfs, "echo", "x").stdout == "x\n"


def test_b7_a_client_that_is_stopped(engine: ctrd.Engine, rootfs: ctrd.Rootfs, runtime: str) -> None:
    """B7: the process waits for it, at no cost; others do not; when it goes on it gets everything."""
    code = """if True:
        import ctrd, hashlib, sys
        c = ctrd.default_engine().containers["x"]
        with c.exec(shell="yes 0123456789abcdef | head -c 20000000", stdout=ctrd.PIPE, text=False) as process:
            sum = hashlib.sha256(process.stdout.read(1))
            print("reading", flush=True)
            sys.stdin.readline()
            sum.update(process.stdout.read())
            print(process.wait().returncode, sum.hexdigest())
    """
    with engine.start(rootfs, "sleep", "1000", id="x", runtime=runtime) as c, python(engine, code) as client:
        assert client.stdin and client.stdout
        assert client.stdout.readline() == "reading\n"
        assert list(engine.containers) == ["x"]  # now the client does not hold the root (B20)
        client.send_signal(signal.SIGSTOP)
        try:
            seconds = often(1, 10)
            used, until = busy(shim_of(c)), time.monotonic() + seconds
            while time.monotonic() < until:  # this is what is tested: what happens while it is stopped
                assert engine.run(rootfs, "echo", "x", runtime=runtime).stdout == "x\n"
            assert busy(shim_of(c)) - used <= 2 * seconds  # hundredths of a second: it is not trying all the time
            assert c.status() == "running" and len(c.processes()) > 1
            client.send_signal(signal.SIGCONT)
            client.stdin.close()
            assert client.stdout.read() == f"0 {digest(20000000)}\n"
        finally:
            client.kill()


def busy(pid: int) -> int:
    """The CPU time that it has used, in hundredths of a second."""
    words = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return int(words[11]) + int(words[12])


def test_b8_nobody_reads(engine: ctrd.Engine, rootfs: ctrd.Rootfs, runtime: str) -> None:
    """B8: start, kill and delete wait for no peer of a FIFO."""
    c = engine.containers.create(rootfs, shell="yes", runtime=runtime)
    began = time.monotonic()
    task = c.create_task(stdout=ctrd.PIPE)
    task.start()
    c.kill()
    status = c.wait(timeout=SOON)
    c.delete()
    assert status.signal == 9 and time.monotonic() - began < SOON


def test_b8_the_reader_was_killed(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    """B8: the FIFOs of a task that is made and not started, whose client is gone."""
    code = """if True:
        import ctrd, os, sys
        c = ctrd.default_engine().containers.create(ctrd.Rootfs(sys.argv[1]), "yes", id="x", lifetime="detached")
        c.create_task(stdin=ctrd.PIPE, stdout=ctrd.PIPE, stderr=ctrd.PIPE)
        os.kill(os.getpid(), 9)
    """
    with python(engine, code, str(rootfs.path)) as client:
        client.wait(timeout=60)
    began = time.monotonic()
    c = engine.containers["x"]
    c.task().start()
    c.kill()
    assert c.wait(timeout=SOON).signal in (9, 13)
    c.delete()
    assert time.monotonic() - began < SOON
