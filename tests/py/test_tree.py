"""The exception tree: one table, compared with the papers, crossing the border and pickling."""

from __future__ import annotations

import pickle
import re
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import ctrd
import pytest
from ctrd import _core, errors

pytestmark = pytest.mark.unit

# (code, kind) -> class, the gRPC numbers and cpp/base/error.h's kinds; from the table of the design.
TABLE = [
    (1, 0, ctrd.Cancelled, "cancelled"),
    (2, 0, ctrd.Error, "unknown"),
    (3, 0, ctrd.InvalidArgument, "invalid_argument"),
    (4, 0, ctrd.Timeout, "deadline_exceeded"),
    (5, 0, ctrd.NotFound, "not_found"),
    (5, 1, ctrd.ContainerNotFound, "not_found"),
    (5, 2, ctrd.TaskNotFound, "not_found"),
    (5, 3, ctrd.ProcessNotFound, "not_found"),
    (5, 4, ctrd.ImageNotFound, "not_found"),
    (5, 5, ctrd.CheckpointNotFound, "not_found"),
    (5, 6, ctrd.PathNotFound, "not_found"),
    (5, 7, ctrd.NotFound, "not_found"),
    (6, 0, ctrd.AlreadyExists, "already_exists"),
    (6, 2, ctrd.AlreadyExists, "already_exists"),
    (7, 0, ctrd.PermissionDenied, "permission_denied"),
    (8, 0, ctrd.ResourceExhausted, "resource_exhausted"),
    (9, 0, ctrd.FailedPrecondition, "failed_precondition"),
    (9, 2, ctrd.FailedPrecondition, "failed_precondition"),
    (9, 8, ctrd.ForkedEngine, "failed_precondition"),
    (10, 0, ctrd.Conflict, "aborted"),
    (11, 0, ctrd.InvalidArgument, "out_of_range"),
    (12, 0, ctrd.Unsupported, "unimplemented"),
    (13, 0, ctrd.Error, "internal"),
    (13, 9, ctrd.RuntimeFailed, "internal"),
    (14, 0, ctrd.Unavailable, "unavailable"),
    (14, 7, ctrd.RootBusy, "unavailable"),
    (15, 0, ctrd.DataLoss, "data_loss"),
    (16, 0, ctrd.Unauthenticated, "unauthenticated"),
    (99, 0, ctrd.Error, "unknown"),
]
CLASSES = [getattr(errors, name) for name in errors.__all__]


def thrown(code: int, kind: int, context: dict[str, str] | None = None, sys_errno: int = 0) -> ctrd.Error:
    with pytest.raises(ctrd.Error) as caught:
        _core._throw(code, kind, "what was tried", sys_errno, context or {})
    return caught.value


@pytest.mark.parametrize(("code", "kind", "cls", "name"), TABLE)
def test_code_and_kind_pick_the_class(code: int, kind: int, cls: type[ctrd.Error], name: str) -> None:
    error = thrown(code, kind, {"hint": "do this", "op": "start", "extra": "x"})
    assert type(error) is cls
    assert error.code == name
    assert (error.message, error.op, error.hint, error.context) == (
        "what was tried",
        "start",
        "do this",
        {"extra": "x"},
    )
    assert str(error) == "what was tried (do this)"


def test_the_table_is_the_papers() -> None:
    paper = Path(__file__).parents[3] / "shared" / "api.md"
    if not paper.exists():
        pytest.skip("the papers are not beside the repository")
    tree = paper.read_text().split("## Exceptions")[1].split("```")[1]
    named = set(re.findall(r"[├└]─ (\w+)", tree)) | {"Error"}
    assert named == set(errors.__all__)
    bases = {"OSError", "Exception"}
    for cls, listed in re.findall(r"─ (\w+)\(([\w., ]+)\)", tree):
        for base in listed.split(", "):
            found = getattr(subprocess, base.removeprefix("subprocess."), None) or getattr(errors, base, None)
            found = found or __builtins__[base]  # type: ignore[index]
            assert issubclass(getattr(errors, cls), found), (cls, base)
    assert bases


def test_the_modules_docstring_names_every_class() -> None:
    assert set(re.findall(r"[├└]─ (\w+)", errors.__doc__ or "")) | {"Error"} == set(errors.__all__)
    assert all(getattr(ctrd, name) is getattr(errors, name) for name in errors.__all__)


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_errors_can_be_pickled(cls: type[ctrd.Error]) -> None:
    error = cls("what was tried")
    error.context["field"] = "id"
    error.hint = "do this"
    twin = pickle.loads(pickle.dumps(error))
    assert type(twin) is cls
    assert str(twin) == str(error) == "what was tried (do this)"
    assert twin.__dict__ == error.__dict__


def test_facts_come_from_the_context() -> None:
    assert thrown(3, 0, {"field": "id", "value": "a/b"}).field == "id"  # type: ignore[attr-defined]
    busy = thrown(14, 7, {"holder_pid": "12", "holder_cmd": "python x.py", "since": "2026-01-02T03:04:05Z"})
    assert isinstance(busy, ctrd.RootBusy)
    assert (busy.holder_pid, busy.holder_cmd) == (12, "python x.py")
    assert busy.since == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    failed = thrown(13, 9, {"runtime": "/usr/bin/crun", "exit_code": "1", "log_tail": "no"})
    assert isinstance(failed, ctrd.RuntimeFailed)
    assert (failed.runtime, failed.exit_code, failed.log_tail, failed.log_path) == ("/usr/bin/crun", 1, "no", None)
    timeout = thrown(4, 0, {"timeout": "1.5"})
    assert isinstance(timeout, ctrd.Timeout)
    assert (timeout.timeout, timeout.result, timeout.cmd) == (1.5, None, None)
    damaged = thrown(15, 0, {"path": "/x", "expected": "a", "actual": "b"})
    assert isinstance(damaged, ctrd.DataLoss)
    assert (damaged.path, damaged.expected, damaged.actual) == ("/x", "a", "b")


def test_errno_is_kept() -> None:
    error = thrown(5, 6, sys_errno=2)
    assert isinstance(error, FileNotFoundError)
    assert error.errno == 2


def test_foreign_bytes_in_a_message_are_harmless() -> None:
    with pytest.raises(ctrd.InvalidArgument) as caught:
        _core._throw(3, 0, "bad \x1b[31m\x00 name " + "x" * 5000, 0, {})
    assert "\x1b" not in str(caught.value) and "\x00" not in str(caught.value)
    assert len(str(caught.value)) <= 1024
