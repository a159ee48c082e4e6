"""A peer of a shim that may say anything: ttrpc frames by hand, over a raw socket. Nothing of ctrd is imported."""

from __future__ import annotations

import os
import socket
import struct
from pathlib import Path
from types import TracebackType

from disk_records import fields
from leveldb_writer import varint

MAX_FRAME = 4 << 20
TASK = "containerd.task.v2.Task"
INVALID, UNIMPLEMENTED, EXHAUSTED = 3, 12, 8


def frame(data: bytes, stream: int = 1, type: int = 1, flags: int = 0, length: int | None = None) -> bytes:
    """Header and data; length: what the header claims."""
    return struct.pack(">IIBB", len(data) if length is None else length, stream, type, flags) + data


def text(number: int, value: bytes | str) -> bytes:
    """A length-delimited field."""
    data = value.encode() if isinstance(value, str) else value
    return bytes([number << 3 | 2]) + varint(len(data)) + data


def request(method: str, payload: bytes = b"", service: str = TASK) -> bytes:
    """A Request message."""
    return text(1, service) + text(2, method) + text(3, payload)


class Peer:
    """One connection to the socket in a directory, however long its path is."""

    def __init__(self, bundle: Path, timeout: float = 60.0) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(timeout)
        directory = os.open(bundle, os.O_PATH | os.O_DIRECTORY)
        try:
            self.socket.connect(f"/proc/self/fd/{directory}/sock")
        finally:
            os.close(directory)

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def read(self) -> tuple[int, int, bytes]:
        """The next answer: stream, code of its status (0: ok), payload."""
        length, stream, type, _ = struct.unpack(">IIBB", self._exactly(10))
        assert type == 2, type
        message = fields(self._exactly(length))
        status = fields(message.get(1, [b""])[-1])
        return stream, int(status.get(1, [0])[-1]), bytes(message.get(2, [b""])[-1])

    def _exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            piece = self.socket.recv(size - len(data))
            if not piece:
                raise EOFError
            data += piece
        return data

    def state(self, id: str, stream: int = 1) -> int:
        """What State says of a task's status, as its number."""
        self.send(frame(request("State", text(1, id)), stream))
        answered, code, payload = self.read()
        assert (answered, code) == (stream, 0), (answered, code)
        return int(fields(payload)[4][-1])

    def close(self) -> None:
        self.socket.close()

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()
