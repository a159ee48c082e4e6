"""The notebooks run as they are."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import criu
import pytest

pytestmark = pytest.mark.root
NOTEBOOKS = sorted((Path(__file__).resolve().parents[2] / "notebooks").glob("*.ipynb"))
EXECUTE = """
import sys, nbformat
from nbclient import NotebookClient

book = nbformat.read(sys.argv[1], as_version=4)
NotebookClient(book, timeout=120, resources={"metadata": {"path": "."}}).execute()
cells = [cell for cell in book.cells if cell.cell_type == "code"]
assert cells and all(cell.execution_count for cell in cells)
print(len(cells), "cells; the last:", cells[-1].outputs[-1].data["text/plain"])
"""


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook(path: Path, tmp_path: Path) -> None:
    """In another process: nbclient leaves its event loop open."""
    names = ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "MPLCONFIGDIR")
    done = subprocess.run(
        [sys.executable, "-c", EXECUTE, path],
        cwd=tmp_path,
        env={**os.environ, "PATH": criu.path(), **{name: str(tmp_path / name.lower()) for name in names}},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("the last: []\n"), done.stdout  # each ends by looking for what is left
