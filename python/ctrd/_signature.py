# SPDX-License-Identifier: Apache-2.0
"""Signatures that name every option, so that help() and TAB list what **options takes."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeVar

from ._types import DEFAULTS

_F = TypeVar("_F", bound=Callable[..., Any])


def takes(options: type, **defaults: Any) -> Callable[[_F], _F]:
    """Give a function the keys of this TypedDict as keyword-only parameters, in its signature.

    Args:
        options: The TypedDict.
        defaults: What a key is when not given, where it is something else than usual.
    """

    def decorate(function: _F) -> _F:
        signature = inspect.signature(function)
        own = [p for p in signature.parameters.values() if p.kind is not inspect.Parameter.VAR_KEYWORD]
        more = [
            inspect.Parameter(
                key, inspect.Parameter.KEYWORD_ONLY, default={**DEFAULTS, **defaults}.get(key), annotation=annotation
            )
            for key, annotation in all_annotations(options).items()
        ]
        function.__signature__ = signature.replace(parameters=own + more)  # type: ignore[attr-defined]
        return function

    return decorate


def all_annotations(options: type) -> dict[str, Any]:
    """A TypedDict's keys with their annotations (its bases' come first)."""
    return {
        key: getattr(annotation, "__forward_arg__", annotation) for key, annotation in options.__annotations__.items()
    }


def check_known(given: Mapping[str, Any], known: Collection[str], function: str) -> None:
    """Refuse keyword arguments that are not in known, with the nearest known one."""
    for key in given:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            raise TypeError(
                f"{function}() got an unexpected keyword argument {key!r}"
                + (f"; did you mean {near[0]!r}?" if near else "")
            )
