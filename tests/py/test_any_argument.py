"""Whatever is passed, the answer is a ctrd.Error, a TypeError or a ValueError; never something else, never a crash."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import ctrd
import pytest
from ctrd._attach import detach_keys
from ctrd._exec import EXEC_KEYS, exec_options
from ctrd._options import CREATE_KEYS, create_options, tty_size
from ctrd._process import process_of
from ctrd._run import Sinks
from ctrd._stdio import Stdio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(min_value=2**62, max_value=2**80),
    st.floats(),
    st.text(max_size=20),
    st.text(alphabet=st.characters(), max_size=5),
    st.binary(max_size=10),
    st.just(datetime(1, 1, 1, tzinfo=UTC)),
    st.just(datetime(9999, 1, 1, tzinfo=UTC)),
    st.just(Path("/nosuch\0x")),
    st.just(10**400),
    st.sampled_from(["512M", "512MB", "/a:/b", "owner", "\udc80", "a\0b", "/", ""]),
)
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.tuples(inner, inner),
        st.dictionaries(st.text(max_size=5), inner, max_size=3),
        st.dictionaries(SCALARS.filter(lambda key: key == key), inner, max_size=2),
    ),
    max_leaves=6,
)
EXPECTED = (ctrd.Error, TypeError, ValueError)
MANY = settings(
    max_examples=400,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@pytest.mark.unit
@MANY
@given(key=st.sampled_from(sorted(CREATE_KEYS)), value=ANYTHING, args=st.lists(ANYTHING, max_size=2))
def test_options(key: str, value: Any, args: list[Any]) -> None:
    try:
        create_options(ctrd.Rootfs("/"), tuple(args), {key: value})
    except EXPECTED:
        pass


@pytest.mark.unit
@MANY
@given(key=st.sampled_from(sorted(EXEC_KEYS)), value=ANYTHING, args=st.lists(ANYTHING, max_size=2))
def test_exec_options(key: str, value: Any, args: list[Any]) -> None:
    try:
        exec_options(tuple(args), {key: value})
    except EXPECTED:
        pass


@pytest.mark.unit
@MANY
@given(value=ANYTHING, stream=st.sampled_from([0, 1, 2]), log=st.booleans())
def test_stdio(tmp_path: Path, value: Any, stream: int, log: bool) -> None:
    if isinstance(value, str):
        value = str(tmp_path / "out") + value[:3].replace("/", "x")
    streams: list[Any] = [ctrd.DEVNULL] * 3
    streams[stream] = value
    try:
        with Stdio((streams[0], streams[1], streams[2]), log=log, files=log):
            pass
    except EXPECTED:
        pass


@pytest.mark.unit
@MANY
@given(value=ANYTHING)
def test_keys_and_processes(value: Any) -> None:
    for check in (detach_keys, lambda one: process_of("process", one), lambda one: tty_size("tty", one)):
        try:
            check(value)
        except EXPECTED:
            pass


@pytest.mark.unit
@MANY
@given(value=ANYTHING, stream=st.sampled_from([1, 2]))
def test_sinks(tmp_path: Path, value: Any, stream: int) -> None:
    from ctrd import _core

    if isinstance(value, str):
        value = str(tmp_path / "out") + value[:3].replace("/", "x")
    try:
        with Sinks(_core.RunOptions(), True) as sinks:
            sinks.set(stream, value)
    except EXPECTED:
        pass


@pytest.mark.root
@settings(MANY, max_examples=100)
@given(value=ANYTHING, other=ANYTHING)
def test_verbs(engine: ctrd.Engine, rootfs: ctrd.Rootfs, value: Any, other: Any) -> None:
    if "db" not in engine.containers:
        engine.containers.create(rootfs, "true", id="db").start()
    c = engine.containers["db"]
    verbs: list[Any] = [
        lambda: engine.containers[value],
        lambda: value in engine.containers,
        lambda: engine.containers.delete(value if value != "db" else "x", missing_ok=other),
        lambda: engine.containers.list(status=value, labels=other),
        lambda: engine.containers.list(limit=value),
        lambda: c.update(labels=value, annotations=other),
        lambda: engine.containers.update("db", extensions=value, fields=other),
        lambda: engine.containers.update("db", spec=value, image=other),
        lambda: engine.containers.list(value, other),
        lambda: engine.namespaces.update(value, labels=other),
        lambda: engine.lease(value, expires=other).release(),
        lambda: engine.lease(labels=value, lifetime=other).release(),
        lambda: engine.leases.get(value).add(other, value),
        lambda: engine.leases.list(value, other),
        lambda: engine.explain(value, other),
        lambda: engine.explain("snapshot", value, snapshotter=other),
        lambda: c.logs(since=value, tail=other),
        lambda: c.kill(value, pid=other),
        lambda: c.wait(value if isinstance(value, str) else 0.01),
        lambda: c.stop(signal=value, grace=0.01),
        lambda: engine.with_namespace(value).containers.get("x") if isinstance(value, str) else None,
        lambda: ctrd.Mount.bind(value, other),
        lambda: c.create_task(stdin=value, stdout=other),
    ]
    for verb in verbs:
        try:
            verb()
        except EXPECTED:
            pass


# What may not be called with just anything: it ends or exchanges the test's own things, or looks at the machine.
NOT_CALLED = {"close", "set_default_engine", "default_engine", "doctor"}
NOT_CALLED |= {"Reader", "Writer"}  # they own the descriptor that they are given, and would close pytest's
OBJECTS: dict[str, type] = {
    "engine": ctrd.Engine,
    "containers": ctrd.Containers,
    "namespaces": ctrd.Namespaces,
    "container": ctrd.Container,
    "task": ctrd.Task,
    "stdout": ctrd.Reader,
    "stdin": ctrd.Writer,
    "logs": ctrd.Logs,
    "result": ctrd.RunResult,
    "mount": ctrd.Mount,
    "list": ctrd.ResultList,
}
NEED_A_TASK = ("container", "task", "stdout", "stdin", "logs")


def methods(one: type) -> set[str]:
    """Public methods that ctrd itself defines, for this class or one that it is made of."""
    ours = [base for base in one.__mro__ if base.__module__.startswith("ctrd")]
    named = {name for base in ours for name in vars(base) if not name.startswith("_") and name not in NOT_CALLED}
    return {name for name in named if callable(getattr(one, name, None))}


MODULE = {name for name in dir(ctrd) if not name.startswith("_") and callable(getattr(ctrd, name))} - NOT_CALLED
CLASSES = {name for name in MODULE if isinstance(getattr(ctrd, name), type)} - {"Engine"}  # it would be made
PUBLIC = [*(("ctrd", name) for name in sorted(MODULE))]
PUBLIC += [(where, name) for where, one in OBJECTS.items() for name in sorted(methods(one))]


@pytest.mark.unit
@pytest.mark.parametrize("name", sorted(CLASSES))
def test_constructors(name: str) -> None:
    """Also of what users get from elsewhere: typed, whatever they try."""
    for value in (None, 0, "", b"", [], {}, 1.5, object()):
        for count in range(9):
            try:
                getattr(ctrd, name)(*[value] * count)
            except EXPECTED:
                pass


def parameters(function: Callable[..., Any]) -> list[str]:
    """The names of its parameters, as its signature says, and one that it has not."""
    try:
        return [*inspect.signature(function).parameters, "nosuch"]
    except (TypeError, ValueError):
        return ["nosuch"]


def an_object(where: str, engine: ctrd.Engine, rootfs: ctrd.Rootfs, c: ctrd.Container) -> Any:
    """One of this kind; the task has ended, so nothing waits for it."""
    made: dict[str, Callable[[], object]] = {
        "ctrd": lambda: ctrd,
        "engine": lambda: engine,
        "containers": lambda: engine.containers,
        "namespaces": lambda: engine.namespaces,
        "container": lambda: c,
        "task": c.task,
        "stdout": lambda: c.task().stdout,
        "stdin": lambda: c.task().stdin,
        "logs": c.logs,
        "result": lambda: engine.run(rootfs, "true"),
        "mount": lambda: ctrd.Mount.bind("/a", "/b"),
        "list": engine.containers.list,
    }
    return made[where]()


@pytest.mark.root
@settings(MANY, max_examples=100)
@given(function=st.sampled_from(PUBLIC), data=st.data())
def test_every_public_function(
    engine: ctrd.Engine,
    rootfs: ctrd.Rootfs,
    monkeypatch: pytest.MonkeyPatch,
    function: tuple[str, str],
    data: st.DataObject,
) -> None:
    monkeypatch.setattr("ctrd._engine._default", engine)
    where, name = function
    args = data.draw(st.lists(ANYTHING, max_size=3))
    if name in ("run", "start", "create") and data.draw(st.booleans()):
        args = [rootfs, "true"]
    named = parameters(getattr(OBJECTS.get(where, ctrd), name))
    keywords = data.draw(st.dictionaries(st.sampled_from(named), ANYTHING, max_size=2))
    c = engine.containers.create(rootfs, "true", id="db")
    try:
        if where in NEED_A_TASK:
            c.start(stdin=ctrd.PIPE, stdout=ctrd.PIPE).wait(timeout=30)
        verb = getattr(an_object(where, engine, rootfs, c), name)
        made = verb(*args, **keywords)
        if isinstance(made, ctrd.Engine):
            made.close()
    except EXPECTED:
        pass
    finally:
        for id in engine.containers:
            engine.containers.delete(id, force=True)
