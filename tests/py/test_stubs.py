"""Types: mypy --strict over the package and over code that uses it, and the hand-written stub against the core."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import ctrd
import pytest

pytestmark = pytest.mark.unit

USE = """
from typing import assert_type
import ctrd
image = ctrd.Rootfs("/srv")
assert_type(ctrd.run(image, "x"), ctrd.RunResult[str])
assert_type(ctrd.run(image, "x", text=False), ctrd.RunResult[bytes])
assert_type(ctrd.run(image, "x").stdout, str)
assert_type(ctrd.start(image, "x", labels={"a": "b"}, memory="1M"), ctrd.Container)
engine = ctrd.default_engine()
assert_type(engine.containers["x"].wait(), ctrd.ExitStatus)
assert_type(engine.containers.list(status="running"), ctrd.ResultList[ctrd.ContainerInfo])
task = engine.containers["x"].create_task(stdout=ctrd.PIPE, text=False)
assert_type(task, ctrd.Task[bytes])
if task.stdout is not None:
    assert_type(task.stdout.readline(), bytes)
ctrd.run(image, "x", memory=[])  # error
ctrd.run(image, "x", memroy="1M")  # error
ctrd.run(image, 1)  # error
engine.containers.list(status="walking")  # error
"""


def run(tmp_path: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", *command], cwd=tmp_path, capture_output=True, text=True, check=False)


def test_the_package_and_its_use(tmp_path: Path) -> None:
    (tmp_path / "use.py").write_text(USE)
    package = Path(ctrd.__file__).parent
    checked = run(tmp_path, "mypy", "--strict", "--no-error-summary", "--cache-dir", str(tmp_path), "-p", "ctrd")
    assert checked.returncode == 0, f"{package}: {checked.stdout}{checked.stderr}"
    checked = run(tmp_path, "mypy", "--strict", "--no-error-summary", "--cache-dir", str(tmp_path), "use.py")
    wrong = {number for number, line in enumerate(USE.splitlines(), start=1) if "# error" in line}
    found = {int(line.split(":")[1]) for line in checked.stdout.splitlines() if ": error:" in line}
    assert found == wrong, checked.stdout


def test_the_stub_is_what_the_core_has(tmp_path: Path) -> None:
    allowed = Path(__file__).with_name("stubtest_allow.txt")
    options = ("--allowlist", str(allowed)) if allowed.exists() else ()
    checked = run(tmp_path, "mypy.stubtest", "ctrd._core", *options)
    assert checked.returncode == 0, checked.stdout + checked.stderr
