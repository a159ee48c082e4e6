"""What every benchmark does with its times."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable


def ms(seconds: list[float]) -> float:
    return statistics.median(seconds) * 1000


def timed(verb: Callable[[], object]) -> float:
    began = time.perf_counter()
    verb()
    return time.perf_counter() - began
