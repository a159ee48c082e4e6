"""A small form of each soak: kills, failing system calls, crowds. The long form is `make soak`."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import ctrd
import invariants
import pytest
from support import alive, eventually

pytestmark = [pytest.mark.root, pytest.mark.slow]
SOAK = Path(__file__).parent / "soak/soak.py"
QUICK = {
    "kill-clients": 24,
    "kill-shims": 12,
    "kill-both": 6,
    "kill-creates": 10,
    "kill-probes": 4,
    "checkpoint-kills": 4,
    "checkpoint-rounds": 2,
    "sweep-client": 400,
    "sweep-shim": 90,
    "sweep-errors": 400,
    "torn-log": 600,
    "at-once": 16,
    "one-by-one": 10,
    "exits": 1,
    "script": 6,
    "mixed": 10,
    "shared": 30,
    "recovery": 12,
    "execs": 40,
    "bursts": 8,
    "gigabyte": 64,
    "containerd": 8,
}


@pytest.mark.parametrize("name", QUICK)
def test_soak(name: str) -> None:
    """Where it fails, the output says what, and how to do it again."""
    command = [sys.executable, SOAK, name, "--count", str(QUICK[name])]
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=300
    )
    print(done.stdout)
    assert done.returncode == 0, done.stdout


def test_every_soak_has_a_small_form() -> None:
    listed = subprocess.run([sys.executable, SOAK, "--help"], capture_output=True, text=True, check=True).stdout
    names = set(listed.split("{", 1)[1].split("}")[0].replace("\n", "").replace(" ", "").split(","))
    assert set(QUICK) == names - {"all", "rows"}  # rows are tests, with other numbers


SLOW = r"""#!/bin/sh
case "$*" in *" create "*)
    cgroup=$(grep -o '"cgroupsPath": *"[^"]*"' config.json | cut -d'"' -f4)
    echo $$ $PPID >{said}.new && mv {said}.new {said}
    sleep 2
    mkdir /sys/fs/cgroup/pids$cgroup;;
esac
exec crun "$@"
"""


def test_a_runtime_that_goes_on_when_its_shim_is_killed(
    engine: ctrd.Engine, rootfs: ctrd.Rootfs, tmp_path: Path
) -> None:
    """It dies with the shim, or it would make a cgroup behind the back of whoever has cleaned up."""
    runtime, said = tmp_path / "slow", tmp_path / "said"
    runtime.write_text(SLOW.replace("{said}", str(said)))
    runtime.chmod(0o755)
    errors: list[BaseException] = []

    def start() -> None:
        try:
            engine.start(rootfs, "sleep", "1000", runtime=str(runtime), id="x")
        except ctrd.Error as error:
            errors.append(error)

    thread = threading.Thread(target=start)
    thread.start()
    pid, shim = map(int, eventually(lambda: said.exists() and said.read_text(), "the runtime runs").split())
    os.kill(shim, 9)
    thread.join()
    assert errors and not alive(pid)
    assert "x" not in engine.containers
    eventually(lambda: not invariants.cgroups(invariants.Root(engine.root, engine.state)), "no cgroup is left", 5)
