"""What ctrd writes, read by the numbers of its schema: the store's records and a bundle's files.

Field numbers: cpp/metadata/record.h and cpp/api/bundle.h. Nothing of ctrd is imported.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from leveldb_reader import Bytes, Damaged

STATUS = ("unknown", "created", "running", "stopped", "paused", "pausing")


def fields(data: bytes) -> dict[int, list[Any]]:
    """A protobuf message: number -> values, an int or bytes each."""
    found: dict[int, list[Any]] = {}
    body = Bytes(data)
    while body:
        tag = body.varint()
        wire = tag & 7
        if wire not in (0, 1, 2, 5):
            raise Damaged(f"wire type {wire}")
        value = body.varint() if wire == 0 else body.string() if wire == 2 else body.fixed(8 if wire == 1 else 4)
        found.setdefault(tag >> 3, []).append(value)
    return found


def _number(message: dict[int, list[Any]], key: int) -> int:
    return int(message.get(key, [0])[-1])


def _text(message: dict[int, list[Any]], key: int) -> str:
    return bytes(message.get(key, [b""])[-1]).decode(errors="surrogateescape")


def _map(message: dict[int, list[Any]], key: int) -> dict[str, str]:
    return {_text(entry, 1): _text(entry, 2) for entry in map(fields, message.get(key, []))}


@dataclass(frozen=True)
class Process:
    """A pid that means one process only."""

    pid: int
    start: int
    boot: str

    @classmethod
    def decode(cls, data: bytes) -> Process:
        message = fields(data)
        return cls(_number(message, 1), _number(message, 2), _text(message, 3))

    def alive(self) -> bool:
        """Whether it exists, is this very process, and no zombie."""
        if self.boot != Path("/proc/sys/kernel/random/boot_id").read_text().strip():
            return False
        try:
            rest = Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            return False
        return rest[0] not in "ZX" and int(rest[19]) == self.start


@dataclass(frozen=True)
class Container:
    """<ns>/c/<id>."""

    snapshotter: str
    snapshot_key: str
    snapshot_number: int
    detached: bool
    owner: int
    process: Process
    labels: dict[str, str]
    annotations: dict[str, str]

    @classmethod
    def decode(cls, data: bytes) -> Container:
        message = fields(data)
        process = Process.decode(message.get(11, [b""])[-1])
        return cls(
            _text(message, 6),
            _text(message, 7),
            _number(message, 8),
            _number(message, 9) == 1,
            _number(message, 10),
            process,
            _map(message, 14),
            _map(message, 16),
        )


@dataclass(frozen=True)
class Snapshot:
    """<ns>/snap/<snapshotter>/<key>: kind 1 active, 2 view, 3 committed."""

    number: int
    kind: int
    parent: str
    labels: dict[str, str]

    @classmethod
    def decode(cls, data: bytes) -> Snapshot:
        message = fields(data)
        return cls(_number(message, 1), _number(message, 2), _text(message, 3), _map(message, 7))


@dataclass
class Store:
    """The whole database, by kind; keys are (namespace, name)."""

    containers: dict[tuple[str, str], Container] = field(default_factory=dict)
    specs: set[tuple[str, str]] = field(default_factory=set)
    snapshots: dict[tuple[str, str, str], Snapshot] = field(default_factory=dict)  # ns, snapshotter, key
    snapshot_refs: set[tuple[str, str, str, str, str]] = field(default_factory=set)  # the same, kind, who
    owner_refs: set[tuple[str, int, str, str]] = field(default_factory=set)  # ns, number, "c" or "lease", id
    label_refs: set[tuple[str, Object, Object]] = field(default_factory=set)  # ns, object, who names it
    back_refs: set[tuple[str, Object, Object]] = field(default_factory=set)  # the same of gc.bref
    leases: dict[tuple[str, str], dict[str, str]] = field(default_factory=dict)  # labels
    lease_owners: dict[tuple[str, str], int] = field(default_factory=dict)  # those that have one
    held: set[tuple[str, str, Object]] = field(default_factory=set)  # ns, lease, object
    lease_refs: set[tuple[str, str, Object]] = field(default_factory=set)  # the same, from the reverse keys
    owners: dict[int, Process] = field(default_factory=dict)
    blobs: dict[tuple[str, str], int] = field(default_factory=dict)  # by digest: its size
    blob_labels: dict[tuple[str, str], dict[str, str]] = field(default_factory=dict)
    checkpoint_labels: dict[tuple[str, str], dict[str, str]] = field(default_factory=dict)
    blob_holders: set[tuple[str, str]] = field(default_factory=set)  # ns, digest
    checkpoints: dict[tuple[str, str], int] = field(default_factory=dict)  # numbers
    trash: dict[int, tuple[str, str]] = field(default_factory=dict)  # kind, name
    namespaces: set[str] = field(default_factory=set)
    numbers: dict[str, int] = field(default_factory=dict)
    undecodable: list[str] = field(default_factory=list)


def _unescape(text: str) -> str:
    return text.replace("%2F", "/").replace("%25", "%")


Object = tuple[str, ...]  # ("c", id), ("snap", snapshotter, key), ("blob", digest), ("lease", id) ...


def _object(parts: list[str]) -> Object:
    """Of its path in a key: c/<id>, snap/<snapshotter>/<key>, blob/<digest> ..."""
    if len(parts) != (3 if parts[0] == "snap" else 2):
        raise Damaged(f"no object: {parts}")
    return (*parts[:-1], _unescape(parts[-1]))


def _file_reverse(store: Store, ns: str, parts: list[str]) -> None:
    """A key behind <ns>/ref/."""
    if parts[0] == "owner":
        store.owner_refs.add((ns, int(parts[1], 16), parts[2], _unescape(parts[3])))
        return
    length = 3 if parts[0] == "snap" else 2
    object, how, who = _object(parts[:length]), parts[length], parts[length + 1 :]
    if how == "label":
        store.label_refs.add((ns, object, _object(who)))
    elif how == "lease":
        store.lease_refs.add((ns, _unescape(who[0]), object))
    elif object[0] == "snap" and how in ("c", "snap"):
        store.snapshot_refs.add((ns, object[1], object[2], how, _unescape(who[0])))
    else:
        raise Damaged(f"a reverse key of no known kind: {how}")


def _file_away(store: Store, key: str, value: bytes) -> None:
    parts = key.split("/")
    if key.startswith(".n/"):
        store.numbers[parts[1]] = _number(fields(value), 1)
    elif key.startswith(".trash/"):
        store.trash[int(parts[1], 16)] = (_text(fields(value), 1), _text(fields(value), 2))
    elif key.startswith(".owner/"):
        store.owners[int(parts[1], 16)] = Process.decode(fields(value).get(1, [b""])[-1])
    elif key.startswith(".ns/"):
        store.namespaces.add(parts[1])
    elif key.startswith(".blob/"):
        store.blob_holders.add((parts[2], parts[1]))
    elif key.startswith("."):
        return  # .v, .state, .outbox: no container's
    elif parts[1] == "cp":
        store.checkpoints[parts[0], parts[2]] = _number(fields(value), 2)
        store.checkpoint_labels[parts[0], parts[2]] = _map(fields(value), 10)
    elif parts[1] == "c":
        store.containers[parts[0], parts[2]] = Container.decode(value)
    elif parts[1] == "s":
        if not value or value[0] not in (0, 1):
            raise Damaged("a spec of no known form")
        store.specs.add((parts[0], parts[2]))
    elif parts[1] == "blob":
        store.blobs[parts[0], parts[2]] = _number(fields(value), 1)
        store.blob_labels[parts[0], parts[2]] = _map(fields(value), 4)
    elif parts[1] == "snap":
        store.snapshots[parts[0], parts[2], _unescape(parts[3])] = Snapshot.decode(value)
    elif parts[1] == "lease":
        place = parts[0], _unescape(parts[2])
        store.leases[place] = _map(fields(value), 1)
        if owner := _number(fields(value), 3):
            store.lease_owners[place] = owner
    elif parts[1] == "held":
        store.held.add((parts[0], _unescape(parts[2]), _object(parts[3:])))
    elif parts[1] == "bref":
        length = 3 if parts[2] == "snap" else 2
        store.back_refs.add((parts[0], _object(parts[2 : 2 + length]), _object(parts[2 + length :])))
    elif parts[1] == "ref":
        _file_reverse(store, parts[0], parts[2:])


def decode_store(entries: dict[bytes, bytes]) -> Store:
    """Every key in its place; what is not to be read is noted in `undecodable`."""
    store = Store()
    for key, value in entries.items():
        try:
            _file_away(store, key.decode(), value)
        except (Damaged, ValueError, IndexError) as error:
            store.undecodable.append(f"key {key!r}: {error}")
    return store


@dataclass(frozen=True)
class Bundle:
    """<state>/<ns>/<id>: what is said in its files."""

    path: Path
    instance: str = ""
    status: str = ""  # "": there is no status file yet
    init: Process | None = None
    shim: Process | None = None
    exit: tuple[int, int] | None = None  # status and lost, once it has ended

    @classmethod
    def read(cls, path: Path) -> Bundle:
        """Raises Damaged for a file that is not whole."""
        ended = _versioned(path / "exit")
        code = None if ended is None else (_number(ended, 1), _number(ended, 9))
        said = _versioned(path / "status")
        if said is None:
            return cls(path, exit=code)
        boot = _text(said, 5)
        init = Process(_number(said, 3), _number(said, 4), boot)
        shim = Process(_number(said, 8), _number(said, 9), boot)
        return cls(path, _text(said, 1), STATUS[_number(said, 2)], init, shim, code)


def _versioned(path: Path) -> dict[int, list[Any]] | None:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    if data[:1] != b"\x01":
        raise Damaged(f"{path}: no version 1 file")
    return fields(data[1:])
