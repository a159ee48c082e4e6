"""Namespaces as objects: labels, defaults, deletion, events."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import ctrd
import pytest
from support import environment

pytestmark = pytest.mark.root
RUNTIME = "containerd.io/defaults/runtime"
SNAPSHOTTER = "containerd.io/defaults/snapshotter"


def test_one_comes_with_its_first_container_and_stays(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    assert engine.namespaces.list() == []
    ci = engine.with_namespace("ci")
    assert len(ci.containers) == 0 and engine.namespaces.list() == []
    ci.containers.create(rootfs, "true", id="a").delete()
    assert engine.namespaces.list() == ci.namespaces.list() == ["ci"]


def test_labels(engine: ctrd.Engine) -> None:
    engine.namespaces.create("ci", labels={"a": "1", "b": "2", "empty": ""})
    assert engine.namespaces.labels("ci") == {"a": "1", "b": "2"}
    engine.namespaces.update("ci", labels={"a": "9", "b": None})
    assert engine.namespaces.labels("ci") == {"a": "9"}
    assert engine.namespaces.labels("nobody") == {}
    engine.namespaces.update("made", labels={"a": "1"})
    assert engine.namespaces.list() == ["ci", "made"]
    with pytest.raises(ctrd.AlreadyExists):
        engine.namespaces.create("made")


def test_names(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    for name in ("a/b", "-a", "a..b", "version", "a" * 77, "a b"):
        with pytest.raises(ctrd.InvalidArgument, match="namespace"):
            engine.namespaces.create(name)
        with pytest.raises(ctrd.InvalidArgument, match="namespace"):
            engine.with_namespace(name).containers.create(rootfs, "true")
    with pytest.raises(ctrd.FailedPrecondition, match="namespace"):
        engine.namespaces.create("")
    with pytest.raises(ctrd.FailedPrecondition, match="namespace"):
        engine.with_namespace("").containers.list()
    with pytest.raises(TypeError):
        engine.namespaces.create(3)  # type: ignore[arg-type]
    assert engine.namespaces.list() == []


def test_only_an_empty_one_can_be_deleted(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    c = engine.with_namespace("ci").start(rootfs, "sleep", "1000", id="web")
    with pytest.raises(ctrd.FailedPrecondition, match=r"containers \(web\), snapshots \(web\)"):
        engine.namespaces.delete("ci")
    c.delete(force=True)
    engine.namespaces.delete("ci")
    assert engine.namespaces.list() == []
    with pytest.raises(ctrd.NotFound):
        engine.namespaces.delete("ci")


def test_blobs_keep_one_and_ingests_do_not(engine: ctrd.Engine) -> None:
    """S5, S15: what came in part goes with its namespace; other namespaces' stays."""

    def broken() -> Iterator[bytes]:
        yield b"x"
        raise OSError("the network is down")

    ci = engine.with_namespace("ci")
    for of in (engine, ci):
        with pytest.raises(OSError, match="network"):
            of.content.ingest(broken(), ref="part")
    digest = ci.content.ingest(b"whole").digest
    with pytest.raises(ctrd.FailedPrecondition, match=rf"content \({digest}\)"):
        engine.namespaces.delete("ci")
    assert ci.content.ingests().ids == ["part"]
    ci.content.delete(digest)
    engine.namespaces.delete("ci")
    assert ci.content.ingests() == [] and engine.content.ingests().ids == ["part"]
    engine.content.abort("part")


def test_what_a_dead_process_left_does_not_count(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    code = (
        "import ctrd, os, sys\n"
        "e = ctrd.default_engine().with_namespace('ci')\n"
        f"e.start(ctrd.Rootfs({str(rootfs.path)!r}), 'sleep', '1000', id='web')\n"
        "os._exit(0)\n"
    )
    subprocess.run([sys.executable, "-c", code], env=environment(engine), stdin=subprocess.DEVNULL, check=True)
    engine.namespaces.delete("ci")
    assert engine.namespaces.list() == []


def test_defaults_of_a_namespace(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    runtimes = {check.name for check in engine.doctor().checks if check.ok} & {"crun", "runc"}
    for runtime in sorted(runtimes):
        engine.namespaces.update("ci", labels={RUNTIME: runtime})
        ci = engine.with_namespace("ci").containers
        assert ci.create(rootfs, "true").info().runtime.endswith(f"/{runtime}")
        for other in sorted(runtimes):
            assert ci.create(rootfs, "true", runtime=other).info().runtime.endswith(f"/{other}")
    engine.namespaces.update("ci", labels={RUNTIME: "no-such-runtime"})
    with pytest.raises(ctrd.NotFound, match="no-such-runtime"):
        engine.with_namespace("ci").containers.create(rootfs, "true")
    engine.namespaces.update("ci", labels={RUNTIME: None, SNAPSHOTTER: "overlayfs"})
    assert engine.with_namespace("ci").containers.create(rootfs, "true").info().snapshotter == "overlay"
    engine.namespaces.update("ci", labels={SNAPSHOTTER: "zfs"})
    with pytest.raises(ctrd.Unsupported, match="zfs"):
        engine.with_namespace("ci").containers.create(rootfs, "true")
    assert engine.with_namespace("ci").containers.create(rootfs, "true", snapshotter="overlay").id
    assert engine.containers.create(rootfs, "true").info().snapshotter == "overlay"


def test_an_engines_own_choice_is_stronger(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    engine.namespaces.create("ci", labels={RUNTIME: "no-such-runtime", SNAPSHOTTER: "zfs"})
    with ctrd.Engine(
        engine.root, state=engine.state, namespace="ci", runtime=engine_runtime(engine), snapshotter="overlay"
    ) as own:
        assert own.run(rootfs, "true").ok


def engine_runtime(engine: ctrd.Engine) -> str:
    return next(check.name for check in engine.doctor().checks if check.ok and check.name in ("crun", "runc"))


def test_events(engine: ctrd.Engine) -> None:
    with engine.events("topic~=^/namespaces/") as events:
        engine.namespaces.create("ci", labels={"a": "1"})
        engine.namespaces.update("ci", labels={"b": "2"})
        engine.namespaces.delete("ci")
        seen = [events.next(timeout=10) for _ in range(3)]
    assert [(event.topic, event.namespace) for event in seen] == [
        ("/namespaces/create", "ci"),
        ("/namespaces/update", "ci"),
        ("/namespaces/delete", "ci"),
    ]
    assert seen[1].data == {"name": "ci", "labels": {"a": "1", "b": "2"}}
