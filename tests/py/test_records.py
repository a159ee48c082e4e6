"""A container's record: its fields, and updates of them by containerd's field paths (semantics.md S1)."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
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


def test_a_layer_is_not_taken_from_a_task_that_is_being_made(engine: ctrd.Engine, web: ctrd.Container) -> None:
    bundle = engine.state / "default/web"
    bundle.mkdir(parents=True)
    maker = os.open(bundle, os.O_RDONLY)
    fcntl.flock(maker, fcntl.LOCK_EX)  # the claim of whoever makes it
    with pytest.raises(ctrd.FailedPrecondition, match="being made"):
        engine.containers.update("web", snapshot_key="")
    assert web.info().snapshot_key == "web"
    os.close(maker)
    bundle.rmdir()
    assert engine.containers.update("web", snapshot_key="").snapshot_key == ""
    assert not bundle.exists()
    web.delete()


def test_labels_have_containerds_limits(engine: ctrd.Engine, web: ctrd.Container) -> None:
    engine.containers.update("web", labels={"k": "v" * 4095})
    for key, value in (("k", "v" * 4096), ("k" * 5000, "v"), ("", "v")):
        with pytest.raises(ctrd.InvalidArgument) as caught:
            engine.containers.update("web", labels={key: value})
        assert "k" * 65 not in caught.value.message
    assert engine.containers.update("web", labels={"k": "", "a": ""}).labels == {"b": "2"}


def test_runtime_options_are_kept_and_reach_the_runtime(
    engine: ctrd.Engine, rootfs: ctrd.Rootfs, tmp_path: Path
) -> None:
    said = tmp_path / "said"
    wrapper = tmp_path / "wrapped"
    wrapper.write_text(f'#!/bin/sh\necho "$@" >>{said}\nexec {shutil.which("runc")} "$@"\n')
    wrapper.chmod(0o755)
    options = {"no_pivot_root": True, "no_new_keyring": True, "io_uid": 7, "io_gid": 8, "binary_name": str(wrapper)}
    command = ["stat", "-L", "-c", "%u:%g", "/proc/self/fd/1"]
    with engine.start(rootfs, *command, id="web", runtime_options=options, stdout=ctrd.PIPE) as c:
        task = c.task()
        # The runtime gives a pipe to the process's user; its group stays.
        assert c.wait(timeout=30) == 0 and task.stdout and task.stdout.read().endswith(":8\n")
        info = engine.containers.list()[0]
        assert info == c.info() and info.runtime_options == options and info.runtime == str(wrapper)
        assert info.runtime_name == "io.containerd.ctrd.v2"
        create = next(line for line in said.read_text().splitlines() if " create " in line)
        assert "--no-pivot" in create and "--no-new-keyring" in create
        event = next(iter(engine.events("topic==/containers/create", follow=False)))
        assert event.data["runtime"]["options"]["type_url"] == "containerd.runc.v1.Options"
    again = engine.containers.create(rootfs, "true", runtime_options=info.runtime_options)
    assert again.info().runtime_options == options
    assert engine.containers.create(rootfs, "true", runtime_options={}).info().runtime_options == {}


def test_runtime_options_that_are_not_a_containers(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    for wrong in (
        {"root": "/run/x"},
        {"systemd_cgroup": True},
        {"io_uid": -1},
        {"io_gid": 2**32},
        {"type_url": "", "value": b"z"},
        {"type_url": "x.y", "value": b"z"},
        {"type_url": "containerd.runc.v1.Options", "value": b"\x0a\x7f"},
        {"type_url": "containerd.runc.v1.Options", "value": b"\x3a\x02/x"},  # root
    ):
        with pytest.raises(ctrd.InvalidArgument) as caught:
            engine.containers.create(rootfs, "true", runtime_options=wrong)
        assert (caught.value.field or "").startswith("runtime_options"), wrong
    with pytest.raises(ctrd.ResourceExhausted):
        engine.containers.create(rootfs, "true", runtime_options={"type_url": "x.y", "value": b"x" * 20000})
    with pytest.raises(ctrd.NotFound, match="no-such-runtime"):
        engine.containers.create(rootfs, "true", runtime_options={"binary_name": "no-such-runtime"})
    for of_type in ({"no_pivot_root": 1}, {"type_url": "x", "value": "text"}, ["no_pivot_root"], {3: 4}):
        with pytest.raises(TypeError):
            engine.containers.create(rootfs, "true", runtime_options=of_type)  # type: ignore[arg-type]
    assert len(engine.containers) == 0


def test_what_an_update_cannot_name(engine: ctrd.Engine, web: ctrd.Container) -> None:
    """S1: runtime, its options, snapshotter and sandbox stay what they were, whatever is asked."""
    before = web.info()
    for name in ("runtime", "runtime_options", "snapshotter", "sandbox_id", "id", "created_at"):
        with pytest.raises(TypeError):
            engine.containers.update("web", **{name: "x"})  # type: ignore[arg-type]
    assert engine.containers.update("web", labels={"a": "1"}, fields=["labels.a"]).labels == before.labels
    after = web.info()
    assert (after.runtime, after.runtime_options, after.snapshotter) == (
        before.runtime,
        before.runtime_options,
        before.snapshotter,
    )


def test_a_sandbox_is_a_name(engine: ctrd.Engine, rootfs: ctrd.Rootfs, web: ctrd.Container) -> None:
    assert web.info().sandbox_id is None
    assert engine.containers.create(rootfs, "true", id="in", sandbox_id="pod-1").info().sandbox_id == "pod-1"
    assert {info.id: info.sandbox_id for info in engine.containers.list()} == {"in": "pod-1", "web": None}
    assert engine.containers.list("sandbox_id==pod-1") == engine.containers.list("sandboxid==pod-1") == []  # S4
    engine.containers.update("in", labels={"a": "1"})
    assert engine.containers["in"].info().sandbox_id == "pod-1"


NO_NAMES = ["", ".", "..", "a/b", "-a", "a-", "_a", "a..b", "a._b", "a--b", "é", "a\n", "a b", "a\0b", "x" * 77]


@pytest.mark.parametrize("name", NO_NAMES, ids=lambda name: ascii(name[:8]))
def test_identifiers(engine: ctrd.Engine, rootfs: ctrd.Rootfs, name: str) -> None:
    """S2, for each kind of object that has one."""
    for field, verb in {
        "id": lambda: engine.containers.create(rootfs, "true", id=name),
        "sandbox_id": lambda: engine.containers.create(rootfs, "true", sandbox_id=name),
    }.items():
        with pytest.raises(ctrd.InvalidArgument) as caught:
            verb()
        assert caught.value.field == field
    of_namespace = ctrd.InvalidArgument if name else ctrd.FailedPrecondition
    with pytest.raises(of_namespace):
        engine.namespaces.create(name)
    with pytest.raises(ctrd.InvalidArgument):
        engine.containers.get(name)
    with pytest.raises(ctrd.InvalidArgument):
        engine.containers.update(name, labels={"a": "1"}, fields=["nothing"])  # the id comes before all
    with pytest.raises(ctrd.InvalidArgument):
        engine.containers.delete(name, missing_ok=True)
    assert len(engine.containers) == 0 and engine.namespaces.list() == []


def test_identifiers_of_execs(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    with engine.start(rootfs, "sleep", "1000") as c:
        for name in NO_NAMES:
            with pytest.raises(ctrd.InvalidArgument) as caught:
                c.exec("true", id=name)
            assert caught.value.field in ("id", "exec_id"), name
        for name in ("a", "0", "A.b_c-d", "x" * 76):
            assert c.exec("true", id=name).wait(timeout=30) == 0


def test_what_is_wrong_comes_before_what_is_there(
    engine: ctrd.Engine, rootfs: ctrd.Rootfs, web: ctrd.Container
) -> None:
    with pytest.raises(ctrd.InvalidArgument):
        engine.containers.create(rootfs, "true", id="web", labels={"": "v"})
    with pytest.raises(ctrd.InvalidArgument):
        engine.containers.create(rootfs, "true", id="web", extensions={"": 1})
    with pytest.raises(ctrd.AlreadyExists):
        engine.containers.create(rootfs, "true", id="web")


def test_times_are_the_stores(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    began = datetime.now(UTC)
    made = engine.containers.create(rootfs, "true", id="web").info()
    assert began - timedelta(seconds=1) <= made.created_at == made.updated_at <= datetime.now(UTC)
    changed = engine.containers.update("web", labels={})
    assert changed.created_at == made.created_at and changed.updated_at > made.updated_at


LABELLED: dict[str, Callable[[ctrd.Engine, ctrd.Rootfs, dict[str, str]], Mapping[str, str]]] = {
    "container": lambda e, r, labels: e.containers.create(r, "true", labels=labels).info().labels,
    "container, changed": lambda e, r, labels: e.containers.create(r, "true").update(labels=labels).labels,
    "namespace": lambda e, r, labels: e.namespaces.create("ci", labels=labels) or e.namespaces.labels("ci"),
    "namespace, changed": lambda e, r, labels: e.namespaces.update("ci", labels=labels) or e.namespaces.labels("ci"),
    "blob": lambda e, r, labels: e.content.info(e.content.ingest(b"x", labels=labels).digest).labels,
    "blob, changed": lambda e, r, labels: e.content.update(e.content.ingest(b"x").digest, labels=labels).labels,
}


@pytest.mark.parametrize("kind", LABELLED)
def test_labels(engine: ctrd.Engine, rootfs: ctrd.Rootfs, kind: str) -> None:
    """S3: 4,096 bytes of key and value, any characters, an empty value is none."""
    make = LABELLED[kind]
    for wrong in ({"k": "v" * 4096}, {"k" * 4000: "ü" * 49}, {"": "v"}):
        with pytest.raises(ctrd.InvalidArgument) as caught:
            make(engine, rootfs, wrong)
        assert caught.value.field == "labels" and "k" * 65 not in caught.value.message
        engine.containers.list()
        for id in list(engine.containers):
            engine.containers.delete(id)
        for blob in engine.content.list():
            engine.content.delete(blob.digest)
    fine = {"k": "v" * 4095, "ä b/c\n=,": "\t", "containerd.io/uncompressed": "x", "empty": ""}
    assert make(engine, rootfs, fine) == {key: value for key, value in fine.items() if value}
    for blob in engine.content.list():
        engine.content.delete(blob.digest)
