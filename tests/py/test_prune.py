"""containers.prune: what has ended goes, and nothing that anybody may still be using."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable

import ctrd
import invariants
import pytest
from support import environment, eventually, python, python_says

pytestmark = pytest.mark.root


def ended(engine: ctrd.Engine, rootfs: ctrd.Rootfs, id: str, **options: object) -> ctrd.Container:
    """A detached container that has run."""
    c = engine.start(
        rootfs, shell="echo said; dd if=/dev/zero of=/file bs=4k count=4 2>&-", id=id, lifetime="detached", **options
    )  # type: ignore[arg-type]
    assert c.wait(timeout=30) == 0
    return c


def clear(engine: ctrd.Engine) -> None:
    for id in list(engine.containers):
        engine.containers.delete(id, force=True)


def test_what_has_ended_goes_with_layer_and_log(engine: ctrd.Engine, rootfs: ctrd.Rootfs, runtime: str) -> None:
    assert engine.containers.prune() == ctrd.PruneReport((), 0)
    for id in ("b", "a"):
        ended(engine, rootfs, id, runtime=runtime)
    said = engine.containers.prune(dry_run=True)
    assert said.removed == ("a", "b") and said.freed >= 2 * 4 * 4096
    assert engine.containers["a"].logs().read() == "said\n"  # nothing has happened
    with engine.events() as events:
        assert engine.containers.prune() == said
        assert events.wait_for("/containers/delete", timeout=30, id="a").namespace == "default"
    assert list(engine.containers) == [] and not list(engine.root.glob("snapshots/*"))
    assert not list(engine.root.glob("logs/[!.]*")) and not list(engine.state.glob("[!.]*/[!.]*"))
    with pytest.raises(ctrd.ContainerNotFound):
        engine.containers.get("a")


def test_only_what_has_ended_and_is_nobodys(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    """One of each state, each lifetime; another process's too."""
    ended(engine, rootfs, "stopped")
    engine.start(rootfs, "true", id="mine").wait(timeout=30)
    engine.start(rootfs, "sleep", "1000", id="running", lifetime="detached")
    engine.start(rootfs, "sleep", "1000", id="paused", lifetime="detached").pause()
    engine.containers.create(rootfs, "sleep", "1000", id="created", lifetime="detached").create_task()
    engine.containers.create(rootfs, "true", id="new", lifetime="detached")
    other = engine.with_namespace("other")
    ended(other, rootfs, "stopped")
    code = "import ctrd, sys; c = ctrd.default_engine().start(ctrd.Rootfs(sys.argv[1]), 'true', id='theirs'); c.wait()"
    with python(engine, f"{code}; print('ended', flush=True); sys.stdin.readline()", str(rootfs.path)) as process:
        assert process.stdout and process.stdout.readline() == "ended\n"
        assert engine.containers["theirs"].status() == "stopped"
        assert engine.containers.prune().removed == ("stopped",)
        assert sorted(engine.containers) == ["created", "mine", "new", "paused", "running", "theirs"]
        process.communicate("\n", timeout=60)
    assert engine.containers.prune().removed == ()
    eventually(lambda: "theirs" not in engine.containers, "what its owner has left is swept")
    assert other.containers.prune().removed == ("stopped",)
    clear(engine)


def test_filters_times_and_labels(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    for id, labels in (("a", {"app": "x"}), ("b", {"app": "x", "keep": "yes"}), ("c", {})):
        ended(engine, rootfs, id, labels=labels)
    prune = engine.containers.prune
    assert prune("labels.app==x", dry_run=True).removed == ("a", "b")
    assert prune("id==c", "labels.keep", dry_run=True).removed == ("b", "c")  # several are "or"
    assert prune("labels.app==x,labels.keep!=yes").removed == ("a",)
    assert prune(stopped_for=3600.0).removed == prune(stopped_for=1e12).removed == ()
    engine.containers["c"].start().wait(timeout=30)
    assert prune(stopped_for=0.0).removed == ("b", "c")


BAD: list[tuple[str, Callable[[ctrd.Containers], object], str]] = [
    ("a filter that is none", lambda all: all.prune("id=="), "filter"),
    ("an expression that is none", lambda all: all.prune("id~=("), "filter"),
    ("a negative time", lambda all: all.prune(stopped_for=-1.0), "stopped_for"),
    ("no time", lambda all: all.prune(stopped_for=float("nan")), "stopped_for"),
    ("for ever", lambda all: all.prune(stopped_for=float("inf")), "stopped_for"),
]


@pytest.mark.parametrize(("what", "verb", "field"), BAD, ids=[row[0] for row in BAD])
def test_what_it_refuses(
    engine: ctrd.Engine, rootfs: ctrd.Rootfs, what: str, verb: Callable[[ctrd.Containers], object], field: str
) -> None:
    ended(engine, rootfs, "a")
    with pytest.raises(ctrd.InvalidArgument) as refused:
        verb(engine.containers)
    assert refused.value.field == field
    for wrong in (lambda: engine.containers.prune(7), lambda: engine.containers.prune(stopped_for="1h")):  # type: ignore[arg-type]
        with pytest.raises(TypeError):
            wrong()
    assert engine.containers.prune().removed == ("a",)


def test_what_is_mounted_or_leased_stays(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    for id in ("leased", "mounted", "expired", "of-a-dead-process"):
        ended(engine, rootfs, id)
    past = engine.lease("past", expires=0.001)
    past.add("snapshot", "expired")
    python_says(
        engine, "import ctrd, os; ctrd.default_engine().lease('dead').add('snapshot', 'of-a-dead-process'); os._exit(0)"
    )
    with engine.lease() as lease, engine.snapshots.mount("mounted") as layer:
        lease.add("snapshot", "leased")
        assert (layer / "file").stat().st_size == 4 * 4096
        eventually(
            lambda: engine.containers.prune(dry_run=True).removed == ("expired", "of-a-dead-process"), "it expires"
        )
        assert engine.containers.prune().removed == ("expired", "of-a-dead-process")
        assert engine.containers["leased"].status() == engine.containers["mounted"].status() == "stopped"
    assert engine.containers.prune().removed == ("leased", "mounted")
    past.release()


USES = """
import ctrd, sys
engine = ctrd.default_engine()
for turn in range(int(sys.argv[1])):
    id = f"job-{turn}"
    c = engine.start(ctrd.Rootfs(sys.argv[2]), "true", id=id, lifetime="detached")
    with engine.lease() as lease:
        lease.add("snapshot", id)
        c.wait(timeout=60)
        print(id, flush=True)                 # from now on it may be pruned by whoever does not see the lease
        assert engine.snapshots.stat(id).kind == "active"
        with engine.snapshots.mount(id) as layer:
            (layer / "mine").write_text(id)
        assert id in engine.containers, id
        assert engine.containers[id].status() == "stopped", id
        sys.stdin.readline()
        with engine.snapshots.mount(id) as layer:
            assert (layer / "mine").read_text() == id
        assert id in engine.containers, id
    engine.containers.delete(id, missing_ok=True)
"""


def test_a_race_with_a_lease_of_a_living_process(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    """Pruned all the time, while another process leases, mounts and reads what has ended."""
    turns, pruned = 5, 0
    with python(engine, USES, str(turns), str(rootfs.path)) as process:
        assert process.stdout and process.stdin
        for turn in range(turns):
            assert process.stdout.readline() == f"job-{turn}\n", process.communicate(timeout=60)[1]
            for _ in range(20):
                removed = engine.containers.prune().removed
                assert removed in ((), (f"job-{turn - 1}",)), (
                    removed
                )  # its lease has gone, and the other deletes it too
                pruned += len(removed)
            process.stdin.write("\n")
            process.stdin.flush()
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
    engine.containers.prune()
    assert list(engine.containers) == []


PRUNES = """
import ctrd, sys
engine = ctrd.default_engine()
removed = []
print("ready", flush=True)
while not sys.stdin.readline().startswith("end"):
    for _ in range(5):
        removed += engine.containers.prune("labels.old==yes").removed
print(*removed, flush=True)
"""


def test_two_that_prune_beside_others_that_start_again_and_label(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    """Each container goes once; one that is started again or labelled as kept in time is whole."""
    ids = [f"c{n}" for n in range(12)]
    for id in ids:
        ended(engine, rootfs, id, labels={"old": "yes"})
    two = [python(engine, PRUNES) for _ in range(2)]
    for process in two:
        assert process.stdout and process.stdout.readline() == "ready\n"
    for process in two:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    kept, started = [], []
    for n, id in enumerate(reversed(ids)):
        try:
            if n % 2:
                engine.containers.update(id, labels={"old": None})
                kept.append(id)
            else:
                engine.containers[id].start()
                started.append(id)
        except (ctrd.NotFound, ctrd.FailedPrecondition, ctrd.AlreadyExists):
            continue  # it has gone, or was just going
    removed: list[str] = []
    for process in two:
        out, err = process.communicate("end\n", timeout=60)
        assert process.returncode == 0, err
        removed += out.split()
    assert len(removed) == len(set(removed))
    assert sorted(removed + list(engine.containers)) == sorted(ids)
    assert not set(kept) & set(removed)
    for id in engine.containers:
        assert engine.containers[id].info().snapshot_key == id and engine.snapshots.usage(id).inodes >= 1
    clear(engine)


def test_what_a_killed_shim_has_left(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    """It is stopped, and goes; one whose task was deleted may be started again, and stays."""
    c = engine.start(rootfs, "sleep", "1000", id="lost", lifetime="detached")
    (shim,) = invariants.shims(invariants.Root(engine.root, engine.state))
    os.kill(shim, 9)
    assert c.wait(timeout=30).lost == "shim"
    ended(engine, rootfs, "deleted").task().delete()
    assert engine.containers.prune().removed == ("lost",)
    assert list(engine.containers) == ["deleted"]
    clear(engine)


def test_the_command_line(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    def cli(*args: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "ctrd", "prune", *args],
            env=environment(engine),
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    for id in ("a", "b"):
        ended(engine, rootfs, id, labels={"app": id})
    said = cli("--dry-run")
    assert said.stdout == "a\nb\n" and "would be freed" in said.stderr
    assert cli("--stopped-for", "3600").stdout == ""
    assert cli("-f", "labels.app==a", "--json").stdout.startswith('{"removed": ["a"], "freed": ')
    said = cli("--filter", "id==")
    assert said.returncode == 125 and "filter" in said.stderr
    said = cli()
    assert said.stdout == "b\n" and said.stderr.endswith(" freed\n")
    assert list(engine.containers) == []
