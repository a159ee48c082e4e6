"""What two engines on one root see of each other, in one process and in two; and what those on two roots do not."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path

import ctrd
import pytest
from support import python, python_says

pytestmark = pytest.mark.root


@pytest.fixture
def other(engine: ctrd.Engine) -> Iterator[ctrd.Engine]:
    with ctrd.Engine(engine.root, state=engine.state) as made:
        yield made


def test_two_engines_see_the_same_at_once(engine: ctrd.Engine, other: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    with other.events() as events:
        mine = engine.containers.create(rootfs, "sleep", "1000", id="web", labels={"n": "1"})
        theirs = other.containers["web"]
        assert mine == theirs and hash(mine) == hash(theirs) and mine is not theirs
        assert other.containers.list() == engine.containers.list() and len(other.containers) == 1
        theirs.update(labels={"n": "2"})
        assert mine.labels() == {"n": "2"}  # methods look, attributes do not
        theirs.start()
        assert mine.status() == "running" and mine.task().pid == theirs.task().pid
        engine.content.ingest(b"x")
        engine.namespaces.create("ci", labels={"a": "1"})
        assert other.content.list() == engine.content.list() and other.namespaces.labels("ci") == {"a": "1"}
        theirs.delete(force=True)
        for verb in (mine.info, mine.start, mine.labels, mine.delete):
            with pytest.raises(ctrd.ContainerNotFound):
                verb()
        mine.delete(missing_ok=True)
        assert events.wait_for("/containers/delete", timeout=30, id="web").namespace == "default"
    other.content.delete(engine.content.list().ids[0])
    assert engine.content.list() == []


def test_a_new_one_of_the_same_name_is_another(engine: ctrd.Engine, other: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    """A handle is a name: it follows the name. A task is one life."""
    c = engine.start(rootfs, "sleep", "1000", id="web")
    task = c.task()
    other.containers["web"].delete(force=True)
    other.containers.create(rootfs, "echo", "new", id="web").start()
    assert c.wait(timeout=30) == 0 and c.logs().read() == "new\n"
    with pytest.raises(ctrd.TaskNotFound):
        task.wait(timeout=0.1)


SEES = """
import ctrd, pickle, sys
engine = ctrd.default_engine()
c = pickle.loads(bytes.fromhex(sys.argv[1]))
assert c == engine.containers["web"] and c.status() == "running", c
c.update(labels={"n": "2"})
print(*engine.containers, dict(c.labels()), c.run("echo", "hello").stdout.strip(), c.info().owner_pid, flush=True)
try:
    engine.containers.create(ctrd.Rootfs("/"), "true", id="web", replace=True)
except ctrd.Conflict as error:
    print(error.code, flush=True)
sys.stdin.readline()
print("web" in engine.containers, c.wait(timeout=30), flush=True)
"""


def test_two_processes_see_the_same_at_once(engine: ctrd.Engine, rootfs: ctrd.Rootfs, runtime: str) -> None:
    with engine.start(rootfs, "sleep", "1000", id="web", labels={"n": "1"}, runtime=runtime) as c:
        owner = c.info().owner_pid
        with python(engine, SEES, pickle.dumps(c).hex()) as process:
            assert process.stdout and process.stdin and process.stderr
            assert process.stdout.readline() == f"web {{'n': '2'}} hello {owner}\n", process.stderr.read()
            assert process.stdout.readline() == "aborted\n"  # it is ours
            assert c.labels() == {"n": "2"}
            c.kill()
            assert c.wait(timeout=30) == 137
            out, err = process.communicate("\n", timeout=60)
            assert (out, process.returncode) == ("True 137\n", 0), err


def test_what_another_process_deletes_is_gone_here(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    c = engine.start(rootfs, "sleep", "1000", id="web", lifetime="detached")
    python_says(engine, "import ctrd; ctrd.default_engine().containers.delete('web', force=True)")
    for verb in (c.info, c.start, lambda: c.update(labels={"a": "1"}), lambda: c.run("true")):
        with pytest.raises(ctrd.NotFound):
            verb()
    assert len(engine.containers) == 0


def test_two_roots_share_nothing(engine: ctrd.Engine, rootfs: ctrd.Rootfs, tmp_path: Path) -> None:
    engine.containers.create(rootfs, "true", id="web")
    with ctrd.Engine(tmp_path / "root2", state=tmp_path / "state2") as apart, apart.events() as events:
        made = apart.containers.create(rootfs, "true", id="web")
        assert made != engine.containers["web"]
        digest = apart.content.ingest(b"x").digest
        with pytest.raises(ctrd.NotFound):
            engine.content.info(digest)
        engine.containers.delete("web")
        assert list(apart.containers) == ["web"] and apart.namespaces.list() == ["default"]
        apart.containers.delete("web")
        assert [events.next(timeout=30).topic for _ in range(3)][-1] == "/content/create"
        apart.content.delete(digest)


def test_views_of_namespaces(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    engine.containers.create(rootfs, "true", id="web", labels={"where": "default"})
    with engine.with_namespace("ci") as ci:
        c = ci.start(rootfs, "sleep", "1000", id="web", labels={"where": "ci"})
        again, deep = engine.with_namespace("ci"), ci.with_namespace("default")
        assert again.containers["web"] == c != engine.containers["web"] == deep.containers["web"]
        assert (ci.namespace, deep.namespace, ci.root, ci.state) == ("ci", "default", engine.root, engine.state)
        assert {row.labels["where"] for row in again.containers.list()} == {"ci"}
        assert repr(ci) == f"<Engine {str(engine.root)!r} namespace='ci'>"
        with pytest.raises(ctrd.FailedPrecondition):
            engine.namespaces.delete("ci")
        moved = pickle.loads(pickle.dumps(c))
        assert moved == c and moved.status() == "running"
    assert len(engine.with_namespace("ci").containers) == 0  # leaving the block ended what was made through it
    with pytest.raises(ctrd.FailedPrecondition, match="closed"):
        ci.containers.list()
    assert list(engine.containers) == ["web"]  # and nothing else
    engine.namespaces.delete("ci")


def test_a_view_ends_with_its_engine(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    with ctrd.Engine(engine.root, state=engine.state, namespace="ci") as base:
        view = base.with_namespace("deep").with_namespace("deeper")
        view.start(rootfs, "sleep", "1000", id="web")
        assert len(engine.with_namespace("deeper").containers) == 1
    assert view.closed and len(engine.with_namespace("deeper").containers) == 0


def test_the_namespace_of_the_environment_is_the_default_engines(
    engine: ctrd.Engine, rootfs: ctrd.Rootfs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is named is not changed by it; empty is as if it were not set; a bad one is refused at its use."""
    where = "import ctrd; e = ctrd.default_engine(); print(e.namespace, ctrd.Engine(e.root, state=e.state).namespace)"
    for value, name in (("ci", "ci"), ("", "default")):
        monkeypatch.setenv("CTRD_NAMESPACE", value)
        assert python_says(engine, where) == f"{name} default\n"
    monkeypatch.setenv("CTRD_NAMESPACE", "a/b")
    code = """
import ctrd
try:
    ctrd.default_engine().containers.list()
except ctrd.InvalidArgument as error:
    print(error.field, error.value)
"""
    assert python_says(engine, code) == "namespace a/b\n"
