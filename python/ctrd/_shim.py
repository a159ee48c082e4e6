# SPDX-License-Identifier: Apache-2.0
"""Our shim's program where containerd finds it."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from pathlib import Path

from ._config import shim_program
from .errors import Error, InvalidArgument, PathNotFound, PermissionDenied

NAME = "containerd-shim-ctrd-v2"  # containerd's rule for the runtime io.containerd.ctrd.v2


def install(directory: str | os.PathLike[str]) -> Path:
    """Copy the program into a directory, in place of an older one at once and whole, also while that runs.

    Args:
        directory: There already; of containerd's PATH, or where the program containerd is.

    Returns:
        The program's path.

    Raises:
        PathNotFound: There is no such directory, or no program to copy.
        InvalidArgument: It is no directory.
        PermissionDenied: Nothing may be written there.
    """
    into = Path(directory)
    try:
        with tempfile.TemporaryDirectory(dir=into, prefix=f".{NAME}-") as aside:
            made = Path(shutil.copyfile(shim_program(), Path(aside) / NAME))
            made.chmod(0o755)
            with made.open("rb") as file:
                os.fsync(file.fileno())
            return made.rename(into / NAME)
    except OSError as error:
        raise _typed(error, into) from error


def _typed(error: OSError, directory: Path) -> Error:
    if error.filename == shim_program():
        return PathNotFound(f"{error.filename}: {error.strerror}", context={"path": str(error.filename)})
    named = {"field": "dir", "value": str(directory)}
    kinds = {errno.ENOENT: PathNotFound, errno.ENOTDIR: InvalidArgument, errno.EISDIR: InvalidArgument}
    kinds |= {errno.EACCES: PermissionDenied, errno.EPERM: PermissionDenied, errno.EROFS: PermissionDenied}
    kind: type[Error] = kinds.get(error.errno or 0, Error)
    return kind(f"dir: {directory}: {error.strerror}", context=named)
