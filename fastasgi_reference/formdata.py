"""Forms: the fields and files that a client has filled in, and their encoding for forms without files.

Rule 1: whoever holds a form closes it; that closes all of its files, whatever happens in between.
Rule 2: what lies in memory is read and written at once; what lies on disk, in a thread, one step at a time.
Rule 3: limits are looked at while a form is read: never is more of it kept than they allow, and one chunk.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from io import BytesIO
from threading import Lock
from typing import BinaryIO, ParamSpec, Self, TypeVar

from .concurrency import run_in_thread
from .datastructures import Headers, MultiDict, QueryParams
from .exceptions import HTTPException

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class FormLimits:
    """How much of a form is taken; a larger one is answered with 413 (RFC 9110, section 15.5.14).

    `max_fields` and `max_files` are numbers of fields and of files, which are counted apart.
    `max_part_size` is in bytes as they are sent. In multipart it holds for each text part, in urlencoded forms
    for each value and for each name. The size of a file has no limit here.
    """

    max_fields: int = 1000
    max_files: int = 1000
    max_part_size: int = 1024 * 1024


class UploadFile:
    """A file of a form.

    `filename` is what the client calls it ("" where a form's file input was left empty). It may be anything,
    also `../../etc/passwd`: never open a path made of it.
    `headers` are those of its part (RFC 7578, section 4), `size` is in bytes, or None if that is not known.
    """

    def __init__(
        self,
        file: BinaryIO,
        *,
        filename: str = "",
        headers: Headers | None = None,
        size: int | None = None,
    ) -> None:
        """Wrap an open file, which is closed with this object. `size` is what it holds already."""
        self.file = file
        self.filename = filename
        self.headers = Headers() if headers is None else headers
        self.size = size
        self._on_disk = False
        self._step = Lock()  # a step whose waiter was cancelled may still be running when `close` comes

    @property
    def content_type(self) -> str | None:
        """The part's Content-Type as it was sent, or None: the client's word, not checked (RFC 7578, 4.4)."""
        return self.headers.get("content-type")

    async def read(self, size: int = -1) -> bytes:
        """At most `size` bytes from the current place on; all that is left if `size` is -1."""
        if self._stays_in_memory():
            return self.file.read(size)
        return await self._in_thread(self.file.read, size)

    async def write(self, data: bytes) -> None:
        """Write `data` at the current place; `size` grows where the file does."""
        if self._stays_in_memory(growth=len(data)):
            self._write(data)
        else:
            await self._in_thread(self._write, data)

    async def seek(self, offset: int) -> None:
        """Go to `offset` bytes from the start."""
        if self._stays_in_memory():
            self.file.seek(offset)
        else:
            await self._in_thread(self.file.seek, offset)

    async def close(self) -> None:
        """Close the file, and by that delete a temporary one. Closing it again does nothing.

        A cancelled `close` still closes: the thread that does so is not called back.
        """
        if self._stays_in_memory():
            self.file.close()
        else:
            await asyncio.shield(self._in_thread(self.file.close))

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(filename={self.filename!r}, size={self.size}, headers={self.headers!r})"
        )

    def _stays_in_memory(self, growth: int = 0) -> bool:
        """Whether the file is in memory, and still will be when `growth` bytes more are written.

        A SpooledTemporaryFile tells neither in public. Of anything else the worst is assumed: that it is on disk.
        """
        if isinstance(self.file, BytesIO):
            return True
        if self._on_disk or getattr(self.file, "_rolled", True):
            return False
        spool_size = getattr(self.file, "_max_size", 0)
        return growth == 0 or spool_size == 0 or self.file.tell() + growth <= spool_size

    async def _in_thread(self, step: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        def alone() -> T:
            with self._step:
                return step(*args, **kwargs)

        self._on_disk = True  # from now on, even if the thread is not that far yet
        return await run_in_thread(alone)

    def _write(self, data: bytes) -> None:
        self.file.write(data)
        if self.size is not None:
            self.size = max(self.size, self.file.tell())


class FormData(MultiDict[str | UploadFile]):
    """The fields (str) and files (UploadFile) of a form by name, in the order in which they were sent.

    It is an async context manager: `async with await request.form() as form:` closes its files at the end.
    """

    async def close(self) -> None:
        """Close all files. If closing one fails, or is cancelled, the others are closed all the same."""
        async with AsyncExitStack() as files:
            for _, value in self.multi_items():
                if isinstance(value, UploadFile):
                    files.push_async_callback(value.close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


async def parse_urlencoded(
    chunks: AsyncIterable[bytes],
    limits: FormLimits = FormLimits(),
) -> FormData:
    """Read a form that was sent as `application/x-www-form-urlencoded` (WHATWG URL, section 5.1).

    `chunks` are the body, split anywhere. Fields are read as those of a query string: blank values are kept,
    empty fields (`a=1&&b=2`) left out, text is UTF-8, undecodable bytes become U+FFFD, and malformed
    percent-encoding stays as it is: no body is malformed.
    Raises HTTPException(413) as soon as the body is known to be over one of the `limits`.
    """
    fields = _UrlencodedFields(limits)
    async for chunk in chunks:
        fields.feed(chunk)
    return FormData(fields.finish())


class _UrlencodedFields:
    """Takes a body apart at each `&`. Decodes none of it: that is QueryParams' business."""

    def __init__(self, limits: FormLimits) -> None:
        self._limits = limits
        self._pairs: list[tuple[str, str]] = []
        self._field = bytearray()
        self._name_size: int | None = None  # None: the "=" has not come yet

    def feed(self, chunk: bytes) -> None:
        for piece in _PIECE.finditer(chunk):
            if piece[0].startswith(b"&"):
                self._end_field()
            else:
                self._extend_field(piece[0])

    def finish(self) -> list[tuple[str, str]]:
        self._end_field()
        return self._pairs

    def _extend_field(self, piece: bytes) -> None:
        if len(self._pairs) >= self._limits.max_fields:
            raise HTTPException(413, f"The form has more than {self._limits.max_fields} fields: send fewer.")
        if self._name_size is None and (equals := piece.find(b"=")) >= 0:
            self._name_size = len(self._field) + equals
        self._field += piece
        if self._part_size() > self._limits.max_part_size:
            raise HTTPException(413, f"A field has more than {self._limits.max_part_size} bytes: send less.")

    def _part_size(self) -> int:
        if self._name_size is None:
            return len(self._field)
        return max(self._name_size, len(self._field) - self._name_size - len("="))

    def _end_field(self) -> None:
        self._pairs += QueryParams(bytes(self._field)).multi_items()
        self._field.clear()
        self._name_size = None


_PIECE = re.compile(rb"&+|[^&]+")
