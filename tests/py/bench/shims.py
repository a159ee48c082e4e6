"""A shim by itself: its memory, and how soon after its spawn it answers.

A ttrpc client in a few lines, for there is none in Python.
"""

from __future__ import annotations

import fcntl
import os
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def _field(number: int, data: bytes) -> bytes:
    """One length-delimited protobuf field shorter than 128 bytes."""
    return bytes([number << 3 | 2, len(data)]) + data


def call(sock: socket.socket, service: str, method: str, payload: bytes = b"", stream: int = 1) -> bytes:
    """One unary call. Source: shim-protocol.md 1."""
    request = _field(1, service.encode()) + _field(2, method.encode()) + (_field(3, payload) if payload else b"")
    sock.sendall(struct.pack(">IIBB", len(request), stream, 1, 0) + request)
    header = sock.recv(10, socket.MSG_WAITALL)
    (length,) = struct.unpack(">I", header[:4])
    return sock.recv(length, socket.MSG_WAITALL) if length else b""


def connect(path: Path) -> socket.socket:
    """Connect through a directory descriptor: socket paths may be longer than 107 bytes."""
    sock = socket.socket(socket.AF_UNIX)
    directory = os.open(path.parent, os.O_PATH)
    try:
        sock.connect(f"/proc/self/fd/{directory}/{path.name}")
    finally:
        os.close(directory)
    return sock


def info(path: Path) -> None:
    """ctrd.shim.v1.Shim/Info on a new connection."""
    with connect(path) as sock:
        call(sock, "ctrd.shim.v1.Shim", "Info")


def pss_kib(pid: int) -> int:
    """Proportional memory of a process, in KiB. Source: proc(5), smaps_rollup."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    raise RuntimeError(f"no Pss of {pid}")


@contextmanager
def spawned(shim: Path, bundle: Path) -> Iterator[tuple[int, Path, float]]:
    """Spawn a shim as the engine does (design.md 5), without a task; it ends with its spawner's pidfd or by our hand.

    Yields:
        tuple[int, Path, float]: its pid, its socket, and perf_counter() just before the spawn.
    """
    bundle.mkdir()
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(bundle / "sock"))
    listener.listen(128)
    claim = os.open(bundle, os.O_RDONLY | os.O_DIRECTORY)
    fcntl.flock(claim, fcntl.LOCK_EX)
    null = os.open(os.devnull, os.O_RDWR)
    myself = os.pidfd_open(os.getpid())
    ours = (listener.fileno(), null, claim, myself)
    high = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 100) for fd in ours]
    actions = [(os.POSIX_SPAWN_DUP2, null, fd) for fd in (0, 1, 2)]
    actions += [(os.POSIX_SPAWN_DUP2, fd, number) for number, fd in enumerate(high, start=3)]
    argv = [str(shim), "-namespace", "bench", "-id", "bench", "-bundle", str(bundle), "serve"]
    here = Path.cwd()
    os.chdir(bundle)
    try:
        began = time.perf_counter()
        pid = os.posix_spawn(shim, argv, {"PATH": os.environ["PATH"]}, file_actions=actions, setsid=True, setsigmask=())
    finally:
        os.chdir(here)
    for fd in (*high, null, claim, myself):
        os.close(fd)
    listener.close()
    try:
        yield pid, bundle / "sock", began
    finally:
        os.kill(pid, 15)
        os.waitpid(pid, 0)
