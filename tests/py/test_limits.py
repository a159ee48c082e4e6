"""Limits, at creation and changed while it runs; devices, sysctls, privileged, init: what the kernel says of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ctrd
import pytest
from support import eventually

pytestmark = pytest.mark.root
V2 = Path("/sys/fs/cgroup/cgroup.controllers").exists()
FILES = {
    "memory": ("memory.limit_in_bytes", "memory.max"),
    "swap": ("memory.memsw.limit_in_bytes", "memory.swap.max"),
    "pids": ("pids.max", "pids.max"),
    "quota": ("cpu.cfs_quota_us", "cpu.max"),
    "weight": ("cpu.shares", "cpu.weight"),
    "cpuset_cpus": ("cpuset.cpus", "cpuset.cpus"),
}


def cgroup_file(c: ctrd.Container, name: str) -> Path:
    """Where this file of the container's cgroup is."""
    path = c.spec()["linux"]["cgroupsPath"].lstrip("/")
    found = [*Path("/sys/fs/cgroup").glob(f"{path}/{name}"), *Path("/sys/fs/cgroup").glob(f"*/{path}/{name}")]
    assert found, f"no {name}"
    return found[0]


def limit(c: ctrd.Container, what: str) -> str:
    return cgroup_file(c, FILES[what][V2]).read_text().split()[0]


def resources(c: ctrd.Container) -> dict[str, Any]:
    found: dict[str, Any] = c.spec()["linux"]["resources"]
    del found["devices"]
    return found


def block_device() -> str:
    """A disk of this machine, as major:minor."""
    disks = [path for path in Path("/sys/block").iterdir() if not path.name.startswith(("zram", "ram"))]
    return (disks[0] / "dev").read_text().strip()


def test_limits_at_creation(engine: ctrd.Engine, rootfs: ctrd.Rootfs, runtime: str) -> None:
    limits: ctrd.Resources = {"cpu_weight": 50, "cpuset_cpus": "0", "swap": "96M"}
    options: Any = {"memory": "64M", "cpus": 0.5, "pids": 20, "resources": limits}
    with engine.start(rootfs, "sleep", "1000", runtime=runtime, **options) as c:
        assert limit(c, "memory") == str(64 << 20)
        assert limit(c, "swap") == str((32 if V2 else 96) << 20)
        assert (limit(c, "pids"), limit(c, "quota"), limit(c, "cpuset_cpus")) == ("20", "50000", "0")
        assert limit(c, "weight") == ("50" if V2 else str(2 + 49 * 262142 // 9999 + 1))


def test_update_of_a_task_that_runs(engine: ctrd.Engine, rootfs: ctrd.Rootfs, runtime: str) -> None:
    with engine.start(rootfs, "sleep", "1000", runtime=runtime, memory="64M", cpus=0.5, pids=20) as c:
        info = c.update(memory="96M", labels={"a": "1"})
        assert (info.status, info.labels) == ("running", {"a": "1"})
        assert limit(c, "memory") == str(96 << 20)
        assert (limit(c, "pids"), limit(c, "quota")) == ("20", "50000")
        c.update(pids=30, cpus=0.25, resources={"cpu_weight": 20, "cpuset_cpus": "0"})
        assert (limit(c, "pids"), limit(c, "quota"), limit(c, "cpuset_cpus")) == ("30", "25000", "0")
        assert limit(c, "memory") == str(96 << 20)
        found = resources(c)
        assert (found["memory"]["limit"], found["pids"]["limit"]) == (96 << 20, 30)
        c.kill()
        c.wait()
        c.update(pids=40)
        c.start()
        assert (limit(c, "pids"), limit(c, "quota"), limit(c, "memory")) == ("40", "25000", str(96 << 20))


def test_limits_are_lifted(engine: ctrd.Engine, rootfs: ctrd.Rootfs, runtime: str) -> None:
    options: Any = {"memory": "64M", "cpus": 0.5, "pids": 20, "resources": {"swap": "64M"}}
    with engine.start(rootfs, "sleep", "1000", runtime=runtime, **options) as c:
        c.update(memory=-1, cpus=-1, pids=-1)
        assert resources(c) == {}
        unlimited = ("max",) if V2 else ("9223372036854771712", "-1", "max")
        assert {limit(c, what) for what in ("memory", "swap", "pids", "quota")} == set(unlimited)
        c.update(memory="128M")  # and nothing of what was lifted comes back
        assert (limit(c, "pids"), limit(c, "quota"), limit(c, "memory")) == (
            "max",
            "max" if V2 else "-1",
            str(128 << 20),
        )


def test_update_before_the_start_and_while_paused(engine: ctrd.Engine, rootfs: ctrd.Rootfs, runtime: str) -> None:
    with engine.containers.create(rootfs, "sleep", "1000", runtime=runtime) as c:
        c.update(pids=11)
        assert resources(c)["pids"]["limit"] == 11
        task = c.create_task()
        assert limit(c, "pids") == "11"
        c.update(pids=12)
        assert limit(c, "pids") == "12"
        task.start()
        c.pause()
        c.update(pids=13, memory="64M")
        assert (limit(c, "pids"), limit(c, "memory"), c.status()) == ("13", str(64 << 20), "paused")
        c.resume()


def test_what_is_refused_changes_nothing(engine: ctrd.Engine, rootfs: ctrd.Rootfs, runtime: str) -> None:
    code = "x=$(head -c 30000000 /dev/zero | tr '\\0' x); echo up; sleep 1000; :"
    with engine.start(rootfs, shell=code, runtime=runtime, memory="128M", pids=20) as c:
        eventually(lambda: "up" in c.logs().read(), "it has its memory")
        before = resources(c)
        with pytest.raises(ctrd.FailedPrecondition) as caught:
            c.update(memory="8M", pids=30, labels={"a": "1"})
        assert caught.value.context["field"] == "memory"
        with pytest.raises(ctrd.InvalidArgument) as wrong:
            c.update(pids=30, resources={"cpuset_cpus": "4095"})
        assert wrong.value.field == "cpuset_cpus"
        assert resources(c) == before and c.labels() == {}
        assert (limit(c, "memory"), limit(c, "pids"), c.status()) == (str(128 << 20), "20", "running")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"memory": 0}, "memory"),
        ({"memory": -2}, "memory"),
        ({"memory": "512MB"}, "memory"),
        ({"pids": 0}, "pids"),
        ({"pids": -2}, "pids"),
        ({"cpus": 0}, "cpus"),
        ({"cpus": 0.001}, "cpus"),
        ({"resources": {"swap": "1M"}}, "swap"),
        ({"resources": {"cpu_weight": 10001}}, "cpu_weight"),
        ({"resources": {"cpuset_cpus": "a"}}, "cpuset_cpus"),
        ({"resources": {"io": {"/dev/null": {"read_bps": 1}}}}, "io"),
        ({"resources": {"io": {"7:0": {"read_bps": 0}}}}, "io"),
        ({"resources": {"io": {"7:0": {}}}}, "io"),
        ({"pids": 1, "resources": {"pids": 1}}, "pids"),
    ],
)
def test_bad_limits(engine: ctrd.Engine, rootfs: ctrd.Rootfs, changes: dict[str, Any], field: str) -> None:
    with pytest.raises(ctrd.InvalidArgument) as caught:
        engine.containers.create(rootfs, "true", **changes)
    assert caught.value.field == field
    with engine.containers.create(rootfs, "true") as c:
        before = c.info()
        with pytest.raises(ctrd.InvalidArgument):
            c.update(**changes)
        assert c.info() == before


def test_wrong_types_of_limits(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    with engine.containers.create(rootfs, "true") as c:
        for changes in ({"pids": "5"}, {"cpus": "1"}, {"resources": {"io": 5}}, {"resources": {"io": {"7:0": 5}}}):
            with pytest.raises(TypeError):
                c.update(**changes)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="did you mean 'read_bps'"):
            c.update(resources={"io": {"7:0": {"read_bp": 5}}})


def test_memory_below_what_a_start_needs(engine: ctrd.Engine, rootfs: ctrd.Rootfs, runtime: str) -> None:
    with pytest.raises(ctrd.Error) as caught:
        engine.run(rootfs, "true", memory=4096, runtime=runtime)
    assert V2 or (type(caught.value) is ctrd.FailedPrecondition and caught.value.context["field"] == "memory")
    assert len(engine.containers) == 0


def test_block_devices(engine: ctrd.Engine, rootfs: ctrd.Rootfs, runtime: str) -> None:
    disk = block_device()

    def throttles(c: ctrd.Container) -> str:
        if V2:
            return cgroup_file(c, "io.max").read_text()
        names = ("read_bps", "write_bps", "read_iops", "write_iops")
        return "".join(f"{name} {cgroup_file(c, f'blkio.throttle.{name}_device').read_text()}" for name in names)

    with engine.start(
        rootfs, "sleep", "1000", runtime=runtime, resources={"io": {disk: {"read_bps": 1048576, "write_iops": 50}}}
    ) as c:
        assert ("rbps=1048576" if V2 else f"read_bps {disk} 1048576") in throttles(c)
        c.update(resources={"io": {disk: {"read_bps": -1, "write_bps": 2097152}}})
        said = throttles(c)
        assert "1048576" not in said
        assert ("wbps=2097152" if V2 else f"write_bps {disk} 2097152") in said
        assert ("wiops=50" if V2 else f"write_iops {disk} 50") in said
        c.update(memory="64M")
        assert throttles(c) == said  # runc 1.1 writes what it was told at creation again


def test_weights_of_block_devices(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    root = Path("/sys/fs/cgroup")
    if V2 or list(root.glob("*/blkio.weight")) or list(root.glob("*/blkio.bfq.weight")):
        pytest.skip("this kernel has weights")
    with pytest.raises(ctrd.Unsupported) as caught:
        engine.containers.create(rootfs, "true", resources={"io": {"*": {"weight": 100}}})
    assert caught.value.hint and "BFQ" in caught.value.hint


def test_devices(engine: ctrd.Engine, rootfs: ctrd.Rootfs, runtime: str) -> None:
    code = "ls -l /dev/own | cut -c1; echo x > /dev/own; : > /dev/disk; ls /dev/kmsg"
    devices = ["/dev/full:/dev/own", "/dev/loop0:/dev/disk:r"]
    result = engine.run(rootfs, shell=code, devices=devices, runtime=runtime)
    assert result.stdout == "c\n"
    assert "No space left" in result.stderr and "Operation not permitted" in result.stderr


@pytest.mark.parametrize("device", ["", "dev/full", "/dev/full:x", "/dev/full:/dev/x:rwx", "/etc/passwd", "/dev"])
def test_bad_devices(engine: ctrd.Engine, rootfs: ctrd.Rootfs, device: str) -> None:
    with pytest.raises(ctrd.InvalidArgument) as caught:
        engine.containers.create(rootfs, "true", devices=[device])
    assert caught.value.field == "devices"
    with pytest.raises(ctrd.PathNotFound):
        engine.containers.create(rootfs, "true", devices=["/dev/nosuch"])


def test_sysctls(engine: ctrd.Engine, rootfs: ctrd.Rootfs, runtime: str) -> None:
    sysctls = {"net.ipv4.ip_forward": "1", "kernel.msgmax": "9000"}
    code = "cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/msgmax"
    assert engine.run(rootfs, shell=code, sysctls=sysctls, runtime=runtime, check=True).stdout == "1\n9000\n"
    for bad in ({"kernel.core_pattern": "|x"}, {"a=b+c": "1"}, {"net.ipv4.ip_forward": "a=b+c"}):
        with pytest.raises(ctrd.InvalidArgument):
            engine.containers.create(rootfs, "true", sysctls=bad)


def test_privileged(engine: ctrd.Engine, rootfs: ctrd.Rootfs, runtime: str) -> None:
    code = (
        "grep -E 'NoNewPrivs|Seccomp:' /proc/self/status; mkdir /m; mount -t tmpfs x /m && echo mounted;"
        "grep -c ' /proc/timer_list ' /proc/mounts; : < /dev/loop0 && echo opened"
    )
    said = engine.run(rootfs, shell=code, privileged=True, runtime=runtime).stdout.split()
    assert said == ["NoNewPrivs:", "0", "Seccomp:", "0", "mounted", "0", "opened"]
    code = "grep -E 'CapEff|NoNewPrivs|Seccomp:' /proc/self/status"
    options: Any = {"cap_drop": ["ALL"], "cap_add": ["CHOWN"], "seccomp": "default", "no_new_privileges": True}
    said = engine.run(rootfs, shell=code, privileged=True, runtime=runtime, **options).stdout.split()
    assert said[1::2] == ["0000000000000001", "1", "2"]


def test_init_reaps_and_passes_signals_on(engine: ctrd.Engine, rootfs: ctrd.Rootfs, runtime: str) -> None:
    # The orphans of the inner shells end when nobody waits for them.
    code = "trap 'echo bye; exit 7' TERM; for i in 1 2 3; do (true &); done; echo up; while :; do sleep 0.05; done"
    with engine.start(rootfs, shell=code, init=True, runtime=runtime) as c:
        eventually(lambda: "up" in c.logs().read(), "its program runs")
        first = c.processes()[0]
        assert first.args[:3] == ("/dev/ctrd-init", "init", "--")
        assert c.spec()["process"]["args"] == ["/bin/sh", "-c", code]

        def zombies() -> list[str]:
            children = Path(f"/proc/{first.pid}/task/{first.pid}/children").read_text().split()
            return [pid for pid in children if ") Z" in Path(f"/proc/{pid}/stat").read_text()]

        eventually(lambda: not zombies(), "orphans are reaped")
        c.kill("TERM")
        assert c.wait(timeout=30) == 7
        assert "bye" in c.logs().read()


def test_init_ends_as_its_program_does(engine: ctrd.Engine, rootfs: ctrd.Rootfs, runtime: str) -> None:
    assert engine.run(rootfs, shell="kill -9 $$", init=True, runtime=runtime).returncode == 137
    assert engine.run(rootfs, "cat", init=True, input="x", runtime=runtime).stdout == "x"
    assert engine.run(rootfs, "id", "-u", init=True, user="1000", read_only=True, runtime=runtime).stdout == "1000\n"
    result = engine.run(rootfs, "nosuch", init=True, runtime=runtime)
    assert (result.returncode, result.stderr) == (127, 'ctrd-init: "nosuch": No such file or directory\n')
