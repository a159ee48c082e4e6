# SPDX-License-Identifier: Apache-2.0
"""Content: blobs by digest, and how they come in."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, BinaryIO, cast

from . import _checks as checks
from . import _rows
from ._leases import entered
from ._types import LabelChange, Labels
from ._values import BlobInfo, Descriptor, IngestInfo, ResultList
from .errors import AlreadyExists, DataLoss, Error

if TYPE_CHECKING:
    from . import _core
    from ._engine import Engine

_PART = 1 << 20


class Content:
    """The blobs of an engine's namespace. A blob is named by its digest, and never changes.

    Example:
        >>> made = engine.content.ingest(b"hello", labels={"app": "docs"})
        >>> made.digest, engine.content.read(made.digest)
        ('sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824', b'hello')
        >>> engine.content.list("labels.app==docs")[0].size
        5
        >>> engine.content.delete(made.digest)
    """

    def __init__(self, engine: Engine) -> None:
        """Made by Engine."""
        self._engine = engine

    def ingest(
        self,
        source: bytes | bytearray | memoryview | BinaryIO | Iterable[bytes],
        *,
        ref: str | None = None,
        expected: str | None = None,
        size: int | None = None,
        media_type: str = "application/octet-stream",
        labels: Labels | None = None,
    ) -> Descriptor:
        """Bring a blob in. It is on the disk, whole and checked, when this returns; before that nobody sees it.

        One that the namespace has already stays as it is, labels too; if its file is missing or damaged, it comes
        from the source again. One that is expected, and whole in this or another namespace, is not
        read from the source.

        Args:
            source: Its bytes: in one piece, from a file opened in binary mode, or in pieces.
            ref: A name for what has come so far, so that the next call with this ref and the same `expected` goes on
                where this one was stopped, also by a crash. None: what an error leaves is removed.
            expected: Its digest, "sha256:...", if it is known.
            size: Its size, if it is known.
            media_type: For the descriptor.
            labels: Its labels.

        Returns:
            Its digest and size.

        Raises:
            DataLoss: It has another digest or size; .expected and .actual say which. Nothing of it is kept.
            Unavailable: Somebody else is writing to this ref.

        Example:
            >>> engine.content.ingest([b"in ", b"pieces"]).size
            9
        """
        name = secrets.token_hex(8) if ref is None else checks.text("ref", ref)
        digest = None if expected is None else checks.text("expected", expected)
        total = None if size is None else checks.size("size", size)
        media = checks.text("media_type", media_type)
        given = checks.text_mapping("labels", labels or {})
        parts = _parts(source)
        engine = self._engine
        try:
            writer = engine._core.open_ingest(engine.namespace, name, digest, total, entered(engine))
        except AlreadyExists as error:
            return self._there_already(error, media)
        try:
            _copy(writer, parts, resume=digest is not None)
            row = writer.commit(digest, total, given)
            return Descriptor(row[0], row[1], media)
        except AlreadyExists as error:
            return self._there_already(error, media)
        except BaseException as error:
            writer.close()
            if ref is None or isinstance(error, DataLoss):
                self._abort_quietly(name)
            raise
        finally:
            writer.close()

    def _there_already(self, error: AlreadyExists, media_type: str) -> Descriptor:
        digest = error.context.get("digest")
        if digest is None:
            raise error
        return Descriptor(digest, self.info(digest).size, media_type)

    def _abort_quietly(self, ref: str) -> None:
        try:
            self._engine._core.abort_ingest(self._engine.namespace, ref)
        except Error:
            pass  # what matters is the error that is on its way

    def ingests(self, *filters: str) -> ResultList[IngestInfo]:
        """List what has come in part.

        Args:
            filters: As of containers.list(); the field is ref.

        Example:
            >>> engine.content.ingests()
            []
        """
        texts = [checks.text("filters", one) for one in filters]
        return ResultList(map(_rows.ingest_info, self._engine._core.ingests(self._engine.namespace, texts)))

    def abort(self, ref: str) -> None:
        """Throw away what has come under this ref.

        Args:
            ref: As given to ingest().

        Raises:
            NotFound: There is nothing.
            Unavailable: Somebody is writing to it.
        """
        self._engine._core.abort_ingest(self._engine.namespace, checks.text("ref", ref))

    def read(self, digest: str) -> bytes:
        """Return all its bytes.

        Args:
            digest: Which blob.

        Raises:
            NotFound: The namespace has no such blob.
            DataLoss: Its file is missing, or has another size.
        """
        with self.open(digest) as file:
            return file.read()

    def open(self, digest: str) -> BinaryIO:
        """Return a file to read it from, at any place. It stays readable when the blob is deleted.

        Args:
            digest: Which blob.

        Raises:
            NotFound: The namespace has no such blob.
            DataLoss: Its file is missing, or has another size.

        Example:
            >>> made = engine.content.ingest(b"hello")
            >>> with engine.content.open(made.digest) as file:
            ...     file.seek(3), file.read()
            (3, b'lo')
        """
        descriptor = self._engine._core.open_blob(self._engine.namespace, checks.text("digest", digest))
        return os.fdopen(descriptor, "rb")

    def info(self, digest: str) -> BlobInfo:
        """Return what is known of a blob.

        Args:
            digest: Which blob.

        Raises:
            NotFound: The namespace has no such blob.
        """
        return _rows.blob_info(self._engine._core.blob(self._engine.namespace, checks.text("digest", digest)))

    def list(self, *filters: str) -> ResultList[BlobInfo]:
        """List blobs, in one consistent view.

        Args:
            filters: As of containers.list(); fields are digest and labels.<key>.

        Returns:
            Values, ordered by digest.

        Raises:
            InvalidArgument: A filter is not one; the message marks where.
        """
        texts = [checks.text("filters", one) for one in filters]
        return ResultList(map(_rows.blob_info, self._engine._core.blobs(self._engine.namespace, texts)))

    def update(self, digest: str, *, labels: LabelChange) -> BlobInfo:
        """Change a blob's labels; keys that are not named stay.

        Args:
            digest: Which blob.
            labels: dict[str, str | None]; None removes the key.

        Returns:
            What is known of it now.

        Raises:
            NotFound: The namespace has no such blob.
        """
        change = checks.change("labels", labels)
        row = self._engine._core.update_blob(self._engine.namespace, checks.text("digest", digest), change)
        return _rows.blob_info(row)

    def delete(self, digest: str) -> None:
        """Delete a blob from this namespace; its bytes go with the last namespace that has it.

        Args:
            digest: Which blob.

        Raises:
            NotFound: The namespace has no such blob.
        """
        self._engine._core.remove_blob(self._engine.namespace, checks.text("digest", digest))

    def __repr__(self) -> str:
        """Return what is free to say."""
        return f"<Content of {self._engine!r}>"


def _parts(source: object) -> Iterator[memoryview]:
    """The bytes of whatever is a source; what is none raises at once."""
    if isinstance(source, bytes | bytearray | memoryview):
        return iter([memoryview(source)])
    if isinstance(source, str) or not (hasattr(source, "read") or isinstance(source, Iterable)):
        checks.wrong_type("source", source, "bytes, a binary file or an iterable of bytes")
    return _pieces(source)


def _pieces(source: object) -> Iterator[memoryview]:
    read = getattr(source, "read", None)
    pieces = iter(lambda: read(_PART), b"") if read else iter(cast("Iterable[bytes]", source))
    for piece in pieces:
        if piece is None or not isinstance(piece, bytes | bytearray | memoryview):
            checks.wrong_type("source", piece, "of bytes")
        yield memoryview(piece)


def _copy(writer: _core.Ingest, parts: Iterator[memoryview], *, resume: bool) -> None:
    """Write what is missing. Without a digest nobody would see that what has come is of another source."""
    if writer.is_shared:
        return
    if not resume:
        writer.clear()
    skip: int = writer.status()[1]
    for part in parts:
        flat = part.cast("B") if part.c_contiguous else memoryview(part.tobytes())
        for at in range(min(skip, len(flat)), len(flat), _PART):
            writer.write(flat[at : at + _PART])
        skip -= min(skip, len(flat))
