"""run: a command in a new container, to its end."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import ctrd
import pytest
from support import python_says

pytestmark = pytest.mark.root


def test_both_streams_and_the_status(engine: ctrd.Engine, rootfs: ctrd.Rootfs, runtime: str) -> None:
    before = datetime.now(UTC)
    result = engine.run(rootfs, "sh", "-c", "echo out; echo err >&2; exit 3", runtime=runtime)
    assert (result.stdout, result.stderr, result.returncode, result.signal) == ("out\n", "err\n", 3, None)
    assert result.args == ("sh", "-c", "echo out; echo err >&2; exit 3")
    assert before <= result.started_at <= result.exited_at <= datetime.now(UTC)
    assert result.duration >= 0 and not result.truncated and not result.oom_killed and not result.ok
    assert result.image is None
    assert result.container_id not in engine.containers


def test_a_death_by_signal_is_128_and_more(engine: ctrd.Engine, rootfs: ctrd.Rootfs, runtime: str) -> None:
    code = "ulimit -t 1; while :; do :; done"  # the kernel sends SIGXCPU, then SIGKILL: no process of its own needs to
    result = engine.run(rootfs, shell=code, runtime=runtime)
    assert result.signal in (9, 24)
    assert result.returncode == 128 + result.signal


def test_the_module_has_a_run_of_its_own(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    ctrd.set_default_engine(engine)
    try:
        assert ctrd.default_engine() is engine
        assert ctrd.run(rootfs, "echo", "a b").stdout == "a b\n"
    finally:
        ctrd.set_default_engine(None)
    assert ctrd.run(rootfs, "echo", "x", engine=engine).ok


def test_the_environment_says_where_the_default_engine_is(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    code = """if True:
        import ctrd, sys
        engine = ctrd.default_engine()
        print(engine.root, engine.state, ctrd.run(ctrd.Rootfs(sys.argv[1]), "id", "-u").stdout)
    """
    assert python_says(engine, code, str(rootfs.path)).split() == [str(engine.root), str(engine.state), "0"]


def test_arguments_are_never_split(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    words = ["a b", "", "$HOME", "'\"", "ä\n", "*"]
    result = engine.run(rootfs, "printf", "[%s]", *words)
    assert result.stdout == "".join(f"[{word}]" for word in words)


def test_input_goes_to_stdin(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    assert engine.run(rootfs, "tr", "a-z", "A-Z", input="hällo").stdout == "HäLLO"
    assert engine.run(rootfs, "cat", input=b"\x00\xff", text=False).stdout == b"\x00\xff"
    assert engine.run(rootfs, "cat", input="").stdout == ""
    assert engine.run(rootfs, "cat").stdout == ""
    assert engine.run(rootfs, "true", input="x" * 1_000_000).ok  # nobody reads it


def test_input_and_output_larger_than_any_pipe(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    data = os.urandom(3_000_001)
    assert engine.run(rootfs, "cat", input=data, text=False).stdout == data


def test_wrong_input(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    for given, text in ((b"x", True), ("x", False)):
        with pytest.raises(ctrd.InvalidArgument) as caught:
            engine.run(rootfs, "cat", input=given, text=text)
        assert caught.value.field == "input"
    with pytest.raises(TypeError, match="input must be str or bytes"):
        engine.run(rootfs, "cat", input=1)  # type: ignore[call-overload]


def test_text_is_decoded_whatever_it_is(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    result = engine.run(rootfs, "printf", r"\303\244\377")
    assert result.stdout == "ä\ufffd"
    assert engine.run(rootfs, "printf", r"\303\244\377", text=False).stdout == b"\xc3\xa4\xff"


def test_ten_mebibytes_on_both_streams(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    code = "head -c 10485760 /dev/zero | tr '\\0' o & head -c 10485760 /dev/zero | tr '\\0' e >&2; wait"
    result = engine.run(rootfs, shell=code)
    assert (len(result.stdout), len(result.stderr)) == (10 << 20, 10 << 20)
    assert set(result.stdout) == {"o"} and set(result.stderr) == {"e"}


def test_max_output_keeps_the_beginning(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    result = engine.run(rootfs, shell="yes ä | head -n 100000; echo done >&2", max_output=5)
    assert result.truncated and result.ok
    assert (result.stdout, result.stderr) == ("ä\nä"[:3], "done\n")
    assert not engine.run(rootfs, "echo", "hi", max_output="1K").truncated


def test_where_streams_go(engine: ctrd.Engine, rootfs: ctrd.Rootfs, tmp_path: Path) -> None:
    code = "echo out; echo err >&2"
    merged = engine.run(rootfs, shell=code, stderr=ctrd.STDOUT)
    assert (merged.stdout, merged.stderr) == ("out\nerr\n", "")
    quiet = engine.run(rootfs, shell=code, stdout=ctrd.DEVNULL, stderr=subprocess.DEVNULL)
    assert (quiet.stdout, quiet.stderr) == ("", "")
    engine.run(rootfs, shell=code, stdout=tmp_path / "out", stderr=str(tmp_path / "err"))
    assert ((tmp_path / "out").read_text(), (tmp_path / "err").read_text()) == ("out\n", "err\n")


def test_streams_into_files(engine: ctrd.Engine, rootfs: ctrd.Rootfs, tmp_path: Path) -> None:
    with (tmp_path / "file").open("w") as file:
        file.write("before\n")
        engine.run(rootfs, "echo", "out", stdout=file)
        file.write("after\n")
    assert (tmp_path / "file").read_text() == "before\nout\nafter\n"
    reader, writer = os.pipe()
    with os.fdopen(reader) as file, os.fdopen(writer, "w"):
        engine.run(rootfs, "echo", "out", stdout=writer)
        assert file.readline() == "out\n"
    text, raw = io.StringIO(), io.BytesIO()
    engine.run(rootfs, shell="printf 'a\\303'; printf '\\244\\n'; printf '\\377' >&2", stdout=text, stderr=raw)
    assert (text.getvalue(), raw.getvalue()) == ("aä\n", b"\xff")


def test_none_is_the_callers_own(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    code = """if True:
        import ctrd, io, sys
        image = ctrd.Rootfs(sys.argv[1])
        print("one")
        ctrd.run(image, "echo", "two", stdout=None)
        ctrd.run(image, "echo", "three", stdout=ctrd.INHERIT)
        kept, sys.stdout = sys.stdout, io.StringIO()
        ctrd.run(image, "echo", "four", stdout=None)
        kept.write(sys.stdout.getvalue().upper())
    """
    assert python_says(engine, code, str(rootfs.path)) == "one\ntwo\nthree\nFOUR\n"


def test_what_write_raises_ends_the_run(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    class Full(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(28, "full")

    with pytest.raises(OSError, match="full"):
        engine.run(rootfs, shell="echo x; exec sleep 1000", stdout=Full())
    assert len(engine.containers) == 0


@pytest.mark.parametrize("target", [ctrd.LOG, ctrd.STDOUT, 99999, -7])
def test_wrong_stdout(engine: ctrd.Engine, rootfs: ctrd.Rootfs, target: int) -> None:
    with pytest.raises(ctrd.InvalidArgument) as caught:
        engine.run(rootfs, "true", stdout=target)
    assert caught.value.field == "stdout"


def test_stdout_that_cannot_be_opened(engine: ctrd.Engine, rootfs: ctrd.Rootfs, tmp_path: Path) -> None:
    with pytest.raises(ctrd.PathNotFound):
        engine.run(rootfs, "true", stdout=tmp_path / "no" / "file")
    with pytest.raises(TypeError, match="stdout"):
        engine.run(rootfs, "true", stdout=object())  # type: ignore[call-overload]


def test_check_raises_with_the_result(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    with pytest.raises(ctrd.ExitError) as caught:
        engine.run(rootfs, shell="echo out; echo why >&2; exit 7", check=True)
    error = caught.value
    assert isinstance(error, subprocess.CalledProcessError)
    assert (error.returncode, error.stdout, error.stderr, error.result.returncode) == (7, "out\n", "why\n", 7)
    assert "returned 7" in str(error) and "why" in str(error)
    assert engine.run(rootfs, "true", check=True).ok


def test_timeout_kills_and_raises_with_what_there_was(engine: ctrd.Engine, rootfs: ctrd.Rootfs, runtime: str) -> None:
    with pytest.raises(ctrd.Timeout) as caught:
        engine.run(rootfs, shell="echo begun; sleep 1000", timeout=3, runtime=runtime)
    error = caught.value
    assert isinstance(error, subprocess.TimeoutExpired) and isinstance(error, TimeoutError)
    assert (error.stdout, error.timeout, error.cmd) == ("begun\n", 3.0, ["/bin/sh", "-c", "echo begun; sleep 1000"])
    assert error.result.stdout == "begun\n"
    assert len(engine.containers) == 0


def test_timeout_of_one_that_ends_in_time(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    assert engine.run(rootfs, "echo", "x", timeout=30).stdout == "x\n"


def test_output_of_a_grandchild_that_holds_the_pipe_is_cut(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    assert engine.run(rootfs, shell="sleep 1000 & echo out").stdout == "out\n"


def test_an_image_by_name_is_not_found_yet(engine: ctrd.Engine) -> None:
    with pytest.raises(ctrd.ImageNotFound, match="Rootfs"):
        engine.run("debian", "true")
    with pytest.raises(TypeError, match="image"):
        engine.run(Path("/"), "true")  # type: ignore[call-overload]


def test_unknown_options_name_the_nearest(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    with pytest.raises(TypeError, match="'memroy'; did you mean 'memory'"):
        engine.run(rootfs, "true", memroy="1M")  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="'stdin'"):
        engine.run(rootfs, "true", stdin=1)  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="start.*'check'"):
        engine.start(rootfs, "true", check=True)  # type: ignore[call-arg]


def test_many_runs_leave_nothing(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    engine.run(rootfs, "true")
    before = sorted(path.name for path in Path("/proc/self/fd").iterdir())
    for _ in range(25):
        assert engine.run(rootfs, "true").ok
    assert len(sorted(path.name for path in Path("/proc/self/fd").iterdir())) <= len(before) + 2


def test_stdin_closed_before_the_import(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    """Descriptors 0 to 2 may be closed: what is opened first must not land there and be taken for a stream."""
    code = """if True:
        import ctrd, pathlib, sys
        result = ctrd.run(ctrd.Rootfs(sys.argv[1]), "cat", input="x")
        pathlib.Path(sys.argv[2]).write_text(result.stdout)
    """
    target = engine.root.parent / "said"
    script = 'exec "$@" 0<&- 1>&- 2>&-'
    command = ["sh", "-c", script, "sh", sys.executable, "-c", code, str(rootfs.path), str(target)]
    environment = {**os.environ, "CTRD_ROOT": str(engine.root), "CTRD_STATE": str(engine.state)}
    assert subprocess.run(command, env=environment, check=False).returncode in (0, 120)
    assert re.fullmatch("x", target.read_text())
