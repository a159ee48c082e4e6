"""The collection: one view, values, filters."""

from __future__ import annotations

import time

import ctrd
import pytest

pytestmark = pytest.mark.root


@pytest.fixture
def three(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> list[ctrd.Container]:
    """One that never ran, one that runs, one that has ended."""
    a = engine.containers.create(rootfs, "true", id="a", labels={"env": "ci", "n": "1"})
    b = engine.start(rootfs, "sleep", "1000", id="b", labels={"env": "ci", "n": "2"})
    c = engine.start(rootfs, "sh", "-c", "exit 3", id="c", labels={"env": "prod"})
    c.wait()
    return [a, b, c]


def test_list_is_values_with_states(engine: ctrd.Engine, three: list[ctrd.Container]) -> None:
    infos = engine.containers.list()
    assert infos.ids == ["a", "b", "c"]
    assert [info.status for info in infos] == ["none", "running", "stopped"]
    assert infos[1].pid is not None and infos[0].pid is infos[2].pid is None
    assert infos[2].exit == 3 and infos[0].exit is infos[1].exit is None
    assert infos[1] == three[1].info() != three[0].info()
    assert infos.to_dicts()[2]["labels"] == {"env": "prod"}


@pytest.mark.parametrize(
    ("filters", "ids"),
    [
        ({"status": "running"}, ["b"]),
        ({"status": ["none", "stopped"]}, ["a", "c"]),
        ({"status": ctrd.TaskStatus.stopped}, ["c"]),
        ({"status": []}, ["a", "b", "c"]),
        ({"status": "paused"}, []),
        ({"labels": {"env": "ci"}}, ["a", "b"]),
        ({"labels": {"env": "ci", "n": "2"}}, ["b"]),
        ({"labels": {"n": None}}, ["a", "b"]),
        ({"labels": {"env": "ci"}, "status": "none"}, ["a"]),
        ({"labels": {"env": "ci"}, "limit": 1}, ["a"]),
        ({"limit": 0}, []),
    ],
    ids=str,
)
def test_filters(engine: ctrd.Engine, three: list[ctrd.Container], filters: dict[str, object], ids: list[str]) -> None:
    assert engine.containers.list(**filters).ids == ids  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("filters", "ids"),
    [
        (("labels.env==ci",), ["a", "b"]),
        (("labels.env==ci,labels.n==2",), ["b"]),
        (("labels.env==prod", "id==a"), ["a", "c"]),
        (("labels.n",), ["a", "b"]),
        (("labels.n!=1",), ["b", "c"]),
        (("id~=^[bc]$",), ["b", "c"]),
        (("id~=/^(a|c)$/",), ["a", "c"]),
        (('labels."env"=="ci"',), ["a", "b"]),
        (("runtime.name==io.containerd.ctrd.v2",), ["a", "b", "c"]),
        (("image",), []),
        (("nothing==x",), []),
        (("nothing!=x", "id==a"), ["a", "b", "c"]),
        (("",), ["a", "b", "c"]),
        (("id==nobody", ""), ["a", "b", "c"]),
    ],
    ids=str,
)
def test_expressions(
    engine: ctrd.Engine, three: list[ctrd.Container], filters: tuple[str, ...], ids: list[str]
) -> None:
    assert engine.containers.list(*filters).ids == ids


def test_expressions_and_keywords_narrow_each_other(engine: ctrd.Engine, three: list[ctrd.Container]) -> None:
    assert engine.containers.list("labels.env==ci", status="running").ids == ["b"]
    assert engine.containers.list("labels.env==ci", "id==c", labels={"n": None}, limit=1).ids == ["a"]


def test_wrong_expressions_say_where(engine: ctrd.Engine) -> None:
    for text, where in {
        "labels.a-b==v": "labels.a>|-|<b==v",
        "id=x": "id>|=|<x",
        "id==": "id==>||<",
        "id~=[": "id~=>|[|<",
        "id==/a/": "id==>|/|<a/",
    }.items():
        with pytest.raises(ctrd.InvalidArgument) as caught:
            engine.containers.list("id", text)
        assert where in caught.value.message and caught.value.field == "filter", text
        assert caught.value.context["position"] == str(where.index(">|"))
    with pytest.raises(TypeError):
        engine.containers.list(3)  # type: ignore[arg-type]


def test_wrong_filters(engine: ctrd.Engine) -> None:
    with pytest.raises(ctrd.InvalidArgument) as caught:
        engine.containers.list(status="walking")  # type: ignore[arg-type]
    assert (caught.value.field, caught.value.value) == ("status", "walking")
    with pytest.raises(TypeError):
        engine.containers.list(labels=["env"])  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        engine.containers.list(limit="1")  # type: ignore[arg-type]
    with pytest.raises(ctrd.InvalidArgument):
        engine.containers.list(limit=-1)


def test_it_is_a_collection(engine: ctrd.Engine, three: list[ctrd.Container]) -> None:
    assert len(engine.containers) == 3
    assert list(engine.containers) == ["a", "b", "c"] == engine.containers._ipython_key_completions_()
    assert engine.containers["a"] == three[0] == engine.containers.get("a")
    assert "a" in engine.containers
    assert "A" not in engine.containers and "" not in engine.containers and "a/b" not in engine.containers
    assert 1 not in engine.containers and None not in engine.containers
    with pytest.raises(KeyError) as caught:
        engine.containers["nosuch"]
    assert isinstance(caught.value, ctrd.ContainerNotFound)
    assert "nosuch" in str(caught.value)


def test_namespaces_do_not_see_each_other(
    engine: ctrd.Engine, three: list[ctrd.Container], rootfs: ctrd.Rootfs
) -> None:
    other = engine.with_namespace("other")
    assert len(other.containers) == 0 and "a" not in other.containers
    with other.containers.create(rootfs, "true", id="a"):
        assert list(other.containers) == ["a"]
    assert len(engine.containers) == 3


def test_some_hundreds(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    for i in range(300):
        engine.containers.create(rootfs, "true", id=f"c{i:04}", labels={"i": str(i)})
    before = time.perf_counter()
    infos = engine.containers.list()
    print(f"list of 300: {(time.perf_counter() - before) * 1000:.1f} ms")
    assert infos.ids == [f"c{i:04}" for i in range(300)]
    assert engine.containers.list(labels={"i": "7"}).ids == ["c0007"]
