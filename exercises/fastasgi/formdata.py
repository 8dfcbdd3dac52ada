"""Forms: the fields and files that a client has filled in, and their encoding for forms without files.

Rule 1: whoever holds a form closes it; that closes all of its files, whatever happens in between.
Rule 2: what lies in memory is read and written at once; what lies on disk, in a thread, one step at a time.
Rule 3: limits are looked at while a form is read: never is more of it kept than they allow, and one chunk.
"""

from __future__ import annotations

from collections.abc import AsyncIterable
from dataclasses import dataclass
from typing import BinaryIO, Self

from .datastructures import Headers, MultiDict


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
        raise NotImplementedError("formdata: UploadFile.__init__")

    @property
    def content_type(self) -> str | None:
        """The part's Content-Type as it was sent, or None: the client's word, not checked (RFC 7578, 4.4)."""
        raise NotImplementedError("formdata: UploadFile.content_type")

    async def read(self, size: int = -1) -> bytes:
        """At most `size` bytes from the current place on; all that is left if `size` is -1."""
        raise NotImplementedError("formdata: UploadFile.read")

    async def write(self, data: bytes) -> None:
        """Write `data` at the current place; `size` grows where the file does."""
        raise NotImplementedError("formdata: UploadFile.write")

    async def seek(self, offset: int) -> None:
        """Go to `offset` bytes from the start."""
        raise NotImplementedError("formdata: UploadFile.seek")

    async def close(self) -> None:
        """Close the file, and by that delete a temporary one. Closing it again does nothing.

        A cancelled `close` still closes: the thread that does so is not called back.
        """
        raise NotImplementedError("formdata: UploadFile.close")

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(filename={self.filename!r}, size={self.size}, headers={self.headers!r})"
        )


class FormData(MultiDict[str | UploadFile]):
    """The fields (str) and files (UploadFile) of a form by name, in the order in which they were sent.

    It is an async context manager: `async with await request.form() as form:` closes its files at the end.
    """

    async def close(self) -> None:
        """Close all files. If closing one fails, or is cancelled, the others are closed all the same."""
        raise NotImplementedError("formdata: FormData.close")

    async def __aenter__(self) -> Self:
        raise NotImplementedError("formdata: FormData.__aenter__")

    async def __aexit__(self, *_: object) -> None:
        raise NotImplementedError("formdata: FormData.__aexit__")


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
    raise NotImplementedError("formdata: parse_urlencoded")
