"""create: what a container's record and spec hold, and that they are so inside."""

from __future__ import annotations

import json
import os
import pickle
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import ctrd
import pytest

pytestmark = pytest.mark.root


def says(engine: ctrd.Engine, rootfs: ctrd.Rootfs, code: str, **options: Any) -> str:
    return str(engine.run(rootfs, shell=code, check=True, **options).stdout).strip()


def test_a_container_is_a_record(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    before = datetime.now(UTC)
    c = engine.containers.create(rootfs, "sleep", "60", id="db", labels={"env": "ci"}, annotations={"note": "x"})
    assert (c.id, c.image, c.status()) == ("db", None, "none")
    assert before <= c.created_at <= datetime.now(UTC)
    info = c.info()
    assert (info.id, info.labels, info.annotations) == ("db", {"env": "ci"}, {"note": "x"})
    assert (info.lifetime, info.owner_pid, info.status, info.pid, info.exit) == (
        "owner",
        os.getpid(),
        "none",
        None,
        None,
    )
    assert Path(info.runtime).is_absolute() and c.runtime == info.runtime
    assert info.snapshot_key == c.snapshot_key != ""
    assert c.spec()["process"]["args"] == ["sleep", "60"]
    assert c.labels() == {"env": "ci"}
    c.delete()
    with pytest.raises(ctrd.ContainerNotFound):
        c.info()


def test_ids_are_made_up(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    with engine.containers.create(rootfs, "true") as a, engine.containers.create(rootfs, "true") as b:
        assert a.id != b.id
        assert a.id in engine.containers


def test_handles(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    with engine.containers.create(rootfs, "true", id="one") as c:
        again = engine.containers["one"]
        other = engine.with_namespace("other")
        assert c == again == engine.containers.get("one") and hash(c) == hash(again)
        assert repr(c) == "<Container 'one'>"
        twin = pickle.loads(pickle.dumps(c))
        assert twin == c and twin.info() == c.info() and twin.created_at == c.created_at
        with other.containers.create(rootfs, "true", id="one") as same_name:
            assert same_name != c
            assert len(other.containers) == len(engine.containers) == 1
        with again, twin:
            pass
        assert "one" in engine.containers  # only the handle that create returned deletes
    assert "one" not in engine.containers


def test_update_changes_what_it_names(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    with engine.containers.create(rootfs, "true", labels={"a": "1", "b": "2"}) as c:
        info = c.update(labels={"b": None, "c": "3"}, annotations={"n": "x"})
        assert info.labels == {"a": "1", "c": "3"} == c.labels()
        assert info.annotations == {"n": "x"}
        assert info.updated_at > info.created_at
        assert engine.containers.update(c.id, labels={"a": ""}).labels == {"c": "3"}
        with pytest.raises(ctrd.ContainerNotFound):
            engine.containers.update("nosuch", labels={"a": "1"})


def test_delete(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    c = engine.containers.create(rootfs, "true", id="x")
    del engine.containers["x"]
    with pytest.raises(ctrd.ContainerNotFound):
        c.delete()
    with pytest.raises(KeyError):
        del engine.containers["x"]
    c.delete(missing_ok=True)
    c.delete(force=True, missing_ok=True)


def test_replace(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    engine.start(rootfs, "sleep", "1000", id="x")
    with pytest.raises(ctrd.AlreadyExists):
        engine.containers.create(rootfs, "true", id="x")
    with engine.containers.create(rootfs, "true", id="x", replace=True) as c:
        assert c.status() == "none"


def test_the_root_is_never_written_to(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    before = sorted(map(str, rootfs.path.rglob("*")))
    c = engine.containers.create(rootfs, shell="echo x >> /new; cat /new; rm -f /bin/ls")
    with c:
        c.start().wait()
        c.start().wait()  # on the same layer
        assert c.logs().read() == "x\nx\n"
    assert sorted(map(str, rootfs.path.rglob("*"))) == before
    assert says(engine, rootfs, "ls /new 2>/dev/null || echo none") == "none"


def test_env(engine: ctrd.Engine, rootfs: ctrd.Rootfs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FROM_CALLER", "x")
    lines = says(engine, rootfs, "env", env={"A": "1 ä", "B": "", "PATH": "/bin"}).splitlines()
    assert "A=1 ä" in lines and "B=" in lines and "PATH=/bin" in lines
    assert not any(line.startswith("FROM_CALLER") for line in lines)
    with engine.containers.create(rootfs, "true", env={"PATH": None, "X": "1"}) as c:
        assert not any(one.startswith("PATH=") for one in c.spec()["process"]["env"])


def test_cwd_user_hostname(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    assert says(engine, rootfs, "pwd; hostname; id -u; id -g", cwd="/tmp", hostname="box") == "/tmp\nbox\n0\n0"
    assert says(engine, rootfs, "id -u; id -g", user="1000:2000") == "1000\n2000"
    assert says(engine, rootfs, "id -u; id -g", user="nobody") == "65534\n65534"
    with engine.containers.create(rootfs, "hostname", id="named") as c:
        c.start().wait()
        assert c.logs().read() == "named\n"


def test_mounts(engine: ctrd.Engine, rootfs: ctrd.Rootfs, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("hi")
    mounts = [f"{tmp_path}:/a", ctrd.Mount.bind(tmp_path, "/b", read_only=True), (tmp_path / "file", "/c")]
    code = "cat /a/file /b/file /c; echo new > /a/new; echo x > /b/x || echo refused; grep -c ' /t tmpfs' /proc/mounts"
    said = says(engine, rootfs, code, mounts=mounts, tmpfs={"/t": "1M"})
    assert said == "hihihirefused\n1"
    assert (tmp_path / "new").read_text() == "new\n"


def test_read_only(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    assert says(engine, rootfs, "touch /x 2>/dev/null || echo refused", read_only=True) == "refused"


def test_network(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    count = "grep -c : /proc/net/dev"
    assert says(engine, rootfs, f"{count}; ip -o link show lo | grep -c LOOPBACK,UP") == "1\n1"
    assert int(says(engine, rootfs, count, network="host")) >= 1
    host = str(Path("/proc/self/ns/net").readlink())
    assert says(engine, rootfs, "readlink /proc/self/ns/net", network="host") == host
    assert says(engine, rootfs, "readlink /proc/self/ns/net") != host


def test_capabilities_and_privileges(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    code = "grep -E 'CapEff|NoNewPrivs|Seccomp:' /proc/self/status | tr '\\n' ' '"
    default = says(engine, rootfs, code).split()
    assert int(default[1], 16).bit_count() == 14
    assert (default[3], default[5]) == ("1", "2")
    less = says(
        engine, rootfs, code, cap_drop=["ALL"], cap_add=["NET_ADMIN"], seccomp="unconfined", no_new_privileges=False
    )
    assert (int(less.split()[1], 16), less.split()[3], less.split()[5]) == (1 << 12, "0", "0")


def test_seccomp_profiles(engine: ctrd.Engine, rootfs: ctrd.Rootfs, tmp_path: Path) -> None:
    profile: dict[str, Any] = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "architectures": ["SCMP_ARCH_X86_64"],
        "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"}],
    }
    (tmp_path / "profile.json").write_text(json.dumps(profile))
    for seccomp in (profile, tmp_path / "profile.json"):
        assert says(engine, rootfs, "mkdir /x 2>/dev/null || echo refused", seccomp=seccomp) == "refused"
    with pytest.raises(ctrd.PathNotFound):
        engine.run(rootfs, "true", seccomp=tmp_path / "nosuch.json")


def test_rlimits(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    assert says(engine, rootfs, "ulimit -Sn; ulimit -Hn") == "1024\n1024"
    said = says(engine, rootfs, "ulimit -Sn; ulimit -Hn; ulimit -Sc", rlimits={"NOFILE": (100, 200), "RLIMIT_CORE": 0})
    assert said == "100\n200\n0"


def test_resources(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    limits: ctrd.Resources = {"cpu_weight": 50}
    c = engine.containers.create(rootfs, "true", memory="64M", cpus=0.5, pids=20, resources=limits)
    with c:
        found = c.spec()["linux"]["resources"]
        assert found["memory"]["limit"] == 64 << 20
        assert found["pids"]["limit"] == 20
        assert found["cpu"]["quota"] / found["cpu"]["period"] == 0.5
    with pytest.raises(ctrd.InvalidArgument) as caught:
        engine.containers.create(rootfs, "true", memory="64M", resources={"memory": "32M"})
    assert caught.value.field == "memory"
    with pytest.raises(TypeError, match="'memorry'; did you mean 'memory'"):
        engine.containers.create(rootfs, "true", resources={"memorry": "32M"})  # type: ignore[typeddict-unknown-key]


def test_memory_is_limited(engine: ctrd.Engine, rootfs: ctrd.Rootfs, runtime: str) -> None:
    code = "x=$(head -c 100000000 /dev/zero | tr '\\0' x); echo ${#x}"
    result = engine.run(rootfs, shell=code, memory="16M", runtime=runtime)
    assert not result.ok and result.stdout == ""
    assert result.oom_killed


def test_pids_are_limited(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    result = engine.run(rootfs, shell="for i in 1 2 3 4 5 6 7 8; do sleep 5 & done; wait", pids=4)
    assert not result.ok
    assert "fork" in result.stderr


def test_spec_as_a_patch_or_a_function(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    patch = {"process": {"env": ["A=patched"], "cwd": "/tmp"}, "hostname": "patched"}
    assert says(engine, rootfs, "echo $A $(pwd) $(hostname)", spec=patch) == "patched /tmp patched"

    def edit(spec: dict[str, Any]) -> None:
        spec["process"]["args"][-1] += " there"

    assert says(engine, rootfs, "echo hello", spec=edit) == "hello there"
    assert says(engine, rootfs, "hostname", spec=lambda spec: {**spec, "hostname": "new"}) == "new"


def test_what_a_spec_function_raises_arrives(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    def fail(spec: dict[str, Any]) -> None:
        raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        engine.containers.create(rootfs, "true", spec=fail)
    with pytest.raises(ctrd.InvalidArgument) as caught:
        engine.containers.create(rootfs, "true", spec=lambda spec: [])  # type: ignore[arg-type, return-value]
    assert caught.value.field == "spec"
    assert len(engine.containers) == 0


def test_default_options(tmp_path: Path, rootfs: ctrd.Rootfs) -> None:
    config = ctrd.EngineConfig(default_options={"memory": "64M", "env": {"A": "1"}, "labels": {"by": "default"}})
    with ctrd.Engine(tmp_path / "root", state=tmp_path / "state", config=config) as engine:
        assert engine.run(rootfs, shell="echo $A").stdout == "1\n"
        with engine.containers.create(rootfs, "true", resources={"memory": "32M"}) as c:
            assert c.labels() == {"by": "default"}
            assert c.spec()["linux"]["resources"]["memory"]["limit"] == 32 << 20
    with pytest.raises(TypeError, match="'memroy'"):
        ctrd.Engine(tmp_path / "root", config=ctrd.EngineConfig(default_options={"memroy": 1}))  # type: ignore[typeddict-unknown-key]


def test_a_closed_engine_refuses(tmp_path: Path, rootfs: ctrd.Rootfs) -> None:
    engine = ctrd.Engine(tmp_path / "root", state=tmp_path / "state")
    view = engine.with_namespace("other")
    kept = engine.start(rootfs, "sleep", "1000", id="kept", lifetime="detached")
    engine.start(rootfs, "sleep", "1000")
    view.start(rootfs, "sleep", "1000")
    engine.close()
    engine.close()
    assert engine.closed and view.closed
    for verb in (kept.info, kept.wait, engine.doctor, lambda: len(view.containers), lambda: engine.run(rootfs, "true")):
        with pytest.raises(ctrd.FailedPrecondition, match="closed"):
            verb()
    with ctrd.Engine(tmp_path / "root", state=tmp_path / "state") as again:
        assert list(again.containers) == ["kept"]
        assert list(again.with_namespace("other").containers) == []
        assert again.containers["kept"].status() == "running"
        again.containers.delete("kept", force=True)


def test_doctor(engine: ctrd.Engine) -> None:
    report = engine.doctor()
    assert report.ok, str(report)
    assert {"overlay", "shim"} <= {check.name for check in report.checks}
    assert ctrd.doctor().ok
