"""The bare runtime beside ctrd: create, start, delete of the same config.json through posix_spawn, nothing else."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import ctrd

PR_SET_CHILD_SUBREAPER = 36


def become_subreaper() -> None:
    """Orphans of a runtime become our children, as they become a shim's, so that an init can be waited for here."""
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


def _spawn(*argv: str) -> None:
    """One runtime run, to its end."""
    null = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_RDWR, 0) for fd in range(3)]
    pid = os.posix_spawn(argv[0], argv, {"PATH": os.environ["PATH"]}, file_actions=null, setsigdef=range(1, 32))
    _, status = os.waitpid(pid, 0)
    if status:
        raise RuntimeError(f"{argv}: {os.waitstatus_to_exitcode(status)}")


class Bare:
    """A bundle with a mounted root, and a runtime that runs it."""

    def __init__(self, runtime: str, bundle: Path) -> None:
        self.binary = shutil.which(runtime) or runtime
        self.bundle = bundle
        self.root = bundle / "rt"

    def run(self) -> tuple[float, float, float]:
        """One whole life.

        Returns:
            tuple[float, float, float]: seconds of create, start (and the wait for init), delete.
        """
        common = (self.binary, "--root", str(self.root), "--log", str(self.bundle / "log.json"), "--log-format", "json")
        pid_file = self.bundle / "init.pid"
        began = time.perf_counter()
        _spawn(*common, "create", "--bundle", str(self.bundle), "--pid-file", str(pid_file), "bare")
        created = time.perf_counter()
        _spawn(*common, "start", "bare")
        os.waitpid(int(pid_file.read_text()), 0)
        started = time.perf_counter()
        _spawn(*common, "delete", "bare")
        return created - began, started - created, time.perf_counter() - started

    def _do(self, *args: str) -> None:
        _spawn(self.binary, "--root", str(self.root), "--log", str(self.bundle / "log.json"), *args)

    def start(self) -> None:
        """Let it run in the background; end() ends it."""
        self._do("run", "--detach", "--bundle", str(self.bundle), "bare")

    def checkpoint(self, images: Path) -> None:
        """Dump it; it runs on."""
        images.mkdir()
        work = self.bundle / "criu-work"
        work.mkdir(exist_ok=True)
        self._do("checkpoint", "--leave-running", "--image-path", str(images), "--work-path", str(work), "bare")

    def restore(self, images: Path) -> None:
        """Once it has been ended."""
        where = ("--image-path", str(images), "--work-path", str(self.bundle / "criu-work"))
        self._do("restore", "--detach", *where, "--bundle", str(self.bundle), "bare")

    def end(self) -> None:
        """Kill it and forget it."""
        self._do("delete", "--force", "bare")


@contextmanager
def bare(engine: ctrd.Engine, image: ctrd.Rootfs, runtime: str, work: Path, *args: str) -> Iterator[Bare]:
    """A bare runtime with the very config.json that ctrd gives it for this command, on an overlay like ctrd's."""
    bundle = work / f"bare-{Path(runtime).name}"
    for name in ("rootfs", "upper", "overlay-work"):
        (bundle / name).mkdir(parents=True)
    with engine.containers.create(image, *(args or ("/bin/true",)), runtime=runtime) as container:
        with container.create_task():
            shutil.copy(engine.state / engine.namespace / container.id / "config.json", bundle / "config.json")
    options = f"lowerdir={image.path},upperdir={bundle / 'upper'},workdir={bundle / 'overlay-work'}"
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, bundle / "rootfs"], check=True)
    try:
        yield Bare(runtime, bundle)
    finally:
        subprocess.run(["umount", bundle / "rootfs"], check=True)
