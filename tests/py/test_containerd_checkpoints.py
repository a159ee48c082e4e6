"""Checkpoint and restore by containerd, over our shim."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import criu
import pytest
from containerd_api import RpcError
from containerd_messages import any_of
from containerd_peer import PAUSED, RUNNING, STOPPED, Containerd, Fifo, nothing_left

pytestmark = pytest.mark.root
OPTIONS = "containerd.linux.runc.CheckpointOptions"  # what clients of 1.6 send to a shim of our name


@pytest.fixture(scope="module", params=criu.RUNTIMES)
def containerd_of_module(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Containerd]:
    """One whose runtime can dump, and whose passing files are below its own directory."""
    where = tmp_path_factory.mktemp("containerd")
    (where / "run").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", criu.path())
        made = Containerd(where, criu.runtime(request.param), XDG_RUNTIME_DIR=str(where / "run"))
    yield made
    made.close()


@pytest.fixture
def peer(containerd_of_module: Containerd) -> Iterator[Containerd]:
    """The module's containerd, with nothing in it before and after a test."""
    with nothing_left(containerd_of_module):
        yield containerd_of_module
        containerd_of_module.sweep()


def checkpoint(peer: Containerd, id: str, **options: bool) -> Any:
    """Into containerd's content store, out of the reach of its garbage collection: the descriptor of the images."""
    found = peer.api.task("Checkpoint", container_id=id, options=any_of(OPTIONS, **options)).descriptors
    images = next(one for one in found if "checkpoint.criu" in one.media_type)
    assert peer.ctr("content", "label", images.digest, "containerd.io/gc.root=test").returncode == 0
    return images


def test_a_counter_goes_on_in_another_container(peer: Containerd, root_directory: Path, tmp_path: Path) -> None:
    out = Fifo(tmp_path, "out")
    peer.start_task(root_directory, "x", "/bin/sh", "-c", criu.COUNTER, stdout=str(out.path))
    before = out.read_until(b"3\n")
    images = checkpoint(peer, "x", exit=True)
    assert peer.wait("x") == 137
    assert peer.status("x") == STOPPED
    before += out.read()
    assert peer.delete("x") == 137
    other = Fifo(tmp_path, "other")
    pid = peer.create(root_directory, "y", "/bin/sh", "-c", criu.COUNTER, stdout=str(other.path), checkpoint=images)
    assert pid == 0
    assert peer.api.task("Start", container_id="y").pid > 0
    after = other.read_until(b"\n%d\n" % (len(before.split()) + 5))
    assert peer.status("y") == RUNNING
    assert criu.goes_on(criu.numbers(before.decode()), criu.numbers(after.decode()))
    assert peer.end("y") == 137
    out.close()
    other.close()


def test_it_is_left_as_it_was(peer: Containerd, root_directory: Path) -> None:
    peer.start_task(root_directory, "x", "/bin/sh", "-c", criu.COUNTER)
    peer.api.task("Pause", container_id="x")
    checkpoint(peer, "x")
    assert peer.status("x") == PAUSED
    peer.api.task("Resume", container_id="x")
    with pytest.raises(RpcError) as caught:
        peer.api.task("Checkpoint", container_id="x", options=any_of("containerd.events.TaskOOM"))
    assert caught.value.code == "INVALID_ARGUMENT"
    assert peer.status("x") == RUNNING
    assert peer.end("x") == 137


def test_ctr_checkpoints(peer: Containerd, root_directory: Path) -> None:
    peer.start_task(root_directory, "x", "/bin/sh", "-c", criu.COUNTER)
    done = peer.ctr("task", "checkpoint", "x")
    assert done.returncode == 0, done.stderr
    assert "containerd.io/checkpoint/x" in peer.ctr("images", "ls", "-q").stdout
    assert peer.status("x") == RUNNING
    assert peer.end("x") == 137
