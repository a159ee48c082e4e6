"""K1 and K4: at the Nth system call of a verb the process is killed, or the call fails; N from 1 to the verb's end.

strace does both, attached to a client that is about to begin, or as the parent of the shim.
"""

from __future__ import annotations

import itertools
import os
import select
import shlex
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import ctrd
from place import Place, Violation, fork, join, new_place, wait_for

# What may fail, and with what. Memory that the interpreter itself asks for is left alone.
FILES = "open,openat,mkdirat,renameat,renameat2,linkat,symlinkat,write,pwrite64,fsync,fdatasync,ftruncate,fallocate"
ERRORS = {
    "ENOSPC": FILES,
    "EIO": "read,pread64,write,pwrite64,fsync,fdatasync,openat,unlinkat,renameat2,getdents64",
    "EMFILE": "openat,socket,pipe2,dup,pidfd_open,eventfd2,epoll_create1,inotify_init1,accept4",
    "ENOMEM": "openat,mkdirat,socket,pipe2,vfork,clone,clone3,sendmsg,recvmsg,poll,ppoll,flock",
    "EINTR": "read,write,poll,ppoll,connect,sendmsg,recvmsg,sendto,recvfrom,flock,waitid,wait4",
    "EAGAIN": "vfork,clone,clone3,socket,connect,sendmsg,recvmsg,sendto,recvfrom",
}
MUST_WORK = {"EINTR"}  # a call that is interrupted is called again: nobody hears of it
ID = "swept"


@dataclass(frozen=True)
class Verb:
    """What is prepared by another process, and what the swept one does."""

    prepare: Callable[[Place], object]
    do: Callable[[Place, ctrd.Engine], object]


def _create(place: Place, engine: ctrd.Engine, command: str = "true") -> ctrd.Container:
    annotations = {"x": os.urandom(4500).hex()}
    return engine.containers.create(
        place.image, shell=command, id=ID, annotations=annotations, labels={"v": "1"}, lifetime="detached", replace=True
    )


def _running(place: Place) -> None:
    _create(place, place.engine(), "exec sleep 1000").start()


def _nothing(place: Place) -> None:
    with place.engine() as engine:
        engine.containers.delete(ID, force=True, missing_ok=True)


def _wreck(place: Place) -> None:
    """A container whose shim was killed, another whose owner was; then the maker dies."""
    engine = place.engine()
    _create(place, engine, "exec sleep 1000").start()
    for id in ("o1", "o2"):
        engine.containers.create(place.image, "sleep", "1000", id=id, replace=True).start()
    for pid, (_, id) in place.shims().items():
        if id in (ID, "o1"):
            os.kill(pid, 9)
    os._exit(0)


def _kill(_: Place, engine: ctrd.Engine) -> None:
    c = engine.containers[ID]
    c.kill()
    c.wait(timeout=30)


def _run(place: Place, engine: ctrd.Engine) -> None:
    result = engine.run(place.image, "echo", "x")
    assert (result.returncode, result.stdout) == (0, "x\n"), result


VERBS = {
    "create": Verb(_nothing, _create),
    "run": Verb(_nothing, _run),
    "kill": Verb(_running, _kill),
    "delete": Verb(_running, lambda _, engine: engine.containers.delete(ID, force=True)),
    "recover": Verb(_wreck, lambda place, _: list(place.engine().containers)),
}


class Swept:
    """A forked client that stands before its verb until told to go."""

    def __init__(self, place: Place, verb: str) -> None:
        self.out, out = os.pipe()
        go, self.go = os.pipe()
        self.pid = fork(lambda: self._client(place, verb, go, out))
        os.close(go)
        os.close(out)
        if os.read(self.out, 1) != b"r":
            raise Violation("the swept client never began")

    def _client(self, place: Place, verb: str, go: int, out: int) -> None:
        os.close(self.out)
        os.close(self.go)
        engine = ctrd.Engine(place.root, state=place.state)
        if verb != "recover":
            list(engine.containers)
        os.write(out, b"r")
        os.read(go, 1)
        said = "ok"
        try:
            VERBS[verb].do(place, engine)
        except (ctrd.Error, OSError, MemoryError) as error:
            said = f"{'' if isinstance(error, ctrd.Error) else 'untyped '}{error!r}"
        while True:
            try:
                os.write(out, said.encode()[:4000])
                os._exit(0)
            except OSError:  # the fault came late: only one call fails
                continue

    def begin(self) -> None:
        try:
            os.write(self.go, b"g")
        except BrokenPipeError:  # it was killed where it stood
            return

    def end(self) -> str:
        """What it said; "" if it was killed before that."""
        said = b""
        deadline = time.monotonic() + 90
        while select.select([self.out], [], [], max(0.0, deadline - time.monotonic()))[0]:
            piece = os.read(self.out, 4096)
            said += piece
            if not piece:
                break
        else:
            os.kill(self.pid, 9)
            said = b"hangs"
        wait_for(self.pid, 10)
        os.close(self.out)
        os.close(self.go)
        return said.decode()


def _attach(pid: int, inject: str, to: Path) -> subprocess.Popen[bytes]:
    command = [
        "strace",
        "-qq",
        "-o",
        to,
        "-p",
        str(pid),
        "-e",
        f"trace={inject.split(':')[0]}",
        "-e",
        f"inject={inject}",
    ]
    tracer = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    while "TracerPid:\t0" in Path(f"/proc/{pid}/status").read_text():
        if tracer.poll() == 0:
            break  # the first call was the one that it stood in
        if tracer.returncode is not None:
            raise RuntimeError(f"strace: {shlex.join(map(str, command))} ended with {tracer.returncode}")
        time.sleep(0.001)
    return tracer


def _one(place: Place, verb: str, inject: str) -> tuple[str, bool]:
    """What the client said, and whether the fault came before it was done."""
    join(fork(lambda: VERBS[verb].prepare(place)), 60)
    trace = place.top / "trace"
    swept = Swept(place, verb)
    tracer = _attach(swept.pid, inject, trace)
    swept.begin()
    said = swept.end()
    tracer.wait(timeout=30)
    text = trace.read_text(errors="replace")
    return said, "(INJECTED)" in text or said == "" or "killed by SIGKILL" in text


def _next_works(place: Place, what: str) -> None:
    """Whoever comes next can do everything, and then nothing is amiss."""

    def work() -> None:
        with place.engine() as engine:
            _create(place, engine, "exit 5")
            c = engine.containers[ID].start()
            assert c.wait(timeout=30) == 5
            c.delete()

    place.recover()
    place.check(what)
    join(fork(work), 60)


def _sweep(name: str, verb: str, inject: str, step: int, judge: Callable[[str, str], None]) -> int:
    """All points of one verb and fault; how many there were."""
    done = 0
    with new_place() as place:
        for n in itertools.count(1, step):
            what = f"soak.py {name} --count {step}: {verb} {inject}:when={n}"
            said, hit = _one(place, verb, f"{inject}:when={n}")
            if said.startswith(("hangs", "untyped")):
                raise Violation(f"{what}: {said}")
            if hit:
                judge(what, said)
                done += 1
            _next_works(place, what)
            if not hit:
                return done
    raise AssertionError


def kill_client(count: int, seed: int) -> str:
    """K1: the client is killed at every count-th system call of create, run, kill, delete, recover."""
    done = {verb: _sweep("sweep-client", verb, "all:signal=KILL", count, lambda *_: None) for verb in VERBS}
    return f"{sum(done.values())} points {done}: the next process works, all invariants hold"


def errors(count: int, seed: int) -> str:
    """K4: every count-th system call that can fails with ENOSPC, EIO, EMFILE, ENOMEM, EINTR, EAGAIN, over the same."""

    def judge(what: str, said: str) -> None:
        refused[error] = refused.get(error, 0) + (said != "ok")
        if said != "ok" and error in MUST_WORK:
            raise Violation(f"{what}: {said}")

    total, refused = 0, dict[str, int]()
    for error, calls in ERRORS.items():
        for verb in VERBS:
            total += _sweep("sweep-errors", verb, f"{calls}:error={error}", count, judge)
    return f"{total} points, refused with a typed error {refused}, else done; the next process works"


def kill_shim(count: int, seed: int) -> str:
    """K1: the shim is killed at every count-th system call of its life, from exec to the answer to Delete."""
    done = 0
    with new_place() as place:
        shim = os.environ.get("CTRD_SHIM") or Path(ctrd.__file__).parent / "_bin/containerd-shim-ctrd-v2"
        wrapper, number, trace = place.top / "shim", place.top / "n", place.top / "trace"
        strace = f"strace -D -qq -o {trace} -e trace=all -e inject=all:signal=KILL:when=$(cat {number})"
        wrapper.write_text(f'#!/bin/sh\ncase "$*" in *serve) exec {strace} {shim} "$@";; esac\nexec {shim} "$@"\n')
        wrapper.chmod(0o755)
        number.write_text("1000000")

        def life() -> None:
            os.environ["CTRD_SHIM"] = str(wrapper)
            engine = place.engine()
            c = _create(place, engine, "exec sleep 1000")
            try:
                c.start()
                c.kill()
                c.wait(timeout=30)
                c.delete(force=True)
            except ctrd.Error:
                engine.containers.delete(ID, force=True, missing_ok=True)

        join(fork(life), 60)
        for n in itertools.count(1, count):
            number.write_text(str(n))
            what = f"soak.py sweep-shim --count {count}: when={n}"
            if (code := wait_for(fork(life), 90)) != 0:
                raise Violation(f"{what}: the client ended with {code}")
            done += 1
            _next_works(place, what)
            if "killed by SIGKILL" not in trace.read_text(errors="replace"):
                return f"{done} points: the next process works, all invariants hold"
    raise AssertionError
