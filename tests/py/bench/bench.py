"""`make bench`: the figures that ctrd promises, as medians, beside the bare runtime and containerd in the same run.

Benchmarks print; they never fail a build. `bench.py [name ...]` runs only these: run, exec, shim, store, growth,
many, events, recover, containerd, checkpoint.
"""

from __future__ import annotations

import importlib.resources
import os
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "scripts"))

import checkpoints  # noqa: E402
import containerds  # noqa: E402
import ctrd  # noqa: E402
import events  # noqa: E402
import execs  # noqa: E402
import peers  # noqa: E402
import roots  # noqa: E402
import shims  # noqa: E402
from bare import bare, become_subreaper  # noqa: E402
from figures import ms, timed  # noqa: E402

RUNS = int(os.environ.get("BENCH_RUNS", "60"))


def say(what: str, value: str, aim: str = "") -> None:
    print(f"  {what:58} {value:>24}  {aim}", flush=True)


def rss_kib() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def bench_run(engine: ctrd.Engine, image: ctrd.Rootfs, work: Path) -> None:
    """ctrd.run of /bin/true and the three bare runtime runs in it, turn by turn, so that both meet the same machine."""
    become_subreaper()
    for runtime in ("crun", "runc"):
        print(f"run of /bin/true with {runtime} ({RUNS} each, turn by turn)")
        ours: list[float] = []
        theirs: list[tuple[float, float, float]] = []
        with bare(engine, image, runtime, work) as peer:
            for _ in range(RUNS):
                ours.append(timed(lambda: engine.run(image, "/bin/true", runtime=runtime)))  # noqa: B023
                theirs.append(peer.run())
        bare_ms = ms([sum(times) for times in theirs])
        say("ctrd.run", f"{ms(ours):.1f} ms")
        parts = " + ".join(f"{ms(list(part)):.1f}" for part in zip(*theirs, strict=True))
        say("bare create + start + delete", f"{bare_ms:.1f} ms ({parts})")
        say("ctrd.run above bare", f"{ms(ours) - bare_ms:+.1f} ms, x{ms(ours) / bare_ms:.2f}", "aim: at most +5 ms")
        verbs(engine, image, runtime)
    with peers.containerd() as containerd:
        for runtime in ("crun", "runc"):
            times = [containerd.run_true(image.path, runtime, f"bench{n}") for n in range(max(10, RUNS // 4))]
            say(f"containerd: ctr run --rm with {runtime}", f"{ms(times):.1f} ms")


def verbs(engine: ctrd.Engine, image: ctrd.Rootfs, runtime: str) -> None:
    """Where the time goes, verb by verb."""
    parts: dict[str, list[float]] = {}
    for _ in range(RUNS):
        container = engine.containers.create(image, "/bin/true", runtime=runtime)
        marks = [("", time.perf_counter())]
        task = container.create_task(stdout=ctrd.DEVNULL, stderr=ctrd.DEVNULL)
        marks.append(("create_task", time.perf_counter()))
        task.start()
        marks.append(("start", time.perf_counter()))
        task.wait()
        marks.append(("wait", time.perf_counter()))
        task.delete()
        marks.append(("task delete", time.perf_counter()))
        container.delete()
        marks.append(("delete", time.perf_counter()))
        for (_, begin), (name, end) in zip(marks, marks[1:], strict=False):
            parts.setdefault(name, []).append(end - begin)
    say("  verb by verb", ", ".join(f"{name} {ms(times):.1f}" for name, times in parts.items()) + " ms")


def bench_shim(engine: ctrd.Engine, image: ctrd.Rootfs, work: Path) -> None:
    """A shim's memory, and its first answer."""
    print("shim")
    shim = Path(os.environ.get("CTRD_SHIM") or str(importlib.resources.files("ctrd") / "_bin/containerd-shim-ctrd-v2"))
    first: list[float] = []
    for n in range(RUNS):
        with shims.spawned(shim, work / f"shim-{n}") as (_, sock, began):
            shims.info(sock)
            first.append(time.perf_counter() - began)
    say("first RPC after its spawn", f"{ms(first):.2f} ms", "aim: at most 1.5 ms")

    def start(n: int) -> ctrd.Container:
        return engine.containers.create(image, "sleep", "1000", id=f"shim{n}").start()

    def shim_pid(container: ctrd.Container) -> int:
        init = Path(f"/proc/{container.info().pid}/stat").read_text()
        return int(init.rpartition(")")[2].split()[1])

    with start(0) as container:
        pid = shim_pid(container)
        sock = engine.state / engine.namespace / container.id / "sock"
        say("PSS alone", f"{shims.pss_kib(pid)} KiB", "aim: at most 2,048 KiB")
        for _ in range(50):
            shims.info(sock)
        before = shims.pss_kib(pid)
        for _ in range(1000):
            shims.info(sock)
        say("PSS after 1,000 RPCs on new connections", f"{shims.pss_kib(pid) - before:+} KiB", "aim: no growth")
    containers = [start(n) for n in range(50)]
    sizes = [shims.pss_kib(shim_pid(container)) for container in containers]
    say("PSS of each of 50", f"{statistics.mean(sizes):.0f} KiB", "aim: at most 410 KiB")
    for container in containers:
        container.delete(force=True)


def bench_store(engine: ctrd.Engine, image: ctrd.Rootfs, work: Path) -> None:
    """Metadata through Python, the store held open by this process; then eight processes that take turns."""
    print("store, on a disk")
    say("append of 900 bytes + fdatasync there, for comparison", f"{ms(synced_appends(engine.root)):.2f} ms")
    container = engine.containers.create(image, "true", id="store", labels={"n": "0"})
    updates = [timed(lambda: container.update(labels={"n": str(n)})) for n in range(10 * RUNS)]  # noqa: B023
    say("durable label update", f"{ms(updates):.3f} ms", "aim: at most 0.3 ms")
    gets = [timed(lambda: engine.containers.get("store")) for _ in range(10 * RUNS)]
    say("get", f"{ms(gets):.3f} ms", "aim: at most 0.02 ms")
    container.delete()
    names = [f"c{n:05}" for n in range(10_000)]
    creates = [
        timed(lambda: engine.containers.create(image, "true", id=name, lifetime="detached"))  # noqa: B023
        for name in names
    ]
    say("create, each of 10,000", f"{ms(creates):.2f} ms")
    lists = [timed(engine.containers.list) for _ in range(10)]
    say("list() of 10,000", f"{ms(lists):.1f} ms", "aim: at most 100 ms")
    deletes = [timed(lambda: engine.containers.delete(name)) for name in names]  # noqa: B023
    say("delete, each of 10,000", f"{ms(deletes):.2f} ms")
    turns(engine.root.parent)


def synced_appends(folder: Path) -> list[float]:
    """What the disk itself takes."""
    with (folder / "appended").open("ab", buffering=0) as file:
        times = [timed(lambda: (file.write(bytes(900)), os.fdatasync(file))) for _ in range(5 * RUNS)]
    (folder / "appended").unlink()
    return times


def turns(folder: Path) -> None:
    """The C++ test program's eight processes with 500 increments each, where it has been built."""
    programs = Path(__file__).resolve().parents[3].glob("build/*/bin/ctrd_store_test")
    newest = max(programs, key=lambda path: path.stat().st_mtime, default=None)
    if newest is None:
        say("8 processes x 500 increments", "not built: make test")
        return
    disk = tempfile.mkdtemp(dir=folder)
    done = subprocess.run(
        [newest, "--gtest_filter=ProcessesTest.*"],
        env=os.environ | {"CTRD_BENCH": "1", "CTRD_SPEED_DIR": disk},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    rows = [line for line in done.stdout.splitlines() if "op/s" in line]
    aims = ("aim: 1,000 op/s, at most 100 ms", "aim: 300 op/s")
    for what, row, aim in zip(("", ", with 3 KB records"), rows, aims, strict=True):
        say(f"8 processes x 500 increments{what}", "exact" if done.returncode == 0 else "WRONG", aim)
        print(f"    {row.strip()}", flush=True)
    Path(disk).rmdir()


def bench_many(engine: ctrd.Engine, image: ctrd.Rootfs, work: Path) -> None:
    """What one container costs beside 100 and beside 100,000; MANY says how many those are."""
    many = int(os.environ.get("MANY", "100000"))
    print(f"100 and {many:,} containers")
    folder = engine.with_namespace("many").containers

    def make(first: int, last: int) -> None:
        for n in range(first, last):
            folder.create(image, "true", id=f"c{n:06}", lifetime="detached", labels={"n": str(n), "app": "web"})

    def one() -> tuple[float, float]:
        creates, deletes = [], []
        for n in range(5 * RUNS):
            name = f"c{n * 37 % many:06}-x"
            creates.append(timed(lambda: folder.create(image, "true", id=name, lifetime="detached")))  # noqa: B023
            deletes.append(timed(lambda: folder.delete(name)))  # noqa: B023
        return ms(creates), ms(deletes)

    make(0, 100)
    few = one()
    make(100, many)
    for what, before, after in zip(("create", "delete"), few, one(), strict=True):
        value = f"{before:.2f} -> {after:.2f} ms, {after / before:.2f}"
        say(f"{what} of one beside 100, and beside {many:,}", value, "aim: ratio at most 1.3")
    peak = peak_kib()
    found = [timed(lambda: folder.list(f"labels.n=={n},id~=^c")) for n in (7, many - 1)]  # noqa: B023
    say(f"filtered list over {many:,}, one of which matches", f"{max(found):.2f} s", "aim: at most 1 s")
    say("the most memory that it took", f"{peak_kib() - peak:+} KiB", "aim: none for what does not match")
    say("one by its id", f"{ms([timed(lambda: folder.get('c000099')) for _ in range(RUNS)]):.3f} ms")


def peak_kib() -> int:
    """The most that this process has had so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def bench_growth(engine: ctrd.Engine, image: ctrd.Rootfs, work: Path) -> None:
    """The Python process after 1,000 runs."""
    print("growth")
    for _ in range(100):
        engine.run(image, "true")
    before, fds = rss_kib(), descriptors()
    for _ in range(1000):
        engine.run(image, "true")
    say("Python process after 1,000 runs", f"{rss_kib() - before:+} KiB", "aim: none")
    say("its descriptors", f"{descriptors() - fds:+}", "aim: none")


def bench_events(engine: ctrd.Engine, image: ctrd.Rootfs, work: Path) -> None:
    """A reader in another process, one that reconnects, and a replay."""
    events.measure(engine, image, RUNS, say)


def bench_exec(engine: ctrd.Engine, image: ctrd.Rootfs, work: Path) -> None:
    """c.run beside the bare runtime, and the streams."""
    become_subreaper()
    execs.measure(engine, image, RUNS, say)


def bench_containerd(engine: ctrd.Engine, image: ctrd.Rootfs, work: Path) -> None:
    """Our shim and containerd's own under containerd."""
    containerds.measure(Path(image.path), max(10, RUNS // 2), say)


def bench_checkpoint(engine: ctrd.Engine, image: ctrd.Rootfs, work: Path) -> None:
    """Checkpoint and restore beside the bare runtimes', and ten copies of a Python."""
    checkpoints.measure(engine, image, max(5, RUNS // 4), work, say)


DYING = """if True:
    import concurrent.futures, ctrd, sys
    engine, image = ctrd.Engine(sys.argv[1], state=sys.argv[2]), ctrd.Rootfs(sys.argv[3])
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _: engine.start(image, "sleep", "1000", lifetime=sys.argv[4]), range(100)))
    print(*[c.task().pid for c in made], flush=True)
    sys.stdin.read()
"""


def bench_recover(engine: ctrd.Engine, image: ctrd.Rootfs, work: Path) -> None:
    """An engine's first verb on a root where a client and the shims of its 100 containers were killed."""
    print("recover")
    for lifetime in ("owner", "detached"):
        arguments = [str(engine.root), str(engine.state), str(image.path), lifetime]
        command = [sys.executable, "-c", DYING, *arguments]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as client:
            assert client.stdout
            for pid in client.stdout.readline().split():
                shim = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
                os.kill(shim, signal.SIGKILL)
            client.kill()
        with ctrd.Engine(engine.root, state=engine.state) as other:
            took = timed(lambda: len(other.containers))  # noqa: B023
            say(f"100 dead containers (lifetime {lifetime!r})", f"{took * 1000:.0f} ms", "aim: at most 5,000 ms")
            for name in list(other.containers):
                other.containers.delete(name)


def main() -> None:
    benches = {
        "run": bench_run,
        "exec": bench_exec,
        "shim": bench_shim,
        "store": bench_store,
        "growth": bench_growth,
        "many": bench_many,
        "events": bench_events,
        "recover": bench_recover,
        "containerd": bench_containerd,
        "checkpoint": bench_checkpoint,
    }
    image = ctrd.Rootfs(roots.busybox())
    for name in sys.argv[1:] or benches:
        with (
            tempfile.TemporaryDirectory(prefix="ctrd-bench-") as disk,
            # What runs is on a tmpfs, as /run is elsewhere; the bare bundle too.
            tempfile.TemporaryDirectory(prefix="ctrd-bench-", dir="/dev/shm") as memory,
        ):
            with ctrd.Engine(Path(disk, "root"), state=Path(memory, "state")) as engine:
                benches[name](engine, image, Path(memory))


if __name__ == "__main__":
    main()
