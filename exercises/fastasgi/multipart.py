"""Multipart forms: the body of `multipart/form-data` (RFC 7578, RFC 2046), as events and as a form.

Rule 1: MultipartParser does no I/O; it turns bytes into events, and adjacent PartData joined, the events are the
        same wherever the bytes were split.
Rule 2: no byte is looked at again and again, and none is kept that can be handed on: between two calls the
        parser holds what may be a delimiter, or a part's headers, and both are bounded.
Rule 3: lines end with CR LF and nothing else; a delimiter stands at the start of a line, and what is not
        exactly a delimiter is data.
Rule 4: the parser is in one of the states of `_State`, which tells of each what it reads and what ends it.
Rule 5: a form that cannot be read whole is not read at all: its files are closed before the error goes out.
"""

from __future__ import annotations

from collections.abc import AsyncIterable
from dataclasses import dataclass
from typing import TypeAlias

from .datastructures import Headers
from .exceptions import HTTPException
from .formdata import FormData, FormLimits

MAX_HEADERS = 16
"""How many headers a part may have. RFC 7578, section 4.8, knows three."""
MAX_HEADER_BYTES = 16 * 1024
"""How long the headers of a part may be, together, with the line ends between them."""
MAX_PADDING = 128
"""How many spaces and tabs may follow a boundary on its line (RFC 2046, section 5.1.1, transport-padding)."""
SPOOL_SIZE = 1024 * 1024
"""How many bytes of a file stay in memory; a larger one is on disk."""


class MultipartError(HTTPException):
    """The body is no well-formed multipart form: 400."""

    def __init__(self, detail: str) -> None:
        super().__init__(400, detail)


@dataclass(frozen=True, slots=True)
class PartBegin:
    """A part has begun: all of its headers, and what its Content-Disposition says.

    `name` is the field's name, `filename` the file's, or None for a part that is no file. Both are UTF-8 (bytes
    that are not become U+FFFD) with `%22`, `%0D` and `%0A` decoded, which is how browsers write `"`, CR and LF.
    """

    headers: Headers
    name: str
    filename: str | None


@dataclass(frozen=True, slots=True)
class PartData:
    """Some bytes of the part that has begun last; never none."""

    data: bytes


@dataclass(frozen=True, slots=True)
class PartEnd:
    """The part that has begun last is complete."""


Event: TypeAlias = PartBegin | PartData | PartEnd
"""A part is a PartBegin, any number of PartData, and a PartEnd."""


class MultipartParser:
    """A parser of one body: `feed` it all chunks, then call `finish`.

    A delimiter is a line (RFC 2046, section 5.1.1): at the body's very start or after CR LF, `--`, the boundary,
    then spaces or tabs and CR LF. The closing one has `--` after the boundary; what follows it is ignored.
    """

    def __init__(self, boundary: bytes) -> None:
        """`boundary` is that of the Content-Type, without the two hyphens.

        Raises MultipartError unless it has 1 to 70 visible ASCII characters (spaces count, but not at the end).
        RFC 2046 allows fewer; but there are clients which use others, and no other does harm.
        """
        raise NotImplementedError("multipart: MultipartParser.__init__")

    def feed(self, data: bytes) -> list[Event]:
        """Take the next bytes of the body, and give the events that they complete.

        Raises MultipartError for what is malformed: a part without exactly one well-formed
        `Content-Disposition: form-data` that has a name (RFC 7578, section 4.2), an ill-formed header, more than
        MAX_HEADERS or MAX_HEADER_BYTES of them. After an error every call raises one.
        """
        raise NotImplementedError("multipart: MultipartParser.feed")

    def finish(self) -> None:
        """Say that the body has ended. Raises MultipartError if the closing delimiter has not come."""
        raise NotImplementedError("multipart: MultipartParser.finish")


async def parse_multipart(
    chunks: AsyncIterable[bytes],
    content_type: str,
    limits: FormLimits = FormLimits(),  # noqa: B008
) -> FormData:
    """Read a form that was sent as `multipart/form-data`.

    `chunks` are the body, split anywhere; `content_type` is its Content-Type, with the boundary (quoted or not).
    A part with a `filename`, also an empty one, becomes an UploadFile, wound back to its start; any other
    becomes text: UTF-8, with U+FFFD for undecodable bytes, whatever a `charset` or a field `_charset_` says.
    `filename*` (RFC 7578, section 4.2) and Content-Transfer-Encoding (section 4.7) are ignored.
    Raises MultipartError (400) for a malformed or truncated body and for another content type, and
    HTTPException(413) as soon as one of the `limits` is known to be passed. On any error, also one of `chunks`,
    and when cancelled, all files are closed.
    """
    raise NotImplementedError("multipart: parse_multipart")
