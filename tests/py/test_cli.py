"""The command line, as another process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import criu
import ctrd
import pytest
from support import environment, eventually

pytest.importorskip("click")
pytestmark = pytest.mark.root

Cli = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def cli(engine: ctrd.Engine) -> Cli:
    """Run `ctrd ...` on the same root."""

    def run(*args: str, input: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "ctrd", *args],
            input=input,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
            env=environment(engine),
        )

    return run


def test_run(cli: Cli, engine: ctrd.Engine, root_directory: Path) -> None:
    root = str(root_directory)
    done = cli("run", "--rootfs", root, "sh", "-c", "echo out; echo err >&2; exit 3")
    assert (done.returncode, done.stdout, done.stderr) == (3, "out\n", "err\n")
    done = cli(
        "run",
        "-i",
        "--rootfs",
        root,
        "-e",
        "A=b c",
        "-w",
        "/bin",
        "-u",
        "7",
        "sh",
        "-c",
        "cat; echo $A; pwd; id -u",
        input="x\n",
    )
    assert (done.returncode, done.stdout) == (0, "x\nb c\n/bin\n7\n")
    assert cli("run", "--rootfs", root, "cat", input="not given").stdout == ""
    assert cli("run", "-t", "--rootfs", root, "tty").stdout.startswith("/dev/pts/")
    done = cli("run", "--rootfs", root, "--timeout", "0.2", "sleep", "1000")
    assert (done.returncode, done.stderr) == (124, "ctrd: it was killed after 0.2 s\n")
    assert list(engine.containers) == []


def test_errors_are_one_line(cli: Cli, root_directory: Path) -> None:
    root = str(root_directory)
    for status, args in (
        (127, ("run", "--rootfs", root, "no-such-program")),
        (127, ("run", "--rootfs", "/no/such/dir", "true")),
        (125, ("run", "image", "true")),
        (125, ("run", "--rootfs", root, "--memory", "512MB", "true")),
        (125, ("run", "--rootfs", root, "-e", "A", "true")),
        (125, ("logs", "nobody")),
        (125, ("exec", "nobody", "true")),
        (2, ("run",)),
        (2, ("frobnicate",)),
    ):
        done = cli(*args)
        assert done.returncode == status, (args, done)
        assert "Traceback" not in done.stderr and done.stderr
    assert cli("--help").stdout.count("\n") > 10
    assert cli("--version").stdout == f"ctrd, version {ctrd.__version__}\n"


def test_a_life(cli: Cli, engine: ctrd.Engine, root_directory: Path) -> None:
    code = "trap 'exit 5' TERM; echo up; echo oops >&2; while :; do sleep 0.02; done"
    done = cli("start", "--rootfs", str(root_directory), "--name", "web-1", "-l", "app=web", "sh", "-c", code)
    assert (done.returncode, done.stdout) == (0, "web-1\n"), done.stderr
    assert engine.containers["web-1"].info().lifetime == "detached"
    assert "web-1" in cli("ps").stdout and "app=web" in cli("ps").stdout
    assert json.loads(cli("ps", "--json").stdout)["status"] == "running"
    assert cli("ps", "-q").stdout == cli("ps", "-q", "-f", "labels.app==db", "-f", "id~=^web").stdout == "web-1\n"
    assert cli("ps", "-q", "--filter", "labels.app==db").stdout == ""
    eventually(lambda: cli("logs", "web").stdout == "up\n", "it has printed")
    assert cli("logs", "web-1", "--tail", "1").stderr == "oops\n"
    done = cli("exec", "web", "sh", "-c", "echo in; exit 4")
    assert (done.returncode, done.stdout) == (4, "in\n")
    assert cli("exec", "-i", "web-1", "cat", input="abc").stdout == "abc"
    assert cli("exec", "--timeout", "0.2", "web-1", "sleep", "1000").returncode == 124
    assert cli("exec", "-t", "web-1", "tty").stdout.startswith("/dev/pts/")
    assert cli("rm", "web-1").returncode == 125
    assert cli("stop", "web-1").stdout == "web-1\n"
    assert cli("ps").stdout.count("\n") == 1
    assert "stopped (5)" in cli("ps", "-a").stdout
    assert cli("attach", "web-1").returncode == 5
    assert cli("start", "web").stdout == "web-1\n"
    assert cli("rm", "-f", "web").stdout == "web-1\n"
    assert list(engine.containers) == []


def test_input_goes_through_byte_for_byte(engine: ctrd.Engine, root_directory: Path) -> None:
    data = os.urandom(1 << 19) + b"\x10\x11" + os.urandom(1 << 19)  # the detach keys are in it
    root = str(root_directory)
    with engine.start(ctrd.Rootfs(root), "sleep", "1000", id="x"):
        for args in (("exec", "-i", "x", "cat"), ("run", "-i", "--rootfs", root, "cat")):
            command = [sys.executable, "-m", "ctrd", *args]
            done = subprocess.run(
                command, input=data, capture_output=True, check=False, timeout=120, env=environment(engine)
            )
            assert (done.returncode, done.stderr, done.stdout == data) == (0, b"", True)


def test_what_cannot_be_left_has_no_log(engine: ctrd.Engine, root_directory: Path) -> None:
    """A log never waits for a reader, and drops what is too old: a pipe is for whoever stays."""
    command = [sys.executable, "-m", "ctrd", "run", "-i", "--rootfs", str(root_directory), "cat"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment(engine), bufsize=0
    ) as run:
        assert run.stdin and run.stdout
        run.stdin.write(b"up\n")
        assert run.stdout.read(3) == b"up\n"
        assert [path for path in (engine.root / "logs").rglob("*") if path.is_file()] == []
        run.stdin.close()
        assert run.wait(timeout=60) == 0


def test_output_that_was_cut_is_said(cli: Cli, engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    with engine.start(rootfs, "sleep", "1000", id="x"):
        done = cli("exec", "x", "sh", "-c", "sleep 1113 & echo ok")
        assert (done.returncode, done.stdout) == (0, "ok\n") and "was cut" in done.stderr
        assert cli("exec", "x", "echo", "ok").stderr == ""


def test_start_has_no_option_that_does_nothing(cli: Cli, engine: ctrd.Engine, root_directory: Path) -> None:
    made = ("start", "--rootfs", str(root_directory), "--name", "x", "-m", "64M", "-e", "A=b")
    assert cli(*made, "--detach-keys", "a", "true").returncode == 2
    done = cli(*made, "--timeout", "0.3", "sleep", "1000")
    assert done.returncode == 0, done.stderr
    c = engine.containers["x"]
    assert c.spec()["linux"]["resources"]["memory"]["limit"] == 64 << 20 and "A=b" in c.spec()["process"]["env"]
    status = c.wait(timeout=60)
    assert (int(status), status.timed_out) == (137, True)  # whoever is there then
    for option in (("-m", "1G"), ("-e", "A=c"), ("--read-only",), ("--name", "y"), ("-t",)):
        done = cli("start", *option, "x")
        assert done.returncode == 2 and option[0] not in ("--read-only", "--name") or option[0] in done.stderr
    assert c.status() == "stopped"
    assert cli("start", "--timeout", "0.3", "x").returncode == 0
    assert c.wait(timeout=60).timed_out
    done = cli("attach", "x")
    assert (done.returncode, done.stderr) == (124, "ctrd: it was killed at its limit of time\n")
    c.delete()


def test_prefixes_must_be_one_containers(cli: Cli, engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    with engine.start(rootfs, "sleep", "1000", id="ab1"), engine.start(rootfs, "sleep", "1000", id="ab2"):
        done = cli("exec", "ab", "true")
        assert done.returncode == 125 and "ab1, ab2" in done.stderr
        assert cli("exec", "ab2", "true").returncode == 0


def test_the_mount_command_of_a_snapshot_is_one_for_a_shell(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.mkdir()
    with ctrd.Engine(tmp_path / "a root: 'mine'", state=tmp_path / "state", snapshotter="overlay") as engine:
        engine.snapshots.prepare("work")
        with engine.snapshots.mount("work") as top:
            (top / "file").write_text("x")
        engine.snapshots.commit("base", "work")
        argv = [sys.executable, "-m", "ctrd", "snapshot", "prepare", "again", "--parent", "base"]
        command = subprocess.check_output(argv, text=True, env=environment(engine), timeout=120).rstrip()
        assert command.endswith(" TARGET")
        subprocess.run(command.removesuffix("TARGET") + str(target), shell=True, check=True, timeout=60)
        try:
            assert (target / "file").read_text() == "x"
        finally:
            subprocess.run(["umount", target], check=True)


def test_garbage(cli: Cli, engine: ctrd.Engine) -> None:
    assert cli("lease", "create", "build", "-l", "app=x").stdout == "build\n"
    assert cli("lease", "add", "build", "snapshot", "base").returncode == 0
    assert cli("lease", "resources", "build").stdout == "snapshot base\n"
    for key in ("base", "loose"):
        engine.snapshots.prepare(key)
    said = cli("explain", "snapshot", "base")
    assert said.returncode == 0
    first, second = said.stdout.splitlines()
    assert first.startswith('lease "build", until ') and second == '  holds snapshot "base" (overlay)'
    said = cli("explain", "snapshot", "loose")
    assert (said.returncode, said.stdout) == (1, "not kept: nothing refers to it; the next gc() removes it\n")
    assert cli("explain", "snapshot", "nobody").returncode == 125
    wanted = (0, "snapshot loose\n")
    for args, word in ((("gc", "--dry-run"), "would be freed"), (("gc",), "freed")):
        done = cli(*args)
        assert (done.returncode, done.stdout) == wanted and done.stderr.endswith(f" {word}\n")
    assert json.loads(cli("gc", "--json").stdout) == {"removed": [], "freed": 0}
    lines = cli("lease", "ls").stdout.splitlines()
    assert lines[0].split() == ["LEASE", "PROCESS", "CREATED", "EXPIRES", "LABELS"]
    assert lines[1].startswith("build  -") and "app=x" in lines[1]
    assert cli("lease", "drop", "build", "snapshot", "base").returncode == 0
    assert cli("gc").stdout == "snapshot base\n"
    assert cli("lease", "create", "ever", "--expires", "0").stdout == "ever\n"
    assert engine.leases.get("ever").info().expires_at is None
    assert cli("lease", "rm", "build", "ever").stdout == "build\never\n"
    assert cli("lease", "ls", "-q").stdout == "" and cli("lease", "rm", "build").returncode == 125


def test_doctor(cli: Cli) -> None:
    done = cli("doctor")
    assert done.returncode in (0, 1) and "overlay" in done.stdout


def test_what_to_do_without_click(cli: Cli, engine: ctrd.Engine) -> None:
    code = "import sys; sys.modules['click'] = None; import ctrd.__main__ as m; m.main()"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment(engine)
    )
    assert done.returncode == 1 and "pip install 'ctrd[cli]'" in done.stderr


def test_shim_install(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    made = tmp_path / "bin" / "containerd-shim-ctrd-v2"
    for _ in range(2):  # again, over the one that is there
        done = cli("shim", "install", "--dir", str(made.parent))
        assert (done.returncode, done.stdout) == (0, f"{made}\n")
        assert "io.containerd.ctrd.v2" in done.stderr
        if not (kept := made.with_name("running")).exists():
            kept.hardlink_to(made)
    assert made.stat().st_mode & 0o7777 == 0o755
    assert made.stat().st_nlink == 1, "the one that may be running is not written to"
    assert sorted(path.name for path in made.parent.iterdir()) == [made.name, "running"]
    said = subprocess.run([made, "-v"], capture_output=True, text=True, check=True).stdout
    assert said == f"containerd-shim-ctrd-v2 {ctrd.__version__}\n"


def test_shim_install_into_what_is_no_directory(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "taken" / "containerd-shim-ctrd-v2").mkdir(parents=True)
    for directory, status in [("nothing", 127), ("file", 125), ("taken", 125)]:
        done = cli("shim", "install", "--dir", str(tmp_path / directory))
        assert (done.returncode, done.stdout) == (status, ""), directory
        assert str(tmp_path / directory) in done.stderr
    assert cli("shim", "install").returncode == 2


@pytest.mark.parametrize("runtime", criu.RUNTIMES)
def test_checkpoint_restore_and_fork(
    cli: Cli, engine: ctrd.Engine, root_directory: Path, tmp_path: Path, runtime: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", criu.path())
    options = ("--runtime", criu.runtime(runtime), "--rootfs", str(root_directory))
    assert cli("start", "--name", "one", *options, "sh", "-c", criu.COUNT).stdout == "one\n"
    assert cli("checkpoint", "--dry-run", "one").returncode == 0
    with engine.containers["one"].exec("sleep", "1000", id="long"):
        done = cli("checkpoint", "--dry-run", "one")
        assert (done.returncode, "exec" in done.stdout, '"long"' in done.stdout) == (0, True, True)
    assert cli("checkpoint", "-l", "a=b", "-l", "c=", "one", "warm").stdout == "warm\n"
    assert engine.checkpoints.get("warm").info().labels == {"a": "b", "c": ""}
    assert cli("checkpoint", "-l", "a", "one").returncode == 125
    assert cli("checkpoint", "one", "warm").returncode == 125
    assert cli("checkpoint", "--exit", "one", f"{tmp_path}/cp").stdout == f"{tmp_path}/cp\n"
    assert engine.containers["one"].status() == "stopped"
    assert cli("checkpoints", "ls", "-q").stdout == "warm\n"
    assert cli("checkpoints", "ls", "-q", "-f", "name==cold").stdout == ""
    assert json.loads(cli("checkpoints", "ls", "--json").stdout)["container_id"] == "one"
    assert "warm" in cli("checkpoints", "ls").stdout
    assert cli("restore", "--name", "two", "warm").stdout == "two\n"
    assert cli("restore", "--name", "three", f"{tmp_path}/cp").stdout == "three\n"
    assert cli("fork", "-c", "2", "--name", "four", "--name", "five", "two").stdout == "four\nfive\n"
    for id in ("two", "three", "four", "five"):
        assert engine.containers[id].info().lifetime == "detached"
        criu.counts_on(engine.containers[id])
    assert cli("fork", "-c", "2", "--name", "six", "two").returncode == 125
    assert cli("restore", "none").returncode == 125
    assert cli("checkpoints", "export", "warm", f"{tmp_path}/out").stdout == f"{tmp_path}/out\n"
    assert cli("checkpoints", "export", f"{tmp_path}/out", f"{tmp_path}/again").returncode == 0
    assert cli("checkpoints", "load", f"{tmp_path}/again", "loaded").stdout == "loaded\n"
    assert cli("restore", "--allow-other-kernel", "--name", "six", "loaded").stdout == "six\n"
    assert cli("checkpoints", "rm", "loaded").returncode == 0
    assert cli("rm", "-f", "six").returncode == 0
    assert cli("checkpoints", "rm", "warm").stdout == "warm\n"
    assert cli("rm", "-f", "one", "two", "three", "four", "five").returncode == 0
