"""B33: the wall clock jumps, in a client and in its shim: no wait and no timeout notices, no exit is lost."""

from __future__ import annotations

import shutil
import struct
import subprocess
import sys
from pathlib import Path

import ctrd
import pytest
from conftest import broken_invariants
from support import environment

pytestmark = pytest.mark.root
DYNAMIC = Path(__file__).resolve().parents[2] / "build/dev/bin/containerd-shim-ctrd-v2-dynamic"
YEAR = 365 * 86400

# The seconds that a file says are added to the wall clock, from the moment on at which it says so.
SHIFTER = r"""
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static long long shift(void) {
  static const volatile long long* seconds;
  if (!seconds) {
    int fd = open(getenv("SHIFT"), O_RDONLY | O_CLOEXEC);
    seconds = mmap(0, 8, PROT_READ, MAP_SHARED, fd, 0);
    close(fd);
  }
  return *seconds;
}

int clock_gettime(clockid_t clock, struct timespec* now) {
  int result = (int)syscall(SYS_clock_gettime, clock, now);
  if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) now->tv_sec += shift();
  return result;
}
int gettimeofday(struct timeval* restrict now, void* restrict zone) {
  struct timespec exact;
  (void)zone;
  clock_gettime(CLOCK_REALTIME, &exact);
  now->tv_sec = exact.tv_sec;
  now->tv_usec = exact.tv_nsec / 1000;
  return 0;
}
time_t time(time_t* out) {
  struct timespec exact;
  clock_gettime(CLOCK_REALTIME, &exact);
  if (out) *out = exact.tv_sec;
  return exact.tv_sec;
}
"""

PROGRAM = """if True:
    import ctrd, os, pathlib, struct, sys, threading, time
    image, clock, gate, seconds = ctrd.Rootfs(sys.argv[1]), *map(pathlib.Path, sys.argv[2:4]), int(sys.argv[4])
    engine = ctrd.default_engine()
    engine.run(image, "true")

    def jump(to):
        with clock.open("r+b") as file:
            file.write(struct.pack("q", to))

    before = time.time()
    jump(seconds)
    assert abs(time.time() - before - seconds) < 100, "this process's clock has jumped"
    jump(0)

    def in_order(result):
        assert result.exited_at >= result.started_at and result.duration >= 0, (result.started_at, result.exited_at)

    # A run in whose middle the clock jumps, there and back.
    for there in (seconds, 0):
        results = []
        shell = "touch /gate/runs; until [ -e /gate/go ]; do sleep 0.01; done; exit 5"
        go, runs = gate / "go", gate / "runs"
        run = threading.Thread(
            target=lambda: results.append(engine.run(image, shell=shell, mounts=[ctrd.Mount.bind(gate, "/gate")]))
        )
        run.start()
        while not runs.exists():
            time.sleep(0.005)
        jump(there)
        go.touch()
        run.join()
        assert results[0].returncode == 5
        in_order(results[0])
        if there > 0 and "CTRD_SHIM" in os.environ:
            assert results[0].duration > there / 2, "the shim's clock has jumped"
        go.unlink(), runs.unlink()

    # Waits and limits.
    for there in (seconds, 0):
        c = engine.start(image, "sleep", "1000", id="x")
        jump(there)
        began = time.monotonic()
        try:
            c.wait(timeout=0.3)
            raise SystemExit("it did not time out")
        except ctrd.Timeout:
            assert 0.3 <= time.monotonic() - began < 30
        assert c.status() == "running"
        began = time.monotonic()
        status = c.stop(grace=0.2, signal="SIGWINCH")
        assert status.escalated and 0.2 <= time.monotonic() - began < 30
        c.delete()
    jump(seconds)
    began = time.monotonic()
    try:
        engine.run(image, "sleep", "1000", timeout=0.3)
        raise SystemExit("it did not time out")
    except ctrd.Timeout as error:
        assert 0.3 <= time.monotonic() - began < 30
        in_order(error.result)
    in_order(engine.run(image, "true"))

    # Exits that are kept, and what is young.
    for there in (0, seconds, 0):
        ended = engine.start(image, shell="exit 7", id="gone", on_exit="delete")
        while "gone" in engine.containers:
            time.sleep(0.005)
        engine.containers.create(image, "true", id="young", lifetime="detached")
        jump(there)
        engine.run(image, "true")
        with ctrd.Engine(engine.root, state=engine.state) as other:
            assert other.containers.list().ids == ["young"]
        assert ended.wait(timeout=5) == 7
        engine.containers.delete("young")
    print("well")
"""


@pytest.fixture(scope="module")
def shifter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library, compiled."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("there is no C compiler")
    top = tmp_path_factory.mktemp("shifter")
    (top / "clock.c").write_text(SHIFTER)
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", top / "clock.so", top / "clock.c"], check=True)
    return top / "clock.so"


@pytest.mark.parametrize("seconds", [3600, -10 * YEAR, 30 * YEAR], ids=["an hour on", "10 years back", "after 2038"])
def test_b33_the_clock_jumps(
    engine: ctrd.Engine, rootfs: ctrd.Rootfs, tmp_path: Path, shifter: Path, seconds: int
) -> None:
    clock, gate, shim = tmp_path / "clock", tmp_path / "gate", tmp_path / "shim"
    clock.write_bytes(struct.pack("q", 0))
    gate.mkdir()
    shifted = {"LD_PRELOAD": str(shifter), "SHIFT": str(clock)}
    variables = {**environment(engine), **shifted}
    if DYNAMIC.exists():  # the real one is static: nothing can be put before its clock
        words = " ".join(f"{name}={value}" for name, value in shifted.items())
        shim.write_text(f'#!/bin/sh\nexport {words}\nexec {DYNAMIC} "$@"\n')
        shim.chmod(0o755)
        variables["CTRD_SHIM"] = str(shim)
    else:
        print(f"there is no {DYNAMIC}: only the client's clock jumps")
    command = [sys.executable, "-W", "error", "-c", PROGRAM, rootfs.path, clock, gate, str(seconds)]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stdout) == (0, "well\n"), done.stderr
    assert broken_invariants(engine) == []
    assert len(engine.containers) == 0
