"""Runtimes that misbehave: scripts in front of the real one."""

from __future__ import annotations

import shutil
from pathlib import Path

import ctrd
import pytest

pytestmark = pytest.mark.root

# Each is a shell script; $verb is the runtime's verb, "$real" the real runtime.
PROLOGUE = """#!/bin/sh
real={real}
verb=
log=/dev/null
last=
for word in "$@"; do
  [ "$last" = --log ] && log=$word
  case $word in create|start|kill|delete|state|features) verb=$word; break;; esac
  last=$word
done
"""
FAILS = 'if [ "$verb" = create ]; then echo "no such luck" >"$log"; exit 1; fi\nexec "$real" "$@"\n'
NO_PID_FILE = 'if [ "$verb" = create ]; then exit 0; fi\nexec "$real" "$@"\n'
CHATTY = """if [ "$verb" = create ]; then
  head -c 10485760 /dev/zero | tr '\\0' l >"$log"
  head -c 10485760 /dev/zero | tr '\\0' o
  head -c 10485760 /dev/zero | tr '\\0' e >&2
  exit 1
fi
exec "$real" "$@"
"""
CHATTY_BUT_GOOD = """if [ "$verb" = start ]; then
  head -c 10485760 /dev/zero | tr '\\0' o
  head -c 10485760 /dev/zero | tr '\\0' e >&2
fi
exec "$real" "$@"
"""
KILLED = 'if [ "$verb" = create ]; then kill -KILL $$; fi\nexec "$real" "$@"\n'
START_FAILS = 'if [ "$verb" = start ]; then echo "cannot start" >"$log"; exit 1; fi\nexec "$real" "$@"\n'
GARBAGE = 'if [ "$verb" = create ]; then printf "\\033[31m\\377\\000 bad" >"$log"; exit 3; fi\nexec "$real" "$@"\n'
HANGS = 'if [ "$verb" = create ]; then exec sleep 1000; fi\nexec "$real" "$@"\n'


def fake(where: Path, body: str) -> str:
    path = where / "runtime"
    path.write_text(PROLOGUE.format(real=shutil.which("runc")) + body)
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize(
    ("body", "says"),
    [(FAILS, "no such luck"), (NO_PID_FILE, "pid"), (KILLED, ""), (START_FAILS, "cannot start"), (GARBAGE, "bad")],
    ids=["fails", "no-pid-file", "killed", "start-fails", "garbage"],
)
def test_a_runtime_that_fails(engine: ctrd.Engine, rootfs: ctrd.Rootfs, tmp_path: Path, body: str, says: str) -> None:
    runtime = fake(tmp_path, body)
    with pytest.raises(ctrd.RuntimeFailed) as caught:
        engine.run(rootfs, "true", runtime=runtime)
    assert says in str(caught.value) + (caught.value.log_tail or "")
    assert caught.value.runtime == runtime
    assert "\x1b" not in str(caught.value)
    with engine.containers.create(rootfs, "true", runtime=runtime) as c:
        for _ in range(2):
            with pytest.raises(ctrd.RuntimeFailed):
                c.start()
            assert c.status() == "none"
    assert len(engine.containers) == 0
    assert engine.run(rootfs, "true", runtime="runc").ok


def test_a_runtime_that_prints_ten_mebibytes(engine: ctrd.Engine, rootfs: ctrd.Rootfs, tmp_path: Path) -> None:
    with pytest.raises(ctrd.RuntimeFailed) as caught:
        engine.run(rootfs, "true", runtime=fake(tmp_path, CHATTY))
    assert len(str(caught.value)) <= 1500
    result = engine.run(rootfs, "echo", "x", runtime=fake(tmp_path, CHATTY_BUT_GOOD))
    assert (result.stdout, result.stderr) == ("x\n", "")


def test_a_runtime_that_is_no_program(engine: ctrd.Engine, rootfs: ctrd.Rootfs, tmp_path: Path) -> None:
    path = tmp_path / "runtime"
    path.write_text("not a program")
    with pytest.raises(ctrd.Error):
        engine.run(rootfs, "true", runtime=str(path))
    path.chmod(0o755)
    with pytest.raises(ctrd.Error):
        engine.run(rootfs, "true", runtime=str(path))
    assert len(engine.containers) == 0


@pytest.mark.slow
def test_a_runtime_that_hangs(engine: ctrd.Engine, rootfs: ctrd.Rootfs, tmp_path: Path) -> None:
    """The verb's own deadline (30 s) ends it."""
    with pytest.raises((ctrd.RuntimeFailed, ctrd.Timeout)):
        engine.run(rootfs, "true", runtime=fake(tmp_path, HANGS))
    assert len(engine.containers) == 0
    assert engine.run(rootfs, "true", runtime="runc").ok
