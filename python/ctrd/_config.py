# SPDX-License-Identifier: Apache-2.0
"""Settings of an engine, and what the environment says about them."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from . import _checks as checks
from . import _core
from ._signature import check_known
from ._types import CreateOptions, PathLike, Size

DEFAULT_ROOT = "/var/lib/ctrd"
_SHIM = Path(__file__).parent / "_bin" / "containerd-shim-ctrd-v2"


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineConfig:
    """Settings that are seldom changed.

    Attributes:
        log_max: Bytes of output kept for each container, or a str such as "64M".
        rpc_timeout: Seconds that a shim may take for an answer.
        checkpoint_timeout: Seconds that a checkpoint may take, and a restore.
        shim: The shim program; None: CTRD_SHIM, else the one in this package.
        default_options: CreateOptions for every container of the engine; a call's own win.

    Example:
        >>> ctrd.EngineConfig(default_options={"memory": "256M"}).rpc_timeout
        60.0
    """

    log_max: Size = 64 << 20
    rpc_timeout: float = 60.0
    checkpoint_timeout: float = 600.0
    shim: Path | None = None
    default_options: CreateOptions = field(default_factory=CreateOptions)


def shim_program() -> Path:
    """CTRD_SHIM, else the one in this package."""
    return Path(os.environ.get("CTRD_SHIM") or _SHIM)


def core_config(
    root: PathLike | None,
    state: PathLike | None,
    runtime: str,
    snapshotter: str,
    lock_timeout: float | None,
    config: EngineConfig,
) -> _core.Config:
    """Check the settings, in the core's form. Without a root, CTRD_ROOT and CTRD_STATE are asked."""
    made = _core.Config()
    if root is None:
        root = os.environ.get("CTRD_ROOT") or DEFAULT_ROOT
        state = state if state is not None else os.environ.get("CTRD_STATE") or None
    made.root = _absolute("root", root)
    made.state = "" if state is None else _absolute("state", state)
    made.runtime = checks.text("runtime", runtime)
    made.snapshotter = checks.text("snapshotter", snapshotter)
    made.shim = str(config.shim or shim_program())
    made.log_max = checks.size("log_max", config.log_max)
    made.set_rpc_timeout(_limit("rpc_timeout", config.rpc_timeout))
    made.set_checkpoint_timeout(_limit("checkpoint_timeout", config.checkpoint_timeout))
    made.set_lock_timeout(_limit("lock_timeout", lock_timeout))
    check_known(config.default_options, CreateOptions.__annotations__, "default_options")
    return made


def _absolute(name: str, path: PathLike) -> str:
    return os.path.abspath(checks.path(name, path))  # noqa: PTH100


def _limit(name: str, value: float | None) -> float:
    limit = checks.seconds(name, value)
    return float("inf") if limit is None else limit
