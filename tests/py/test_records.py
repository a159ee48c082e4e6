"""A container's record: its fields, and updates of them by containerd's field paths (semantics.md S1)."""

from __future__ import annotations

from typing import Any

import ctrd
import pytest

pytestmark = pytest.mark.root


@pytest.fixture
def web(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> ctrd.Container:
    return engine.containers.create(
        rootfs, "echo", "old", id="web", labels={"a": "1", "b": "2"}, extensions={"e": {"x": [1, None]}, "f": "ü"}
    )


def test_extensions_are_kept(engine: ctrd.Engine, web: ctrd.Container) -> None:
    assert web.info().extensions == {"e": {"x": [1, None]}, "f": "ü"}
    info = engine.containers.update("web", extensions={"e": None, "g": 3.5})
    assert info.extensions == engine.containers.list()[0].extensions == {"f": "ü", "g": 3.5}
    for wrong in ({"": 1}, {"x": float("nan")}, {"x": b"bytes"}, {"x": object()}):
        with pytest.raises(ctrd.InvalidArgument, match="extensions"):
            engine.containers.update("web", extensions=wrong)
    with pytest.raises(TypeError):
        engine.containers.update("web", extensions=["x"])  # type: ignore[arg-type]


def test_an_image_is_a_name_that_need_not_be_there(engine: ctrd.Engine, web: ctrd.Container) -> None:
    assert web.info().image is None
    assert engine.containers.update("web", image="docker.io/library/nginx:1").image == "docker.io/library/nginx:1"
    assert engine.containers.list("image~=nginx").ids == ["web"]
    assert engine.containers.update("web", image="").image is None


PATHS: list[tuple[list[str], dict[str, Any]]] = [
    (["labels"], {"labels": {"a": "9", "n": "5"}}),
    (["labels.a"], {"labels": {"a": "9", "b": "2"}}),
    (["labels.b"], {"labels": {"a": "1"}}),
    (["labels.n", "image"], {"labels": {"a": "1", "b": "2", "n": "5"}, "image": "new"}),
    (["extensions"], {"extensions": {"e": 9}}),
    (["extensions.e"], {"extensions": {"e": 9, "f": "ü"}}),
    (["extensions.f"], {"extensions": {"e": {"x": [1, None]}}}),
    (["image"], {"image": "new"}),
]


@pytest.mark.parametrize(("fields", "expected"), PATHS, ids=lambda one: str(one))
def test_a_path_takes_its_field(
    engine: ctrd.Engine, web: ctrd.Container, fields: list[str], expected: dict[str, Any]
) -> None:
    before = web.info()
    info = engine.containers.update("web", labels={"a": "9", "n": "5"}, extensions={"e": 9}, image="new", fields=fields)
    for name in ("labels", "extensions", "image"):
        assert getattr(info, name) == expected.get(name, getattr(before, name)), name
    assert info.created_at == before.created_at and info.updated_at >= before.updated_at
    assert info.runtime == before.runtime and info.snapshot_key == before.snapshot_key


def test_no_path_is_everything(engine: ctrd.Engine, web: ctrd.Container) -> None:
    spec = web.spec()
    info = engine.containers.update("web", labels={"n": "5"}, spec=spec, snapshot_key="web", fields=[])
    assert (info.labels, info.extensions, info.image) == ({"n": "5"}, {}, None)
    with pytest.raises(ctrd.InvalidArgument, match="spec"):
        engine.containers.update("web", snapshot_key="web", fields=[])


def test_other_paths_are_refused(engine: ctrd.Engine, web: ctrd.Container) -> None:
    for path in ("id", "runtime", "runtime.name", "snapshotter", "created_at", "annotations", "snapshot_key", "", "x"):
        with pytest.raises(ctrd.InvalidArgument) as caught:
            engine.containers.update("web", image="new", fields=["image", path])
        assert caught.value.field == "fields"
        with pytest.raises(ctrd.ContainerNotFound):
            engine.containers.update("nobody", fields=[path])
    with pytest.raises(ctrd.InvalidArgument, match="annotations"):
        engine.containers.update("web", annotations={"a": "1"}, fields=["labels"])
    with pytest.raises(ctrd.InvalidArgument, match="fields"):
        engine.containers.update("web", fields="image")
    assert web.info().image is None


def test_a_spec_is_for_the_next_start(engine: ctrd.Engine, web: ctrd.Container) -> None:
    info = engine.containers.update("web", spec={"process": {"args": ["echo", "new"]}, "annotations": {"a": "1"}})
    assert info.annotations == {"a": "1"}
    web.start()
    assert web.wait() == 0 and web.logs().read() == "new\n"
    whole = web.spec()
    whole["process"]["args"] = ["echo", "whole"]
    engine.containers.update("web", spec=whole, fields=["spec"])
    web.start()
    assert web.wait() == 0 and web.logs().read().endswith("whole\n")
    whole["linux"]["cgroupsPath"] = "/elsewhere"
    for wrong in ({"process": {"args": []}}, {"linux": {"cgroupsPath": "/elsewhere"}}):
        with pytest.raises(ctrd.InvalidArgument, match="spec|args|cgroups"):
            engine.containers.update("web", spec=wrong)
    for whole_one in ({}, whole, {"ociVersion": "1.0.2"}):
        with pytest.raises(ctrd.InvalidArgument):
            engine.containers.update("web", spec=whole_one, fields=["spec"])
    assert web.spec()["process"]["args"] == ["echo", "whole"]


def test_a_layer_can_be_given_up(engine: ctrd.Engine, web: ctrd.Container, rootfs: ctrd.Rootfs) -> None:
    engine.containers.create(rootfs, "true", id="other")
    with pytest.raises(ctrd.FailedPrecondition, match="another container"):
        engine.containers.update("web", snapshot_key="other")
    with pytest.raises(ctrd.NotFound, match="nothing"):
        engine.containers.update("web", snapshot_key="nothing")
    c = engine.start(rootfs, "sleep", "1000", id="busy")
    with pytest.raises(ctrd.FailedPrecondition, match="task"):
        engine.containers.update("busy", snapshot_key="")
    c.delete(force=True)
    assert engine.containers.update("web", snapshot_key="").snapshot_key == ""
    with pytest.raises(ctrd.FailedPrecondition, match="snapshot"):
        web.start()
    web.delete()


def test_labels_have_containerds_limits(engine: ctrd.Engine, web: ctrd.Container) -> None:
    engine.containers.update("web", labels={"k": "v" * 4095})
    for key, value in (("k", "v" * 4096), ("k" * 5000, "v"), ("", "v")):
        with pytest.raises(ctrd.InvalidArgument) as caught:
            engine.containers.update("web", labels={key: value})
        assert "k" * 65 not in caught.value.message
    assert engine.containers.update("web", labels={"k": "", "a": ""}).labels == {"b": "2"}
