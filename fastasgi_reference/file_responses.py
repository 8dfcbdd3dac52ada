"""File responses: a file goes to the client, whole or in part, or not at all because it has that already.

Rule 1: what is said of the file and what is sent of it come from one and the same open file.
Rule 2: a file is only touched in threads, read a little at a time, and closed on every way out.
Rule 3: the preconditions come first, in the order of RFC 9110, section 13.2.2, and then the range; a range is for
        GET alone, either is for a response that would be a success, and what is malformed counts for nothing.
Rule 4: no more is sent than the file has, however many ranges are asked for: overlapping ones are sent once.
Rule 5: a response that is short of bytes must not look complete: a file that shrinks meanwhile is an error.
"""

from __future__ import annotations

import asyncio
import errno
import math
import os
import re
import secrets
import stat
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC
from email.utils import formatdate, parsedate_to_datetime
from io import FileIO
from mimetypes import MimeTypes
from pathlib import Path
from threading import Lock
from typing import TypeAlias
from urllib.parse import quote

from .asgi_types import Message, Receive, Scope, Send, extension, require_type, spec_version
from .concurrency import run_in_thread
from .datastructures import Headers, MutableHeaders
from .responses import Response
from .status import has_no_body


class FileResponse(Response):
    """A response whose body is a file.

    `path` is a regular file that can be read when the response is sent. `media_type` is the Content-Type; by
    default it follows from the suffix of `filename`, or else of `path`, and text is said to be UTF-8.
    With a `filename` there is a Content-Disposition (RFC 6266): a browser saves an "attachment" under that name,
    and shows what is "inline". `headers` that describe the file win over what is found out about it, but for
    Content-Length. The other parameters are those of `Response`.
    Raises ValueError for any other `disposition`.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        status_code: int = 200,
        headers: Mapping[str, str] | Iterable[tuple[str, str]] | None = None,
        media_type: str | None = None,
        filename: str | None = None,
        disposition: str = "attachment",
        background: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        if disposition not in ("attachment", "inline"):
            raise ValueError(f"disposition={disposition!r}: use 'attachment' or 'inline'")
        self.path = str(Path(path).absolute())
        media_type = media_type or _media_type(filename or self.path)
        super().__init__(None, status_code, headers, media_type, background)
        if "content-length" in self.headers:
            del self.headers["content-length"]  # of no content; the file's is known when it is opened
        if filename is not None:
            self.headers.setdefault("content-disposition", _content_disposition(disposition, filename))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request with the file (RFC 9110, sections 13 and 14).

        200 with all of it, 206 with the ranges that were asked for, 304 where the client has it, 412 where a
        precondition fails, 416 where no range is in the file. HEAD gets the headers that GET without a range
        gets. Where the server offers to send files, it does (ASGI, Extensions: Path Send, Zero Copy Send).

        Before anything is sent, it raises OSError (such as FileNotFoundError) for what is no file that can be
        read: nobody but the caller knows whether that is a 404. Raises RuntimeError for a connection that is not
        HTTP, and for a file that shrinks while it is sent; and what `send` raises: OSError, when the client is
        gone. A server older than 2.4 tells that by `http.disconnect` alone: what is left is then not sent, quietly.
        `background` is called where all was sent.
        """
        require_type(scope, "http")
        file = _File(self.path)
        try:
            answer = self._answer(scope, await run_in_thread(file.open))
            await send(
                {"type": "http.response.start", "status": answer.status, "headers": answer.headers.raw}
            )
            complete = await self._send_content(answer, file, scope, receive, send)
        finally:
            await asyncio.shield(run_in_thread(file.close))  # a cancelled close still closes
        if complete and self.background is not None:
            await self.background()

    def _answer(self, scope: Scope, found: os.stat_result) -> _Answer:
        """What is sent for this request, given what the operating system says of the file."""
        request, method = Headers(raw=scope.get("headers") or ()), scope["method"]
        answer = _whole(self.status_code, self.headers, found)
        if has_no_body(self.status_code):
            return _empty(answer, self.status_code)
        if method in ("GET", "HEAD") and 200 <= self.status_code < 300:
            failed = _failed_precondition(request, answer.headers)
            if failed is not None:
                return _empty(answer, failed)
        if method == "GET" and self.status_code == 200:
            return _partial(answer, request, found.st_size)
        return replace(answer, pieces=()) if method == "HEAD" else answer

    async def _send_content(
        self, answer: _Answer, file: _File, scope: Scope, receive: Receive, send: Send
    ) -> bool:
        """Send the body. False where the client was seen to go away."""
        if not any(answer.pieces):
            await send({"type": "http.response.body", "body": b""})
            return True
        if answer.status != 206 and extension(scope, "http.response.pathsend") is not None:
            await send({"type": "http.response.pathsend", "path": self.path})
            return True
        copies = extension(scope, "http.response.zerocopysend") is not None
        async with _disconnect(scope, receive) as is_gone:
            return await _send_pieces(answer.pieces, file, send, is_gone, copies=copies)


_Piece: TypeAlias = bytes | range
"""Part of a body: bytes as they are, or the places of the file's bytes."""


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    headers: MutableHeaders
    pieces: Sequence[_Piece]


class _File:
    """A file to read in threads. Each step has the lock: one that was cancelled may run still when `close` comes."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._lock = Lock()
        self._opened = ExitStack()
        self.raw: FileIO

    def open(self) -> os.stat_result:
        """Open the file and look at it. Raises OSError for what is no regular file that can be read."""
        with self._lock:
            try:
                self.raw = self._opened.enter_context(FileIO(self._path, opener=_open))
            except OSError as error:
                raise _unreadable(error.errno or errno.EIO, self._path) from error
            found = os.fstat(self.raw.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise _unreadable(errno.EINVAL, self._path)
            return found

    def read(self, places: range) -> bytes:
        """The first bytes at `places`, at least one. Raises RuntimeError if the file no longer has it."""
        with self._lock:
            self.raw.seek(places.start)
            data = self.raw.read(len(places))
        if not data:
            raise RuntimeError(
                f"{self._path} has shrunk while it was sent, and what was promised cannot be kept. "
                "Put a new file in place of an old one (os.replace), do not write into it."
            )
        return data

    def close(self) -> None:
        with self._lock:
            self._opened.close()


def _open(path: str, flags: int) -> int:
    """Open a file without waiting: a named pipe would else wait for its other end (POSIX, open, O_NONBLOCK)."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _unreadable(number: int, path: str) -> OSError:
    """The OSError of this number, such as FileNotFoundError for ENOENT."""
    return OSError(
        number,
        f"{os.strerror(number)}: FileResponse takes the path of a regular file that can be read. "
        "Raise HTTPException(404) yourself where there may be none",
        path,
    )


@asynccontextmanager
async def _disconnect(scope: Scope, receive: Receive) -> AsyncIterator[Callable[[], bool]]:
    """Gives a function that tells whether the client has gone away, where `send` does not raise then.

    It does from 2.4 on (ASGI HTTP, Disconnected client). Under an older server, sending to nobody is no error, and
    the whole file would be read for it.
    """
    if spec_version(scope) >= (2, 4):
        yield lambda: False
        return
    watch = asyncio.ensure_future(_wait_for_disconnect(receive))
    try:
        yield lambda: watch.done() and watch.result()
    finally:
        watch.cancel()
        await asyncio.gather(watch, return_exceptions=True)


async def _wait_for_disconnect(receive: Receive) -> bool:
    while (await receive())["type"] != "http.disconnect":
        pass  # of the request's body, which nobody wants
    return True


async def _send_pieces(
    pieces: Sequence[_Piece], file: _File, send: Send, is_gone: Callable[[], bool], *, copies: bool
) -> bool:
    left = sum(len(piece) for piece in pieces)
    for piece in pieces:
        while piece:
            message, taken = await _message(piece, file, copies=copies)
            if is_gone():
                return False
            piece, left = piece[taken:], left - taken
            await send({**message, "more_body": left > 0})
    return True


async def _message(piece: _Piece, file: _File, *, copies: bool) -> tuple[Message, int]:
    """A message that sends the beginning of a piece, and how many bytes of the piece that are."""
    if isinstance(piece, bytes):
        return {"type": "http.response.body", "body": piece}, len(piece)
    if copies:
        place = {"offset": piece.start, "count": len(piece)}
        return {"type": "http.response.zerocopysend", "file": file.raw, **place}, len(piece)
    data = await run_in_thread(file.read, piece[:_CHUNK])
    return {"type": "http.response.body", "body": data}, len(data)


def _whole(status: int, headers: Headers, found: os.stat_result) -> _Answer:
    """The file as a whole, with its description (RFC 9110, section 8)."""
    described = MutableHeaders(raw=headers.raw)
    # A date that is still to come must not be sent (RFC 9110, section 8.8.2.1).
    modified = min(found.st_mtime_ns // 10**9, int(time.time()))
    described.setdefault("last-modified", formatdate(modified, usegmt=True))
    described.setdefault("etag", f'"{found.st_mtime_ns:x}-{found.st_size:x}"')
    described["content-length"] = str(found.st_size)
    if status == 200:
        described.setdefault("accept-ranges", "bytes")
    return _Answer(status, described, [range(found.st_size)])


def _empty(answer: _Answer, status: int) -> _Answer:
    """An answer of this status that has nothing of the file, neither bytes nor what describes them."""
    headers = MutableHeaders(
        raw=[header for header in answer.headers.raw if header[0] not in _OF_THE_CONTENT]
    )
    if not has_no_body(status):
        headers["content-length"] = "0"
    return _Answer(status, headers, ())


def _failed_precondition(request: Headers, response: Headers) -> int | None:
    """The status that says which precondition of the request is false, or None (RFC 9110, section 13.2.2)."""
    etag, modified = response["etag"], _date(response.getlist("last-modified"))
    if "if-match" in request:
        if not _listed(etag, request.getlist("if-match"), strong=True):
            return 412
    elif modified > _date(request.getlist("if-unmodified-since")):
        return 412
    if "if-none-match" in request:
        return 304 if _listed(etag, request.getlist("if-none-match"), strong=False) else None
    return 304 if modified <= _date(request.getlist("if-modified-since")) else None


def _listed(etag: str, fields: list[str], *, strong: bool) -> bool:
    """Whether the entity tags in `fields`, or a `*`, match `etag` (RFC 9110, section 8.8.3.2)."""
    listed = ", ".join(fields)
    if listed.strip() == "*":
        return True
    tags = _ENTITY_TAG.findall(listed)
    if strong:
        return etag in tags and not etag.startswith("W/")
    return etag.removeprefix("W/") in [tag.removeprefix("W/") for tag in tags]


def _date(fields: list[str]) -> float:
    """The moment that a date header names (RFC 9110, section 5.6.7), in seconds since 1970.

    Where it is missing or malformed, or there are several, not-a-number: with that, no comparison is true.
    """
    if len(fields) != 1 or not _HTTP_DATE.fullmatch(fields[0]):
        return math.nan
    try:
        return parsedate_to_datetime(fields[0]).replace(tzinfo=UTC).timestamp()
    except ValueError:
        return math.nan


def _partial(answer: _Answer, request: Headers, size: int) -> _Answer:
    """The answer to a GET: with the ranges that it asks for, or as it is where it does not (RFC 9110, section 14)."""
    if not _is_current(request.getlist("if-range"), answer.headers):
        return answer
    try:
        ranges = _ranges(request.getlist("range"), size)
    except ValueError:
        return answer
    if not ranges:
        refusal = _empty(answer, 416)
        refusal.headers["content-range"] = f"bytes */{size}"
        return refusal
    return _one_part(answer, ranges[0], size) if len(ranges) == 1 else _many_parts(answer, ranges, size)


def _is_current(fields: list[str], response: Headers) -> bool:
    """Whether If-Range, if there is one, names this very state of the file (RFC 9110, section 13.1.5)."""
    if not fields:
        return True
    if '"' in fields[0]:
        return _listed(response["etag"], fields, strong=True)
    return _date(fields) == _date(response.getlist("last-modified"))


def _ranges(fields: list[str], size: int) -> list[range]:
    """The places of the bytes that Range asks for and the file has, in the order in which they are asked for.

    Raises ValueError where there is no Range, or one that is malformed, in another unit, or of too many ranges:
    the file is then sent as a whole (RFC 9110, section 14.2).
    """
    unit, _, listed = ", ".join(fields).partition("=")
    specs = [spec.strip(" \t") for spec in listed.split(",")]
    specs = [spec for spec in specs if spec]
    if unit.lower() != "bytes" or not 1 <= len(specs) <= _MOST_RANGES:
        raise ValueError("no ranges of bytes")
    return _coalesced([places for places in (_range(spec, size) for spec in specs) if places])


def _range(spec: str, size: int) -> range:
    """The places that a range names (RFC 9110, section 14.1.2); none where the file does not reach so far."""
    found = _RANGE.fullmatch(spec)
    if found is None:
        raise ValueError(f"{spec!r} is no range of bytes")
    first, last, suffix = found.groups()
    if suffix is not None:
        if not size and int(suffix):
            raise ValueError("the last bytes of an empty file: that is all of it, and no range can say so")
        return range(max(size - int(suffix), 0), size)
    if last and int(last) < int(first):
        raise ValueError(f"{spec!r} ends before it begins")
    return range(int(first), min(int(last) + 1, size) if last else size)


def _coalesced(ranges: list[range]) -> list[range]:
    """The ranges with those that overlap made one, which stands where the first of them did (section 15.3.7.2)."""
    merged: list[tuple[int, range]] = []
    for place, each in sorted(enumerate(ranges), key=lambda pair: pair[1].start):
        if merged and each.start < merged[-1][1].stop:
            first, before = merged[-1]
            merged[-1] = min(first, place), range(before.start, max(before.stop, each.stop))
        else:
            merged.append((place, each))
    return [each for _, each in sorted(merged, key=lambda pair: pair[0])]


def _one_part(answer: _Answer, places: range, size: int) -> _Answer:
    answer.headers["content-length"] = str(len(places))
    answer.headers["content-range"] = _content_range(places, size)
    return _Answer(206, answer.headers, [places])


def _many_parts(answer: _Answer, ranges: list[range], size: int) -> _Answer:
    """The ranges as multipart/byteranges (RFC 9110, section 14.6)."""
    boundary = secrets.token_hex(16)  # not to be guessed by whoever has written the file
    media_type = answer.headers.get("content-type", _UNKNOWN)
    pieces: list[_Piece] = []
    for places in ranges:
        head = f"--{boundary}\r\ncontent-type: {media_type}\r\ncontent-range: {_content_range(places, size)}\r\n\r\n"
        pieces += [("\r\n" * bool(pieces) + head).encode("latin-1"), places]
    pieces.append(f"\r\n--{boundary}--\r\n".encode())
    answer.headers["content-type"] = f"multipart/byteranges; boundary={boundary}"
    answer.headers["content-length"] = str(sum(len(piece) for piece in pieces))
    return _Answer(206, answer.headers, pieces)


def _content_range(places: range, size: int) -> str:
    return f"bytes {places.start}-{places.stop - 1}/{size}"


def _media_type(name: str) -> str:
    """The media type of a file called `name`. Of `a.tar.gz` it is gzip's: that is how its bytes are to be stored."""
    media_type = _MEDIA_TYPES.get(os.path.splitext(name)[1].lower(), _UNKNOWN)  # noqa: PTH122 - a name, no path
    return f"{media_type}; charset=utf-8" if media_type.startswith("text/") else media_type


def _content_disposition(kind: str, filename: str) -> str:
    """The header's value (RFC 6266, section 4). A name that is not plain goes by RFC 8187, beside one for clients that
    do not know better, in which what they might take for something else is replaced (RFC 6266, appendix D).
    """
    value = f'{kind}; filename="{_AMBIGUOUS.sub("_", filename)}"'
    if _PLAIN_NAME.fullmatch(filename):
        return value
    return f"{value}; filename*=UTF-8''{quote(filename, safe=_ATTRIBUTE_CHARACTERS, errors='replace')}"


_CHUNK = 64 * 1024
_MOST_RANGES = 100
_ENTITY_TAG = re.compile(r'(?:W/)?"[^"]*"')
_RANGE = re.compile(r"([0-9]{1,99})-([0-9]{0,99})|-([0-9]{1,99})")
_TIME = "[0-9]{2}:[0-9]{2}:[0-9]{2}"
_HTTP_DATE = re.compile(
    rf"[A-Z][a-z]+, [0-9]{{2}}( [A-Z][a-z]{{2}} [0-9]{{4}}|-[A-Z][a-z]{{2}}-[0-9]{{2}}) {_TIME} GMT"
    rf"|[A-Z][a-z]{{2}} [A-Z][a-z]{{2}} [ 0-9][0-9] {_TIME} [0-9]{{4}}"
)
_OF_THE_CONTENT = (
    b"content-type",
    b"content-length",
    b"content-disposition",
    b"content-encoding",
    b"content-language",
)
_PLAIN_NAME = re.compile(r"[A-Za-z0-9 ._()-]*")
_AMBIGUOUS = re.compile(r'[^ -~]|["%/\\]')
_ATTRIBUTE_CHARACTERS = "!#$&+-.^_`|~"
"""What may stand in an extended parameter as it is, beside letters and digits (RFC 8187, section 3.2.1)."""
_UNKNOWN = "application/octet-stream"
_MEDIA_TYPES: Mapping[str, str] = {
    **MimeTypes(()).types_map[True],  # the table of Python itself, on all machines the same
    ".avif": "image/avif",
    ".br": "application/x-brotli",
    ".bz2": "application/x-bzip2",
    ".gz": "application/gzip",
    ".js": "text/javascript",  # RFC 9239
    ".md": "text/markdown",
    ".mjs": "text/javascript",
    ".tgz": "application/gzip",
    ".webp": "image/webp",
    ".woff": "font/woff",
    ".woff2": "font/woff2",
    ".xz": "application/x-xz",
    ".zst": "application/zstd",
}
