# SPDX-License-Identifier: Apache-2.0
"""The module's own verbs: an engine's, on the default one."""

from __future__ import annotations

from typing import Any, Literal, Unpack, overload

from . import _checks as checks
from . import _core, _rows
from . import _error_table as _error_table  # the core asks for it with its first error, when no file may be to be had
from ._config import EngineConfig, core_config
from ._container import Container
from ._engine import Engine, default_engine
from ._mounts import ImageLike
from ._signature import takes
from ._types import DEVNULL, LOG, PIPE, RunOptions, StartOptions
from ._values import DoctorReport, RunResult


def _chosen(engine: Engine | None) -> Engine:
    if engine is not None and not isinstance(engine, Engine):
        checks.wrong_type("engine", engine, "ctrd.Engine or None")
    return default_engine() if engine is None else engine


@overload
def run(
    image: ImageLike,
    *args: str,
    engine: Engine | None = None,
    text: Literal[True] = True,
    **options: Unpack[RunOptions],
) -> RunResult[str]: ...
@overload
def run(
    image: ImageLike,
    *args: str,
    engine: Engine | None = None,
    text: Literal[False],
    **options: Unpack[RunOptions],
) -> RunResult[bytes]: ...
@overload
def run(
    image: ImageLike, *args: str, engine: Engine | None = None, text: bool, **options: Unpack[RunOptions]
) -> RunResult[Any]: ...
@takes(RunOptions, stdout=PIPE, stderr=PIPE)
def run(
    image: ImageLike,
    *args: str,
    engine: Engine | None = None,
    text: bool = True,
    **options: Unpack[RunOptions],
) -> RunResult[Any]:
    r"""Run a command in a new container to its end; the container is gone afterwards.

    Args:
        image: A Rootfs, or a Snapshot.
        args: The command and its arguments; never split by a shell.
        engine: None: default_engine().
        text: Whether stdout and stderr are str; bytes otherwise.
        options: As for Engine.run: RunOptions and CreateOptions.

    Returns:
        What it left.

    Raises:
        ExitError: check, and it did not end with 0.
        Timeout: It was killed at its timeout; .result has what it printed until then.
        PathNotFound: The program, or the root filesystem, does not exist.
        InvalidArgument: An option is wrong; .field says which.

    Example:
        >>> result = ctrd.run(rootfs, "sh", "-c", "echo out; echo err >&2; exit 3")
        >>> result.stdout, result.stderr, result.returncode
        ('out\n', 'err\n', 3)
        >>> ctrd.run(rootfs, shell="tr a-z A-Z", input="hello").stdout
        'HELLO'
    """
    return _chosen(engine).run(image, *args, text=text, **options)


@takes(StartOptions, stdin=DEVNULL, stdout=LOG, stderr=LOG)
def start(
    image: ImageLike,
    *args: str,
    engine: Engine | None = None,
    text: bool = True,
    **options: Unpack[StartOptions],
) -> Container:
    """Run a command in a new container in the background.

    Args:
        image: A Rootfs, or a Snapshot.
        args: The command and its arguments; never split by a shell.
        engine: None: default_engine().
        text: Whether pipes give and take str; bytes otherwise.
        options: As for Engine.start: StartOptions and CreateOptions.

    Returns:
        Its handle; leaving `with` ends and deletes it.

    Raises:
        PathNotFound: The program, or the root filesystem, does not exist.
        InvalidArgument: An option is wrong; .field says which.

    Example:
        >>> with ctrd.start(rootfs, "sleep", "60", labels={"env": "ci"}) as c:
        ...     c.kill()
        ...     c.wait()
        <ExitStatus 137 signal=9>
    """
    return _chosen(engine).start(image, *args, text=text, **options)


def doctor() -> DoctorReport:
    """Look at what this machine has of what containers need. Nothing is made.

    Example:
        >>> ctrd.doctor().ok
        True
    """
    config = core_config(None, None, "auto", "auto", 30.0, EngineConfig())
    return DoctorReport(tuple(map(_rows.check, _core.doctor(config))))
