"""What the documentation shows is run: README's Python, and the examples in docstrings."""

from __future__ import annotations

import doctest
import inspect
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ctrd
import pytest
from support import environment, eventually

pytestmark = pytest.mark.root
HOUSE = Path(__file__).resolve().parent.parent.parent


def test_readme(engine: ctrd.Engine) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (HOUSE / "README.md").read_text(), re.DOTALL)
    assert blocks
    try:
        for block in blocks:
            done = subprocess.run(
                [sys.executable, "-W", "error", "-c", block],
                env=environment(engine),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, done.stderr
            assert done.stdout
    finally:
        shutil.rmtree("/tmp/ctrd-readme", ignore_errors=True)


def examples() -> Iterator[tuple[str, str]]:
    """Name and docstring of every public thing that has an example."""
    for name in ctrd.__all__:
        one = getattr(ctrd, name)
        for full, member in [(name, one), *_members(name, one)]:
            doc = inspect.getdoc(member) if inspect.isclass(one) or inspect.isroutine(one) else None
            if doc and ">>>" in doc:
                yield full, doc


def _members(name: str, one: object) -> Iterator[tuple[str, object]]:
    for base in inspect.getmro(one) if inspect.isclass(one) else ():
        if base.__module__.startswith("ctrd"):
            yield from ((f"{name}.{key}", member) for key, member in vars(base).items() if inspect.isfunction(member))


EXAMPLES = {name: doc for doc, name in {doc: name for name, doc in reversed(list(examples()))}.items()}  # each once


@pytest.fixture
def names(engine: ctrd.Engine, rootfs: ctrd.Rootfs, request: pytest.FixtureRequest) -> Iterator[dict[str, Any]]:
    """What examples may use: ctrd, engine, rootfs, and c, a container in which fits the example."""
    engine.containers.create(rootfs, "true", id="db")
    verb = request.node.callspec.params["name"]
    ctrd.set_default_engine(engine)
    if verb in ("Task", "Containers"):
        c = engine.containers.create(rootfs, "echo", "hello")
    elif verb == "Container.logs":
        c = engine.start(rootfs, "echo", "hello")
        c.wait()
    else:
        c = engine.start(rootfs, "sleep", "60")
        eventually(
            lambda: c.processes()[0].args == ("sleep", "60"), "the command is executed: start does not wait for it"
        )
    yield {"ctrd": ctrd, "engine": engine, "rootfs": rootfs, "c": c}
    ctrd.set_default_engine(None)
    shutil.rmtree("/tmp/ctrd-docs", ignore_errors=True)


@pytest.mark.parametrize("name", EXAMPLES)
def test_docstrings(name: str, names: dict[str, Any]) -> None:
    if name == "Containers":
        for id in names["engine"].containers:
            names["engine"].containers.delete(id)
    test = doctest.DocTestParser().get_doctest(EXAMPLES[name], names, name, None, 0)
    said: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    runner.run(test, out=said.append)
    names["c"].delete(force=True, missing_ok=True)
    assert runner.failures == 0, "".join(said)
