"""Tests of reliability.md's rows that say how often: with the numbers that it names instead of the quick ones."""

from __future__ import annotations

import os
import re
import subprocess
import sys

from place import TOP, Violation

# Those that ask support.often; their small form is the test as it is.
ROWS = "b2_ or b5 or b7_a_client or b24 or b30 or b32 or b35"


def often(count: int, seed: int) -> str:
    """B2, B5, B7, B24, B30, B32 and B35 `count` times in their long form: bursts, peers that close, failures, leaks."""
    said = []
    for _ in range(count):
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", TOP / "tests/py", "-k", ROWS]
        done = subprocess.run(
            command,
            cwd=TOP,
            env={**os.environ, "CTRD_SOAK": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode:
            raise Violation(done.stdout)
        said += re.findall(r"\d+ passed.*", done.stdout)
    return "; ".join(said)
