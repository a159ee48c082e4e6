"""Events: in order, once each, for any process, and none lost whoever is killed."""

from __future__ import annotations

import fcntl
import os
import pickle
import random
import select
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import ctrd
import pytest
from support import eventually, python, python_says
from test_interrupt import ctrl_c, interrupt

pytestmark = pytest.mark.root
__all__ = ["ctrl_c"]  # a fixture: SIGINT has its handler

LIFE = ["/tasks/create", "/tasks/start", "/tasks/exit", "/tasks/delete"]


def all_of(engine: ctrd.Engine, *filters: str, since: int = 0) -> list[ctrd.Event]:
    return list(engine.events(*filters, since=since, follow=False))


def topics(events: list[ctrd.Event], id: str) -> list[str]:
    """What happened to this container and its task."""
    return [e.topic for e in events if id in (e.data.get("id"), e.data.get("container_id"))]


def tasks(events: list[ctrd.Event], id: str) -> list[str]:
    return [topic for topic in topics(events, id) if topic.startswith("/tasks/")]


def check_order(events: list[ctrd.Event]) -> None:
    """I16: create < start < exit < delete for each object, each at most once in a life."""
    seqs = [event.seq for event in events]
    assert seqs == sorted(set(seqs))
    step = {"/containers/create": 0, "/containers/delete": 1} | {topic: i for i, topic in enumerate(LIFE)}
    last: dict[tuple[str, str], int] = {}
    for event in events:
        if event.topic not in step:
            continue
        kind = event.topic.split("/")[1]
        key = (kind, event.data.get("container_id", "") or event.data["id"])
        before = last.get(key, -1)
        assert step[event.topic] > before or step[event.topic] == 0, (key, event)
        last[key] = -1 if event.topic.endswith("delete") else step[event.topic]


def test_a_life_in_order(engine: ctrd.Engine, rootfs: ctrd.Rootfs, runtime: str) -> None:
    began = datetime.now(UTC)
    with engine.events() as events, engine.start(rootfs, "sleep", "1000", id="x", runtime=runtime) as c:
        pid = engine.containers.get("x").info().pid
        c.update(labels={"a": "b"})
        c.kill()
        assert c.wait(timeout=30) == 137
        c.delete()
        seen = [events.next(timeout=30) for _ in range(9)]
    assert [event.topic for event in seen] == [
        "/snapshot/prepare",
        "/containers/create",
        "/tasks/create",
        "/tasks/start",
        "/containers/update",
        "/tasks/exit",
        "/tasks/delete",
        "/containers/delete",
        "/snapshot/remove",
    ]
    assert {event.namespace for event in seen} == {"default"}
    prepare, create, task, start, update, exit, delete, gone, _ = seen
    assert prepare.data == {"key": "x", "parent": "", "snapshotter": "overlay"}
    assert create.data["id"] == "x" and create.data["runtime"]["name"] == "io.containerd.ctrd.v2"
    assert task.data["container_id"] == "x" and task.data["pid"] == pid
    assert task.data["bundle"] == str(engine.state / "default/x")
    assert task.data["rootfs"][0]["type"] == "overlay" and task.data["io"]["stdout"] == "log:"
    assert start.data == {"container_id": "x", "pid": pid}
    assert update.data["labels"] == {"a": "b"} and update.data["snapshot_key"] == "x"
    exited = exit.data["exited_at"]
    assert exit.data == {"container_id": "x", "id": "x", "pid": pid, "exit_status": 137, "exited_at": exited}
    assert began - timedelta(seconds=1) <= exited <= exit.time <= delete.time <= datetime.now(UTC)
    assert delete.data == {"container_id": "x", "id": "", "pid": pid, "exit_status": 137, "exited_at": exited}
    assert gone.data == {"id": "x"}
    check_order(seen)


def test_runs_that_are_over_at_once(engine: ctrd.Engine, rootfs: ctrd.Rootfs, runtime: str) -> None:
    with engine.events() as events:
        results = [engine.run(rootfs, shell=f"exit {n}", runtime=runtime) for n in range(5)]
        for n, result in enumerate(results):
            assert events.wait_for("/tasks/exit", timeout=30, container_id=result.container_id).data["exit_status"] == n
    seen = all_of(engine)
    check_order(seen)
    for result in results:
        assert tasks(seen, result.container_id) == LIFE


def test_what_fails_tells_nothing(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    with engine.containers.create(rootfs, "/nosuch", id="x") as c:
        with pytest.raises(ctrd.PathNotFound):
            c.start()
        with pytest.raises(ctrd.AlreadyExists):
            engine.containers.create(rootfs, "true", id="x")
        assert topics(all_of(engine), "x") == ["/containers/create"]


READER = """
import sys, time, ctrd
events = ctrd.default_engine().events()
print("ready", flush=True)
for event in events:
    print(event.seq, event.topic, time.time() - event.time.timestamp(), flush=True)
    if event.topic == "/containers/delete":
        break
"""


def test_another_process_reads_along(engine: ctrd.Engine, rootfs: ctrd.Rootfs, runtime: str) -> None:
    with python(engine, READER) as reader:
        assert reader.stdout and reader.stderr
        assert reader.stdout.readline() == "ready\n", reader.stderr.read()
        engine.start(rootfs, "true", id="x", runtime=runtime).delete(force=True)
        lines = [line.split() for line in reader.communicate(timeout=60)[0].splitlines()]
    mine = [event for event in all_of(engine) if event.seq <= int(lines[-1][0])]
    assert [(int(seq), topic) for seq, topic, _ in lines] == [(event.seq, event.topic) for event in mine]
    late = sorted(float(one[2]) for one in lines)
    print(f"seen after {late[len(late) // 2] * 1000:.1f} ms, at most {late[-1] * 1000:.1f} ms")
    assert late[-1] < 5.0


def test_reconnecting_misses_none(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    code = """
import ctrd, sys
c = ctrd.default_engine().containers["x"]
for n in range(300):
    c.update(labels={"n": str(n)})
"""
    engine.containers.create(rootfs, "true", id="x")
    since = all_of(engine)[-1].seq
    seen: list[ctrd.Event] = []
    with python(engine, code) as writer:
        while len(seen) < 300:
            with engine.events("topic==/containers/update", since=seen[-1].seq if seen else since) as events:
                seen += [events.next(timeout=30) for _ in range(min(random.randrange(1, 20), 300 - len(seen)))]
        assert writer.wait(timeout=60) == 0
    assert [event.data["labels"]["n"] for event in seen] == [str(n) for n in range(300)]
    assert all_of(engine, "topic==/containers/update", since=since) == seen


def test_where_to_begin(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    engine.containers.create(rootfs, "true", id="one")
    time.sleep(0.002)
    between = datetime.now(UTC)
    engine.containers.create(rootfs, "true", id="two")
    seen = all_of(engine)
    assert len(seen) == 4
    assert all_of(engine, since=seen[1].seq) == seen[2:]
    assert all_of(engine, since=seen[-1].seq) == []
    assert list(engine.events(follow=False)) == seen
    assert list(engine.events(since=between, follow=False)) == seen[2:]
    with engine.events(since=0) as events:
        assert [events.next() for _ in range(4)] == seen
    with pytest.raises(ctrd.NotFound, match="ends at"):
        engine.events(since=10**9)
    for bad in (-1, 2**64, datetime(2020, 1, 1)):
        with pytest.raises(ctrd.InvalidArgument, match="since"):
            engine.events(since=bad)
    for wrong in (1.5, "1", True):
        with pytest.raises(TypeError):
            engine.events(since=wrong)  # type: ignore[arg-type]


def test_namespaces(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    engine.containers.create(rootfs, "true", id="x")
    engine.with_namespace("ci").containers.create(rootfs, "true", id="x")
    assert [event.namespace for event in all_of(engine)] == ["default", "default", "ci", "ci"]
    assert {event.namespace for event in all_of(engine, "namespace==ci")} == {"ci"}


FILTERS = {
    "topic==/containers/create": {"/containers/create"},
    'topic=="/containers/create"': {"/containers/create"},
    "topic~=^/containers/": {"/containers/create", "/containers/update"},
    "topic~=/.*e$": {"/containers/create", "/containers/update", "/snapshot/prepare"},
    "topic~=^/[a-z]+/(create|remove)$": {"/containers/create"},
    "topic~=|/create|": {"/containers/create"},
    "topic!=/containers/create": {"/containers/update", "/snapshot/prepare"},
    "topic==/containers/create,event.id==x": {"/containers/create"},
    "topic==/containers/create,event.id==y": set(),
    "event.key": {"/snapshot/prepare"},
    "event.runtime.name==io.containerd.ctrd.v2": {"/containers/create"},
    'event.labels."a.b/c"==d': {"/containers/update"},
    "": {"/containers/create", "/containers/update", "/snapshot/prepare"},
}


def test_filters(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    engine.containers.create(rootfs, "true", id="x").update(labels={"a.b/c": "d"})
    for text, expected in FILTERS.items():
        assert {event.topic for event in all_of(engine, text)} == expected, text
    both = all_of(engine, "topic==/containers/create", "topic==/containers/update")
    assert [event.topic for event in both] == ["/containers/create", "/containers/update"]
    for bad in (
        "topic=",
        "foo==1",
        "event==1",
        "topic==",
        "topic==a,",
        "topic==a b",
        'topic=="a',
        ",",
        "topic.x==1",
        "topic~=[",
    ):
        with pytest.raises(ctrd.InvalidArgument, match="filter"):
            engine.events(bad)
    with pytest.raises(TypeError):
        engine.events(3)  # type: ignore[arg-type]


def test_a_stream(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    events = engine.events()
    with pytest.raises(ctrd.Timeout):
        events.next(timeout=0)
    with pytest.raises(ctrd.Timeout):
        events.next(timeout=0.05)
    engine.containers.create(rootfs, "true", id="x")
    assert next(events).topic == "/snapshot/prepare"
    with pytest.raises(ctrd.Timeout):
        events.wait_for("/containers/create", timeout=0.05, id="y")
    with pytest.raises(TypeError):
        events.wait_for("/tasks/exit", exit_status=1.5)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="pickle"):
        pickle.dumps(events)
    events.close()
    events.close()
    assert list(events) == []
    for refused in (events.next, events.fileno):
        with pytest.raises(ctrd.FailedPrecondition, match="closed"):
            refused()
    ended = engine.events(follow=False)
    event = [ended.next() for _ in range(2)][-1]
    assert pickle.loads(pickle.dumps(event)) == event
    with pytest.raises(ctrd.NotFound, match="no more"):
        ended.next()
    with pytest.raises(ctrd.FailedPrecondition, match="follow"):
        ended.fileno()


def test_waiting_for_what_the_end_of_a_task_rules_out(engine: ctrd.Engine, rootfs: ctrd.Rootfs, runtime: str) -> None:
    """An ExitError at once, with the exit status; what may still come is waited for."""
    with engine.events() as events, engine.containers.create(rootfs, shell="exit 3", id="x", runtime=runtime) as c:
        with engine.start(rootfs, "true", id="y", runtime=runtime) as other:
            other.wait(timeout=30)
        c.start()
        for topic, match in (
            ("/tasks/paused", {}),
            ("/tasks/oom", {}),
            ("/tasks/exec-added", {"exec_id": "e"}),
            ("/tasks/exit", {"id": "e"}),
            ("/tasks/exit", {"exit_status": 0}),
        ):
            with engine.events(since=0) as again, pytest.raises(ctrd.ExitError) as caught:
                again.wait_for(topic, timeout=30, container_id="x", **match)  # type: ignore[arg-type]
            assert caught.value.returncode == 3 and caught.value.result.container_id == "x"
            assert topic in caught.value.message and isinstance(caught.value, subprocess.CalledProcessError)
        assert events.wait_for("/tasks/exit", timeout=30, container_id="x").data["exit_status"] == 3
        c.start()  # the ended task goes, the next one comes
        for topic in ("/tasks/delete", "/tasks/create", "/tasks/start"):
            assert events.wait_for(topic, timeout=30, container_id="x").topic == topic
        with pytest.raises(ctrd.ExitError):
            events.wait_for("/tasks/oom", timeout=30, container_id="x")
        with pytest.raises(ctrd.Timeout):  # of no container: others may follow
            events.wait_for("/tasks/oom", timeout=0.05)


def test_an_execs_end_is_not_the_tasks(engine: ctrd.Engine, rootfs: ctrd.Rootfs, runtime: str) -> None:
    with engine.events() as events, engine.start(rootfs, "sleep", "1000", id="x", runtime=runtime) as c:
        assert c.run("sh", "-c", "exit 5").returncode == 5
        c.pause()
        assert events.wait_for("/tasks/paused", timeout=30, container_id="x").data == {"container_id": "x"}
        c.resume()
    seen = all_of(engine)
    assert [e.data["exit_status"] for e in seen if e.topic == "/tasks/exit"] == [5, 137]


# What happens to the objects of one process, and the order that S12 asks for; others do as much at the same time.
BUSY = """
import ctrd, sys
name, engine, image = sys.argv[2], ctrd.default_engine().with_namespace(sys.argv[2]), ctrd.Rootfs(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
for n in range(int(sys.argv[3])):
    engine.namespaces.create(name)
    engine.namespaces.update(name, labels={"n": str(n)})
    c = engine.containers.create(image, "true", id=f"{name}-{n}", lifetime="detached")
    c.update(labels={"n": str(n)})
    blob = engine.content.ingest(f"{name}{n}".encode()).digest
    engine.content.update(blob, labels={"n": str(n)})
    c.delete()
    engine.content.delete(blob)
    engine.namespaces.delete(name)
"""
ROUND = [
    "/namespaces/create",
    "/namespaces/update",
    "/snapshot/prepare",
    "/containers/create",
    "/containers/update",
    "/content/create",
    "/containers/delete",
    "/snapshot/remove",
    "/content/delete",
    "/namespaces/delete",
]


def test_the_order_of_each_object_across_processes(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    """S12: after the transaction, once, in the order in which they were done, whoever did it and whoever reads."""
    rounds, names = 12, ["a", "b", "c", "d"]
    with engine.events() as events:
        writers = [python(engine, BUSY, str(rootfs.path), name, str(rounds)) for name in names]
        for writer in writers:
            assert writer.stdout and writer.stdin and writer.stdout.readline() == "ready\n"
        for writer in writers:
            assert writer.stdin
            writer.stdin.write("\n")
            writer.stdin.flush()
        seen = [events.next(timeout=60) for _ in range(len(names) * rounds * len(ROUND))]
        for writer in writers:
            _, err = writer.communicate(timeout=60)
            assert writer.returncode == 0, err
        with pytest.raises(ctrd.Timeout):
            events.next(timeout=0)
    check_order(seen)
    for name in names:
        mine = [event for event in seen if event.namespace == name]
        assert [event.topic for event in mine] == ROUND * rounds
        for n in range(rounds):
            _, update, _, create, change, made, gone, _, _, _ = mine[n * len(ROUND) : (n + 1) * len(ROUND)]
            assert update.data == {"name": name, "labels": {"n": str(n)}}
            assert {create.data["id"], change.data["id"], gone.data["id"]} == {f"{name}-{n}"}
            assert change.data["labels"] == {"n": str(n)} and made.data["size"] == len(f"{name}{n}")
    times = [event.time for event in seen]
    assert max(b - a for a, b in zip(times[1:], times[:-1], strict=True)) < timedelta(seconds=5)
    assert python_says(engine, "import ctrd; print(*(e.seq for e in ctrd.default_engine().events(follow=False)))") == (
        " ".join(str(event.seq) for event in seen) + "\n"
    )


def test_a_descriptor_for_event_loops(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    def ready(stream: ctrd.EventStream, seconds: float) -> bool:
        return bool(select.select([stream], [], [], seconds)[0])

    engine.containers.create(rootfs, "true", id="x")
    with engine.events(since=0) as one, engine.events() as two:
        for n in range(2):
            assert ready(one, 5), n  # one event a turn is enough
            one.next(timeout=0)
        for stream in (one, two):
            with pytest.raises(ctrd.Timeout):
                stream.next(timeout=0)
            assert not ready(stream, 0)
        engine.containers.delete("x")
        for stream in (one, two):
            for topic in ("/containers/delete", "/snapshot/remove"):
                assert ready(stream, 30)
                assert stream.next(timeout=0).topic == topic


def test_closing_ends_what_waits(engine: ctrd.Engine, tmp_path: Path) -> None:
    errors: list[Exception] = []

    def wait(stream: ctrd.EventStream) -> None:
        try:
            stream.next(timeout=60)
        except ctrd.Error as error:
            errors.append(error)

    other = ctrd.Engine(engine.root, state=engine.state)
    streams = [engine.events(), other.events()]
    threads = [threading.Thread(target=wait, args=(stream,)) for stream in streams]
    for thread in threads:
        thread.start()
    time.sleep(0.05)
    streams[0].close()
    other.close()
    for thread in threads:
        thread.join(timeout=30)
    assert [type(error) for error in errors] == [ctrd.FailedPrecondition] * 2
    with pytest.raises(ctrd.FailedPrecondition, match="closed"):
        other.events()


def test_interrupted(engine: ctrd.Engine) -> None:
    with engine.events() as events:
        interrupt(0.2, events.next)
        interrupt(0.2, lambda: events.wait_for("/tasks/exit", timeout=1000))


def test_a_forked_child_is_refused(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    with engine.events() as events:
        engine.containers.create(rootfs, "true", id="x")
        pid = os.fork()
        if pid == 0:
            refused = 0
            for call in (lambda: events.next(timeout=0), events.fileno):
                try:
                    call()
                except ctrd.ForkedEngine:
                    refused += 1
            os._exit(refused)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 2
        assert events.next(timeout=30).topic == "/snapshot/prepare"


def shim_of(engine: ctrd.Engine, id: str) -> int:
    """Its pid: the one process that was started for this bundle."""
    bundle = str(engine.state / engine.namespace / id)
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().decode().split("\0")
        except OSError:
            continue
        if bundle in words and "serve" in words:
            return int(path.parent.name)
    raise AssertionError(f"no shim of {id}")


def test_a_killed_shims_exit_is_told_once(engine: ctrd.Engine, rootfs: ctrd.Rootfs, runtime: str) -> None:
    with engine.start(rootfs, "sleep", "1000", id="x", runtime=runtime) as c:
        os.kill(shim_of(engine, "x"), signal.SIGKILL)
        assert c.wait(timeout=30).lost == "shim"
        assert (
            python_says(engine, "import ctrd; e = ctrd.default_engine(); print(e.containers['x'].status())")
            == "stopped\n"
        )
        seen = all_of(engine)
        assert tasks(seen, "x") == LIFE[:3]
        exit = seen[-1]
        assert exit.data["exit_status"] == 137 and exit.data["pid"] > 0
    seen = all_of(engine)
    assert tasks(seen, "x") == LIFE
    check_order(seen)


def test_shims_killed_at_any_moment(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    """A task whose creation was told has its exit and its deletion told too, in order, once."""
    for n in range(12):
        c = engine.containers.create(rootfs, "true", id=f"c{n}")

        def kill(id: str = c.id, n: int = n) -> None:
            pid = eventually(lambda: find_shim(engine, id), "a shim")
            time.sleep(n * 0.002)
            os.kill(pid, signal.SIGKILL)

        killer = threading.Thread(target=kill)
        killer.start()
        try:
            c.start()
            c.wait(timeout=30)
        except ctrd.Error:
            pass
        killer.join()
        c.delete(force=True)
    seen = all_of(engine)
    check_order(seen)
    for n in range(12):
        assert tasks(seen, f"c{n}") in (LIFE, [LIFE[0], *LIFE[2:]], []), n
    assert len(engine.containers) == 0


def find_shim(engine: ctrd.Engine, id: str) -> int | None:
    try:
        return shim_of(engine, id)
    except AssertionError:
        return None


def test_a_dead_owners_tasks(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    code = """
import ctrd, sys
c = ctrd.default_engine().start(ctrd.Rootfs(sys.argv[1]), "sleep", "1000", id="x")
print("up", flush=True)
sys.stdin.read()
"""
    with engine.events() as events, python(engine, code, str(rootfs.path)) as owner:
        assert owner.stdout and owner.stdout.readline() == "up\n"
        owner.kill()
        owner.wait()
        assert events.wait_for("/tasks/exit", timeout=30, container_id="x").data["exit_status"] == 137
        eventually(lambda: "x" not in engine.containers and tasks(all_of(engine), "x") == LIFE, "its deletion is told")
        events.wait_for("/containers/delete", timeout=30, id="x")
    check_order(all_of(engine))


@contextmanager
def locked_journal(engine: ctrd.Engine) -> Iterator[None]:
    """Nobody can append: as if each writer were stopped between its batch and its append."""
    newest = sorted((engine.root / "journal").iterdir())[-1]
    fd = os.open(newest, os.O_RDONLY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def test_killed_between_batch_and_append(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    code = """
import ctrd, sys, os, signal
e = ctrd.default_engine()
for name in sys.argv[2:]:
    e.containers.create(ctrd.Rootfs(sys.argv[1]), "true", id=name, lifetime="detached")
os.kill(os.getpid(), signal.SIGKILL)
"""
    engine.containers.create(rootfs, "true", id="mine")
    before = len(all_of(engine))
    with locked_journal(engine), python(engine, code, str(rootfs.path), "a", "b") as writer:
        assert writer.wait(timeout=60) == -signal.SIGKILL
        assert len(all_of(engine)) == before
    engine.containers.update("mine", labels={"n": "1"})
    seen = all_of(engine)[before:]
    assert [(e.topic, e.data.get("id")) for e in seen if e.topic.startswith("/cont")] == [
        ("/containers/create", "a"),
        ("/containers/create", "b"),
        ("/containers/update", "mine"),
    ]
    for id in ("a", "b"):
        engine.containers.delete(id)


def test_recover_tells_what_the_dead_did_not(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    code = """
import ctrd, sys, os, signal
e = ctrd.default_engine()
e.containers.create(ctrd.Rootfs(sys.argv[1]), "true", id="x", lifetime="detached")
os.kill(os.getpid(), signal.SIGKILL)
"""
    engine.run(rootfs, "true")
    with locked_journal(engine), python(engine, code, str(rootfs.path)) as writer:
        assert writer.wait(timeout=60) == -signal.SIGKILL
    assert topics(all_of(engine), "x") == []
    look = (
        "import ctrd; print(*(e.topic for e in ctrd.default_engine().events(follow=False) if e.data.get('id') == 'x'))"
    )
    assert python_says(engine, look) == "/containers/create\n"
    assert python_says(engine, look) == "/containers/create\n"
    engine.containers.delete("x")


WRITER = """
import ctrd, sys
e, image = ctrd.default_engine(), ctrd.Rootfs(sys.argv[1])
for n in range(10**9):
    id, labels = f"{sys.argv[2]}-{n}", {"x": "y" * (n % 5 * 900)}
    c = e.containers.create(image, "true", id=id, lifetime="detached", labels=labels)
    print("+", c.id, flush=True)
    if n % 3:
        c.delete()
        print("-", c.id, flush=True)
"""


def test_killed_writers_lose_no_event(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    """Killed at random moments, two at a time; each acknowledged change, and each that is there, is told once."""
    said: list[str] = []
    for n in range(8):
        writers = [python(engine, WRITER, str(rootfs.path), f"w{n}{name}") for name in "ab"]
        for writer in writers:
            assert writer.stdout
            said += [writer.stdout.readline().strip() for _ in range(3)]
        time.sleep(random.uniform(0, 0.02))
        for writer in writers:
            writer.kill()
        for writer in writers:
            with writer:
                assert writer.stdout
                said += [line.strip() for line in writer.stdout.read().splitlines(keepends=True) if line.endswith("\n")]
    engine.containers.create(rootfs, "true", id="last")
    there = set(engine.containers) - {"last"}
    seen = all_of(engine)
    check_order(seen)
    created = Counter(event.data["id"] for event in seen if event.topic == "/containers/create")
    deleted = Counter(event.data["id"] for event in seen if event.topic == "/containers/delete")
    assert set(created.values()) == {1} and set(deleted.values()) <= {1}
    for line in said:
        sign, id = line.split()
        assert (created if sign == "+" else deleted)[id] == 1, line
    assert there == set(created) - set(deleted) - {"last"}
    for id in there:
        engine.containers.delete(id)


def test_a_full_disk_fails_no_verb(tmp_path_factory: pytest.TempPathFactory, rootfs: ctrd.Rootfs) -> None:
    where = tmp_path_factory.mktemp("full")
    journal = where / "root/journal"
    journal.mkdir(parents=True, mode=0o700)
    (where / "root").chmod(0o700)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k,mode=700", "tmpfs", journal], check=True)
    try:
        with ctrd.Engine(where / "root", state=where / "state") as engine:
            engine.containers.create(rootfs, "true", id="first")
            with (journal / "ballast").open("wb", buffering=0) as ballast, pytest.raises(OSError):
                while True:
                    ballast.write(b"x" * 4096)
            for n in range(40):
                engine.containers.create(rootfs, "true", id=f"c{n}")
            assert engine.run(rootfs, "true").ok
            subprocess.run(["mount", "-o", "remount,size=4m", journal], check=True)
            engine.containers.delete("first")
            seen = all_of(engine)
            check_order(seen)
            created = [event.data["id"] for event in seen if event.topic == "/containers/create"]
            assert created[:41] == ["first", *(f"c{n}" for n in range(40))]
    finally:
        subprocess.run(["umount", journal], check=True)


def test_what_is_no_longer_kept(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    """The oldest segment goes: who asks for what was in it is told so."""
    engine.containers.create(rootfs, "true", id="x")
    first = all_of(engine)[0].seq
    segment = next((engine.root / "journal").iterdir())
    segment.chmod(0o1400)  # sealed, as a full one is
    with engine.events() as slow:
        engine.containers.update("x", labels={"n": "1"})
        segment.unlink()
        with pytest.raises(ctrd.NotFound, match="no longer kept"):
            engine.events(since=first)
        assert [event.topic for event in engine.events(follow=False)] == ["/containers/update"]
        assert slow.next(timeout=30).topic == "/containers/update"


def test_the_journal_is_private(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    engine.containers.create(rootfs, "true", id="x")
    assert (engine.root / "journal").stat().st_mode & 0o7777 == 0o700
    assert [path.stat().st_mode & 0o7777 for path in (engine.root / "journal").iterdir()] == [0o600]
