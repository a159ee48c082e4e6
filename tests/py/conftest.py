"""Fixtures, and the leak set around every test."""

from __future__ import annotations

import faulthandler
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TextIO

import pytest
from hypothesis.configuration import set_hypothesis_home_dir

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent.parent / "scripts")]

import ctrd  # noqa: E402
import invariants  # noqa: E402
import leakset  # noqa: E402
import roots  # noqa: E402
from containerd_peer import Containerd, nothing_left  # noqa: E402

set_hypothesis_home_dir(Path(tempfile.gettempdir()) / "ctrd-hypothesis")
RUNTIMES = ("crun", "runc")
NEEDED = {"root", "overlay", "shim", "runc"}  # what this machine is known to have: a test may not skip for want of it


@pytest.fixture(scope="session")
def report() -> ctrd.DoctorReport:
    """What doctor says of this machine."""
    return ctrd.doctor()


FAILED = pytest.StashKey[bool]()
TOO_LONG = 900.0  # seconds of one test: it hangs, and without its stack nobody would know where
TERMINAL = pytest.StashKey[TextIO]()


def pytest_configure(config: pytest.Config) -> None:
    """Keep the real standard error, which tests capture."""
    config.stash[TERMINAL] = os.fdopen(os.dup(2), "w", buffering=1)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """End everything, with all threads' stacks, if a test hangs."""
    faulthandler.dump_traceback_later(TOO_LONG, exit=True, file=item.config.stash[TERMINAL])
    try:
        return (yield)
    finally:
        faulthandler.cancel_dump_traceback_later()


@pytest.hookimpl(trylast=True)
def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Say at once what failed: a run that is ended later prints no summary."""
    if report.failed:
        print(
            f"\n{report.nodeid}: {report.when} failed: {report.longreprtext[-1500:]}", file=sys.__stderr__, flush=True
        )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Remember that a test failed: its traceback keeps things open."""
    report = yield
    item.stash[FAILED] = item.stash.get(FAILED, False) or report.failed
    return report


@pytest.fixture(autouse=True)
def no_leaks(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Fail a test that leaves something behind."""
    before = leakset.LeakSet.take()
    yield
    if request.node.stash.get(FAILED, False):
        return
    leaked = leakset.leaked_since(before, tmp_path_factory.getbasetemp())
    assert not leaked, f"left behind: {leaked}"


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The caller's settings are not the tests'."""
    for name in list(os.environ):
        if name.startswith("CTRD_") and name != "CTRD_SHIM":
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def root_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with busybox in it."""
    return roots.busybox(tmp_path_factory.mktemp("busybox") / "root")


@pytest.fixture
def rootfs(root_directory: Path) -> ctrd.Rootfs:
    """The same, as an image."""
    return ctrd.Rootfs(root_directory)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[ctrd.Engine]:
    """An engine on a root of its own; after the test nothing of it is on disk, and the invariants hold."""
    made = ctrd.Engine(tmp_path / "root", state=tmp_path / "state")
    yield made
    made.close()
    left = left_on_disk(made)
    assert not left, f"left on disk: {left}"
    found = broken_invariants(made)
    assert not found, found


def broken_invariants(engine: ctrd.Engine) -> list[str]:
    """What is wrong with its root once another engine has recovered it; what ends by itself gets a moment."""
    deadline = time.monotonic() + leakset.PATIENCE
    while found := invariants.violations(engine.root, engine.state, settled=True):
        if time.monotonic() > deadline:
            break
        with ctrd.Engine(engine.root, state=engine.state) as other:
            list(other.containers)
    return found


@pytest.fixture(params=RUNTIMES)
def runtime(request: pytest.FixtureRequest, report: ctrd.DoctorReport) -> str:
    """Each OCI runtime that works here."""
    name: str = request.param
    check = next((check for check in report.checks if check.name == name), None)
    if shutil.which(name) is None or (check is not None and not check.ok):
        reason = f"{name}: {check.found if check else 'not installed'}"
        assert name not in NEEDED, reason
        pytest.skip(reason)
    return name


def left_on_disk(engine: ctrd.Engine) -> list[str]:
    """Bundles, layers and logs (not .criu: it is bounded) below this engine's directories."""
    found = [*engine.state.glob("[!.]*/[!.]*"), *engine.root.glob("snapshots/*"), *engine.root.glob("logs/[!.]*")]
    return sorted(map(str, found))


@pytest.fixture(scope="session", params=RUNTIMES)
def containerd_of_session(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Containerd]:
    """Debian's containerd, started once for each runtime."""
    made = Containerd(tmp_path_factory.mktemp("containerd"), request.param)
    yield made
    made.close()


@pytest.fixture
def containerd(request: pytest.FixtureRequest, containerd_of_session: Containerd) -> Iterator[Containerd]:
    """The session's containerd, which has no task, container, shim, socket or cgroup before and after a test."""
    with nothing_left(containerd_of_session):
        yield containerd_of_session
        if request.node.stash.get(FAILED, False):
            containerd_of_session.sweep()
