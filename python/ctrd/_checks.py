# SPDX-License-Identifier: Apache-2.0
"""Checks of single arguments: each takes the argument's name and value and returns it in the core's form, or raises.

A wrong type is a TypeError, a wrong value an InvalidArgument; both name the argument.
"""

from __future__ import annotations

import math
import os
import re
import signal as signals
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, NoReturn

from .errors import InvalidArgument

_UNITS = {"": 0, "K": 10, "M": 20, "G": 30, "T": 40}


def invalid(field: str, value: object, why: str, *, hint: str | None = None) -> InvalidArgument:
    """Make the error of a wrong value."""
    shown = (value if isinstance(value, str) else _repr(value))[:64]
    return InvalidArgument(f"{field}: {why}: {shown!r}", hint=hint, context={"field": field, "value": shown})


def _repr(value: object) -> str:
    try:
        return repr(value)
    except RecursionError:
        return f"a {type(value).__name__} that is nested too deeply"


def entry(field: str, key: str) -> str:
    """The name of one entry of a mapping that is an argument."""
    return f"{field}[{key[:64]!r}]"


def wrong_type(field: str, value: object, wanted: str) -> NoReturn:
    """Raise the error of a wrong type."""
    raise TypeError(f"{field} must be {wanted}, not {type(value).__name__}")


def text(field: str, value: object) -> str:
    """A str that is valid Unicode (no surrogates from undecodable bytes)."""
    if not isinstance(value, str):
        wrong_type(field, value, "str")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise invalid(field, ascii(value), "not valid Unicode") from None
    return str(value)


def flag(field: str, value: object) -> bool:
    """A bool."""
    if not isinstance(value, bool):
        wrong_type(field, value, "bool")
    return value


def integer(field: str, value: object) -> int:
    """An int, not a bool, that fits into 64 bits."""
    if isinstance(value, bool) or not isinstance(value, int):
        wrong_type(field, value, "int")
    if not -(2**63) <= value < 2**63:
        raise invalid(field, value, "does not fit into 64 bits")
    return int(value)


def columns(field: str, value: object) -> int:
    """One side of a terminal's size, which the kernel keeps in 16 bits."""
    found = integer(field, value)
    if not 1 <= found <= 65535:
        raise invalid(field, value, "not between 1 and 65535")
    return found


def id_number(field: str, value: object) -> int:
    """A uid or gid."""
    found = integer(field, value)
    if not 0 <= found < 2**32:
        raise invalid(field, value, "not between 0 and 2**32")
    return found


def number(field: str, value: object) -> float:
    """A finite float or int."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        wrong_type(field, value, "a number")
    try:
        found = float(value)
    except OverflowError:
        found = math.inf
    if not math.isfinite(found):
        raise invalid(field, value, "not a finite number")
    return found


def seconds(field: str, value: object) -> float | None:
    """Seconds; None is without limit, a negative number is over already (as in subprocess)."""
    if value is None:
        return None
    if isinstance(value, float) and value == math.inf:
        return None
    return max(0.0, number(field, value))


def size(field: str, value: object) -> int:
    """Bytes, as an int or as a str such as "512M" (K, M, G, T are powers of 1024)."""
    if isinstance(value, str):
        found = re.fullmatch(r"([0-9]{1,18})([KMGT]?)", value, re.IGNORECASE | re.ASCII)
        if not found:
            raise invalid(field, value, "not a size such as 1048576, '512K', '512M', '2G'")
        number = int(found[1]) << _UNITS[found[2].upper()]
    elif isinstance(value, bool) or not isinstance(value, int):
        wrong_type(field, value, "int or str")
    else:
        number = int(value)
    if not 0 <= number < 2**63:
        raise invalid(field, value, "not between 0 and 2**63")
    return number


def signal(field: str, value: object) -> int:
    """A signal's number, 1 to 64, from a number or a name with or without SIG."""
    if isinstance(value, str):
        name = value.upper() if value.upper().startswith("SIG") else f"SIG{value.upper()}"
        if name not in signals.Signals.__members__:
            raise invalid(field, value, "no such signal")
        return int(signals.Signals[name])
    if isinstance(value, bool) or not isinstance(value, int):
        wrong_type(field, value, "int or str")
    if not 1 <= value <= 64:
        raise invalid(field, value, "not a signal from 1 to 64")
    return int(value)


def items(field: str, value: object) -> list[Any]:
    """The items of a sequence that is not a str or bytes."""
    if isinstance(value, str | bytes):
        raise invalid(field, value, "a sequence is wanted, not one str", hint=f"write [{value!r}]")
    if isinstance(value, Mapping) or not isinstance(value, Sequence | set | frozenset):
        wrong_type(field, value, "a sequence")
    return list(value)


def texts(field: str, value: object) -> list[str]:
    """A list of str."""
    return [text(f"{field}[{i}]", one) for i, one in enumerate(items(field, value))]


def mapping(field: str, value: object) -> dict[str, Any]:
    """A dict with str keys."""
    if not isinstance(value, Mapping):
        wrong_type(field, value, "a mapping")
    return {text(f"key of {field}", key): one for key, one in value.items()}


def text_mapping(field: str, value: object) -> dict[str, str]:
    """A dict[str, str]."""
    return {key: text(entry(field, key), one) for key, one in mapping(field, value).items()}


def change(field: str, value: object) -> dict[str, str | None]:
    """A dict[str, str | None]; None removes the key."""
    if value is None:
        return {}
    return {key: None if one is None else text(entry(field, key), one) for key, one in mapping(field, value).items()}


def choice(field: str, value: object, allowed: Iterable[str]) -> str:
    """One of some words."""
    word = text(field, value)
    allowed = list(allowed)
    if word not in allowed:
        raise invalid(field, word, f"not one of {', '.join(allowed)}")
    return word


def path(field: str, value: object) -> str:
    """A path of the host, as text, not empty."""
    if not isinstance(value, str | os.PathLike):
        wrong_type(field, value, "str or os.PathLike")
    found = os.fspath(value)
    if isinstance(found, bytes):
        wrong_type(field, found, "a path of str")
    if not found:
        raise invalid(field, found, "empty")
    return text(field, found)


def instant_ns(field: str, value: datetime) -> int:
    """Nanoseconds since 1970 of an aware datetime, as far as 64 bits reach."""
    if value.tzinfo is None:
        raise invalid(field, value, "has no time zone", hint="datetime.now(timezone.utc) has one")
    return min(max(round(value.timestamp() * 1_000_000) * 1000, -(2**63)), 2**63 - 1)


def stream(field: str, value: object, allowed: Mapping[int, Literal["PIPE", "STDOUT", "DEVNULL", "LOG"]]) -> int:
    """One of the Std numbers in allowed."""
    if isinstance(value, bool) or not isinstance(value, int):
        wrong_type(field, value, " or ".join(f"ctrd.{name}" for name in allowed.values()))
    if int(value) not in allowed:
        raise invalid(field, value, f"not one of {', '.join(allowed.values())}")
    return int(value)
