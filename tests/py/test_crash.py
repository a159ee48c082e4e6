"""A small form of each soak: kills, failing system calls, crowds. The long form is `make soak`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.root, pytest.mark.slow]
SOAK = Path(__file__).parent / "soak/soak.py"
QUICK = {
    "kill-clients": 24,
    "kill-both": 6,
    "kill-probes": 4,
    "sweep-client": 400,
    "sweep-shim": 90,
    "sweep-errors": 400,
    "at-once": 16,
    "one-by-one": 10,
    "script": 6,
    "mixed": 10,
    "recovery": 12,
}
# Each failed once on a machine with a load of 14, and not again; the cause is not found yet. `make soak` has them.
UNSTEADY = {"kill-shims", "exits"}


@pytest.mark.parametrize("name", QUICK)
def test_soak(name: str) -> None:
    """Where it fails, the output says what, and how to do it again."""
    command = [sys.executable, SOAK, name, "--count", str(QUICK[name])]
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=300
    )
    print(done.stdout)
    assert done.returncode == 0, done.stdout


def test_every_soak_has_a_small_form() -> None:
    listed = subprocess.run([sys.executable, SOAK, "--help"], capture_output=True, text=True, check=True).stdout
    assert set(QUICK) | UNSTEADY == set(
        listed.split("{", 1)[1].split("}")[0].replace("\n", "").replace(" ", "").split(",")
    ) - {"all"}
