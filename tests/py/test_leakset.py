"""The leak set itself: it sees what a container is made of, and nothing once that is gone."""

from __future__ import annotations

import os
import platform
import resource
import socket
import subprocess
import sys
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
    assert len(ours) == 1 and ours[0].startswith(made.stdout.strip()) and ours[0].endswith("(sleep)")


def test_it_sees_limits() -> None:
    before = leakset.LeakSet.take()
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (777, limits[1]))
    found = leakset.LeakSet.take().missing_from(before)
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert any(line.startswith("Max open files") for line in found["dispositions"])


def test_it_sees_sockets(tmp_path: Path) -> None:
    before = leakset.LeakSet.take()
    where = os.open(tmp_path, os.O_PATH)
    with socket.socket(socket.AF_UNIX) as bound, socket.socket(socket.AF_UNIX) as abstract:
        bound.bind(f"/proc/self/fd/{where}/sock")  # as a bundle's is
        abstract.bind("\0of-ctrd")
        found = leakset.LeakSet.take().missing_from(before)["sockets"]
        ours = {line.split()[1] for line in leakset.our_sockets(found, tmp_path)}
    os.close(where)
    assert ours == {f"/proc/self/fd/{where}/sock", "@of-ctrd"}


def test_a_running_tasks_socket_is_seen(engine: ctrd.Engine, rootfs: ctrd.Rootfs, tmp_path: Path) -> None:
    before = leakset.LeakSet.take()
    with engine.start(rootfs, "sleep", "1000"):
        found = leakset.LeakSet.take().missing_from(before)["sockets"]
        assert len(leakset.our_sockets(found, tmp_path)) == 1


def test_it_sees_terminals(tmp_path: Path) -> None:
    before = leakset.LeakSet.take()
    ends = os.openpty()
    found = leakset.LeakSet.take().missing_from(before)["terminals"]
    ours = leakset.our_terminals(found, tmp_path)
    assert f"/dev/pts/{ours[0]}" == os.ttyname(ends[1]) and len(ours) == 1
    more = os.openpty()
    both = leakset.our_terminals(leakset.LeakSet.take().missing_from(before)["terminals"], tmp_path)
    assert {f"/dev/pts/{name}" for name in both} == {os.ttyname(ends[1]), os.ttyname(more[1])}
    for end in (*ends, *more):
        os.close(end)


def test_it_sees_loop_devices(tmp_path: Path) -> None:
    before = leakset.LeakSet.take()
    (tmp_path / "disk").write_bytes(bytes(1 << 20))
    made = subprocess.run(["losetup", "-f", "--show", tmp_path / "disk"], capture_output=True, text=True, check=False)
    if made.returncode:
        pytest.skip(f"no loop device is to be had: {made.stderr}")
    found = leakset.LeakSet.take().missing_from(before)["loops"]
    subprocess.run(["losetup", "-d", made.stdout.strip()], check=True)
    ours = leakset.our_loops(found, tmp_path)
    assert len(ours) == 1 and ours[0].endswith(f"{tmp_path}/disk")


def test_it_sees_shared_memory() -> None:
    before = leakset.LeakSet.take()
    made = Path(f"/dev/shm/leaked-{os.getpid()}")
    made.touch()
    found = leakset.LeakSet.take().missing_from(before)["memory"]
    made.unlink()
    assert made.name in found


KEYCTL = {"x86_64": 250, "aarch64": 219}
JOINS = """if True:
    import ctypes, sys
    joined = ctypes.CDLL(None, use_errno=True).syscall(int(sys.argv[1]), 1, sys.argv[2].encode())
    print(joined > 0, flush=True)
    sys.stdin.read()
"""


def test_it_sees_keyrings(engine: ctrd.Engine, rootfs: ctrd.Rootfs, tmp_path: Path) -> None:
    """A runtime makes one for each task, named by its id."""
    number = KEYCTL.get(platform.machine())
    with engine.start(rootfs, "true"):
        pass
    before = leakset.LeakSet.take()
    with engine.start(rootfs, "sleep", "1000", id="has-a-keyring"):
        found = leakset.LeakSet.take().missing_from(before)["keyrings"]
        assert "has-a-keyring" in [line.split()[1] for line in found]
        assert leakset.our_keyrings(found, tmp_path) == []  # its shim lives, so that it is none
    assert leakset.leaked_since(before, tmp_path) == {}
    if number is None:
        pytest.skip(f"which system call keyctl is on {platform.machine()} is not known here")
    command = [sys.executable, "-c", JOINS, str(number), "has-a-keyring"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout and holder.stdin and holder.stdout.readline() == "True\n"
        found = leakset.LeakSet.take().missing_from(before)["keyrings"]
        assert len(leakset.our_keyrings(found, tmp_path)) == 1
        holder.stdin.close()


def test_what_comes_and_goes_is_no_leak() -> None:
    one, other = {"memory": ["a", "b", "b"], "loops": ["c"]}, {"memory": ["b", "d"]}
    assert leakset._in_both(one, other) == {"memory": ["b"]}
