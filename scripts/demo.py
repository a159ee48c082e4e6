"""The demo: containers from Python with no daemon, on a busybox root and on a real Debian. `make demo` runs it.

It prints what it does and how long each step took, and at the end looks for anything that was left behind: processes,
mounts, cgroups, files, records. It exits with 1 if there is something.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ctrd
import roots

CHATTER = "for i in 1 2 3; do echo line $i; echo oops $i >&2; done; exec sleep 1000"
CRIU = Path(__file__).resolve().parents[1] / "build/criu/bin"  # scripts/criu: one that works on this kernel
COUNTER = "i=0; while :; do i=$((i+1)); echo $i; sleep 0.02; done"
WHO = ". /etc/os-release; echo $PRETTY_NAME; id; hostname"
LISTER = """
import sys, ctrd
with ctrd.Engine(sys.argv[1], state=sys.argv[2]) as engine:
    for info in engine.containers.list():
        print(f"{info.id:10} {info.status:9} pid {info.pid or '-':<8} {dict(info.labels)}")
"""

VISITOR = """
import sys, ctrd
with ctrd.Engine(sys.argv[1], state=sys.argv[2]) as engine:
    web = engine.containers["web"]
    print(web.run("hostname"))
    print([f"{line.stream}: {line.text}" for line in web.logs(tail=2)])
"""
QUIET: dict[str, Any] = {"text": True, "stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE}


@contextmanager
def step(what: str) -> Iterator[None]:
    """Print what is done, and the milliseconds it took."""
    print(f"\n== {what}", flush=True)
    began = time.perf_counter()
    yield
    print(f"   [{(time.perf_counter() - began) * 1000:.1f} ms]", flush=True)


def show(text: str) -> None:
    print("".join(f"   {line}\n" for line in text.splitlines()), end="", flush=True)


def mounts() -> set[str]:
    return {line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()}


def cgroups(name: str) -> list[str]:
    """Those in any hierarchy that are named as this root's; others may be at work beside it."""
    return sorted(map(str, Path("/sys/fs/cgroup").glob(f"**/{name}*")))


def processes(mark: str) -> list[str]:
    """Processes whose command line names the demo's own directory, or that are a shim of it."""
    found = []
    for directory in Path("/proc").iterdir():
        if directory.name.isdigit():
            try:
                line = (directory / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if "containerd-shim-ctrd-v2" in line and mark in line:
                found.append(f"{directory.name}: {line}")
    return found


def bundles(state: Path) -> list[str]:
    """What is ours in a state directory begins with a dot; the rest are namespaces with bundles."""
    return sorted(str(path) for path in state.glob("[!.]*/[!.]*"))


def first_line(c: ctrd.Container) -> str:
    return next(iter(c.logs(follow=True, since=0))).text


def checkpoints(engine: ctrd.Engine, busybox: ctrd.Rootfs, runtime: str) -> None:
    """A counter that goes on elsewhere, where this machine can: a CRIU, and a runtime that is built with it."""
    with engine.start(busybox, shell=COUNTER, runtime=runtime) as c:
        for number, _ in enumerate(c.logs(follow=True, since=0)):
            if number == 9:
                break
        with step(f"{runtime}: what would a checkpoint fail of?"):
            report = c.checkpoint(dry_run=True)
            show(str(report) or "of nothing")
        if not report:
            if CRIU.is_dir():
                sys.exit("this tree has a CRIU that should work here")
            return
        with step(f"{runtime}: a checkpoint of a counter, restored under another name; both go on"):
            warm = c.checkpoint("warm")
            with warm.restore() as twin:
                show(f"{warm.size} bytes; the twin goes on at {first_line(twin)}, the original is {c.status()}")
            warm.delete()
        with step(f"{runtime}: three copies of it"):
            for copy in c.fork(3):
                with copy:
                    show(f"{copy.run('hostname').stdout.strip()} goes on at {first_line(copy)}")


def life(engine: ctrd.Engine, busybox: ctrd.Rootfs, debian: ctrd.Rootfs, where: tuple[Path, Path]) -> str:
    """All of it; returns what the names of this root's cgroups begin with."""
    with step("run a command in a new container, and look at its result"):
        show(repr(ctrd.run(busybox, "echo", "hello from a container", engine=engine)))

    with step("the same in Debian"):
        result = ctrd.run(debian, shell=WHO, hostname="demo", engine=engine)
        show(result.stdout)

    with step("create labelled containers: records, nothing runs"):
        web = engine.containers.create(busybox, shell=CHATTER, id="web", labels={"app": "web", "env": "demo"})
        job = engine.containers.create(
            debian, "sh", "-c", "echo counting; exit 3", id="job", labels={"app": "job", "env": "demo"}
        )
        show("\n".join(f"{info.id} {info.status} {dict(info.labels)}" for info in engine.containers.list()))

    with step("start both, wait for the one that ends by itself"):
        web.start()
        job.start()
        show(f"job ended with {job.wait(timeout=30)!r}")
        show("".join(f"{line.stream}: {line.text}\n" for line in job.logs()))

    with step("stream the output of the other while it runs"):
        for number, line in enumerate(web.logs(follow=True, since=0), start=1):
            show(f"{line.time:%H:%M:%S.%f} {line.stream}: {line.text}")
            if number == 6:
                break

    with step("list them from a second process while the first still runs"):
        second = subprocess.run(
            [sys.executable, "-c", LISTER, *map(str, where)],
            check=True,
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
        )
        show(second.stdout)
        assert "web        running" in second.stdout, second.stdout

    with step("commands inside it: one to its end, one to talk to, one in a terminal"):
        show(repr(web.run("sh", "-c", "echo $((6 * 7)); exit 3")))
        with web.exec("tr", "a-z", "A-Z", stdin=ctrd.PIPE) as p:
            show(f"{p}: {p.communicate('what goes in comes out')}")
        with web.exec("sh", tty=(100, 40), stdin=ctrd.PIPE) as p:
            assert p.stdin and p.stdout
            p.stdin.write("stty size\n")
            p.resize(120, 50)
            p.stdin.write("stty size; exit\n")
            show(p.stdout.read())

    with step("one that is out of time goes with all that it has forked"):
        try:
            web.run(shell="echo begun; sleep 1000 & sleep 1000", timeout=0.5)
        except ctrd.Timeout as error:
            show(f"{error}; it had printed {error.stdout!r}")

    with step("frozen for a moment, then it goes on"):
        with web.paused():
            show(f"web is {web.status()}")
        show(f"web is {web.status()}")

    with step("a second process runs commands in it and reads its log"):
        show(subprocess.run([sys.executable, "-c", VISITOR, *map(str, where)], check=True, **QUIET).stdout)
    with step("what it uses; then a limit on it while it runs"):
        stats = web.stats()
        show(f"cpu {stats.cpu.usage:.3f} s, memory {stats.memory.usage} bytes, {stats.pids.current} processes")
        web.update(memory="64M", pids=50)
        show(f"memory limit {web.stats().memory.limit}, at most {web.stats().pids.limit} processes")

    with step("its processes, then kill it"):
        for process in web.processes():
            show(f"pid {process.pid}: {' '.join(process.args)}")
        web.kill()
        show(f"web ended with {web.wait(timeout=30)!r}, and is {web.status()}")

    for runtime in ("crun", "runc"):
        checkpoints(engine, busybox, runtime)

    garbage(engine, busybox, web)
    name = str(web.spec()["linux"]["cgroupsPath"]).strip("/").removesuffix("web")
    with step("delete them"):
        web.delete()
        job.delete()
        show(f"{len(engine.containers)} containers left")
    return name


def garbage(engine: ctrd.Engine, busybox: ctrd.Rootfs, web: ctrd.Container) -> None:
    """Labels, filters, layers, leases, and what goes."""
    with step("labels and filters"):
        engine.containers.update("web", labels={"tier": "front", "env": None})
        for wanted in ("labels.tier==front", 'labels.app~=^(web|job)$,labels.env!="demo"', "labels.env"):
            show(f"{wanted}: {engine.containers.list(wanted).ids}")

    with step("layers: made in a lease, so that nobody collects them meanwhile"), engine.lease("build"):
        for name, parent in (("base", None), ("tools", "base"), ("app", "tools")):
            engine.snapshots.prepare(f"{name} is made", parent)
            with engine.snapshots.mount(f"{name} is made") as path:
                (path / name).write_text(name * 1000)
            engine.snapshots.commit(name, f"{name} is made")
        c = engine.containers.create(ctrd.Snapshot("tools"), "true", id="user")
        show(str(engine.snapshots.tree()))
        show(f"gc() would remove {engine.gc(dry_run=True).removed}")
        show(str(engine.explain("snapshot", "tools")))

    with step("the lease is over: what it alone held is gone"):
        show(str(engine.snapshots.tree()))
        show(str(engine.explain("snapshot", "tools")))

    with step("without a lease and without a user a layer is garbage"):
        c.delete()
        show(str(engine.explain("snapshot", "base")))
        report = engine.gc()
        show(f"gc() removed {report.removed}, {report.freed} bytes")
        show(f"left: {engine.snapshots.list().ids}; why: {engine.explain('snapshot', web.id).paths[0]}")

    with step("prune: what has ended and is nobody's"):
        engine.start(busybox, "true", id="nobodys", lifetime="detached").wait(timeout=30)
        show(f"of {list(engine.containers)} prune() removed {engine.containers.prune().removed}")


def main() -> None:
    if CRIU.is_dir():
        os.environ["PATH"] = f"{CRIU}:{os.environ['PATH']}"
    with step("make the root directories (Debian takes a while the first time, then it is kept)"):
        busybox, debian = ctrd.Rootfs(roots.busybox()), ctrd.Rootfs(roots.debian())
    before = mounts()
    with tempfile.TemporaryDirectory(prefix="ctrd-demo-") as temporary:
        root, state = Path(temporary, "root"), Path(temporary, "state")
        with step("look at this machine"):
            with ctrd.Engine(root, state=state) as engine:
                for check in engine.doctor().checks:
                    show(f"{'ok' if check.ok else 'NO'} {check.name}: {check.found}")
        with ctrd.Engine(root, state=state) as engine:
            name = life(engine, busybox, debian, (root, state))
            records = list(engine.containers)
        with step("what is left?"):
            left = {
                "records": records,
                "processes": processes(temporary),
                "mounts": sorted(mounts() - before),
                "cgroups": cgroups(name),
                "bundles": bundles(state),
                "layers": sorted(map(str, (root / "snapshots").glob("*"))),
                "logs": sorted(map(str, (root / "logs").glob("*"))),
                "checkpoints": sorted(map(str, (root / "checkpoints").glob("*"))),
            }
            show("\n".join(f"{what}: {found or 'none'}" for what, found in left.items()))
    if any(left.values()):
        sys.exit("something was left behind")


if __name__ == "__main__":
    main()
