"""A client of containerd's gRPC API, of which grpc is in another process."""

from __future__ import annotations

import base64
import json
import os
import select
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from containerd_messages import message, parsed

TASKS, CONTAINERS, EVENTS = (
    f"containerd.services.{name}.v1.{name.capitalize()}" for name in ("tasks", "containers", "events")
)
PATIENCE = 60.0
# Method of Tasks: the names of its request and its response.
_TASK_CALLS = {
    "Create": ("CreateTaskRequest", "CreateTaskResponse"),
    "Start": ("StartRequest", "StartResponse"),
    "Delete": ("DeleteTaskRequest", "DeleteResponse"),
    "DeleteProcess": ("DeleteProcessRequest", "DeleteResponse"),
    "Get": ("GetRequest", "GetResponse"),
    "List": ("ListTasksRequest", "ListTasksResponse"),
    "Kill": ("KillRequest", ""),
    "Exec": ("ExecProcessRequest", ""),
    "ResizePty": ("ResizePtyRequest", ""),
    "CloseIO": ("CloseIORequest", ""),
    "Pause": ("PauseTaskRequest", ""),
    "Resume": ("ResumeTaskRequest", ""),
    "ListPids": ("ListPidsRequest", "ListPidsResponse"),
    "Checkpoint": ("CheckpointTaskRequest", "CheckpointTaskResponse"),
    "Update": ("UpdateTaskRequest", ""),
    "Metrics": ("MetricsRequest", "MetricsResponse"),
    "Wait": ("WaitRequest", "WaitResponse"),
}


class RpcError(Exception):
    """What containerd answered instead."""

    def __init__(self, code: str, details: str) -> None:
        super().__init__(f"{code}: {details}")
        self.code, self.details = code, details


class Api:
    """Calls in one namespace; send and result are the halves of call, so that many can be under way."""

    def __init__(self, socket: Path, namespace: str) -> None:
        self._child = subprocess.Popen(
            [sys.executable, str(Path(__file__).parent / "grpc_child.py"), str(socket), namespace],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self._answers: dict[int, dict[str, str]] = {}
        self._responses: dict[int, str] = {}
        self._buffer = b""
        self._stream = self._last = self._marks = 0
        self._events: list[Any] = []

    def close(self) -> None:
        self._child.stdin.close()  # type: ignore[union-attr]
        self._child.wait()
        self._child.stdout.close()  # type: ignore[union-attr]

    def send(self, method: str, request: str, response: str, *, stream: bool = False, **fields: object) -> int:
        self._last += 1
        payload = message(request)(**fields).SerializeToString()
        self._responses[self._last] = response
        self._say(id=self._last, method=f"/{method}", payload=base64.b64encode(payload).decode(), stream=stream)
        return self._last

    def result(self, call: int) -> Any:
        while call not in self._answers:
            self._read(PATIENCE)
        answer = self._answers.pop(call)
        if answer["code"] != "OK":
            raise RpcError(answer["code"], answer["details"])
        return message(self._responses.pop(call)).FromString(base64.b64decode(answer["payload"]))

    def send_task(self, method: str, **fields: object) -> int:
        service = TASKS.rpartition(".")[0]
        request, response = _TASK_CALLS[method]
        full = f"{service}.{response}" if response else "google.protobuf.Empty"
        return self.send(f"{TASKS}/{method}", f"{service}.{request}", full, **fields)

    def task(self, method: str, **fields: object) -> Any:
        """A call of the tasks' service."""
        return self.result(self.send_task(method, **fields))

    def container(self, method: str, **fields: object) -> Any:
        """A call of the containers' service: Create, Delete."""
        service = CONTAINERS.rpartition(".")[0]
        response = f"{service}.{method}ContainerResponse" if method == "Create" else "google.protobuf.Empty"
        return self.result(
            self.send(f"{CONTAINERS}/{method}", f"{service}.{method}ContainerRequest", response, **fields)
        )

    def subscribe(self) -> None:
        """From now on events() knows those of this namespace's tasks; those of before it forgets."""
        service = EVENTS.rpartition(".")[0]
        if self._stream in self._answers:  # it has ended with the containerd before
            del self._answers[self._stream]
            self._stream = 0
        if not self._stream:
            subscribe = f"{EVENTS}/Subscribe", f"{service}.SubscribeRequest", f"{service}.Envelope"
            self._stream = self.send(*subscribe, stream=True)
        self._marks += 1
        mark = f"/tests/mark{self._marks}"
        some = message("google.protobuf.Any")(type_url="google.protobuf.Empty")
        while mark not in [one.topic for one in self._events]:  # containerd does not say when it listens
            assert self._stream not in self._answers, self._answers[self._stream]
            publish = f"{EVENTS}/Publish", f"{service}.PublishRequest", "google.protobuf.Empty"
            self.result(self.send(*publish, topic=mark, event=some))
            self._read(0)
        self._events = []

    def events(self, id: str) -> list[tuple[str, Any]]:
        """Topic and message of what has come of a task."""
        while self._read(0):
            pass
        told = ((one.topic, parsed(one.event)) for one in self._events if one.topic.startswith("/tasks/"))
        return [(topic, event) for topic, event in told if event.container_id == id]

    def _say(self, **words: object) -> None:
        data = json.dumps({"timeout": PATIENCE, **words}) + "\n"
        os.write(self._child.stdin.fileno(), data.encode())  # type: ignore[union-attr]

    def _read(self, timeout: float) -> bool:
        """Take what has come, waiting for it so long; False: nothing has."""
        out = self._child.stdout.fileno()  # type: ignore[union-attr]
        deadline = time.monotonic() + timeout
        ready = select.select([out], [], [], timeout)[0]
        if not ready:
            assert timeout == 0, f"no answer in {time.monotonic() - deadline + timeout:.0f} s"
            return False
        piece = os.read(out, 1 << 20)
        assert piece, "the process with grpc has ended"
        *lines, self._buffer = (self._buffer + piece).split(b"\n")
        for line in lines:
            self._take(json.loads(line))
        return True

    def _take(self, answer: dict[str, Any]) -> None:
        if "code" in answer:
            self._answers[answer["id"]] = answer
        else:
            envelope = message(f"{EVENTS.rpartition('.')[0]}.Envelope")
            self._events.append(envelope.FromString(base64.b64decode(answer["payload"])))
