"""Programs of several kinds go on where they were: each counts, and no number is missing or told twice."""

from __future__ import annotations

import criu
import ctrd
import pytest
import roots
from support import eventually

pytestmark = pytest.mark.root
THREADS = """
import queue, threading, time
kept = bytearray(200 << 20)
for n in range(0, len(kept), 4096):
    kept[n] = n // 4096 % 251
work, done = queue.Queue(), queue.Queue()
def worker():
    while True:
        done.put(work.get() + 1)
for _ in range(8):
    threading.Thread(target=worker, daemon=True).start()
number = 0
while True:
    work.put(number)
    number = done.get()
    assert all(kept[n] == n // 4096 % 251 for n in range(0, len(kept), 4096 * 97))
    print(number, threading.active_count(), flush=True)
    time.sleep(0.02)
"""
PIPES = """
import os, subprocess, sys, time
child = "import sys\\nfor line in sys.stdin: print(int(line) + 1, flush=True)"
def start(stdin):
    return subprocess.Popen([sys.executable, "-c", child], stdin=stdin, stdout=subprocess.PIPE, text=True, bufsize=1)
first = start(subprocess.PIPE)
second = start(first.stdout)
assert os.getpgid(first.pid) == os.getpgid(second.pid) == os.getpgid(0)
number = 0
while True:
    number += 1
    first.stdin.write(f"{number - 2}\\n")
    assert int(second.stdout.readline()) == number
    print(number, 3 if first.poll() is None and second.poll() is None else 0, flush=True)
    time.sleep(0.02)
"""
SESSION = """
import os, time
assert os.getsid(0) == os.getpid() and os.isatty(0) and os.tcgetpgrp(0) == os.getpid()
number = 0
while True:
    number += 1
    print(number, os.get_terminal_size().columns, flush=True)
    time.sleep(0.02)
"""
OPEN_FILE = """
import time
file = open("/kept", "w+")
number = 0
while True:
    number += 1
    file.write(f"{number}\\n")
    file.flush()
    file.seek(0)
    print(number, len(file.read().split()) - number, flush=True)
    time.sleep(0.02)
"""
PROGRAMS = {
    "threads": (THREADS, 9, {}),
    "pipes": (PIPES, 3, {}),
    "session": (SESSION, 100, {"tty": (100, 40)}),
    "open-file": (OPEN_FILE, 0, {}),
}


@pytest.fixture(params=criu.RUNTIMES)
def runtime(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each that can dump."""
    monkeypatch.setenv("PATH", criu.path())
    return criu.runtime(request.param)


def rows(c: ctrd.Container) -> list[list[int]]:
    """What it has told: its number, and what should be the same for ever."""
    return [[int(word) for word in line.text.split()] for line in c.logs() if not line.partial]


def tells_more(c: ctrd.Container) -> None:
    there = len(rows(c))
    eventually(lambda: len(rows(c)) >= there + 3, "it goes on")


@pytest.mark.parametrize("name", PROGRAMS)
def test_it_goes_on(engine: ctrd.Engine, runtime: str, name: str) -> None:
    program, same, options = PROGRAMS[name]
    image, args = ctrd.Rootfs(roots.host()), ("/usr/bin/python3", "-c", program)
    with engine.start(image, *args, runtime=runtime, mounts=["/usr:/usr:ro"], **options) as c:  # type: ignore[arg-type]
        tells_more(c)
        processes = len(c.processes())
        made = c.checkpoint(terminal=name == "session")
        tells_more(c)
        before = rows(c)
        with made.restore() as twin:
            tells_more(twin)
            after = rows(twin)
            assert len(twin.processes()) == processes
        made.delete()
    assert {row[1] for row in before + after} == {same}
    for told in (before, after):
        numbers = [row[0] for row in told]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert before[0][0] == 1 < after[0][0] <= before[-1][0]
