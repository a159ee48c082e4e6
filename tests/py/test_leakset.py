"""The leak set itself: it sees what a container is made of, and nothing once that is gone."""

from __future__ import annotations

import os
import resource
import subprocess
import threading
from pathlib import Path

import ctrd
import leakset
import pytest

pytestmark = pytest.mark.root


def test_it_sees_a_container(engine: ctrd.Engine, rootfs: ctrd.Rootfs, tmp_path: Path) -> None:
    with engine.start(rootfs, "true"):
        pass  # the first start makes this process's owner lock, which stays
    before = leakset.LeakSet.take()
    with engine.start(rootfs, "sleep", "1000") as c:
        found = leakset.LeakSet.take().missing_from(before)
        ours = leakset.our_cgroups(found["cgroups"], tmp_path)
        assert ours and all(path.endswith(f"-default-{c.id}") for path in ours)
        assert any("shim" in child for child in found["children"])
        ours = leakset.our_processes(found["processes"], tmp_path)
        assert not ours and any(
            "(sleep)" in line for line in found["processes"]
        )  # the shim's child, not told by its name
    assert leakset.leaked_since(before, tmp_path) == {}


def test_it_sees_descriptors_threads_and_the_umask() -> None:
    before = leakset.LeakSet.take()
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait)
    thread.start()
    reader, writer = os.pipe()
    mask = os.umask(0o777)
    found = leakset.LeakSet.take().missing_from(before)
    os.umask(mask)
    os.close(reader)
    os.close(writer)
    stop.set()
    thread.join()
    assert len(found["descriptors"]) == 2 and len(found["threads"]) == 1
    assert any("Umask" in line for line in found["dispositions"])


def test_it_sees_processes_that_are_not_our_children(tmp_path: Path) -> None:
    before = leakset.LeakSet.take()
    orphan = f"sleep 1000 >/dev/null 2>&1 & echo $!; : {tmp_path}"
    made = subprocess.run(["sh", "-c", orphan], cwd=tmp_path, capture_output=True, text=True, check=True)
    found = leakset.LeakSet.take().missing_from(before)
    ours = leakset.our_processes(found["processes"], tmp_path)
    os.kill(int(made.stdout), 9)
    assert len(ours) == 1 and ours[0].startswith(made.stdout.strip()) and ours[0].endswith("(sleep) S")


def test_it_sees_limits() -> None:
    before = leakset.LeakSet.take()
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (777, limits[1]))
    found = leakset.LeakSet.take().missing_from(before)
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert any(line.startswith("Max open files") for line in found["dispositions"])
