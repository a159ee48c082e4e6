"""Events as containerd's subscribers see them: in order, with what they say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from containerd_peer import Containerd
from support import eventually

pytestmark = pytest.mark.root


def topics(containerd: Containerd, until: str = "/tasks/delete") -> list[tuple[str, Any]]:
    """All of the task, when that one has come."""
    eventually(lambda: until in [topic for topic, _ in containerd.api.events("x")], f"{until} comes")
    return [(topic.removeprefix("/tasks/"), event) for topic, event in containerd.api.events("x")]


def test_a_whole_life(containerd: Containerd, root_directory: Path) -> None:
    api = containerd.api
    api.subscribe()
    pid = containerd.start_task(root_directory, "x", "/bin/sleep", "1000")
    for exec_id, signal in [("e1", 15), ("e2", 9)]:
        containerd.add_exec("x", exec_id, "/bin/sleep", "1000")
        api.task("Start", container_id="x", exec_id=exec_id)
        containerd.kill("x", signal, exec_id=exec_id)
        containerd.wait("x", exec_id)
        api.task("DeleteProcess", container_id="x", exec_id=exec_id)
    api.task("Pause", container_id="x")
    api.task("Resume", container_id="x")
    containerd.end("x")
    told = topics(containerd)
    an_exec = ["exec-added", "exec-started", "exit"]
    names = [name for name, event in told if not (name == "delete" and event.id)]  # of an exec: may be, or not
    assert names == ["create", "start", *an_exec, *an_exec, "paused", "resumed", "exit", "delete"]
    by_name: dict[str, list[Any]] = {}
    for name, event in told:
        by_name.setdefault(name, []).append(event)
    assert by_name["create"][0].pid == by_name["start"][0].pid == pid
    assert [(one.id, one.exit_status) for one in by_name["exit"]] == [("e1", 143), ("e2", 137), ("x", 137)]
    assert by_name["exit"][-1].pid == by_name["delete"][-1].pid == pid
    assert by_name["delete"][-1].exit_status == 137


def test_execs_end_before_init(containerd: Containerd, root_directory: Path) -> None:
    containerd.api.subscribe()
    containerd.start_task(root_directory, "x", "/bin/sleep", "1000")
    for exec_id in ("e1", "e2", "e3"):
        containerd.add_exec("x", exec_id, "/bin/sleep", "1000")
        containerd.api.task("Start", container_id="x", exec_id=exec_id)
    containerd.end("x")
    exits = [event.id for name, event in topics(containerd) if name == "exit"]
    assert sorted(exits[:3]) == ["e1", "e2", "e3"]
    assert exits[3:] == ["x"]


def test_one_that_ends_at_once_has_started(containerd: Containerd, root_directory: Path) -> None:
    containerd.api.subscribe()
    containerd.start_task(root_directory, "x", "/bin/true")
    containerd.wait("x")
    containerd.delete("x")
    assert [name for name, _ in topics(containerd)] == ["create", "start", "exit", "delete"]


def test_oom_is_told_before_the_exit(containerd: Containerd, root_directory: Path) -> None:
    containerd.api.subscribe()
    spec = containerd.spec(root_directory, "x", "/bin/sh", "-c", "x=x; while :; do x=$x$x; done")
    spec["linux"]["resources"]["memory"] = {"limit": 16 << 20, "swap": 16 << 20}
    containerd.add_container("x", spec)
    containerd.api.task("Create", container_id="x")
    containerd.api.task("Start", container_id="x")
    assert containerd.wait("x") == 137
    containerd.delete("x")
    names = [name for name, _ in topics(containerd)]
    assert names.index("oom") < names.index("exit")
