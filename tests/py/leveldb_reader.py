"""Read a LevelDB directory without LevelDB: CURRENT, MANIFEST, tables and logs, every checksum checked.

For the invariant checker, which must not trust what it checks. It changes no file and takes no lock, so the database
may not be written meanwhile. An unfinished record at the very end of a log is what a killed writer leaves: no damage.
Anything else that does not fit is.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

BLOCK = 32 << 10
FULL, FIRST, MIDDLE, LAST = 1, 2, 3, 4
MAGIC = 0xDB4775248B80FB57
LOG_NUMBER, PREVIOUS_LOG, DELETED_FILE, NEW_FILE = 2, 9, 6, 7  # tags of a manifest's fields


class Damaged(Exception):
    """The database is not whole; the words say which file, and what of it."""


def _make_table() -> list[int]:
    table = []
    for crc in range(256):
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
        table.append(crc)
    return table


_TABLE = _make_table()


def crc32c(data: bytes) -> int:
    """The CRC-32C of these bytes."""
    crc, table = 0xFFFFFFFF, _TABLE
    for byte in data:
        crc = crc >> 8 ^ table[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def masked_crc(data: bytes) -> int:
    """LevelDB's form of it."""
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


class Bytes:
    """A cursor over bytes."""

    def __init__(self, data: bytes, at: int = 0) -> None:
        self.data, self.at = data, at

    def __bool__(self) -> bool:
        return self.at < len(self.data)

    def fixed(self, size: int) -> int:
        return int.from_bytes(self.take(size), "little")

    def take(self, size: int) -> bytes:
        if self.at + size > len(self.data):
            raise Damaged("it ends in the middle of something")
        self.at += size
        return self.data[self.at - size : self.at]

    def varint(self) -> int:
        value = shift = 0
        while True:
            byte = self.fixed(1)
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    def string(self) -> bytes:
        return self.take(self.varint())


def log_records(data: bytes) -> Iterator[bytes]:
    """The records of a log or a manifest; an unfinished one at the end is left out."""
    record: bytes | None = None  # empty too: a beginning may have no byte, where just its header fits a block's end
    at = 0
    while at + 7 <= len(data):
        left = BLOCK - at % BLOCK
        if left < 7:
            at += left
            continue
        size, kind = int.from_bytes(data[at + 4 : at + 6], "little"), data[at + 6]
        end = at + 7 + size
        if kind == size == 0 and not any(data[at : at + left]):
            at += left  # a block that was allocated and not written
            continue
        if size + 7 > left or kind not in (FULL, FIRST, MIDDLE, LAST):
            raise Damaged(f"no record at byte {at}")
        if end > len(data):
            return
        if int.from_bytes(data[at : at + 4], "little") != masked_crc(data[at + 6 : end]):
            raise Damaged(f"wrong checksum at byte {at}")
        if (kind in (MIDDLE, LAST)) != (record is not None):
            raise Damaged(f"a piece of a record at byte {at} that does not follow its beginning")
        record = (record or b"") + data[at + 7 : end]
        at = end
        if kind in (FULL, LAST):
            yield record
            record = None


def _block(data: bytes, offset: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    """The entries of one block of a table."""
    trailer = Bytes(data, offset + size)
    kind, crc = trailer.fixed(1), trailer.fixed(4)
    if kind != 0:
        raise Damaged("a compressed block: ctrd writes none")
    if crc != masked_crc(data[offset : offset + size + 1]):
        raise Damaged(f"wrong checksum of the block at byte {offset}")
    body = data[offset : offset + size]
    entries = Bytes(body[: size - 4 - 4 * int.from_bytes(body[-4:], "little")])
    key = b""
    while entries:
        shared, own, length = entries.varint(), entries.varint(), entries.varint()
        key = key[:shared] + entries.take(own)
        yield key, entries.take(length)


def _table(data: bytes) -> Iterator[tuple[bytes, int, int, bytes]]:
    """The entries of a table: key, sequence number, kind (1 put, 0 delete), value."""
    if int.from_bytes(data[-8:], "little") != MAGIC:
        raise Damaged("no table: wrong magic number")
    footer = Bytes(data, len(data) - 48)
    footer.varint(), footer.varint()  # the metaindex
    for _, handle in _block(data, footer.varint(), footer.varint()):
        where = Bytes(handle)
        for key, value in _block(data, where.varint(), where.varint()):
            tail = int.from_bytes(key[-8:], "little")
            yield key[:-8], tail >> 8, tail & 0xFF, value


def _batch(record: bytes) -> Iterator[tuple[bytes, int, int, bytes]]:
    """The changes of one write, as _table gives them."""
    body = Bytes(record)
    sequence, count = body.fixed(8), body.fixed(4)
    for number in range(sequence, sequence + count):
        kind = body.fixed(1)
        yield body.string(), number, kind, body.string() if kind else b""
    if body:
        raise Damaged("a batch is longer than it says")


def _live_files(manifest: bytes) -> tuple[dict[int, int], int, int]:
    """Tables (number -> size), the oldest log that counts, and the one before it."""
    tables: dict[int, int] = {}
    log = previous = 0
    for record in log_records(manifest):
        edit = Bytes(record)
        while edit:
            tag = edit.varint()
            if tag == LOG_NUMBER:
                log = edit.varint()
            elif tag == PREVIOUS_LOG:
                previous = edit.varint()
            elif tag == DELETED_FILE:
                edit.varint()
                tables.pop(edit.varint(), None)
            elif tag == NEW_FILE:
                edit.varint()
                number = edit.varint()
                tables[number] = edit.varint()
                edit.string(), edit.string()
            elif tag == 1:
                edit.string()
            elif tag in (3, 4):
                edit.varint()
            elif tag == 5:
                edit.varint(), edit.string()
            else:
                raise Damaged(f"unknown tag {tag}")
    return tables, log, previous


def _changes(directory: Path) -> Iterator[tuple[Path, Iterator[tuple[bytes, int, int, bytes]]]]:
    current = directory / "CURRENT"
    name = current.read_text()
    if not name.startswith("MANIFEST-") or not name.endswith("\n"):
        raise Damaged(f"{current}: {name!r} names no manifest")
    manifest = directory / name.strip()
    try:
        tables, log, previous = _live_files(manifest.read_bytes())
    except Damaged as error:
        raise Damaged(f"{manifest}: {error}") from None
    for number, size in tables.items():
        path = next((p for p in (directory / f"{number:06}.ldb", directory / f"{number:06}.sst") if p.exists()), None)
        if path is None or path.stat().st_size != size:
            raise Damaged(f"{directory}: table {number:06} is missing, or has not its {size} bytes")
        yield path, _table(path.read_bytes())
    for path in sorted(directory.glob("*.log")):
        if int(path.stem) >= log or int(path.stem) == previous:
            yield path, (change for record in log_records(path.read_bytes()) for change in _batch(record))


def read(directory: Path) -> dict[bytes, bytes]:
    """All keys and values; {} if there is no database yet.

    Raises:
        Damaged: It would not open, or not with all that it holds.
    """
    if not (directory / "CURRENT").exists():
        if any(directory.glob("MANIFEST-*")):
            raise Damaged(f"{directory}: there is no CURRENT")
        return {}
    newest: dict[bytes, tuple[int, int, bytes]] = {}
    for path, changes in _changes(directory):
        try:
            for key, sequence, kind, value in changes:
                if key not in newest or newest[key][0] < sequence:
                    newest[key] = (sequence, kind, value)
        except Damaged as error:
            raise Damaged(f"{path}: {error}") from None
    return {key: value for key, (_, kind, value) in sorted(newest.items()) if kind}
