"""Events: how soon another process sees one, whether one that reconnects misses any, and what they cost."""

from __future__ import annotations

import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import ctrd

READER = """if True:
    import ctrd, sys, time
    with ctrd.Engine(sys.argv[1], state=sys.argv[2]) as engine, engine.events(sys.argv[3]) as events:
        print("ready", flush=True)
        for _ in range(int(sys.argv[4])):
            event = events.next(timeout=60)
            print(time.time() - event.time.timestamp(), flush=True)
"""


def measure(engine: ctrd.Engine, image: ctrd.Rootfs, runs: int, say: Callable[[str, str, str], None]) -> None:
    """Print the figures."""
    print("events")
    container = engine.containers.create(image, "true", id="events")
    late = seen_by_another(engine, "topic==/containers/update", 5 * runs, lambda n: update(container, n))
    told(say, "label updates, seen by another process after", late)
    late = seen_by_another(engine, "topic==/tasks/exit", runs, lambda _: engine.run(image, "true"))
    told(say, "exits of /bin/true, seen by another process after", late)
    reconnect(engine, container, 10 * runs, say)
    began = time.perf_counter()
    count = len(list(engine.events(follow=False)))
    took = time.perf_counter() - began
    size = sum(path.stat().st_size for path in (engine.root / "journal").iterdir())
    say(f"replay of {count} events", f"{took / count * 1e6:.1f} us each, {size // count} bytes", "")
    container.delete()


def told(say: Callable[[str, str, str], None], what: str, late: list[float]) -> None:
    text = f"{statistics.median(late) * 1000:.1f} ms, at most {max(late) * 1000:.1f} ms"
    say(what, text, "aim: within 50 ms")


def update(container: ctrd.Container, n: int) -> None:
    container.update(labels={"n": str(n)})
    time.sleep(0.002)


def seen_by_another(engine: ctrd.Engine, topic: str, count: int, act: Callable[[int], object]) -> list[float]:
    """Seconds from what an event says of its time to its arrival in another process."""
    command = [sys.executable, "-c", READER, str(engine.root), str(engine.state), topic, str(count)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ) as reader:
        assert reader.stdout
        reader.stdout.readline()
        for n in range(count):
            act(n)
        return [float(line) for line in reader.stdout]


def reconnect(engine: ctrd.Engine, container: ctrd.Container, count: int, say: Callable[[str, str, str], None]) -> None:
    """A reader that goes and comes back at random, against a writer in another process."""
    code = f"""if True:
    import ctrd, sys
    with ctrd.Engine(sys.argv[1], state=sys.argv[2]) as engine:
        for n in range({count}):
            engine.containers.update("events", labels={{"r": str(n)}})
    """
    last = list(engine.events(follow=False))[-1].seq
    seen: list[str] = []
    connections = 0
    with subprocess.Popen([sys.executable, "-c", code, str(engine.root), str(engine.state)]) as writer:
        while len(seen) < count:
            connections += 1
            with engine.events("topic==/containers/update", since=last) as events:
                for _ in range(min(random.randrange(1, 40), count - len(seen))):
                    event = events.next(timeout=60)
                    last = event.seq
                    seen.append(event.data["labels"]["r"])
        writer.wait()
    wrong = sum(label != str(n) for n, label in enumerate(seen))
    say(f"{count} events over {connections} connections", f"{wrong} missed or doubled", "aim: none")
