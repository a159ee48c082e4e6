"""K1 and K4: at the Nth system call of a verb the process is killed, or the call fails; N from 1 to the verb's end.

strace does both, attached to a client that is about to begin, or as the parent of the shim.
"""

from __future__ import annotations

import os
import select
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import ctrd
import edges
import invariants
from load import SHIM_DIES
from place import Place, Violation, fork, join, new_place, wait_for
from verbs import ID, VERBS, Verb, create

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
# The codes a refusal may have. EINTR: a call that is interrupted is called again, nobody hears of it.
CODES = {
    "ENOSPC": {"resource_exhausted"},
    "EIO": {"internal"},  # and not data_loss: no file is damaged
    "EMFILE": {"resource_exhausted"},
    "ENOMEM": {"resource_exhausted"},
    "EINTR": set[str](),
    "EAGAIN": {"resource_exhausted"},
}
SETTLING = 5.0  # seconds in which a shim without a task goes (B1)
Judge = Callable[[str, str], None]  # what was done, what the client said


def _as_told(place: Place, what: str, verb: Verb, said: str) -> None:
    """What was acknowledged is there; a verb that failed, or died, happened as a whole or not at all."""
    seen = verb.look(place)
    allowed = [verb.done] if said == "ok" else [verb.done, verb.undone, *verb.halves]
    if seen not in allowed:
        raise Violation(f"{what}: the client said {said!r}, and there is {seen}, expected one of {allowed}")


def _verbs() -> list[str]:
    """All, or those that the environment names."""
    return os.environ.get("CTRD_SWEEP", "").split() or list(VERBS)


def _stand(go: int) -> None:
    while True:
        try:
            os.read(go, 1)
            return
        except OSError:  # the fault may hit this very read: only one call fails
            continue


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
        if not VERBS[verb].is_first:
            list(engine.containers)
        os.write(out, b"r")
        _stand(go)
        said = "ok"
        try:
            VERBS[verb].do(place, engine)
        except (ctrd.Error, OSError, MemoryError) as error:
            said = f"{error.code if isinstance(error, ctrd.Error) else 'untyped'} {error!r}"
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


def _attach(pid: int, calls: str, fault: str, to: Path) -> subprocess.Popen[bytes]:
    """Trace these calls of a process; fault: "name:what:when=n"."""
    command = ["strace", "-qq", "-o", to, "-p", str(pid), "-e", f"trace={calls}"]
    tracer = subprocess.Popen([*command, *(["-e", f"inject={fault}"] if fault else [])], stderr=subprocess.DEVNULL)
    while "TracerPid:\t0" in Path(f"/proc/{pid}/status").read_text():
        if tracer.poll() == 0:
            break  # the first call was the one that it stood in
        if tracer.returncode is not None:
            raise RuntimeError(f"strace ended with {tracer.returncode}")
        time.sleep(0.001)
    return tracer


def _one(place: Place, verb: str, calls: str, fault: str) -> tuple[str, str]:
    """What the client said ("" when it was killed), and its trace."""
    join(fork(lambda: VERBS[verb].prepare(place)), 60)
    trace = place.top / "trace"
    swept = Swept(place, verb)
    tracer = _attach(swept.pid, calls, fault, trace)
    swept.begin()
    said = swept.end()
    tracer.wait(timeout=30)
    return said, trace.read_text(errors="replace")


def _calls(place: Place, verb: str, calls: str) -> dict[str, int]:
    """The system calls of a verb that goes well, and how many there are of each."""
    said, trace = _one(place, verb, calls, "")
    if said != "ok":
        raise Violation(f"{verb} without any fault: {said}")
    return Counter(line.split("(", 1)[0] for line in trace.splitlines() if "(" in line)


def _gc_agrees(place: Place, what: str) -> None:
    """What gc() would remove is what a walk over the records finds, read without ctrd."""
    words = {"snap": "snapshot", "blob": "content", "lease": "lease"}
    found = edges.garbage(invariants.Root(place.root, place.state).store, "default")
    wanted = sorted((words[one[0]], one[-1]) for one in found)

    def ask() -> None:
        with place.engine() as engine:
            said = sorted(engine.gc(dry_run=True).removed)
            assert said == wanted, f"{what}: gc() would remove {said}, and of the records garbage is {wanted}"

    join(fork(ask), 60)


def _next_works(place: Place) -> None:
    """Whoever comes next can do everything."""

    def work() -> None:
        with place.engine() as engine:
            create(place, engine, "exit 5")
            c = engine.containers[ID].start()
            assert c.wait(timeout=30) == 5
            c.delete()

    join(fork(work), 60)


def _sweep(place: Place, name: str, verb: str, calls: str, fault: str, step: int, judge: Judge) -> int:
    """Every step-th call of one verb with one fault (strace counts each kind of call by itself); how many."""
    points = [(call, n) for call, most in _calls(place, verb, calls).items() for n in range(1, most + 1)]
    join(fork(lambda: VERBS[verb].mend(place)), 60)
    place.check(f"{verb} without any fault")
    _as_told(place, f"{verb} without any fault", VERBS[verb], "ok")
    chosen = points[min(step, len(points)) // 2 :: step]
    for call, n in chosen:
        what = f"soak.py {name} --count {step}: {verb} {call}:{fault}:when={n}"
        said, trace = _one(place, verb, calls, f"{call}:{fault}:when={n}")
        if said.startswith(("hangs", "untyped")):
            raise Violation(f"{what}: {said}")
        judge(what, said)
        join(fork(lambda: VERBS[verb].mend(place)), 60)
        place.check(what, settling=SETTLING)
        _as_told(place, what, VERBS[verb], said)
        _gc_agrees(place, what)
        _next_works(place)
    return len(chosen)


def kill_client(count: int, seed: int) -> str:
    """K1: the client is killed at every count-th system call of each verb."""

    def judge(what: str, said: str) -> None:
        if said not in ("", "ok"):
            raise Violation(f"{what}: {said}")

    with new_place() as place:
        done = {verb: _sweep(place, "sweep-client", verb, "all", "signal=KILL", count, judge) for verb in _verbs()}
    return f"{sum(done.values())} points {done}: the next process works, all invariants hold"


def errors(count: int, seed: int) -> str:
    """K4: every count-th system call that can fails with ENOSPC, EIO, EMFILE, ENOMEM, EINTR, EAGAIN, over the same."""
    total, refused = 0, Counter[str]()
    pairs = [(error, verb) for error in ERRORS for verb in _verbs()]
    with new_place() as place:
        for error, verb in pairs[seed % 4 :: 4] if count > 100 else pairs:

            def judge(what: str, said: str, error: str = error) -> None:
                if said == "ok":
                    return
                code = said.split(" ", 1)[0]
                if code not in CODES[error]:
                    raise Violation(f"{what}: expected done or one of {sorted(CODES[error])}: {said or 'it died'}")
                refused[f"{error} {code}"] += 1

            total += _sweep(place, "sweep-errors", verb, ERRORS[error], f"error={error}", count, judge)
    return f"{total} points, refused {dict(refused)}, else done, and it is there; the next process works"


def kill_shim(count: int, seed: int) -> str:
    """K1: the shim is killed at every count-th system call of its life, from exec to the answer to Delete."""
    with new_place() as place:
        shim = os.environ.get("CTRD_SHIM") or Path(ctrd.__file__).parent / "_bin/containerd-shim-ctrd-v2"
        wrapper, inject, trace = place.top / "shim", place.top / "inject", place.top / "trace"
        strace = f"strace -D -qq -o {trace} -e trace=all $(cat {inject})"
        wrapper.write_text(f'#!/bin/sh\ncase "$*" in *serve) exec {strace} {shim} "$@";; esac\nexec {shim} "$@"\n')
        wrapper.chmod(0o755)
        inject.write_text("")

        def life() -> None:
            os.environ["CTRD_SHIM"] = str(wrapper)
            engine = place.engine()
            c = create(place, engine, "exec sleep 1000")
            try:
                c.start()
                c.kill()
                c.wait(timeout=30)
                c.delete(force=True)
            except (*SHIM_DIES, ctrd.FailedPrecondition, ctrd.TaskNotFound):  # it died before this verb, or in it
                engine.containers.delete(ID, force=True, missing_ok=True)

        join(fork(life), 60)
        calls = Counter(line.split("(", 1)[0] for line in trace.read_text().splitlines() if "(" in line)
        chosen = [(call, n) for call, most in calls.items() for n in range(1, most + 1)][count // 2 :: count]
        for call, n in chosen:
            inject.write_text(f"-e inject={call}:signal=KILL:when={n}")
            what = f"soak.py sweep-shim --count {count}: {call}:when={n}"
            if (code := wait_for(fork(life), 90)) != 0:
                raise Violation(f"{what}: the client ended with {code}")
            place.check(what, settling=SETTLING)
            if seen := VERBS["create"].look(place):
                raise Violation(f"{what}: the client was told that all is deleted, and there is {seen}")
            _next_works(place)
    return f"{len(chosen)} points: the next process works, all invariants hold"
