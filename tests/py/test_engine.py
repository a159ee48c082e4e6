"""Engines: where they are, what they share, and what the environment says."""

from __future__ import annotations

import fcntl
import os
import pickle
from pathlib import Path

import ctrd
import pytest
from support import environment

pytestmark = pytest.mark.root


@pytest.fixture
def default(engine: ctrd.Engine, monkeypatch: pytest.MonkeyPatch) -> ctrd.Engine:
    """The same root as the default engine's, by the environment."""
    for name in ("CTRD_ROOT", "CTRD_STATE"):
        monkeypatch.setenv(name, environment(engine)[name])
    return engine


def test_the_environment(default: ctrd.Engine, rootfs: ctrd.Rootfs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CTRD_NAMESPACE", "from-env")
    monkeypatch.setenv("CTRD_RUNTIME", "runc")
    made = ctrd.default_engine()
    try:
        assert (made.root, made.state, made.namespace) == (default.root, default.state, "from-env")
        assert made is ctrd.default_engine()
        with ctrd.start(rootfs, "sleep", "1000") as c:
            assert c.runtime.endswith("/runc")
            assert c.id not in default.containers
    finally:
        made.close()
    again = ctrd.default_engine()
    assert again is not made and not again.closed
    again.close()
    monkeypatch.setenv("CTRD_SHIM", "/nosuch/shim")
    with ctrd.Engine() as third, pytest.raises(ctrd.NotFound, match="/nosuch/shim"):
        third.run(rootfs, "true", runtime="runc")
    assert third.namespace == "default"


def test_an_explicit_root_has_a_state_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CTRD_STATE", str(tmp_path / "elsewhere"))
    with ctrd.Engine(tmp_path / "root") as engine:
        assert engine.state.parent == Path("/run/ctrd")
        with ctrd.Engine(tmp_path / "root") as same:
            assert same.state == engine.state
    for left in engine.state.rglob("*"):
        if left.is_file():
            left.unlink()
    for left in [*engine.state.iterdir(), engine.state]:
        left.rmdir()


def test_what_an_engine_is_not(engine: ctrd.Engine) -> None:
    with pytest.raises(TypeError, match="pickle"):
        pickle.dumps(engine)
    with pytest.raises(TypeError, match="engine must be"):
        ctrd.set_default_engine("x")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="engine must be"):
        ctrd.run(ctrd.Rootfs("/"), "true", engine=3)  # type: ignore[call-overload]
    with pytest.raises(TypeError):
        ctrd.Engine(7)  # type: ignore[arg-type]
    with pytest.raises(ctrd.InvalidArgument):
        ctrd.Engine("")
    assert repr(engine) == f"<Engine {str(engine.root)!r} namespace='default'>"


def test_one_root_has_one_state(engine: ctrd.Engine, rootfs: ctrd.Rootfs, tmp_path: Path) -> None:
    engine.run(rootfs, "true")
    with ctrd.Engine(engine.root, state=tmp_path / "other") as other, pytest.raises(ctrd.FailedPrecondition) as caught:
        len(other.containers)
    assert str(engine.state) in str(caught.value) and str(tmp_path / "other") in str(caught.value)


def test_a_busy_root_says_who_has_it(tmp_path: Path) -> None:
    where = (tmp_path / "root", tmp_path / "state")
    with ctrd.Engine(where[0], state=where[1]) as engine:
        assert len(engine.containers) == 0
    locks = [path for path in (where[0] / "metadata").iterdir() if path.name in ("db", "gate")]
    assert locks
    held = [os.open(path, os.O_RDWR) for path in locks]
    try:
        for fd in held:
            fcntl.flock(fd, fcntl.LOCK_EX)
        with ctrd.Engine(where[0], state=where[1], lock_timeout=0.1) as engine:
            with pytest.raises(ctrd.RootBusy) as caught:
                len(engine.containers)
            assert caught.value.code == "unavailable" and isinstance(caught.value, ConnectionError)
            assert caught.value.holder_pid is not None and caught.value.holder_cmd is not None
            for fd in held:
                fcntl.flock(fd, fcntl.LOCK_UN)
            assert len(engine.containers) == 0
    finally:
        for fd in held:
            os.close(fd)
