# SPDX-License-Identifier: Apache-2.0
"""The namespaces of an engine's root."""

from __future__ import annotations

import builtins
from typing import TYPE_CHECKING

from . import _checks as checks
from ._types import LabelChange, Labels

if TYPE_CHECKING:
    from ._engine import Engine


class Namespaces:
    """The namespaces of a root. One comes into being with its first container, and goes when it is deleted.

    The labels containerd.io/defaults/runtime and containerd.io/defaults/snapshotter choose for containers that are made
    in it. They part names, not powers: whoever may use the root may use all of them.

    Example:
        >>> engine.namespaces.create("ci", labels={"containerd.io/defaults/runtime": "runc"})
        >>> engine.namespaces.list(), dict(engine.namespaces.labels("ci"))
        (['ci', 'default'], {'containerd.io/defaults/runtime': 'runc'})
        >>> engine.namespaces.delete("ci")
    """

    def __init__(self, engine: Engine) -> None:
        """Made by Engine."""
        self._engine = engine

    def create(self, name: str, *, labels: Labels | None = None) -> None:
        """Make one.

        Args:
            name: Letters and digits, joined by single dots, dashes or underscores; at most 76.
            labels: dict[str, str].

        Raises:
            AlreadyExists: There is one of this name.
        """
        given = {} if labels is None else checks.text_mapping("labels", labels)
        self._engine._core.create_namespace(checks.text("name", name), given)

    def list(self) -> builtins.list[str]:
        """Return their names, in order."""
        return self._engine._core.namespaces()

    def labels(self, name: str) -> Labels:
        """Return the labels of one; none of one that is not there.

        Args:
            name: Its name.
        """
        return self._engine._core.namespace_labels(checks.text("name", name))

    def update(self, name: str, *, labels: LabelChange) -> None:
        """Change the labels of one, which is made if it is not there; keys that are not named stay.

        Args:
            name: Its name.
            labels: dict[str, str | None]; None removes the key.
        """
        self._engine._core.update_namespace(checks.text("name", name), checks.change("labels", labels))

    def delete(self, name: str) -> None:
        """Delete one that is empty; what has come of a blob in part goes with it.

        Args:
            name: Its name.

        Raises:
            NotFound: There is none of this name.
            FailedPrecondition: There are containers, layers or blobs in it; the message names them.
        """
        self._engine._core.remove_namespace(checks.text("name", name))

    def __repr__(self) -> str:
        """Return what is free to say."""
        return f"<Namespaces of {self._engine!r}>"
