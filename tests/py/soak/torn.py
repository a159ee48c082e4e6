"""K3: the log's last record, written and not yet acknowledged, is cut and overwritten at every byte.

A C++ test's long form. Each cut is a database of its own, in memory, opened eight times; the test program says which
writes are lost.
"""

from __future__ import annotations

import os
import re
import subprocess

from place import TOP, Violation

PROGRAM = TOP / "build/dev/bin/ctrd_store_test"
TEST = "*TornLog*"


def log(count: int, seed: int) -> str:
    """The log cut at every count-th byte of its last record below 4 KB and every 16th above, overwritten, extended."""
    if not PROGRAM.exists():
        return f"SKIPPED: there is no {PROGRAM}: cmake --build --preset dev --target ctrd_store_test"
    shards = os.cpu_count() or 1
    outputs = [_shard(number, shards, count) for number in range(shards)]
    said = [process.communicate()[0] for process in outputs]
    failed = [text for process, text in zip(outputs, said, strict=True) if process.returncode]
    if failed:
        raise Violation("\n".join(failed))
    passed = [int(found) for text in said for found in re.findall(r"\[  PASSED  \] (\d+) test", text)]
    tests = len(re.findall(r"\[       OK \]", "".join(said)))
    if len(passed) != shards or tests != sum(passed) or tests < 12:
        raise Violation(f"{tests} tests ran, {passed} passed:\n" + "\n".join(said))
    return f"{tests} tests in {shards} processes: 0 acknowledged lost, and some without the marker"


def _shard(number: int, shards: int, step: int) -> subprocess.Popen[str]:
    share = {"GTEST_TOTAL_SHARDS": str(shards), "GTEST_SHARD_INDEX": str(number), "CTRD_SOAK": str(step)}
    return subprocess.Popen(
        [PROGRAM, f"--gtest_filter={TEST}"],
        env={**os.environ, **share},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
