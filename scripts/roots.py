"""Root directories for demos, notebooks, tests and benchmarks: busybox (static) and a real Debian, made once and kept.

Run as a program it prints the directory: `python scripts/roots.py busybox|debian|host`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

CACHE = Path(os.environ.get("CTRD_ROOTS_CACHE", "/var/cache/ctrd/roots"))
BUSYBOX = Path("/bin/busybox")
RELEASE = "bookworm"


def busybox(where: Path | None = None) -> Path:
    """Make a root with busybox and a link for each of its applets; ready in a few milliseconds.

    Args:
        where: The directory to make, below the cache when None.

    Raises:
        FileNotFoundError: busybox-static is not installed.
    """
    return _kept(where or CACHE / "busybox", _make_busybox)


def debian(where: Path | None = None) -> Path:
    """Make a minimal Debian with mmdebstrap (some 20 s, then kept).

    Raises:
        subprocess.CalledProcessError: mmdebstrap failed; its words are on stderr.
    """
    return _kept(where or CACHE / f"debian-{RELEASE}", _make_debian)


def host(where: Path | None = None) -> Path:
    """Make a root for this machine's own programs, Python for one: start it with mounts=["/usr:/usr:ro"].

    Args:
        where: The directory to make, below the cache when None.
    """
    return _kept(where or CACHE / "host", _make_host)


def _kept(root: Path, make: Callable[[Path], None]) -> Path:
    """Make the root aside and rename it, so that what stands there is always whole, also with two makers at once."""
    if root.is_dir():
        return root
    root.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=root.parent, prefix=".new-") as aside:
        new = Path(aside) / "root"
        make(new)
        try:
            new.rename(root)
        except OSError:
            if not root.is_dir():
                raise
    return root


def _make_busybox(root: Path) -> None:
    for name in ("bin", "dev", "etc", "proc", "root", "run", "sys", "tmp", "usr/bin", "var"):
        (root / name).mkdir(parents=True)
    (root / "tmp").chmod(0o1777)
    shutil.copy2(BUSYBOX, root / "bin/busybox")
    applets = subprocess.run([BUSYBOX, "--list"], check=True, capture_output=True, text=True).stdout.split()
    for applet in applets:
        if applet != "busybox":
            (root / "bin" / applet).symlink_to("busybox")
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n")
    (root / "etc/group").write_text("root:x:0:\nnogroup:x:65534:\n")


def _make_host(root: Path) -> None:
    for name in ("dev", "etc", "proc", "root", "run", "sys", "tmp", "usr", "var"):
        (root / name).mkdir(parents=True)
    (root / "tmp").chmod(0o1777)
    for name in ("bin", "lib", "lib64", "sbin"):
        (root / name).symlink_to(f"usr/{name}")


def _make_debian(root: Path) -> None:
    command = ["mmdebstrap", "--quiet", "--variant=minbase", RELEASE, str(root)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)


def main() -> None:
    makers = {"busybox": busybox, "debian": debian, "host": host}
    if len(sys.argv) != 2 or sys.argv[1] not in makers:
        sys.exit(f"usage: {sys.argv[0]} {'|'.join(makers)}")
    print(makers[sys.argv[1]]())


if __name__ == "__main__":
    main()
