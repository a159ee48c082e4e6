"""Bad input: the rows of the papers' table D8 that this part has, by number, and other ways to be wrong.

Every row raises a typed error that names field and value, leaves nothing half-made, and the right call succeeds.
"""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ctrd
import pytest

pytestmark = pytest.mark.root


@dataclass(frozen=True)
class Row:
    """One bad call: create (or run) with these options."""

    number: str
    error: type[Exception] | tuple[type[Exception], ...]
    options: dict[str, Any] = field(default_factory=dict)
    args: tuple[str, ...] = ("true",)
    names: str | None = None  # .field
    says: str = ""  # in the message


INV = ctrd.InvalidArgument
# What only spec= can reach may also be the runtime's word.
EITHER = (ctrd.InvalidArgument, ctrd.RuntimeFailed)


def nested(depth: int) -> dict[str, Any]:
    """{"a": {"a": ...}}."""
    made: dict[str, Any] = {}
    for _ in range(depth):
        made = {"a": made}
    return made


def process(**fields: Any) -> dict[str, Any]:
    return {"spec": {"process": fields}}


def drop_process(spec: dict[str, Any]) -> None:
    del spec["process"]


def edit_root(path: str) -> Callable[[dict[str, Any]], None]:
    def edit(spec: dict[str, Any]) -> None:
        spec["root"]["path"] = path

    return edit


CREATE = [
    Row("1", INV, {"id": ""}, names="id"),
    Row("2", INV, {"id": "."}, names="id", says="'.'"),
    Row("3", INV, {"id": ".."}, names="id"),
    Row("4", INV, {"id": "a/b"}, names="id", says="a/b"),
    Row("5", INV, {"id": "a\0b"}, names="id"),
    Row("6", INV, {"id": "-rf"}, names="id"),
    Row("7", INV, {"id": "a" * 77}, names="id"),
    Row("9", INV, {"id": "é"}, names="id"),
    Row("10", INV, {"id": "a\n"}, names="id"),
    Row("11", INV, {"id": "a..b"}, names="id"),
    Row("14", TypeError, {"id": 7}, says="id must be str"),
    Row("17", INV, {"spec": nested(100_000)}, names="spec", says="deep"),
    Row("17-function", INV, {"spec": lambda spec: nested(100_000)}, names="spec", says="deep"),
    Row("17-seccomp", INV, {"seccomp": nested(100_000)}, names="seccomp", says="deep"),
    Row("17-65", INV, {"spec": nested(65)}, says="deep"),
    Row("17-name", INV, {"seccomp": "[" * 100_000}, names="seccomp"),
    Row("18", (ctrd.ResourceExhausted,), {"spec": {"annotations": {"x": "y" * (5 << 20)}}}),
    Row("23", EITHER, {"spec": drop_process}),
    Row("24", INV, args=()),
    Row("24-patch", EITHER, process(args=[])),
    Row("25", INV, args=("",)),
    Row("26", INV, args=("a\0b",)),
    Row("27", INV, {"cwd": "relative"}, names="cwd", says="relative"),
    Row("29", INV, {"cwd": "/proc/self/fd/7"}, names="cwd"),
    Row("30", EITHER, {"spec": edit_root("/etc")}),
    Row("31", EITHER, {"spec": edit_root("../../..")}),
    Row("35", INV, {"user": "-1"}, names="user", says="-1"),
    Row("36", INV, {"user": "2147483648"}, names="user"),
    Row("37", INV, {"user": "4294967296"}, names="user"),
    Row("37-hex", (INV, ctrd.NotFound), {"user": "0x0"}, says="0x0"),
    Row("37-three", INV, {"user": "0:0:0"}, names="user"),
    Row("38", ctrd.NotFound, {"user": "nobody:nosuch"}, says="nosuch"),
    Row("38-user", ctrd.NotFound, {"user": "nosuch"}, says="nosuch"),
    Row("42", INV, {"rlimits": {"NOFILE": (200, 100)}}, says="NOFILE"),
    Row("43", INV, {"rlimits": {"NOSUCH": 1}}, says="NOSUCH"),
    Row("45", INV, {"memory": -2}, names="memory"),
    Row("47", INV, {"pids": -2}, names="pids", says="-2"),
    Row("51", INV, {"mounts": ["/tmp:/a", ctrd.Mount("bind", "/tmp", "")]}, names="mounts[1]"),
    Row("51-source", INV, {"mounts": [ctrd.Mount("bind", "", "/tmp")]}, names="mounts[0]"),
    Row("52", INV, {"mounts": ["/tmp:relative"]}, names="mounts[0]", says="relative"),
    Row("52-tmpfs", INV, {"tmpfs": {"relative": None}}, names="tmpfs['relative']", says="relative"),
    Row("tmpfs-size", INV, {"tmpfs": {"/a": "512MB"}}, names="tmpfs['/a']", says="512MB"),
    Row("53", ctrd.NotFound, {"mounts": ["/nosuch/dir:/x"]}, says="/nosuch/dir"),
    Row("58", INV, {"cap_add": ["CAP_FOO"]}, says="CAP_FOO"),
    Row("61", EITHER, process(env=["NOEQUALS"])),
    Row("61-name", INV, {"env": {"A=B": "x"}}, names="env"),
    Row("62", ctrd.ResourceExhausted, {"env": {"A": "x" * (3 << 20)}}),
    Row("63", INV, {"hostname": "h" * 65}, names="hostname"),
    Row("64", EITHER, {"spec": {"linux": {"cgroupsPath": "/../x"}}}),
    Row("87", ctrd.NotFound, {"runtime": "/nosuch/runtime"}, says="/nosuch/runtime"),
    Row("87-name", ctrd.NotFound, {"runtime": "nosuch-runtime"}, says="nosuch-runtime"),
]
OTHER = [
    Row("env-key-long", INV, {"env": {"A=" + "B" * 100_000: "x"}}, names="env"),
    Row("label-key-long", INV, {"labels": {"k" * 100_000: "v"}}, says="label"),
    Row("rlimit-long", INV, {"rlimits": {"N" * 5000: 1}}),
    Row("label-size", INV, {"labels": {"k": "v" * 4096}}),
    Row("label-type", TypeError, {"labels": {"k": 1}}, says="labels"),
    Row("labels-list", TypeError, {"labels": ["k"]}, says="labels must be a mapping"),
    Row("cap-str", INV, {"cap_add": "NET_ADMIN"}, names="cap_add"),
    Row("mounts-str", INV, {"mounts": "/a:/b"}, names="mounts"),
    Row("env-list", TypeError, {"env": ["A=1"]}, says="env must be a mapping"),
    Row("env-nul", INV, {"env": {"A": "x\0y"}}),
    Row("network", INV, {"network": "bridge"}, names="network"),
    Row("lifetime", INV, {"lifetime": "forever"}, names="lifetime"),
    Row("seccomp", INV, {"seccomp": "nosuch"}, names="seccomp"),
    Row("memory", INV, {"memory": "512MB"}, names="memory", says="512MB"),
    Row("cpus", INV, {"cpus": 0}, names="cpus"),
    Row("cpus-nan", INV, {"cpus": float("nan")}, names="cpus"),
    Row("bool", TypeError, {"read_only": 1}, says="read_only must be bool"),
    Row("args-type", TypeError, args=(1,), says="args"),  # type: ignore[arg-type]
    Row("surrogate", INV, args=("\udcff",)),
    Row("shell-args", INV, {"shell": "true"}, names="shell"),
    Row("spec-type", TypeError, {"spec": 7}, says="spec"),
    Row("spec-json", INV, {"spec": {"x": object()}}, names="spec"),
    Row("user-type", TypeError, {"user": 0}, says="user must be str"),
    Row("rlimit-three", INV, {"rlimits": {"NOFILE": (1, 2, 3)}}),
]


@pytest.mark.parametrize("row", CREATE + OTHER, ids=lambda row: f"row{row.number}")
def test_create(engine: ctrd.Engine, rootfs: ctrd.Rootfs, row: Row) -> None:
    with pytest.raises(row.error) as caught:
        engine.run(rootfs, *row.args, **row.options)
    error = caught.value
    assert len(str(error)) <= 1200  # 1 KiB and a hint
    assert row.says in str(error)
    assert not any(ord(char) < 32 for char in str(error))
    if row.names is not None:
        assert isinstance(error, ctrd.InvalidArgument)
        assert error.field == row.names
        assert error.value is not None
    assert len(engine.containers) == 0
    assert engine.run(rootfs, "true").ok


@pytest.mark.parametrize("id", ["a" * 76, "a", "A.b_c-d", "0"], ids=["row8", "one", "separators", "digit"])
def test_good_ids(engine: ctrd.Engine, rootfs: ctrd.Rootfs, id: str) -> None:
    with engine.start(rootfs, "sleep", "1000", id=id) as c:
        assert c.id == id and c.status() == "running"


def test_row12_and_row13_existing_ids(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    with engine.containers.create(rootfs, "true", id="web"):
        with pytest.raises(ctrd.AlreadyExists, match="web"):
            engine.containers.create(rootfs, "true", id="web")
        with engine.containers.create(rootfs, "true", id="Web"):
            assert list(engine.containers) == ["Web", "web"]


@pytest.mark.parametrize("name", ["", "..", "a/b", "a\0b", "x" * 77])
def test_namespaces_are_identifiers(engine: ctrd.Engine, rootfs: ctrd.Rootfs, name: str) -> None:
    with pytest.raises(ctrd.InvalidArgument if name else ctrd.FailedPrecondition):
        engine.with_namespace(name).containers.create(rootfs, "true")


def test_row28_a_missing_cwd_is_made(engine: ctrd.Engine, rootfs: ctrd.Rootfs, runtime: str) -> None:
    assert engine.run(rootfs, "pwd", cwd="/made/here", runtime=runtime).stdout == "/made/here\n"


def with_etc(rootfs: ctrd.Rootfs, where: Path) -> Path:
    """A copy of the root with an /etc of its own, and that directory."""
    (where / "etc").mkdir(parents=True)
    for name in ("bin", "dev", "proc", "sys", "tmp"):
        (where / name).mkdir()
    os.link(rootfs.path / "bin/busybox", where / "bin/busybox")
    for applet in ("sh", "id", "true", "cat"):
        (where / "bin" / applet).symlink_to("busybox")
    return where / "etc"


def test_row39_a_numeric_name_is_that_uid(engine: ctrd.Engine, rootfs: ctrd.Rootfs, tmp_path: Path) -> None:
    etc = with_etc(rootfs, tmp_path / "image")
    (etc / "passwd").write_text("root:x:0:0::/:/bin/sh\n1234:x:0:0::/:/bin/sh\n")
    (etc / "group").write_text("root:x:0:\n")
    assert engine.run(ctrd.Rootfs(etc.parent), "id", "-u", user="1234").stdout == "1234\n"


def test_row40_passwd_is_a_fifo(engine: ctrd.Engine, rootfs: ctrd.Rootfs, tmp_path: Path) -> None:
    etc = with_etc(rootfs, tmp_path / "image")
    os.mkfifo(etc / "passwd")
    with pytest.raises(ctrd.InvalidArgument):
        engine.run(ctrd.Rootfs(etc.parent), "true", user="nobody")


def test_row41_group_is_huge(engine: ctrd.Engine, rootfs: ctrd.Rootfs, tmp_path: Path) -> None:
    etc = with_etc(rootfs, tmp_path / "image")
    (etc / "passwd").write_text("nobody:x:65534:65534::/:/bin/sh\n")
    with (etc / "group").open("wb") as file:
        file.truncate(1 << 30)
    with pytest.raises(ctrd.ResourceExhausted):
        engine.run(ctrd.Rootfs(etc.parent), "true", user="nobody:nobody")


def test_passwd_never_leads_outside(engine: ctrd.Engine, rootfs: ctrd.Rootfs, tmp_path: Path) -> None:
    etc = with_etc(rootfs, tmp_path / "image")
    (tmp_path / "outside").write_text("evil:x:0:0::/:/bin/sh\n")
    (etc / "passwd").symlink_to(tmp_path / "outside")
    with pytest.raises(ctrd.Error):
        engine.run(ctrd.Rootfs(etc.parent), "true", user="evil")


def test_row66_start_twice(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    with engine.containers.create(rootfs, "sleep", "1000") as c:
        task = c.create_task().start()
        with pytest.raises(ctrd.FailedPrecondition):
            task.start()
        with pytest.raises(ctrd.AlreadyExists):
            c.start()
        assert c.status() == "running"


def test_row67_start_deleted(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    c = engine.containers.create(rootfs, "true", id="x")
    c.delete()
    with pytest.raises(ctrd.ContainerNotFound):
        c.start()
    with pytest.raises(ctrd.ContainerNotFound):
        c.create_task()


def test_row72_missing_program(engine: ctrd.Engine, rootfs: ctrd.Rootfs, runtime: str) -> None:
    for program in ("nosuch", "/bin/nosuch"):
        with pytest.raises(ctrd.PathNotFound) as caught:
            engine.run(rootfs, program, runtime=runtime)
        assert program in str(caught.value)
        assert isinstance(caught.value, FileNotFoundError)
    with engine.containers.create(rootfs, "nosuch", runtime=runtime) as c:
        for _ in range(2):
            with pytest.raises(ctrd.PathNotFound):
                c.start()
            assert c.status() == "none"
    assert engine.run(rootfs, "true", runtime=runtime).ok


def test_row73_not_executable(engine: ctrd.Engine, rootfs: ctrd.Rootfs, runtime: str) -> None:
    for program in ("/etc/passwd", "/etc"):
        with pytest.raises(ctrd.PermissionDenied, match=program):
            engine.run(rootfs, program, runtime=runtime)
        with engine.containers.create(rootfs, program, runtime=runtime) as c:
            with pytest.raises(ctrd.PermissionDenied, match=program):
                c.create_task()


def test_row74_wrong_format(engine: ctrd.Engine, rootfs: ctrd.Rootfs, tmp_path: Path, runtime: str) -> None:
    (tmp_path / "bin").write_bytes(b"\x7fELF" + bytes(200))
    (tmp_path / "bin").chmod(0o755)
    result = engine.run(rootfs, "/program", mounts=[(tmp_path / "bin", "/program")], runtime=runtime)
    assert result.returncode == 1
    assert result.stderr != ""


@pytest.mark.parametrize("signal", [0, 65, "SIGFOO", -9])
def test_row75_wrong_signals(engine: ctrd.Engine, rootfs: ctrd.Rootfs, signal: int | str) -> None:
    with engine.start(rootfs, "sleep", "1000") as c:
        for verb in (c.kill, c.send_signal, lambda signal: c.stop(signal=signal), c.task().kill):
            with pytest.raises(ctrd.InvalidArgument) as caught:
                verb(signal)
            assert (caught.value.field, caught.value.value) == ("signal", str(signal))
        with pytest.raises(TypeError):
            c.kill(9.0)  # type: ignore[arg-type]
        assert c.status() == "running"


def test_row76_kill_of_one_that_has_ended(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    with engine.start(rootfs, "true") as c:
        c.wait()
        c.kill()
        c.task().kill("TERM")
        c.stop()


def test_row77_delete_of_one_that_runs(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    with engine.start(rootfs, "sleep", "1000", id="x") as c:
        for verb in (c.delete, lambda: engine.containers.delete("x")):
            with pytest.raises(ctrd.FailedPrecondition, match="x"):
                verb()
        assert c.status() == "running"


def test_row78_delete_twice(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    c = engine.containers.create(rootfs, "true")
    c.delete()
    with pytest.raises(ctrd.ContainerNotFound):
        c.delete()
    c.delete(missing_ok=True)


def test_row79_wait_for_an_unknown_one(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    with engine.containers.create(rootfs, "true") as c:
        for verb in (c.wait, c.poll, c.kill, c.stop, c.processes, c.task):
            with pytest.raises(ctrd.TaskNotFound):
                verb()
    for verb in (c.wait, c.status, c.spec, c.info, c.logs):
        with pytest.raises(ctrd.NotFound):
            verb()


def test_row80_wait_times_out(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    with engine.start(rootfs, "sleep", "1000") as c, pytest.raises(ctrd.Timeout) as caught:
        c.wait(0.02)
    assert (caught.value.code, caught.value.timeout) == ("deadline_exceeded", 0.02)
    assert c.id in str(caught.value)


@pytest.mark.parametrize("timeout", [0, -1, 1e-9])
def test_a_timeout_that_is_over_at_once(engine: ctrd.Engine, rootfs: ctrd.Rootfs, timeout: float) -> None:
    with pytest.raises(ctrd.Timeout):
        engine.run(rootfs, "sleep", "1000", timeout=timeout)


@pytest.mark.parametrize("limits", [{"pids": -1}, {"memory": -1}, {"memory": "64M", "resources": {"swap": -1}}])
def test_no_limit(engine: ctrd.Engine, rootfs: ctrd.Rootfs, limits: dict[str, Any], runtime: str) -> None:
    assert engine.run(rootfs, "true", runtime=runtime, **limits).ok


def test_an_empty_seccomp_file(engine: ctrd.Engine, rootfs: ctrd.Rootfs, tmp_path: Path) -> None:
    (tmp_path / "profile.json").write_text("")
    with pytest.raises(ctrd.InvalidArgument, match="empty") as caught:
        engine.run(rootfs, "true", seccomp=tmp_path / "profile.json")
    assert caught.value.field == "seccomp"


def test_row31_a_spec_whose_root_is_a_symlink(engine: ctrd.Engine, rootfs: ctrd.Rootfs, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(rootfs.path)
    with pytest.raises(EITHER):
        engine.run(rootfs, "true", spec=edit_root(str(tmp_path / "link")))


def test_messages_are_short_and_printable() -> None:
    error = ctrd.Error("a\x1b[31m\n\x9b" + "é" * 2000)
    assert str(error).startswith("a\\x1b[31m\\x0a\\x9bé") and str(error).endswith("...")
    assert len(str(error).encode()) <= 1024


def test_a_closed_engine_has_no_views(engine: ctrd.Engine) -> None:
    engine.close()
    with pytest.raises(ctrd.FailedPrecondition, match="closed"):
        engine.with_namespace("x")


def test_row88_missing_shim(tmp_path: Path, rootfs: ctrd.Rootfs) -> None:
    config = ctrd.EngineConfig(shim=Path("/nosuch/shim"))
    with ctrd.Engine(tmp_path / "root", state=tmp_path / "state", config=config) as engine:
        with pytest.raises(ctrd.NotFound, match="/nosuch/shim"):
            engine.run(rootfs, "true", runtime="runc")
        assert len(engine.containers) == 0


def test_row89_row90_directories(tmp_path: Path, rootfs: ctrd.Rootfs) -> None:
    deep = tmp_path / ("d" * 100) / ("e" * 100)
    with ctrd.Engine(deep / "root", state=deep / "state") as engine:
        assert engine.run(rootfs, "echo", "x").stdout == "x\n"
    for name, mode, owner in (("open", 0o777, 0), ("foreign", 0o700, 12345)):
        (tmp_path / name).mkdir()
        (tmp_path / name).chmod(mode)
        os.chown(tmp_path / name, owner, 0)
        with pytest.raises(ctrd.PermissionDenied, match=name):
            ctrd.Engine(tmp_path / name, state=tmp_path / "state")
    (tmp_path / "wide").mkdir(mode=0o755)
    ctrd.Engine(tmp_path / "wide", state=tmp_path / "wide-state").close()
    assert stat.S_IMODE((tmp_path / "wide").stat().st_mode) == 0o700
    (tmp_path / "file").write_text("")
    with pytest.raises(ctrd.Error):
        ctrd.Engine(tmp_path / "file")


@pytest.fixture
def no_upper(tmp_path: Path) -> Iterator[Path]:
    """A directory on a filesystem that overlay does not take as its upper layer: an overlay."""
    for name in ("lower", "upper", "work", "merged"):
        (tmp_path / name).mkdir()
    options = f"lowerdir={tmp_path}/lower,upperdir={tmp_path}/upper,workdir={tmp_path}/work"
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, tmp_path / "merged"], check=True)
    yield tmp_path / "merged"
    subprocess.run(["umount", tmp_path / "merged"], check=True)


def test_without_overlay(no_upper: Path, tmp_path: Path, rootfs: ctrd.Rootfs) -> None:
    with ctrd.Engine(no_upper / "root", state=tmp_path / "state") as engine:
        check = next(check for check in engine.doctor().checks if check.name == "overlay")
        assert not check.ok and check.found
        assert engine.run(rootfs, "true").returncode == 0  # on a copy: the native snapshotter
        assert len(engine.containers) == 0


@pytest.mark.parametrize("kind", ["missing", "file"])
def test_a_rootfs_that_is_no_directory(engine: ctrd.Engine, tmp_path: Path, kind: str, rootfs: ctrd.Rootfs) -> None:
    image = tmp_path / "image"
    if kind == "file":
        image.write_text("")
    with pytest.raises((ctrd.PathNotFound, ctrd.InvalidArgument), match="rootfs"):
        engine.run(ctrd.Rootfs(image), "true")
    assert len(engine.containers) == 0
    with pytest.raises(TypeError):
        ctrd.Rootfs(7)  # type: ignore[arg-type]
    with pytest.raises(ctrd.InvalidArgument):
        ctrd.Rootfs("")
