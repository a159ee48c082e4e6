"""Run one soak, or all: python tests/py/soak/soak.py NAME [--count N] [--seed S]. `make soak` runs all."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import checkpoints  # noqa: E402
import containerds  # noqa: E402
import crowds  # noqa: E402
import kills  # noqa: E402
import rows  # noqa: E402
import shared  # noqa: E402
import streams  # noqa: E402
import sweeps  # noqa: E402
import torn  # noqa: E402

# Name -> the program, and how often in `make soak`.
SOAKS: dict[str, tuple[Callable[[int, int], str], int]] = {
    "kill-clients": (kills.clients, 10_000),
    "kill-shims": (kills.shims, 1_000),
    "kill-both": (kills.both, 500),
    "kill-creates": (kills.creates, 500),
    "kill-probes": (kills.probes, 100),
    "checkpoint-kills": (checkpoints.kills, 200),
    "checkpoint-rounds": (checkpoints.rounds, 100),
    "sweep-client": (sweeps.kill_client, 1),
    "sweep-shim": (sweeps.kill_shim, 1),
    "sweep-errors": (sweeps.errors, 1),
    "torn-log": (torn.log, 1),
    "at-once": (crowds.at_once, 200),
    "one-by-one": (crowds.one_by_one, 2_000),
    "exits": (crowds.exits, 20),
    "script": (crowds.script, 50),
    "mixed": (crowds.mixed, 500),
    "shared": (shared.shared, 500),
    "execs": (streams.execs, 10_000),
    "bursts": (streams.bursts, 1_000),
    "gigabyte": (streams.gigabyte, 1024),
    "recovery": (crowds.recovery, 100),
    "containerd": (containerds.one_by_one, 1_000),
    "rows": (rows.often, 1),
}


def run(name: str, count: int | None, seed: int) -> bool:
    """Run one and print its figures; False: something does not hold."""
    program, usual = SOAKS[name]
    print(f"== {name} ({count or usual}): {program.__doc__}", flush=True)
    try:
        print(f"   {program(count or usual, seed)}", flush=True)
    except AssertionError as error:
        print(f"   FAILED: {error}\n   python tests/py/soak/soak.py {name} --count {count or usual} --seed {seed}")
        return False
    return True


def main() -> int:
    parser = argparse.ArgumentParser(description="Crash, error and crowd tests of ctrd, with figures.")
    parser.add_argument("name", choices=["all", *SOAKS])
    parser.add_argument("--count", type=int, help="how often; as in `make soak` when absent")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="of what is random")
    args = parser.parse_args()
    names = list(SOAKS) if args.name == "all" else [args.name]
    failed = [name for name in names if not run(name, args.count, args.seed)]
    print(f"failed: {' '.join(failed)}" if failed else "all hold")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
