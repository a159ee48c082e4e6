"""What a process gets by default, fact by fact, told from inside: the same with every runtime, first process or exec.

golden/defaults.txt has one fact a line. A change there is a change of what containers may do: read it as such.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import ctrd
import pytest

pytestmark = pytest.mark.root
HERE = Path(__file__).resolve().parent
PROGRAM = HERE.parents[1] / "build/dev/bin/ctrd_inside"
# The other mounts are masks of what this kernel happens to have, or the cgroup controllers of this machine.
MOUNTS = {"/", "/proc", "/dev", "/dev/pts", "/dev/shm", "/dev/mqueue", "/sys", "/sys/fs/cgroup", "/run"} | {
    f"/proc/{name}" for name in ("bus", "fs", "irq", "sys", "sysrq-trigger")
}


@pytest.fixture
def root(tmp_path: Path) -> ctrd.Rootfs:
    """A root file system with nothing in it but the program."""
    (tmp_path / "inside-root").mkdir()
    shutil.copy(PROGRAM, tmp_path / "inside-root/inside")
    return ctrd.Rootfs(tmp_path / "inside-root")


def is_ours(line: str) -> bool:
    name, _, rest = line.partition(" ")
    if name in ("namespace", "oom_score_adj"):
        return False
    if name == "device" and rest.startswith(("core ", "ctrd-init ")):  # crun's link to the masked /proc/kcore; init's
        return False
    return name != "mount" or rest.split(" ")[0] in MOUNTS


def same_on_every_machine(line: str) -> str:
    """Leave out what is cgroup v1's tmpfs, and which flags of /proc a runtime repeats for its read-only parts."""
    words = line.split(" ")
    if line.startswith("mount /sys/fs/cgroup "):
        return " ".join([*words[:2], "*", *(word for word in words[3:] if word in ("nodev", "noexec", "nosuid"))])
    if line.startswith("mount /proc/"):
        return " ".join([*words[:3], *(word for word in words[3:] if word in ("ro", "rw"))])
    return line


def facts(said: str) -> list[str]:
    return sorted(same_on_every_machine(line) for line in said.splitlines() if is_ours(line))


def is_here(line: str) -> bool:
    """Not every kernel has all that is made read-only."""
    return not line.startswith("mount /proc/") or Path(line.split(" ")[1]).exists()


def golden() -> list[str]:
    lines = (HERE / "golden/defaults.txt").read_text().splitlines()
    return sorted(line for line in lines if line and not line.startswith("#") and is_here(line))


def check(said: str) -> None:
    found, wanted = facts(said), golden()
    assert len(wanted) >= 60
    assert [line for line in found if line not in wanted] == [] and [line for line in wanted if line not in found] == []
    inside = {line for line in said.splitlines() if line.startswith("namespace ")}
    for name in ("ipc", "mnt", "net", "pid", "uts"):
        assert f"namespace {Path(f'/proc/self/ns/{name}').readlink()}" not in inside
    assert f"namespace {Path('/proc/self/ns/user').readlink()}" in inside


def test_of_the_first_process(engine: ctrd.Engine, root: ctrd.Rootfs, runtime: str) -> None:
    result = engine.run(root, "/inside", hostname="inside", runtime=runtime)
    assert (result.returncode, result.stderr) == (0, "")
    check(result.stdout)


def test_of_an_exec(engine: ctrd.Engine, root: ctrd.Rootfs, rootfs: ctrd.Rootfs, runtime: str) -> None:
    sleeper = [f"{rootfs.path}/bin:/bin:ro"]
    with engine.start(root, "/bin/sleep", "1000", hostname="inside", runtime=runtime, mounts=sleeper) as c:
        result = c.run("/inside")
    assert (result.returncode, result.stderr) == (0, "")
    check(result.stdout)


def test_of_a_first_process_below_init(engine: ctrd.Engine, root: ctrd.Rootfs, runtime: str) -> None:
    result = engine.run(root, "/inside", hostname="inside", runtime=runtime, init=True)
    assert (result.returncode, result.stderr) == (0, "")
    check(result.stdout)


def test_with_a_terminal(engine: ctrd.Engine, root: ctrd.Rootfs, rootfs: ctrd.Rootfs, runtime: str) -> None:
    """It controls the process, and is all that is different."""
    sleeper = [f"{rootfs.path}/bin:/bin:ro"]
    options = {"hostname": "inside", "runtime": runtime, "tty": True}
    first = engine.run(root, "/inside", **options).stdout
    with engine.start(root, "/bin/sleep", "1000", **options, mounts=sleeper) as c:
        inner = c.run("/inside", tty=True).stdout
    for said, number in ((first, 0), (inner, 1)):
        found, wanted = set(facts(said.replace("\r", ""))), set(golden())
        assert found - wanted == {
            "controlling_terminal ok",
            "device console c 136:0 620",
            "env TERM=xterm",
            f"stdin /dev/pts/{number}",
            "stdout something else",
            "stderr something else",
        }
        assert wanted - found == {"controlling_terminal ENXIO", "stdin /dev/null", "stdout pipe", "stderr pipe"}
