"""The CRIU that scripts/criu has installed, and the runtimes that use it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import ctrd
from support import eventually

BIN = Path(__file__).resolve().parents[2] / "build/criu/bin"
COUNTER = "i=0; while :; do i=$((i+1)); echo $i; sleep 0.02; done"

# The same, and keeps the number in a file of its layer.
COUNT = "i=0; while :; do i=$((i+1)); echo $i; echo $i >/count; sleep 0.02; done"


def path() -> str:
    """A PATH with it first; on a machine that has one that works, its own will do."""
    if not BIN.is_dir():
        assert shutil.which("criu"), "no CRIU: run scripts/criu"
        return os.environ["PATH"]
    return f"{BIN}:{os.environ['PATH']}"


def runtime(name: str) -> str:
    """A runtime that is built with it."""
    found = shutil.which(name, path=path())
    assert found
    return found


def dumps(binary: str) -> bool:
    """Whether it is built with CRIU: crun says so, runc always is."""
    words = subprocess.run([binary, "--version"], capture_output=True, text=True, check=True).stdout
    return not words.startswith("crun") or "+CRIU" in words


def version() -> tuple[int, ...]:
    """That of the CRIU that is first on path()."""
    found = shutil.which("criu", path=path())
    assert found
    words = subprocess.run([found, "--version"], capture_output=True, text=True, check=True).stdout
    return tuple(map(int, re.findall(r"\d+", words.splitlines()[0])))


def _runtimes() -> tuple[str, ...]:
    """Both; where the machine's own have to do (Debian 12's crun has no CRIU), those that can."""
    if BIN.is_dir():
        return ("crun", "runc")
    return tuple(name for name in ("crun", "runc") if (found := shutil.which(name)) and dumps(found)) or ("runc",)


RUNTIMES = _runtimes()


def numbers(text: str) -> list[int]:
    """What a counter has printed; a line that is cut off does not count."""
    return [int(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


def goes_on(before: list[int], after: list[int]) -> bool:
    """No number is told twice, and within each life none is left out."""
    steps = all(b == a + 1 for part in (before, after) for a, b in zip(part, part[1:], strict=False))
    return bool(before) and bool(after) and after[0] > before[-1] and steps


def told(container: ctrd.Container) -> list[int]:
    """What a counter has printed into its log."""
    return [int(line.text) for line in container.logs()]


def counts_on(container: ctrd.Container) -> None:
    """It runs, and prints more."""
    there = len(told(container))
    eventually(lambda: len(told(container)) >= there + 5, "it counts on")


def name_of(container: ctrd.Container) -> str:
    """Its hostname, as its processes see it."""
    return container.run("cat", "/proc/sys/kernel/hostname").stdout.strip()


def directories(engine: ctrd.Engine) -> list[str]:
    """Of checkpoints, also such as have no name yet."""
    return sorted(path.name for path in engine.root.glob("checkpoints/*"))
