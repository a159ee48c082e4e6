"""C2: what another user of the machine can see and reach: nothing, whatever the umask is."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import ctrd
import pytest
from support import python_says
from test_recovery import shim_of

pytestmark = pytest.mark.root


@pytest.fixture
def open_place() -> Iterator[Path]:
    """A directory that everybody may walk through: what keeps others out is ours."""
    top = Path(tempfile.mkdtemp(prefix="ctrd-others-", dir="/tmp"))
    top.chmod(0o755)
    yield top
    shutil.rmtree(top)


START = """if True:
    import os, sys
    os.umask(0)
    import ctrd
    c = ctrd.start(ctrd.Rootfs(sys.argv[1]), "sleep", "1000", id="x", lifetime="detached", stdin=ctrd.PIPE)
    assert c.status() == "running"
"""

AS_1000 = """if True:
    import errno, os, socket, sys
    root, state, bundle = sys.argv[1:]
    os.setgroups([])
    os.setresgid(1000, 1000, 1000)
    os.setresuid(1000, 1000, 1000)
    def said(verb):
        try:
            return verb() or "done"
        except OSError as error:
            return errno.errorcode[error.errno]
    with socket.socket(socket.AF_UNIX) as peer:
        print("connect", said(lambda: peer.connect(bundle + "/sock")))
    for name, path in (("root", root), ("state", state), ("bundle", bundle), ("namespace", os.path.dirname(bundle))):
        print("list", name, said(lambda: os.listdir(path)))
    for path in ("/metadata/CURRENT", "/metadata/db", "/logs", "/snapshots", "/journal"):
        print("stat", path, said(lambda: os.stat(root + path)))
    for path in ("/config.json", "/status", "/rootfs", "/io/stdin", "/shim.log"):
        print("stat", path, said(lambda: os.stat(bundle + path)))
    print("make", said(lambda: os.mkdir(state + "/mine")), said(lambda: os.mkdir(os.path.dirname(bundle) + "/mine")))
"""


def test_c2_another_user(open_place: Path, rootfs: ctrd.Rootfs) -> None:
    """With an umask of 0 even: no connect, no look, nothing to list, nothing to make."""
    with ctrd.Engine(open_place / "root", state=open_place / "state") as engine:
        python_says(engine, START, str(rootfs.path))
        bundle = engine.state / "default/x"
        lines = python_says(engine, AS_1000, str(engine.root), str(engine.state), str(bundle)).splitlines()
        assert len(lines) == 16 and all(set(line.split()[-1:]) == {"EACCES"} for line in lines), lines
        assert lines[-1] == "make EACCES EACCES"
        modes = {path: stat.S_IMODE(path.lstat().st_mode) for path in (engine.root, engine.state, bundle)}
        assert list(modes.values()) == [0o700, 0o711, 0o700]
        assert stat.S_IMODE((bundle / "sock").lstat().st_mode) == 0o600
        assert wide(engine.root) == [] and wide(engine.state) == []
        engine.containers["x"].delete(force=True)


def wide(top: Path) -> list[str]:
    """What others can reach and write to."""
    found = []
    for where, directories, files in os.walk(top):
        directories[:] = [name for name in directories if (Path(where) / name).lstat().st_mode & 0o011]
        for path in [Path(where), *(Path(where) / name for name in files)]:
            if path.lstat().st_mode & 0o022:
                found.append(f"{path} {path.lstat().st_mode:o}")
    return found


def test_c2_no_abstract_socket(engine: ctrd.Engine, rootfs: ctrd.Rootfs) -> None:
    """CVE-2020-15257: an abstract name has no mode, and is reached from any container with the host's network."""
    with engine.start(rootfs, "sleep", "1000", id="of-this-test", stdin=ctrd.PIPE, stdout=ctrd.PIPE) as c:
        shim = shim_of(c)
        inodes = {str(path.readlink()) for path in Path(f"/proc/{shim}/fd").iterdir()}
        table = [line.split(maxsplit=7) for line in Path("/proc/net/unix").read_text().splitlines()[1:]]
        ours = [words for words in table if f"socket:[{words[6]}]" in inodes]
        assert any(words[-1].endswith("/sock") for words in ours)
        assert not [words for words in ours if len(words) == 8 and words[7].startswith("@")]
        named = [words[7] for words in table if len(words) == 8 and words[7].startswith("@")]
        assert not [name for name in named if "ctrd" in name or "of-this-test" in name]
