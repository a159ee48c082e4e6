# SPDX-License-Identifier: Apache-2.0
"""Root filesystems and mounts, as values."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from . import _checks as checks
from ._types import PathLike, Size


@dataclass(frozen=True, slots=True, init=False)
class Rootfs:
    """A directory that is the read-only bottom of a container's root filesystem.

    It is never written to: what the container changes goes into a layer of its own, which is deleted with it.

    Attributes:
        path: The directory, absolute.

    Example:
        >>> ctrd.Rootfs("/srv/debian").path
        PosixPath('/srv/debian')
    """

    path: Path

    def __init__(self, path: PathLike) -> None:
        """Name the directory; it is looked at when a container is made of it."""
        object.__setattr__(self, "path", Path(os.path.abspath(checks.path("path", path))))  # noqa: PTH100

    def __getstate__(self) -> Any:
        """Return what pickle keeps."""
        return str(self.path)

    def __setstate__(self, state: Any) -> None:
        """Take it back."""
        object.__setattr__(self, "path", Path(state))


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A snapshot that a container is made of, in place of an image.

    A committed one: the container gets a layer of its own upon it. One that is active, and no other container's: it is
    the container's layer, and is deleted with it. A view is FailedPrecondition: read_only=True is for that.

    Attributes:
        key: Its key or name, in the snapshotter that the container uses.

    Example:
        >>> ctrd.Snapshot("debian-12")
        Snapshot(key='debian-12')
    """

    key: str


ImageLike: TypeAlias = "str | Rootfs | Snapshot"


@dataclass(frozen=True, slots=True)
class Mount:
    """Something mounted into a container.

    Attributes:
        type: "bind" or "tmpfs".
        destination: Absolute path in the container.
        source: A bind's path on the host, absolute.
        read_only: Whether the container may not write there.
        size: A tmpfs's limit in bytes, or None.

    Example:
        >>> ctrd.Mount.bind("/srv/data", "/data", read_only=True).read_only
        True
    """

    type: Literal["bind", "tmpfs"]
    destination: str
    source: str = ""
    read_only: bool = False
    size: int | None = None

    @staticmethod
    def bind(src: PathLike, dst: str, *, read_only: bool = False) -> Mount:
        """Show a file or directory of the host in the container.

        Args:
            src: Path on the host.
            dst: Absolute path in the container.
            read_only: Whether the container may not write there.
        """
        source = os.path.abspath(checks.path("src", src))  # noqa: PTH100
        return Mount("bind", checks.text("dst", dst), source, checks.flag("read_only", read_only))

    @staticmethod
    def tmpfs(dst: str, *, size: Size | None = None) -> Mount:
        """Put an empty file system in memory into the container.

        Args:
            dst: Absolute path in the container.
            size: Its limit in bytes, or a str such as "64M".
        """
        limit = None if size is None else checks.size("size", size)
        return Mount("tmpfs", checks.text("dst", dst), size=limit)

    @classmethod
    def parse(cls, field: str, value: object) -> Mount:
        """Make one of what the option `mounts` takes: a Mount, "src:dst[:ro]" or (src, dst)."""
        if isinstance(value, Mount):
            return value
        if isinstance(value, str):
            return cls._from_text(field, value)
        if isinstance(value, tuple) and len(value) == 2:
            return cls.bind(checks.path(f"{field} source", value[0]), checks.text(f"{field} destination", value[1]))
        checks.wrong_type(field, value, "ctrd.Mount, 'src:dst[:ro]' or (src, dst)")

    @classmethod
    def _from_text(cls, field: str, value: str) -> Mount:
        src, *rest = checks.text(field, value).split(":")
        if len(rest) not in (1, 2) or rest[1:] not in ([], ["ro"], ["rw"]):
            raise checks.invalid(field, value, "not of the form src:dst or src:dst:ro")
        if not src.startswith(("/", ".")):
            raise checks.invalid(field, value, "the source must begin with / or . (there are no named volumes)")
        return cls.bind(src, rest[0], read_only=rest[1:] == ["ro"])
