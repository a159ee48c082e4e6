# SPDX-License-Identifier: Apache-2.0
"""The logger "ctrd": silent unless the program, or CTRD_LOG=debug|info|warning|error, asks for it."""

from __future__ import annotations

import logging
import os
import warnings

_LEVELS = ("debug", "info", "warning", "error")


def configure() -> None:
    """Called once, at import."""
    logger = logging.getLogger("ctrd")
    logger.addHandler(logging.NullHandler())
    wanted = os.environ.get("CTRD_LOG", "").lower()
    if not wanted:
        return
    if wanted not in _LEVELS:
        warnings.warn(f"CTRD_LOG={wanted!r} is not one of {', '.join(_LEVELS)}", stacklevel=3)
        return
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(name)s %(levelname)s: %(message)s"))
    logger.addHandler(handler)
    logger.setLevel(wanted.upper())
