"""The shim by itself, as containerd starts it: Task's version 3 by recorded frames, and nobody who takes its events."""

from __future__ import annotations

import json
import os
import select
import socket
import struct
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from containerd_peer import shim_program
from disk_records import fields
from leveldb_writer import varint
from support import alive, eventually
from ttrpc_peer import frame as ttrpc_frame
from ttrpc_peer import request, text

pytestmark = pytest.mark.root
GOLDEN = Path(__file__).parent / "golden" / "task_v3.txt"
YEAR_1 = b"\x08" + varint(-62135596800 % 2**64)  # a Timestamp


class Shim:
    """Started in a bundle, whose ttrpc address for events leads nowhere."""

    def __init__(self, at: Path, root: Path, runtime: str, program: Path | str = "", **environment: str) -> None:
        self.program = program or shim_program()
        self.bundle = at / "golden"
        self.bundle.mkdir()
        os.mkfifo(self.bundle / "log")
        self.log = os.open(self.bundle / "log", os.O_RDWR | os.O_NONBLOCK)  # containerd's shim ends without it
        self.cgroup = f"/ctrd-golden-{os.getpid()}"
        namespaces = [{"type": type} for type in ("pid", "mount", "ipc", "uts")]
        process = {"args": ["/bin/sleep", "1000"], "cwd": "/", "env": ["PATH=/bin"], "user": {"uid": 0, "gid": 0}}
        spec = {"ociVersion": "1.0.2", "process": process, "root": {"path": str(root)}}
        # Without one of its own the runtime would put devices into the image that all tests share.
        dev = {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"]}
        spec["mounts"] = [{"destination": "/proc", "type": "proc", "source": "proc"}, dev]
        spec["linux"] = {"namespaces": namespaces, "cgroupsPath": self.cgroup}
        (self.bundle / "config.json").write_text(json.dumps(spec))
        self.environment = {"PATH": os.environ["PATH"], "CTRD_RUNTIME": runtime, "SHIM_SOCKET_DIR": str(at / "s")}
        self.environment |= {"TTRPC_ADDRESS": str(at / "nothing/there.ttrpc")} | environment
        address = self.run("start")
        assert address == f"unix://{self.path}".encode()
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.connect(str(self.path))
        self.socket.settimeout(60)
        peer = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        assert struct.unpack("iii", peer)[1:] == (os.geteuid(), os.getegid())

    @property
    def path(self) -> Path:
        return Path((self.bundle / "address").read_text().removeprefix("unix://"))

    def run(self, action: str) -> bytes:
        words = ["-namespace", "golden", "-address", "/c.sock", "-publish-binary", "/bin/false", "-id", "golden"]
        if self.program == shim_program():
            words += ["-idle-ms", "1000000"]
        done = subprocess.run(
            [self.program, *words, action], cwd=self.bundle, env=self.environment, stdin=subprocess.DEVNULL,
            capture_output=True, check=True, timeout=60,
        )  # fmt: skip
        assert done.stderr == b""
        return done.stdout

    def close(self) -> None:
        self.socket.close()
        os.close(self.log)

    def pid(self) -> int:
        """Of the process that serves the bundle; 0: none does."""
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                words = path.read_bytes().split(b"\0")
            except OSError:
                continue
            if str(self.bundle).encode() in words and words[-2:] == [b"serve", b""]:
                return int(path.parent.name)
        return 0

    def answer(self, frame: bytes) -> tuple[int, int, dict[int, list[Any]]]:
        """Stream, code of its status, and the fields of the payload."""
        self.socket.sendall(frame)
        length, stream, type, _ = struct.unpack(">IIBB", self._exactly(10))
        assert type == 2
        message = fields(self._exactly(length))
        status = fields(message.get(1, [b""])[-1])
        return stream, int(status.get(1, [0])[-1]), fields(message.get(2, [b""])[-1])

    def _exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            piece = self.socket.recv(size - len(data))
            assert piece, "the shim has closed the connection"
            data += piece
        return data


@pytest.fixture
def shim(tmp_path: Path, root_directory: Path, runtime: str) -> Iterator[Shim]:
    made = Shim(tmp_path, root_directory, runtime)
    yield made
    made.close()
    made.run("delete")
    eventually(lambda: made.pid() == 0, "nobody talks to it any more: it ends")
    assert not list((tmp_path / "s").glob("*"))
    assert not list(Path("/sys/fs/cgroup").glob(f"*{made.cgroup}"))


def seen(value: Any) -> Any:
    """A field's value as the golden file has it."""
    if isinstance(value, bytes):
        return "year 1" if value == YEAR_1 else value.decode(errors="replace")
    return value


def rows() -> Iterator[tuple[str, bytes, int, dict[str, Any]]]:
    for line in GOLDEN.read_text().splitlines():
        if not line.startswith("#"):
            method, frame, code, answer = line.split(" ", 3)
            yield method, bytes.fromhex(frame), int(code), json.loads(answer)


def test_version_3_by_recorded_frames(shim: Shim) -> None:
    pid = shim.pid()
    for number, (method, frame, code, wanted) in enumerate(rows()):
        stream, got, payload = shim.answer(frame)
        if method == "Checkpoint":  # by what the machine's CRIU and runtime can
            assert got != 0
            continue
        assert (stream, got) == (2 * number + 1, code), (number, method)
        answer = {str(key): seen(values[-1]) for key, values in payload.items()}
        assert answer.keys() == wanted.keys(), (number, method)
        assert {key: "*" if wanted[key] == "*" else answer[key] for key in answer} == wanted, (number, method)
    eventually(lambda: not alive(pid), "it ends, though there is nobody to take its events")


# containerd's own shim is 15 s late then.
@pytest.mark.parametrize("there", ["a file that nobody listens on", "somebody who answers nothing"])
def test_nobody_takes_its_events(tmp_path: Path, root_directory: Path, there: str) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "events"))
        if "answers" in there:
            listener.listen()
        shim = Shim(tmp_path, root_directory, "crun", TTRPC_ADDRESS=str(tmp_path / "events"))
        pid = shim.pid()
        for method, frame, code, _ in rows():
            assert shim.answer(frame)[1] == code or method == "Checkpoint"
        eventually(lambda: not alive(pid), "it ends soon", 10)
    shim.close()
    shim.run("delete")


# containerd 1.6's speaks version 2, of which the messages are the same; it has UNKNOWN for several codes of ours.
def test_containerds_own_shim_answers_the_same(tmp_path: Path, root_directory: Path) -> None:
    theirs = Shim(tmp_path, root_directory, "runc", "containerd-shim-runc-v2", TTRPC_ADDRESS="")
    for number, (method, frame, code, wanted) in enumerate(rows()):
        _, got, payload = theirs.answer(frame.replace(b".v3.Task", b".v2.Task"))
        assert got in ((code, 2) if code not in (0, 5) else (code,)), (number, method)
        version = {"3"} if method == "Connect" else set()
        assert {str(key) for key in payload} == wanted.keys() - version, (number, method)
        for key, values in payload.items():
            assert wanted[str(key)] in ("*", seen(values[-1])), (number, method)
    theirs.close()
    eventually(lambda: not theirs.path.exists(), "it ends")
    Path("/run/containerd/runc/golden").rmdir()


OK, NOT_FOUND, REFUSED = {0}, {5}, {2, 3, 6, 9}  # containerd's shim has UNKNOWN for what ours says more of
JSON = "types.containerd.io/opencontainers/runtime-spec/1/"
PROCESS = json.dumps({"args": ["/bin/sleep", "1000"], "cwd": "/", "user": {"uid": 0, "gid": 0}})
FIELDS = {
    "Exec": text(2, "e") + text(7, text(1, f"{JSON}Process") + text(2, PROCESS)),
    "Update": text(2, text(1, f"{JSON}LinuxResources") + text(2, "{}")),
    "ResizePty": b"\x18\x50\x20\x18",
    "CloseIO": b"\x18\x01",
    "Kill": b"\x18\x00",
    "Kill bad": b"\x18\x63",
    "Kill 9": b"\x18\x09",
    "Delete exec": text(2, "e"),
}
ASKED = "State Pids Stats CloseIO ResizePty Connect Shutdown"
# State, and in each of them what is answered; the last verb of one that is left leads to the next.
STATES: list[tuple[str, dict[str, set[int]]]] = [
    (
        "none",
        dict.fromkeys("State Start Delete Kill Pause Resume Update Exec".split(), NOT_FOUND)
        | dict.fromkeys("Pids Stats CloseIO ResizePty Wait".split(), NOT_FOUND)
        | {"Connect": OK, "Create": OK},
    ),
    (
        "created",
        dict.fromkeys(["Create", "Pause", "Resume", "Kill bad"], REFUSED)
        | dict.fromkeys([*ASKED.split(), "Kill", "Update", "Exec", "Delete exec", "Start"], OK),
    ),
    (
        "running",
        dict.fromkeys(["Create", "Start", "Delete", "Resume", "Kill bad"], REFUSED)
        | dict.fromkeys([*ASKED.split(), "Kill", "Update", "Exec", "Delete exec", "Pause"], OK),
    ),
    (
        "paused",
        dict.fromkeys(["Create", "Start", "Delete", "Pause", "Exec"], REFUSED)
        | dict.fromkeys([*ASKED.split(), "Kill", "Update", "Resume", "Kill 9", "Wait"], OK),
    ),
    (
        "stopped",
        dict.fromkeys(["Create", "Start", "Pause", "Resume", "Update", "Exec"], REFUSED)
        | dict.fromkeys(["Kill", "Kill bad", "Kill 9"], NOT_FOUND)
        | {"Stats": OK | NOT_FOUND}
        | dict.fromkeys(["State", "Pids", "CloseIO", "ResizePty", "Connect", "Shutdown", "Wait", "Delete"], OK),
    ),
    ("deleted", {"State": NOT_FOUND, "Kill": NOT_FOUND, "Wait": NOT_FOUND, "Delete": NOT_FOUND, "Connect": OK}),
]  # fmt: skip


class Asking:
    """Calls of version 2 on one connection, by the words of the tables here."""

    def __init__(self, shim: Shim) -> None:
        self.shim, self.stream = shim, -1
        (create,) = {frame[10:] for method, frame, code, _ in rows() if (method, code) == ("Create", 0)}
        self.create = create.replace(b".v3.Task", b".v2.Task")

    def request(self, words: str, exec: str = "") -> bytes:
        method = words.split()[0]
        of = text(2, exec) if exec and method != "Exec" else b""
        return self.create if method == "Create" else request(method, text(1, "golden") + of + FIELDS.get(words, b""))

    def __call__(self, words: str, exec: str = "") -> tuple[int, dict[int, list[Any]]]:
        """The code and the fields that are answered."""
        self.stream += 2
        stream, code, payload = self.shim.answer(ttrpc_frame(self.request(words, exec), self.stream))
        assert stream == self.stream
        return code, payload

    def check(self, state: str, answers: dict[str, set[int]], exec: str = "") -> None:
        for words, codes in answers.items():
            assert self(words, exec)[0] in codes, (state, words)


def check_states(shim: Shim) -> None:
    """Each method in each state, as shim-protocol.md's table has it."""
    ask = Asking(shim)
    for state, answers in STATES:
        ask.check(state, answers)
    ask("Shutdown")


# The same of an exec. Its state's number, of which Wait waits for the end; 0: it is not there.
EXEC_STATES: list[tuple[str, int, dict[str, set[int]]]] = [
    (
        "none",
        0,
        dict.fromkeys("State Start Kill Delete Wait ResizePty".split(), NOT_FOUND)
        | {"CloseIO": NOT_FOUND | {2}, "Exec": OK},
    ),
    ("added", 1, {"Exec": {6}, "Kill": {9}, "CloseIO": OK, "ResizePty": OK, "Delete": OK}),
    ("deleted early", 0, dict.fromkeys(["State", "Start", "Delete"], NOT_FOUND) | {"Exec": OK, "Start it": OK}),
    (
        "running",
        2,
        dict.fromkeys(["Start", "Delete"], REFUSED)
        | {"Exec": {6}, "ResizePty": OK, "CloseIO": OK, "Kill bad": REFUSED, "Kill": OK, "Kill 9": OK, "Wait": OK},
    ),
    (
        "stopped",
        3,
        {"Exec": {6}, "Start": REFUSED, "Kill": NOT_FOUND, "CloseIO": OK, "ResizePty": OK | REFUSED, "Wait": OK}
        | {"Delete": OK},
    ),
    ("deleted", 0, dict.fromkeys("State Start Kill Delete Wait".split(), NOT_FOUND)),
]  # fmt: skip


def check_exec_states(shim: Shim) -> None:
    """Each method for an exec in each state of it."""
    ask = Asking(shim)
    ask.check("init", {"Create": OK, "Start": OK})
    for state, number, answers in EXEC_STATES:
        if number:
            code, payload = ask("State", "e")
            assert (code, payload[4]) == (0, [number]), state
            assert payload.get(3, [0]) != [0] or number == 1, "its pid"
        with socket.socket(socket.AF_UNIX) as waiting:
            waiting.connect(str(shim.path))
            waiting.sendall(ttrpc_frame(ask.request("Wait", "e")))
            ask("State", "e")
            answered = bool(select.select([waiting], [], [], 0.2)[0])
            assert answered == (number not in (1, 2)), f"{state}: whether Wait returns"
        if state == "running":
            ask.check("paused", {"Pause": OK})
            assert ask("State", "e")[1][4] == [4]
            ask.check("paused", {"Resume": OK})
        ask.check(state, answers, "e")
    ask.check("init", {"Kill 9": OK, "Wait": OK, "Delete": OK, "Shutdown": OK})


CHECKS = pytest.mark.parametrize("check", [check_states, check_exec_states])


@CHECKS
def test_each_method_in_each_state(shim: Shim, check: Callable[[Shim], None]) -> None:
    check(shim)


@CHECKS
def test_each_method_in_each_state_of_containerds_own_shim(
    tmp_path: Path, root_directory: Path, check: Callable[[Shim], None]
) -> None:
    theirs = Shim(tmp_path, root_directory, "runc", "containerd-shim-runc-v2", TTRPC_ADDRESS="")
    check(theirs)
    theirs.close()
    eventually(lambda: not theirs.path.exists(), "it ends")
    Path("/run/containerd/runc/golden").rmdir()


def test_frames_of_4_mib_and_above(shim: Shim) -> None:
    most = 4 << 20
    junk = b"\xff" * most
    assert shim.answer(struct.pack(">IIBB", most, 1, 1, 0) + junk)[:2] == (1, 3)
    assert shim.answer(struct.pack(">IIBB", most + 1, 3, 1, 0) + junk + b"x")[:2] == (3, 8)
    _, connect, _, wanted = next(rows())
    assert shim.answer(struct.pack(">IIBB", len(connect) - 10, 5, 1, 0) + connect[10:])[:2] == (5, 0)
