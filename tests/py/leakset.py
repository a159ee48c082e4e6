"""What a test must leave as it found it, read from /proc and /sys: the leak set of this process.

Compared before and after every test. Things that end by themselves a moment later (a shim that exits, a database that
is closed when idle) get a few seconds; what is still there then is a leak.
"""

from __future__ import annotations

import gc
import os
import stat
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path

PATIENCE = 8.0
FACTS = ("cmdline", "wchan", "syscall", "stack")
GLIBCS = 1 << 31 | 1 << 32  # signals 32 and 33, which glibc catches from the first thread on


@dataclass(frozen=True)
class LeakSet:
    """Each field is a multiset of lines that name one thing."""

    mounts: Counter[str]
    cgroups: Counter[str]
    children: Counter[str]
    processes: Counter[str]
    runtimes: Counter[str]
    descriptors: Counter[str]
    sockets: Counter[str]
    terminals: Counter[str]
    loops: Counter[str]
    memory: Counter[str]
    keyrings: Counter[str]
    threads: Counter[str]
    dispositions: Counter[str]

    @classmethod
    def take(cls) -> LeakSet:
        """Look now."""
        table = _processes()
        return cls(
            mounts=_mounts(),
            cgroups=_cgroups(),
            children=Counter(f"{pid} {one.said}" for pid, one in table.items() if one.ppid == os.getpid()),
            processes=Counter(f"{pid} {one.start} {one.said}" for pid, one in table.items() if one.ppid != os.getpid()),
            runtimes=Counter(str(path) for place in ("crun", "runc") for path in Path("/run", place).glob("*")),
            descriptors=_descriptors(),
            sockets=_sockets(),
            terminals=Counter(path.name for path in Path("/dev/pts").glob("[0-9]*")),
            loops=_loops(),
            memory=_memory(),
            keyrings=_keyrings(),
            threads=_threads(),
            dispositions=Counter(_dispositions()),
        )

    def missing_from(self, before: LeakSet) -> dict[str, list[str]]:
        """What there is now and was not before; of dispositions any difference."""
        found = {}
        for one in fields(self):
            old, new = getattr(before, one.name), getattr(self, one.name)
            extra = new - old
            if one.name == "dispositions":
                extra += old - new
            if extra:
                found[one.name] = sorted(extra.elements())
        return found


def leaked_since(before: LeakSet, roots: Path) -> dict[str, list[str]]:
    """What is new and stays so for a while; empty if nothing is.

    Args:
        before: What there was.
        roots: Where the engines' roots are: cgroups, processes and runtimes' states of others, which may run their own
            tests, are not looked at.
    """
    gc.collect()
    deadline = time.monotonic() + PATIENCE
    always: dict[str, list[str]] | None = None
    while True:
        leaked = LeakSet.take().missing_from(before)
        for name, ours in OURS.items():
            found = leaked.pop(name, [])
            kept = ours(found, roots) if found else []
            leaked |= {name: kept} if kept else {}
        always = leaked if always is None else _in_both(always, leaked)
        if not always:
            return {}
        if time.monotonic() > deadline:
            return always | _facts(always)
        time.sleep(0.01)  # not a synchronisation: the condition is asked again until the deadline


def _facts(leaked: dict[str, list[str]]) -> dict[str, list[str]]:
    """What each leaked process is and does, for whoever reads the failure."""
    pids = [line.split()[0] for name in ("children", "processes") for line in leaked.get(name, [])]
    return {f"process {pid}": [_read(Path("/proc", pid, one)) for one in FACTS] + _links(pid) for pid in pids}


def _read(path: Path) -> str:
    try:
        return f"{path.name}: {path.read_bytes().decode(errors='replace').replace(chr(0), ' ').strip()}"
    except OSError as error:
        return f"{path.name}: {error.strerror}"


def _links(pid: str) -> list[str]:
    return [f"{link.name} -> {target}" for link, target in _links_of(Path("/proc", pid, "fd"))]


def _links_of(directory: Path) -> Iterator[tuple[Path, str]]:
    try:
        for link in directory.iterdir():
            yield link, str(link.readlink())
    except OSError:
        return  # it has just ended


def _in_both(one: dict[str, list[str]], other: dict[str, list[str]]) -> dict[str, list[str]]:
    """What comes and goes is somebody else's, or goes by itself."""
    both = {name: sorted((Counter(lines) & Counter(other.get(name, []))).elements()) for name, lines in one.items()}
    return {name: lines for name, lines in both.items() if lines}


def our_cgroups(paths: list[str], roots: Path) -> list[str]:
    """Those that belong to an engine whose root is below this directory."""
    if not paths:
        return []
    marks = {_mark(found.parent) for found in roots.rglob("metadata")}
    return [path for path in paths if Path(path).name.split("-")[1] in marks]


def our_processes(lines: list[str], roots: Path) -> list[str]:
    """Those that work in a directory below this one, or have one in their command line: shims, runtimes, helpers."""
    return [line for line in lines if _speaks_of(Path("/proc", line.split()[0]), str(roots))]


def _speaks_of(process: Path, roots: str) -> bool:
    try:
        words = (process / "cmdline").read_bytes().decode(errors="replace")
        return roots in words or roots in str((process / "cwd").readlink())
    except OSError:
        return False


def our_runtimes(paths: list[str], roots: Path) -> list[str]:
    """States that a runtime keeps in its own place, of a bundle below this directory."""
    files = [file for path in paths for file in Path(path).glob("*") if file.is_file()]
    return [str(file) for file in files if str(roots).encode() in file.read_bytes()]


def our_sockets(lines: list[str], roots: Path) -> list[str]:
    """Those with an abstract name, which ctrd never makes, and those that one of our processes has open."""
    links = {f"socket:[{line.split()[0]}]": line for line in lines}
    held = {links[link] for _, link in _open_files(roots) if link in links}
    return [line for line in lines if line in held or line.split()[1].startswith("@")]


def our_terminals(names: list[str], roots: Path) -> list[str]:
    """Those whose other end one of our processes has open."""
    held = {_terminal_of(link) for link, target in _open_files(roots) if target.endswith("ptmx")}
    return [name for name in names if name in held]


def _terminal_of(end: Path) -> str:
    """The number of the terminal whose other end this descriptor is."""
    try:
        lines = (end.parent.parent / "fdinfo" / end.name).read_text().splitlines()
    except OSError:
        return ""
    return next((line.split()[1] for line in lines if line.startswith("tty-index:")), "")


def _open_files(roots: Path) -> Iterator[tuple[Path, str]]:
    """Descriptors of this process, its children and all that speak of its roots: /proc/<pid>/fd/<n>, and what it is."""
    for pid, process in _processes().items():
        if pid != os.getpid() and process.ppid != os.getpid() and not _speaks_of(Path("/proc", str(pid)), str(roots)):
            continue
        yield from _links_of(Path("/proc", str(pid), "fd"))


def our_loops(lines: list[str], roots: Path) -> list[str]:
    """Those of a file below this directory."""
    return [line for line in lines if str(roots) in line]


def our_keyrings(lines: list[str], roots: Path) -> list[str]:
    """Those that a runtime has made for one of our tasks, by its id; one of a task that lives is no leak by itself."""
    ids = {line: line.split()[1].removeprefix("_ses.") for line in lines}
    living = _living_ids()
    dead = [line for line, id in ids.items() if id not in living]
    journals = [path.read_bytes() for depth in (1, 2, 3) for path in _segments(roots, depth)] if dead else []
    return [line for line in dead if any(_named(ids[line]) in journal for journal in journals)]


def _segments(roots: Path, depth: int) -> Iterator[Path]:
    """Of the journals of roots so far below this directory."""
    yield from roots.glob("/".join(["*"] * depth) + "/journal/[0-9]*")


def _named(id: str) -> bytes:
    """A message's first field with this id: what each event of a task begins with."""
    return b"\x0a" + bytes([len(id.encode()) & 127]) + id.encode()


def _living_ids() -> set[str]:
    """Of the tasks of every shim on this machine."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        if "-bundle" in words and "-id" in words[:-1]:
            found.add(words[words.index("-id") + 1])
    return found


OURS = {
    "cgroups": our_cgroups,
    "processes": our_processes,
    "runtimes": our_runtimes,
    "sockets": our_sockets,
    "terminals": our_terminals,
    "loops": our_loops,
    "keyrings": our_keyrings,
}


def _mark(root: Path) -> str:
    """The 6 hex digits in the cgroups of an engine on this root: of the FNV-1a of its device and inode."""
    facts = root.stat()
    value = 14695981039346656037
    for byte in facts.st_dev.to_bytes(8, "little") + facts.st_ino.to_bytes(8, "little"):
        value = (value ^ byte) * 1099511628211 % 2**64
    return f"{value:016x}"[4:10]


def _mounts() -> Counter[str]:
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return Counter(line.split()[4] for line in lines)


def _cgroups() -> Counter[str]:
    """An engine's are named ctrd-<6 hex of its root>-<namespace>-<id>."""
    root = Path("/sys/fs/cgroup")
    return Counter(str(path) for pattern in ("ctrd-??????-*", "*/ctrd-??????-*") for path in root.glob(pattern))


@dataclass(frozen=True)
class _Process:
    ppid: int
    start: str
    said: str


def _processes() -> dict[int, _Process]:
    """All there are, zombies too, with what they are."""
    found = {}
    for directory in Path("/proc").iterdir():
        if not directory.name.isdigit():
            continue
        try:
            name, rest = (directory / "stat").read_text().split("(", 1)[1].rsplit(")", 1)
        except OSError:
            continue
        words = rest.split()
        state = " Z" if words[0] == "Z" else ""  # others change all the time
        found[int(directory.name)] = _Process(int(words[1]), words[19], f"({name}){state}")
    return found


def _descriptors() -> Counter[str]:
    found: Counter[str] = Counter()
    for link in Path("/proc/self/fd").iterdir():
        try:
            found[f"{link.name} -> {link.readlink()}"] += 1
        except OSError:
            continue  # the one that lists this directory
    return found


def _sockets() -> Counter[str]:
    """Unix sockets that may be ours by their name, as "inode name"; a bundle's is bound as /proc/self/fd/<n>/sock."""
    lines = (line.split(maxsplit=7)[6:] for line in Path("/proc/net/unix").read_text().splitlines()[1:])
    named = [words for words in lines if len(words) == 2]
    return Counter(
        f"{inode} {name}" for inode, name in named if name.endswith("/sock") or (name[0] == "@" and "ctrd" in name)
    )


def _loops() -> Counter[str]:
    """Loop devices in use, and of what."""
    found: Counter[str] = Counter()
    for path in Path("/sys/block").glob("loop*/loop/backing_file"):
        try:
            found[f"{path.parts[3]} {path.read_text().strip()}"] += 1
        except OSError:
            continue  # it is no longer in use
    return found


def _memory() -> Counter[str]:
    """Shared memory: POSIX (files of /dev/shm; tests use directories) and System V."""
    found = Counter(path.name for path in Path("/dev/shm").glob("*") if _is_file(path))
    for kind in ("shm", "sem", "msg"):
        lines = Path("/proc/sysvipc", kind).read_text().splitlines()[1:]
        found.update(f"{kind} {line.split()[1]}" for line in lines)
    return found


def _is_file(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False


def _keyrings() -> Counter[str]:
    """Keyrings, as "serial name"."""
    words = (line.split(maxsplit=8) for line in Path("/proc/keys").read_text().splitlines())
    return Counter(f"{one[0]} {one[8].rsplit(':', 1)[0]}" for one in words if len(one) == 9 and one[7] == "keyring")


def _threads() -> Counter[str]:
    found: Counter[str] = Counter()
    for task in Path("/proc/self/task").iterdir():
        try:
            found[(task / "comm").read_text().strip()] += 1
        except OSError:
            continue
    return found


def _dispositions() -> dict[str, int]:
    """Signal mask and dispositions, umask, cwd, limits."""
    lines = Path("/proc/self/status").read_text().splitlines()
    kept = [line for line in lines if line.startswith("Umask:")]
    for line in lines:
        if line.startswith(("SigBlk:", "SigIgn:", "SigCgt:")):
            name, mask = line.split()
            kept.append(f"{name} {int(mask, 16) & ~GLIBCS:x}")
    limits = Path("/proc/self/limits").read_text().splitlines()[1:]
    return dict.fromkeys([*kept, *limits, f"cwd {Path.cwd()}"], 1)
