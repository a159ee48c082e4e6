"""Values, sizes, signatures and names: what needs no container."""

from __future__ import annotations

import copy
import importlib.util
import inspect
import pickle
import pydoc
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import ctrd
import pytest
from ctrd import _checks as checks

pytestmark = pytest.mark.unit
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def result(returncode: int = 0, stdout: str = "out") -> ctrd.RunResult[str]:
    return ctrd.RunResult(("cmd", "x"), returncode, None, stdout, "err", False, False, NOW, NOW, 0.5, "id", None)


VALUES = [
    ctrd.ExitStatus(143, signal=15, exited_at=NOW, escalated=True, lost="shim"),
    result(),
    ctrd.Check("kernel", True, "6.1", ""),
    ctrd.DoctorReport((ctrd.Check("kernel", True, "6.1", ""),)),
    ctrd.LogLine(1, NOW, "stdout", "hello", False),
    ctrd.ProcessState(ctrd.TaskStatus.running, 12, None, False),
    ctrd.ProcessInfo(12, 1, ("sh",), None, "0", 4096, 0.1),
    ctrd.TaskInfo("id", "abc", "/usr/bin/crun", {"ociVersion": "1.0"}),
    ctrd.Rootfs("/srv/root"),
    ctrd.Mount.bind("/srv", "/data", read_only=True),
    ctrd.ResultList([ctrd.Check("kernel", True, "6.1", "")]),
    ctrd.EngineConfig(log_max="1M"),
]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_values_can_be_pickled_and_copied(value: object) -> None:
    for twin in (pickle.loads(pickle.dumps(value)), copy.deepcopy(value)):
        assert twin == value
        assert type(twin) is type(value)
        assert repr(twin) == repr(value)


def test_values_do_not_change() -> None:
    with pytest.raises(AttributeError):
        result().returncode = 1  # type: ignore[misc]
    with pytest.raises(AttributeError):
        ctrd.ExitStatus(1).signal = 9


def test_exit_status_is_an_int_with_facts() -> None:
    status = ctrd.ExitStatus(137, signal=9, oom_killed=True)
    assert status == 137 and status.returncode == 137 and bool(status)
    assert (status.signal, status.oom_killed, status.timed_out, status.lost) == (9, True, False, None)
    assert repr(status) == "<ExitStatus 137 signal=9 oom_killed>"
    assert not ctrd.ExitStatus(0)
    assert pickle.loads(pickle.dumps(status)).signal == 9


def test_task_status_is_a_str() -> None:
    assert ctrd.TaskStatus.running == "running"
    assert f"{ctrd.TaskStatus.none}" == "none"


def test_run_result() -> None:
    good, bad = result(), result(3, stdout="x" * 100)
    assert good.ok and good.check_returncode() is good
    assert not bad.ok
    with pytest.raises(ctrd.ExitError) as caught:
        bad.check_returncode()
    assert caught.value.result is bad
    assert len(repr(bad)) < 250


def test_std_has_subprocess_numbers() -> None:
    assert (ctrd.PIPE, ctrd.STDOUT, ctrd.DEVNULL) == (subprocess.PIPE, subprocess.STDOUT, subprocess.DEVNULL)


def test_result_list_is_a_table() -> None:
    rows = ctrd.ResultList([ctrd.TaskInfo("a", "1", "crun", {})])
    assert rows.to_dicts() == [{"container_id": "a", "instance": "1", "runtime": "crun", "spec": {}}]


def test_result_list_in_a_notebook() -> None:
    evil = ctrd.ProcessInfo(12, 1, ("sh", "<script>alert(1)</script>"), None, "0", 4096, 0.1)
    shown = ctrd.ResultList([evil])._repr_html_()
    assert shown and "<th>args</th>" in shown and "<script>" not in shown and "sh &lt;script&gt;" in shown
    assert shown.count("<td>") == 7 and "<td></td>" in shown  # None is nothing
    line = ctrd.LogLine(1, NOW, "stdout", "x" * 500, False)
    shown = ctrd.ResultList([line] * 100)._repr_html_()
    assert shown and shown.count("<tr>") == 61 and "<p>40 more</p>" in shown
    assert "x" * 121 not in shown and "<th>time</th>" not in shown  # what repr leaves out
    assert ctrd.ResultList([])._repr_html_() is ctrd.ResultList(["text"])._repr_html_() is None


def test_result_list_without_pandas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ctrd.Unsupported, match="pandas is not installed") as caught:
        ctrd.ResultList([ctrd.Check("kernel", True, "6.1", "")]).to_pandas()
    assert caught.value.hint and "ctrd[pandas]" in caught.value.hint
    assert isinstance(caught.value, NotImplementedError)


def test_result_list_with_pandas() -> None:
    """In another process: numpy's threads stay."""
    if importlib.util.find_spec("pandas") is None:
        pytest.skip("pandas is not installed")
    code = """
import ctrd
frame = ctrd.ResultList([ctrd.Check("kernel", True, "6.1", ""), ctrd.Check("crun", False, "none", "x")]).to_pandas()
print(list(frame.columns), frame[~frame.ok].name.tolist(), ctrd.ResultList([]).to_pandas().empty)
"""
    said = subprocess.check_output([sys.executable, "-c", code], stdin=subprocess.DEVNULL, text=True)
    assert said == "['name', 'ok', 'found', 'hint', 'needed'] ['crun'] True\n"


def test_nothing_is_imported_for_tables() -> None:
    code = (
        "import sys, ctrd; ctrd.ResultList([ctrd.Check('a', True, '', '')]).to_dicts(); "
        "print(*{'pandas', 'numpy'} & set(sys.modules))"
    )
    assert subprocess.check_output([sys.executable, "-c", code], stdin=subprocess.DEVNULL) == b"\n"


def test_doctor_report_is_ok_without_what_is_not_needed() -> None:
    checks = (ctrd.Check("a", True, "x", ""), ctrd.Check("crun", False, "none", "install it", needed=False))
    report = ctrd.DoctorReport(checks)
    assert report.ok
    assert "install it" in str(report)
    assert not ctrd.DoctorReport((ctrd.Check("a", False, "x", ""),)).ok


@pytest.mark.parametrize(
    ("given", "size"), [(0, 0), (4096, 4096), ("0", 0), ("512K", 512 << 10), ("512M", 512 << 20), ("2g", 2 << 30)]
)
def test_sizes(given: int | str, size: int) -> None:
    assert checks.size("memory", given) == size


@pytest.mark.parametrize("given", ["", "512MB", "M", "-1", "1.5G", " 1M", "1M\n", "٣", "9" * 19, "9999999999T", -1])
def test_wrong_sizes_name_field_and_value(given: int | str) -> None:
    with pytest.raises(ctrd.InvalidArgument) as caught:
        checks.size("memory", given)
    assert caught.value.field == "memory"
    assert str(given) in str(caught.value.value)


@pytest.mark.parametrize("given", [1.5, None, True, b"1"])
def test_sizes_of_a_wrong_type(given: object) -> None:
    with pytest.raises(TypeError, match="memory must be int or str"):
        checks.size("memory", given)


@pytest.mark.parametrize("given", [15, "SIGTERM", "TERM", "term", signal.SIGTERM])
def test_signals(given: int | str) -> None:
    assert checks.signal("signal", given) == 15


@pytest.mark.parametrize("given", [0, 65, -1, "SIGFOO", "", "9"])
def test_wrong_signals(given: int | str) -> None:
    with pytest.raises(ctrd.InvalidArgument) as caught:
        checks.signal("signal", given)
    assert caught.value.field == "signal"


@pytest.mark.parametrize(("given", "seconds"), [(None, None), (1, 1.0), (0.5, 0.5), (-1, 0.0), (float("inf"), None)])
def test_seconds(given: float | None, seconds: float | None) -> None:
    assert checks.seconds("timeout", given) == seconds


def test_mounts_are_parsed() -> None:
    parse = ctrd.Mount.parse
    assert parse("m", "/a:/b") == ctrd.Mount.bind("/a", "/b")
    assert parse("m", "/a:/b:ro") == ctrd.Mount.bind("/a", "/b", read_only=True)
    assert parse("m", (Path("/a"), "/b")) == ctrd.Mount.bind("/a", "/b")
    assert parse("m", "./a:/b").source == str(Path.cwd() / "a")
    assert ctrd.Mount.tmpfs("/t", size="1M").size == 1 << 20


@pytest.mark.parametrize("given", ["/a", "/a:/b:rx", "/a:/b:ro:x", "a:/b", ""])
def test_wrong_mounts(given: str) -> None:
    with pytest.raises(ctrd.InvalidArgument) as caught:
        ctrd.Mount.parse("mounts[0]", given)
    assert caught.value.field == "mounts[0]"


@pytest.mark.parametrize("function", [ctrd.run, ctrd.start, ctrd.Engine.run, ctrd.Engine.start, ctrd.Containers.create])
def test_signatures_list_every_option(function: object) -> None:
    parameters = inspect.signature(function).parameters  # type: ignore[arg-type]
    assert {"id", "labels", "memory", "spec", "cap_add"} <= set(parameters)
    assert not any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values())
    assert all(p.kind is inspect.Parameter.KEYWORD_ONLY for name, p in parameters.items() if name in {"id", "memory"})
    assert "memory" in pydoc.render_doc(function)


def test_public_names_say_that_they_are_ctrds() -> None:
    for name in ctrd.__all__:
        module = getattr(getattr(ctrd, name), "__module__", "ctrd")
        assert module in {"ctrd", "ctrd.errors"}, name
    assert set(ctrd.__all__) <= set(dir(ctrd))
    assert {name for name in dir(ctrd) if not name.startswith("_")} == set(ctrd.__all__)


def test_every_public_function_has_a_docstring() -> None:
    for name in ctrd.__all__:
        one = getattr(ctrd, name)
        if not inspect.isclass(one) and not callable(one):
            continue
        assert inspect.getdoc(one), name
        for key, member in vars(one).items() if inspect.isclass(one) else ():
            if inspect.isfunction(member) and not key.startswith("_"):
                assert inspect.getdoc(member), f"{name}.{key}"
