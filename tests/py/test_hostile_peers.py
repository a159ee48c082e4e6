"""C4 and B28: peers that mean harm, against a shim with a task that runs; others are answered meanwhile."""

from __future__ import annotations

import random
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

import ctrd
import pytest
from support import alive, eventually
from test_recovery import shim_of
from ttrpc_peer import EXHAUSTED, INVALID, MAX_FRAME, UNIMPLEMENTED, Peer, frame, request, text

pytestmark = pytest.mark.root
RUNNING = 2
SOON = 5.0  # seconds in which another connection is answered on a loaded machine; the figure is printed
STATE = request("State", text(1, "x"))


def answers(bundle: Path, data: bytes) -> int:
    """Send this on a connection of its own; the code that is answered."""
    with Peer(bundle) as peer:
        peer.send(data)
        return peer.read()[1]


def silent(bundle: Path, data: bytes) -> None:
    """What is no request is passed over: the connection goes on."""
    with Peer(bundle) as peer:
        peer.send(data)
        assert peer.state("x", 0x7FFFFFFF) == RUNNING


def garbage(bundle: Path) -> None:
    chance = random.Random(7)
    for n in range(150):
        with Peer(bundle) as peer:
            data = chance.randbytes(chance.randrange(4096))
            peer.send(frame(data) if n % 2 else data)
    assert answers(bundle, frame(b"\xff" * MAX_FRAME)) == INVALID


def lengths_that_lie(bundle: Path) -> None:
    assert answers(bundle, frame(bytes(MAX_FRAME + 1))) == EXHAUSTED
    for length in (MAX_FRAME, MAX_FRAME + 1, 1 << 31, 0xFFFFFFFF):
        with Peer(bundle) as peer:
            peer.send(frame(bytes(100_000), length=length))
    for wrong in (b"\x0a\xff\xff\xff\xff\x0f", b"\x1a\x80\x80\x80\x80\x10x", b"\x0a"):
        assert answers(bundle, frame(wrong)) == INVALID


def half_frames(bundle: Path) -> None:
    whole = frame(STATE)
    for size in range(len(whole)):
        with Peer(bundle) as peer:
            peer.send(whole[:size])


def unknown_names(bundle: Path) -> None:
    for service, method in (
        ("", ""),
        ("no.such.Service", "State"),
        ("containerd.task.v2.Task", "../State"),
        ("x" * 9999, "y"),
    ):
        assert answers(bundle, frame(request(method, b"", service))) == UNIMPLEMENTED
    assert answers(bundle, frame(b"")) == UNIMPLEMENTED
    assert answers(bundle, frame(request("State", b"\xff" * 100))) == INVALID
    assert answers(bundle, frame(request("State", text(9, b"unknown") * 20_000 + text(1, "x")))) == 0


def stream_games(bundle: Path) -> None:
    for stream in (0, 2, 0xFFFFFFFE):
        assert answers(bundle, frame(STATE, stream)) == INVALID
    with Peer(bundle) as peer:
        assert peer.state("x", 5) == RUNNING
        for stream in (5, 3, 1):
            peer.send(frame(STATE, stream))
            assert peer.read()[:2] == (stream, INVALID)
    for type in (0, 2, 4, 9, 255):
        silent(bundle, frame(STATE, type=type))
    assert answers(bundle, frame(STATE, type=3)) == INVALID
    assert answers(bundle, frame(STATE, flags=255)) == 0


def big_requests_unread(bundle: Path) -> None:
    """B28: 64 of 1 MiB at once, none of whose answers is read."""
    with Peer(bundle) as peer:
        for n in range(64):
            peer.send(frame(request("Nothing", bytes(1 << 20)), 2 * n + 1))
        assert peer.read()[:2] == (1, UNIMPLEMENTED)


def never_reads(bundle: Path) -> None:
    """Sends until the shim reads no more, for its answers have no place to go."""
    with Peer(bundle, timeout=0.5) as peer:
        data = b"".join(frame(STATE, 2 * n + 1) for n in range(200_000))
        with pytest.raises((TimeoutError, ConnectionError)):
            peer.send(data)


def leaves_at_once(bundle: Path) -> None:
    for _ in range(2000):
        Peer(bundle).close()
    for _ in range(50):
        with Peer(bundle) as peer:
            peer.send(frame(STATE) * 20)


def sends_descriptors(bundle: Path) -> None:
    for _ in range(20):
        with Peer(bundle) as peer:
            socket.send_fds(peer.socket, [frame(STATE)[:7]], [0, 1, 2])
            peer.send(frame(STATE)[7:])
            assert peer.read()[1] == 0


ATTACKS: list[Callable[[Path], None]] = [
    garbage,
    lengths_that_lie,
    half_frames,
    unknown_names,
    stream_games,
    big_requests_unread,
    never_reads,
    leaves_at_once,
    sends_descriptors,
]


class Other(threading.Thread):
    """Asks all the time, each time on a connection of its own and on one that stays; the longest wait is noted."""

    def __init__(self, bundle: Path) -> None:
        super().__init__()
        self.bundle, self.stop, self.longest, self.asked = bundle, threading.Event(), 0.0, 0
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            with Peer(self.bundle) as kept:
                while not self.stop.wait(0.002):
                    started = time.monotonic()
                    with Peer(self.bundle) as peer:
                        assert peer.state("x") == kept.state("x", 2 * self.asked + 1) == RUNNING
                    self.longest = max(self.longest, time.monotonic() - started)
                    self.asked += 1
        except BaseException as error:
            self.error = error


def connections(shim: int) -> int:
    """Sockets it has open, but that on which it listens."""
    links = [path.readlink() for path in Path(f"/proc/{shim}/fd").iterdir()]
    return sum(str(link).startswith("socket:") for link in links) - 1


def descriptors(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def memory(pid: int) -> int:
    """The highest there has been, in KiB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))


def test_c4_a_shim_among_enemies(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    c = engine.start(rootfs, "sleep", "1000", id="x")
    bundle, shim = engine.state / "default/x", shim_of(c)
    ended: list[ctrd.ExitStatus] = []
    with Peer(bundle) as first:
        assert first.state("x") == RUNNING
    eventually(lambda: connections(shim) == 0, "nobody else is connected")
    waiter = threading.Thread(target=lambda: ended.append(c.wait(timeout=120)))
    waiter.start()
    eventually(lambda: connections(shim) == 1, "it waits")
    before, most = descriptors(shim), memory(shim)
    slow = [Peer(bundle) for _ in range(4)]  # they say a part of a frame, and no more
    for n, peer in enumerate(slow):
        peer.send(frame(STATE)[: [1, 9, 10, 20][n]])
    other = Other(bundle)
    other.start()
    for attack in ATTACKS:
        started = time.monotonic()
        attack(bundle)
        print(f"{attack.__name__}: {time.monotonic() - started:.2f} s, the others at most {other.longest:.3f} s so far")
        assert other.is_alive() and alive(shim), other.error
    other.stop.set()
    other.join()
    for peer in slow:
        peer.close()
    assert other.error is None and other.asked > 20
    grown = memory(shim) - most
    print(f"the others were answered {other.asked} times, within {other.longest:.3f} s; the shim grew by {grown} KiB")
    assert other.longest < SOON and grown < 32 << 10
    eventually(lambda: descriptors(shim) <= before, "its descriptors are back")
    assert c.status() == "running" and not ended
    c.kill()
    waiter.join()
    assert ended[0].signal == 9
    c.delete()
