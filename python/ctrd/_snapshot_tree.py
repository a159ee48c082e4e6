# SPDX-License-Identifier: Apache-2.0
"""What stands upon what, as text and as a picture."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape

from ._values import SnapshotInfo

_ROW, _STEP, _LETTER, _PAD = 26, 22, 7.3, 8
_COLOURS = {"committed": "#d9e8d4", "active": "#fbe3c0", "view": "#d6e4f5"}


@dataclass(frozen=True, slots=True)
class SnapshotTree:
    """What stands upon what: str() draws it, and a notebook shows it as a picture.

    Attributes:
        snapshots: Those in it.
    """

    snapshots: tuple[SnapshotInfo, ...]

    def _rows(self) -> Iterator[tuple[SnapshotInfo, tuple[bool, ...]]]:
        """Each with whether it, and each that it stands upon, is the last of its parent's, from the bottom.

        Without recursion: a chain may be as long as it likes.
        """
        known = {one.key for one in self.snapshots}
        above: dict[str | None, list[SnapshotInfo]] = {}
        for one in self.snapshots:
            above.setdefault(one.parent if one.parent in known else None, []).append(one)
        todo: list[tuple[SnapshotInfo, tuple[bool, ...]]] = [(one, ()) for one in reversed(above.get(None, []))]
        while todo:
            one, lasts = todo.pop()
            yield one, lasts
            upper: list[SnapshotInfo] = above.get(one.key, [])
            todo += [(child, (*lasts, child is upper[-1])) for child in reversed(upper)]

    def __str__(self) -> str:
        """Draw it, a line each."""
        return "\n".join(f"{_branches(lasts)}{_printable(one.key)}  {_words(one)}" for one, lasts in self._rows())

    def _repr_svg_(self) -> str:
        rows = list(self._rows())
        at = {one.key: (len(lasts), line) for line, (one, lasts) in enumerate(rows)}
        lines, boxes, width = [], [], 0.0
        for line, (one, lasts) in enumerate(rows):
            x, y = _PAD + len(lasts) * _STEP, _PAD + line * _ROW
            label = f"{_printable(one.key)}  {_words(one)}"
            long = len(label) * _LETTER + 16
            width = max(width, x + long)
            if lasts and one.parent is not None:
                level, above = at[one.parent]
                begin = f"M{_PAD + level * _STEP + 10} {_PAD + above * _ROW + 20}"
                lines.append(f'<path d="{begin}V{y + 10}H{x}" fill="none" stroke="#888"/>')
            boxes.append(
                f'<rect x="{x}" y="{y}" width="{long:.0f}" height="20" rx="4" fill="{_COLOURS[one.kind]}"/>'
                f'<text x="{x + 8}" y="{y + 14}">{escape(label)}</text>'
            )
        height = 2 * _PAD + len(rows) * _ROW
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width + _PAD:.0f}" height="{height}"'
            f' font-family="monospace" font-size="12">{"".join(lines)}{"".join(boxes)}</svg>'
        )


def _branches(lasts: tuple[bool, ...]) -> str:
    if not lasts:
        return ""
    return "".join("   " if last else "│  " for last in lasts[:-1]) + ("└─ " if lasts[-1] else "├─ ")


def _printable(key: str) -> str:
    """A key may be any text: no line of it is another's."""
    return key if key.isprintable() else "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in key)


def _words(one: SnapshotInfo) -> str:
    return f"{one.kind}, container {one.container}" if one.container else one.kind
