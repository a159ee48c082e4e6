"""Waiting for conditions, and other Python processes that use the same root."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import ctrd

_T = TypeVar("_T")
PATIENCE = float(os.environ.get("CTRD_TEST_PATIENCE", "1"))  # an emulated machine is that much slower
_IN_SOAK = "CTRD_SOAK" in os.environ  # read at the import: tests run without ctrd's variables


def often(quick: int, soak: int) -> int:
    """How often: in `make test`, and in `make soak`, whose "rows" are the tests that ask for this."""
    return soak if _IN_SOAK else quick


def eventually(condition: Callable[[], _T], what: str, seconds: float = 30.0) -> _T:
    """Ask until the answer is true, and return it; fail after some seconds."""
    seconds *= PATIENCE
    deadline = time.monotonic() + seconds
    while not (answer := condition()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.005)
    return answer


def alive(pid: int) -> bool:
    """Whether this process exists and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


def environment(engine: ctrd.Engine) -> dict[str, str]:
    """An environment in which ctrd's default engine is on the same root."""
    return {**os.environ, "CTRD_ROOT": str(engine.root), "CTRD_STATE": str(engine.state)}


def python(engine: ctrd.Engine, code: str, *args: str, **options: object) -> subprocess.Popen[str]:
    """Start another Python that sees the same root through ctrd.default_engine(); its arguments are sys.argv[1:]."""
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", code, *args],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(engine),
        **options,  # type: ignore[call-overload]
    )


def python_says(engine: ctrd.Engine, code: str, *args: str) -> str:
    """Run another Python to its end, and return what it printed."""
    with python(engine, code, *args) as process:
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    return out
