"""gRPC calls for a test, in a process of its own: grpc has threads that stay, and the leak set looks for those.

Lines of JSON on stdin, {id, method, payload, timeout, stream}, answered in any order by {id, code, details, payload} on
stdout; a stream's messages come as {id, payload} until its end. Payloads are base64 of bytes; codes are gRPC's names.
"""

import base64
import json
import os
import sys
import threading

import grpc

options = {
    "grpc.initial_reconnect_backoff_ms": 50,
    "grpc.min_reconnect_backoff_ms": 50,
    "grpc.max_reconnect_backoff_ms": 50,
}
channel = grpc.insecure_channel(f"unix:{sys.argv[1]}", list(options.items()))
metadata = [("containerd-namespace", sys.argv[2])]
lock = threading.Lock()


def say(**answer: object) -> None:
    with lock:
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def text(payload: bytes) -> str:
    return base64.b64encode(payload).decode()


def call(asked: dict) -> None:
    payload, timeout = base64.b64decode(asked["payload"]), asked["timeout"]
    try:
        if asked["stream"]:
            stream = channel.unary_stream(asked["method"])(payload, metadata=metadata, wait_for_ready=True)
            for message in stream:
                say(id=asked["id"], payload=text(message))
        else:
            answer = channel.unary_unary(asked["method"])(
                payload, metadata=metadata, timeout=timeout, wait_for_ready=True
            )
            say(id=asked["id"], code="OK", details="", payload=text(answer))
    except grpc.RpcError as error:
        say(id=asked["id"], code=error.code().name, details=error.details(), payload="")


for line in sys.stdin:
    threading.Thread(target=call, args=(json.loads(line),), daemon=True).start()
os._exit(0)
