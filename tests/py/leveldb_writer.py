"""Append one batch to a LevelDB's newest log: for tests that damage a root by hand. Not for a database in use."""

from __future__ import annotations

from pathlib import Path

import leveldb_reader


def varint(value: int) -> bytes:
    """As LevelDB and protobuf have it."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _string(data: bytes) -> bytes:
    return varint(len(data)) + data


def _last_sequence(directory: Path) -> int:
    return max((n for _, all in leveldb_reader._changes(directory) for _, n, _, _ in all), default=0)


def change(directory: Path, changes: dict[bytes, bytes | None]) -> None:
    """Put these values; None removes the key."""
    body = (_last_sequence(directory) + 1).to_bytes(8, "little") + len(changes).to_bytes(4, "little")
    for key, value in changes.items():
        body += b"\1" + _string(key) + _string(value) if value is not None else b"\0" + _string(key)
    log = max(directory.glob("*.log"))
    data = log.read_bytes()
    left = leveldb_reader.BLOCK - len(data) % leveldb_reader.BLOCK
    if left < len(body) + 7:
        raise AssertionError("too near to the end of a block for this simple writer")
    typed = bytes([leveldb_reader.FULL]) + body
    head = leveldb_reader.masked_crc(typed).to_bytes(4, "little") + len(body).to_bytes(2, "little")
    log.write_bytes(data + head + typed)
