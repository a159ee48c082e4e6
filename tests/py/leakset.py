"""What a test must leave as it found it, read from /proc and /sys: the leak set of this process.

Compared before and after every test. Things that end by themselves a moment later (a shim that exits, a database that
is closed when idle) get a few seconds; what is still there then is a leak.
"""

from __future__ import annotations

import gc
import os
import time
from collections import Counter
from dataclasses import dataclass, fields
from pathlib import Path

PATIENCE = 8.0
GLIBCS = 1 << 31 | 1 << 32  # signals 32 and 33, which glibc catches from the first thread on


@dataclass(frozen=True)
class LeakSet:
    """Each field is a multiset of lines that name one thing."""

    mounts: Counter[str]
    cgroups: Counter[str]
    children: Counter[str]
    descriptors: Counter[str]
    sockets: Counter[str]
    threads: Counter[str]
    dispositions: Counter[str]

    @classmethod
    def take(cls) -> LeakSet:
        """Look now."""
        return cls(_mounts(), _cgroups(), _children(), _descriptors(), _sockets(), _threads(), Counter(_dispositions()))

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
        roots: Where the engines' roots are: cgroups of others, which may run their own tests, are not looked at.
    """
    gc.collect()
    deadline = time.monotonic() + PATIENCE
    while True:
        leaked = LeakSet.take().missing_from(before)
        ours = our_cgroups(leaked.pop("cgroups", []), roots)
        leaked |= {"cgroups": ours} if ours else {}
        if not leaked or time.monotonic() > deadline:
            return leaked
        time.sleep(0.01)  # not a synchronisation: the condition is asked again until the deadline


def our_cgroups(paths: list[str], roots: Path) -> list[str]:
    """Those that belong to an engine whose root is below this directory."""
    if not paths:
        return []
    marks = {_mark(found.parent) for found in roots.rglob("metadata")}
    return [path for path in paths if Path(path).name.split("-")[1] in marks]


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


def _children() -> Counter[str]:
    """Our children, zombies too, with what they are."""
    found: Counter[str] = Counter()
    for directory in Path("/proc").iterdir():
        if not directory.name.isdigit():
            continue
        try:
            name, rest = (directory / "stat").read_text().rsplit(")", 1)
        except OSError:
            continue
        state, ppid = rest.split()[:2]
        if int(ppid) == os.getpid():
            found[f"{name}) {state}"] += 1
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
    """Paths of unix sockets that are ours by their name."""
    lines = Path("/proc/net/unix").read_text().splitlines()[1:]
    paths = (line.split(maxsplit=7)[7] for line in lines if len(line.split(maxsplit=7)) == 8)
    return Counter(path for path in paths if "ctrd" in path and path.startswith("/tmp/pytest"))


def _threads() -> Counter[str]:
    found: Counter[str] = Counter()
    for task in Path("/proc/self/task").iterdir():
        try:
            found[(task / "comm").read_text().strip()] += 1
        except OSError:
            continue
    return found


def _dispositions() -> dict[str, int]:
    """Signal mask and dispositions, umask, cwd."""
    lines = Path("/proc/self/status").read_text().splitlines()
    kept = [line for line in lines if line.startswith("Umask:")]
    for line in lines:
        if line.startswith(("SigBlk:", "SigIgn:", "SigCgt:")):
            name, mask = line.split()
            kept.append(f"{name} {int(mask, 16) & ~GLIBCS:x}")
    return dict.fromkeys([*kept, f"cwd {Path.cwd()}"], 1)
