# SPDX-License-Identifier: Apache-2.0
"""ExecOptions in the core's form, and where the streams of an exec go."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from . import _checks as checks
from . import _core
from ._options import command, env, named, tty_size
from ._stdio import Stdio
from ._types import DEVNULL, PIPE, ExecOptions, ExecRun, ExecStdio

EXEC_KEYS = frozenset(ExecStdio.__annotations__)
EXEC_RUN_KEYS = frozenset(ExecRun.__annotations__)


def exec_options(args: tuple[object, ...], options: Mapping[str, Any]) -> _core.ExecOptions:
    """Check what a further process is made of, and put it into the core's form."""
    made = _core.ExecOptions()
    made.args = command(args, options.get("shell"))
    for key, set_one in _SET.items():
        if options.get(key) is not None:
            set_one(made, options[key])
    return made


def _set_tty(made: _core.ExecOptions, value: object) -> None:
    made.tty, made.console_size = tty_size("tty", value)


def _set_id(made: _core.ExecOptions, value: object) -> None:
    made.id = named("id", value)


def _set_env(made: _core.ExecOptions, value: object) -> None:
    made.env = env("env", value)


def _set_cwd(made: _core.ExecOptions, value: object) -> None:
    made.cwd = checks.text("cwd", value)


def _set_user(made: _core.ExecOptions, value: object) -> None:
    made.user = checks.text("user", value)


def _set_cap_add(made: _core.ExecOptions, value: object) -> None:
    made.cap_add = checks.texts("cap_add", value)


_SET: dict[str, Callable[[_core.ExecOptions, Any], None]] = {
    "id": _set_id,
    "env": _set_env,
    "cwd": _set_cwd,
    "user": _set_user,
    "tty": _set_tty,
    "cap_add": _set_cap_add,
}
assert _SET.keys() | {"shell"} == ExecOptions.__annotations__.keys()


def exec_stdio(options: Mapping[str, Any]) -> Stdio:
    """Where its streams go."""
    given = (options.get("stdin", DEVNULL), options.get("stdout", PIPE), options.get("stderr", PIPE))
    return Stdio(given, log=False, files=True)
