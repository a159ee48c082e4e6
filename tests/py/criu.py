"""The CRIU that scripts/criu has installed, and the runtimes that use it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

BIN = Path(__file__).resolve().parents[2] / "build/criu/bin"
RUNTIMES = ("crun", "runc")
COUNTER = "i=0; while :; do i=$((i+1)); echo $i; sleep 0.02; done"


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


def numbers(text: str) -> list[int]:
    """What a counter has printed; a line that is cut off does not count."""
    return [int(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


def goes_on(before: list[int], after: list[int]) -> bool:
    """No number is told twice, and within each life none is left out."""
    steps = all(b == a + 1 for part in (before, after) for a, b in zip(part, part[1:], strict=False))
    return bool(before) and bool(after) and after[0] > before[-1] and steps
