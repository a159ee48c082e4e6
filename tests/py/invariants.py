"""The invariants I1 to I20 of a root that nobody is changing, checked on disk, in /proc and in the cgroups.

    python tests/py/invariants.py ROOT STATE [--settled] [--closed] [--acks FILE]...

prints a line a violation, and exits with 1 if there is one. It uses nothing of ctrd: the database is read by
leveldb_reader.py, locks by /proc/locks. What runs may run; a client in the middle of a verb would be seen half way.

    --settled   some process has recovered the root since the last crash: nothing of dead owners is left, no leftovers
    --closed    every process has closed the root cleanly: no lock held, the marker says clean
    --acks      what a client was told is done (acknowledged.py); nothing else may have changed those containers

I19 and I20 compare two moments: `canary` and
`fingerprint` are for that.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import stat
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import acknowledged  # noqa: E402
import edges  # noqa: E402
import journal_reader  # noqa: E402
import leveldb_reader  # noqa: E402
from disk_records import Bundle, Store, decode_store  # noqa: E402
from leveldb_reader import Damaged  # noqa: E402

LIVE = ("created", "running", "paused", "pausing")
CGROUPS = Path("/sys/fs/cgroup")


@dataclass
class Root:
    """One root and its state directory, as they are now."""

    path: Path
    state: Path
    settled: bool = False
    closed: bool = False
    unreadable: bool = False  # the database: then nothing else can be said
    damage: list[str] = field(default_factory=list)

    @cached_property
    def store(self) -> Store:
        """What the database says; empty, with a word in `damage`, if it cannot be read."""
        try:
            return decode_store(leveldb_reader.read(self.path / "metadata"))
        except (Damaged, OSError, UnicodeDecodeError) as error:
            self.damage.append(str(error))
            self.unreadable = True
            return Store()

    @cached_property
    def bundles(self) -> dict[tuple[str, str], Bundle]:
        """By (namespace, id)."""
        found = {}
        for path in self.state.glob("[!.]*/[!.]*"):
            try:
                found[path.parent.name, path.name] = Bundle.read(path)
            except (Damaged, OSError) as error:
                self.damage.append(f"{path}: {error}")
                found[path.parent.name, path.name] = Bundle(path)
        return found

    @cached_property
    def mark(self) -> str:
        """The 6 hex digits that are in the name of each of its cgroups: of the FNV-1a of its device and inode."""
        facts, value = self.path.stat(), 14695981039346656037
        for byte in facts.st_dev.to_bytes(8, "little") + facts.st_ino.to_bytes(8, "little"):
            value = (value ^ byte) * 1099511628211 % 2**64
        return f"{value:016x}"[4:10]

    def is_live(self, bundle: Bundle) -> bool:
        """A task that has not ended is in it, as its files say."""
        return bundle.status in LIVE and bundle.exit is None


def locked_files() -> set[tuple[int, int]]:
    """(device, inode) of each file that has a flock."""
    found = set()
    for line in Path("/proc/locks").read_text().splitlines():
        words = [word for word in line.split() if word != "->"]
        if words[1] == "FLOCK":
            major, minor, inode = words[5].split(":")
            found.add((os.makedev(int(major, 16), int(minor, 16)), int(inode)))
    return found


def is_locked(path: Path, locks: set[tuple[int, int]]) -> bool:
    """Whether anybody has the flock of this file."""
    facts = path.stat()
    return (facts.st_dev, facts.st_ino) in locks


def shims(root: Root) -> dict[int, tuple[str, str]]:
    """Pids of living shims with a bundle of this root: (namespace, id)."""
    found = {}
    for directory in Path("/proc").glob("[0-9]*"):
        try:
            words = (directory / "cmdline").read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        if not words[0].endswith("containerd-shim-ctrd-v2") or "-bundle" not in words:
            continue
        bundle = Path(words[words.index("-bundle") + 1])
        if root.state in bundle.parents:
            found[int(directory.name)] = (bundle.parent.name, bundle.name)
    return found


def cgroups(root: Root) -> list[Path]:
    """Directories of this root's containers, in every hierarchy."""
    return [path for pattern in ("", "*/") for path in CGROUPS.glob(f"{pattern}ctrd-{root.mark}-*")]


def opens(root: Root) -> Iterator[str]:
    """I1: every file of the database is whole, every record can be read."""
    _ = root.store, root.bundles
    yield from root.damage
    yield from root.store.undecodable


def whole(root: Root) -> Iterator[str]:
    """I3, I4: a container is there with all that belongs to it, or not at all, and then its name is free."""
    store = root.store
    for ns, id in store.containers.keys() ^ store.specs:
        yield f"container {ns}/{id} has only one of record and spec"
    for (ns, id), record in store.containers.items():
        if not record.detached and record.owner not in store.owners:
            yield f"container {ns}/{id}: there is no owner {record.owner}"
        snapshot = store.snapshots.get((ns, record.snapshotter, record.snapshot_key))
        if ns not in store.namespaces:
            yield f"container {ns}/{id}: there is no namespace {ns}"
        if not record.snapshot_key:
            continue  # its layer was given up
        if snapshot is None:
            yield f"container {ns}/{id}: there is no snapshot {record.snapshot_key}"
        elif snapshot.number != record.snapshot_number:
            yield f"container {ns}/{id}: its snapshot is {snapshot.number}, not {record.snapshot_number}"
    highest = store.numbers.get("snap", 0)
    for place, snapshot in store.snapshots.items():
        if snapshot.number > highest:
            yield f"snapshot {place}: its number {snapshot.number} is given out again after {highest}"


def references(root: Root) -> Iterator[str]:
    """I5: the reverse keys are what a walk over all records finds."""
    store = root.store
    records, snapshots = store.containers.items(), store.snapshots.items()
    refs = {(ns, one.snapshotter, one.snapshot_key, "c", id) for (ns, id), one in records if one.snapshot_key}
    refs |= {(ns, kind, one.parent, "snap", key) for (ns, kind, key), one in snapshots if one.parent}
    for one in refs ^ store.snapshot_refs:
        yield f"snapshot reference {one} is {'missing' if one in refs else 'left over'}"
    owned = {(ns, record.owner, "c", id) for (ns, id), record in store.containers.items() if record.owner}
    owned |= {(ns, owner, "lease", id) for (ns, id), owner in store.lease_owners.items()}
    for two in owned ^ store.owner_refs:
        yield f"owner reference {two} is {'missing' if two in owned else 'left over'}"
    yield from label_references(store)
    for number, count in Counter(one.number for one in store.snapshots.values()).items():
        if count > 1:
            yield f"directory {number} is that of {count} snapshots"
    for ns, kind, parent, what, key in refs:
        there = store.snapshots.get((ns, kind, parent))
        if what == "snap" and (there is None or there.kind != 3):
            yield f"snapshot {ns}/{kind}/{key} stands upon {parent}, which is not committed"
    holders = Counter((ns, kind, key) for ns, kind, key, what, _ in refs if what == "c")
    for place, count in holders.items():
        if count > 1:
            yield f"snapshot {place} is that of {count} containers"


def label_references(store: Store) -> Iterator[str]:
    """Part of I5: the reverse keys of labels and of leases."""
    forward, back = edges.label_keys(store)
    for what, wanted, found in (("label", forward, store.label_refs), ("back", back, store.back_refs)):
        for one in wanted ^ found:
            yield f"{what} reference {one} is {'missing' if one in wanted else 'left over'}"
    for two in store.held ^ store.lease_refs:
        yield f"lease reference {two} has only one of key and reverse key"
    for ns, id, _ in store.held:
        if (ns, id) not in store.leases:
            yield f"lease {ns}/{id} holds something, and is not there"
    for (ns, id), owner in store.lease_owners.items():
        if owner not in store.owners:
            yield f"lease {ns}/{id}: there is no owner {owner}"


def blobs(root: Root) -> Iterator[str]:
    """I6: each recorded blob is there, of its size and digest; the reverse keys are what the records say."""
    store = root.store
    for ns, digest in store.blobs.keys() ^ store.blob_holders:
        yield f"content {ns}/{digest} has only one of record and reverse key"
    for (ns, digest), size in store.blobs.items():
        path = root.path / "content/blobs" / digest.replace(":", "/")
        if not path.is_file() or path.stat().st_size != size:
            yield f"content {ns}/{digest}: {path} is missing, or has not {size} bytes"
        elif f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}" != digest:
            yield f"content {ns}/{digest}: {path} has other bytes"


def committed(root: Root) -> Iterator[str]:
    """I7: the directory of a committed snapshot is there."""
    for place, snapshot in root.store.snapshots.items():
        if snapshot.kind == 3 and not (root.path / f"snapshots/{snapshot.number}/fs").is_dir():
            yield f"snapshot {place} is committed, and its directory {snapshot.number} is missing"


def leftovers(root: Root) -> Iterator[str]:
    """I8: once settled there is no directory, temporary file or owner that nothing speaks of."""
    if not root.settled:
        return
    store = root.store
    known = {str(snapshot.number) for snapshot in store.snapshots.values()}
    known |= {name for kind, name in store.trash.values() if kind == "snapshot"}
    for path in root.path.glob("snapshots/*"):
        if path.name not in known:
            yield f"{path} belongs to no snapshot"
    instances = {bundle.instance for bundle in root.bundles.values()}
    instances |= {name for kind, name in store.trash.values() if kind == "logs"}
    for path in root.path.glob("logs/[!.]*"):
        if path.name not in instances:
            yield f"{path} belongs to no task"
    for pattern in (".id-*", ".mnt-*", ".probe-*", ".owners/.tmp-*", "[!.]*/.new-*", "[!.]*/.del-*"):
        for path in root.state.glob(pattern):
            yield f"{path} is a leftover"
    yield from dead_owners(root)


def dead_owners(root: Root) -> Iterator[str]:
    """Part of I8: what belonged to a process that is gone is gone."""
    store = root.store
    for (ns, id), record in store.containers.items():
        owner = store.owners.get(record.owner)
        if not record.detached and owner and not owner.alive():
            yield f"container {ns}/{id}: its owner, process {owner.pid}, is gone"
    for (ns, id), number in store.lease_owners.items():
        owner = store.owners.get(number)
        if owner and not owner.alive():
            yield f"lease {ns}/{id}: its owner, process {owner.pid}, is gone"
    for path in root.state.glob(".owners/[!.]*"):
        number = int(path.name)
        if number not in store.owners:
            yield f"{path} belongs to no owner"
        elif not store.owners[number].alive():
            yield f"{path}: process {store.owners[number].pid} is gone"
    for number, owner in store.owners.items():
        if not owner.alive():
            yield f"owner {number}: process {owner.pid} is gone"


def running(root: Root) -> Iterator[str]:
    """I9: what is said to run does: the shim has its claim, shim and init are the very processes."""
    locks = locked_files()
    for (ns, id), bundle in root.bundles.items():
        if not root.is_live(bundle):
            continue
        held = is_locked(bundle.path, locks)
        if not held and not root.settled:
            continue  # a killed shim's: whoever comes next settles it
        if not held or bundle.shim is None or not bundle.shim.alive():
            yield f"task {ns}/{id} is {bundle.status}, and has no shim"
        if bundle.init is None or not bundle.init.alive():
            yield f"task {ns}/{id} is {bundle.status}, and has no process"


def shims_have_records(root: Root) -> Iterator[str]:
    """I10: once settled no shim lives without a record and a bundle."""
    if not root.settled:
        return
    for pid, (ns, id) in shims(root).items():
        if (ns, id) not in root.store.containers or (ns, id) not in root.bundles:
            yield f"shim {pid} of {ns}/{id} has no container"


def _mounts(pid: int | str) -> list[str]:
    try:
        lines = Path(f"/proc/{pid}/mountinfo").read_text().splitlines()
    except OSError:
        return []
    return [line.split()[4].encode().decode("unicode_escape") for line in lines]


def mounts(root: Root) -> Iterator[str]:
    """I11: no mount of ours but in the mount namespace of a shim, for its own container."""
    for place in _mounts("self"):
        if root.path in Path(place).parents or root.state in Path(place).parents:
            yield f"{place} is mounted in the machine's mount namespace"
    for pid, (ns, id) in shims(root).items():
        own = root.state / ns / id
        for place in map(Path, _mounts(pid)):
            if root.state in place.parents and own not in place.parents:
                yield f"shim {pid} of {ns}/{id} has {place} mounted"


def cgroups_have_records(root: Root) -> Iterator[str]:
    """I12, I13: no cgroup without a record, and no process in one whose task has ended."""
    names = {f"ctrd-{root.mark}-{ns}-{id}": (ns, id) for ns, id in root.store.containers}
    for path in cgroups(root):
        if path.name not in names and root.settled:
            yield f"cgroup {path} has no container"
        bundle = root.bundles.get(names.get(path.name, ("", "")))
        if bundle and root.is_live(bundle) or not (path / "cgroup.procs").exists():
            continue
        if pids := (path / "cgroup.procs").read_text().split():
            if root.settled:
                yield f"processes {pids} are in {path}, and no task of it lives"


def bundles_have_records(root: Root) -> Iterator[str]:
    """I14, I18: no socket, FIFO, pid file or runtime state without a record; none of a bundle nobody holds."""
    if not root.settled:
        return
    locks = locked_files()
    for (ns, id), bundle in root.bundles.items():
        if (ns, id) not in root.store.containers:
            yield f"{bundle.path} has no container; in it: {_special_in(bundle.path)}"
        elif bundle.status in ("", "unknown") and not is_locked(bundle.path, locks):
            yield f"{bundle.path} is half made, and nobody makes it"
        for path in (bundle.path / "rt").glob("[!.]*"):
            if path.name != id:
                yield f"{path} is a runtime's state of no container"
    for place in ("/run/crun", "/run/runc"):
        for path in Path(place).glob("*"):
            if any(path.name == id for _, id in root.store.containers):
                yield f"{path}: a runtime's state outside of the bundle"


def _special_in(bundle: Path) -> list[str]:
    """What a shim that is just ending removes meanwhile is left out."""
    found = []
    for folder, _, names in os.walk(bundle):
        for name in names:
            with suppress(FileNotFoundError):
                found += [name] if _is_special(Path(folder, name)) else []
    return found


def _is_special(path: Path) -> bool:
    mode = path.lstat().st_mode
    return stat.S_ISSOCK(mode) or stat.S_ISFIFO(mode) or path.suffix == ".pid"


def events_in_order(root: Root) -> Iterator[str]:
    """I16: of each task create, start, exit and delete in this order, each at most once."""
    yield from journal_reader.out_of_order(root.path / "journal")


def locks_are_free(root: Root) -> Iterator[str]:
    """I17: after a clean close no lock is held, and the marker says clean."""
    if not root.closed:
        return
    locks = locked_files()
    for name in ("gate", "db"):
        path = root.path / "metadata" / name
        if path.exists() and is_locked(path, locks):
            yield f"{path} is locked"
    path = root.path / "metadata/db"
    if path.exists() and (said := path.read_bytes()) and said[:1] != b"C":
        yield f"{path} says {said[:1].decode(errors='replace')!r}: not closed cleanly"


def acknowledgements(root: Root, files: list[Path]) -> Iterator[str]:
    """I2, I3, I15: what was acknowledged is there exactly, what was not is there whole or not at all."""
    for path in files:
        yield from acknowledged.violations(acknowledged.read(path), root.store, root.bundles, str(path))


CHECKS: dict[str, Callable[[Root], Iterator[str]]] = {
    "I3/I4": whole,
    "I5": references,
    "I6": blobs,
    "I7": committed,
    "I8": leftovers,
    "I9": running,
    "I10": shims_have_records,
    "I11": mounts,
    "I12/I13": cgroups_have_records,
    "I14/I18": bundles_have_records,
    "I16": events_in_order,
    "I17": locks_are_free,
}


def violations(
    root: Path, state: Path, *, settled: bool = False, closed: bool = False, acks: list[Path] | None = None
) -> list[str]:
    """Every violation, as "<invariant>: <words>"; [] if all hold."""
    seen = Root(root.resolve(), state.resolve(), settled, closed)
    found = [f"I1: {words}" for words in opens(seen)]
    if seen.unreadable:
        return found
    found += [f"{name}: {words}" for name, check in CHECKS.items() for words in check(seen)]
    return found + [f"I2/I3/I15: {words}" for words in acknowledgements(seen, acks or [])]


def canary(top: Path) -> str:
    """I19: a hash of names, modes, owners, sizes and contents below this directory."""
    total = hashlib.sha256()
    for path in sorted(top.rglob("*")):
        facts = path.lstat()
        total.update(f"{path.relative_to(top)} {facts.st_mode:o} {facts.st_uid} {facts.st_gid}".encode())
        if stat.S_ISREG(facts.st_mode):
            total.update(path.read_bytes())
        elif stat.S_ISLNK(facts.st_mode):
            total.update(str(path.readlink()).encode())
    return total.hexdigest()


def fingerprint(root: Path, state: Path) -> dict[str, object]:
    """I20: what a second recovery must not change: the database's content, and every name on disk."""
    entries = leveldb_reader.read(root / "metadata")
    names = [path for top in (root, state) for path in top.rglob("*") if path.parent.name != "metadata"]
    return {"store": entries, "names": sorted(map(str, names))}


def main() -> int:
    parser = argparse.ArgumentParser(description="Check the invariants of a root that nobody is changing.")
    parser.add_argument("root", type=Path)
    parser.add_argument("state", type=Path)
    parser.add_argument("--settled", action="store_true", help="a process has recovered it since the last crash")
    parser.add_argument("--closed", action="store_true", help="every process has closed it cleanly")
    parser.add_argument("--acks", type=Path, action="append", default=[], help="what a client was told is done")
    args = parser.parse_args()
    found = violations(args.root, args.state, settled=args.settled, closed=args.closed, acks=args.acks)
    print("\n".join(found) if found else "all invariants hold")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
