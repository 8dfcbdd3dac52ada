"""Compression: response bodies go out as gzip to clients that take it (RFC 9110, sections 8.4 and 12.5.3).

Rule 1: the response alone decides whether it can be compressed. If so, it says `Vary: Accept-Encoding`, also to
        a client that takes no gzip: otherwise a cache would give one client's bytes to another.
Rule 2: the request alone decides whether that is done.
Rule 3: nothing waits: what the application sends goes out at once, flushed, so that a stream stays live. Only
        the start is held back, until the first message of the body tells whether there will be more.
Rule 4: other bytes have another description: Content-Encoding, Content-Length, ETag, Accept-Ranges.
Rule 5: what is not understood passes through as it came; what is changed is a copy.
"""

from __future__ import annotations

import os
import re
import zlib
from collections.abc import Callable, Iterator
from typing import TypeAlias

from ..asgi_types import ASGIApp, Message, Receive, Scope, Send
from ..concurrency import iterate_in_thread, run_in_thread
from ..datastructures import Headers, MutableHeaders


class Compress:
    """Middleware that compresses responses with gzip.

    A body shorter than `minimum_size` bytes is sent as it is, to any client. Where the size is not known, since a
    stream has no Content-Length, it counts as long enough. `level` is zlib's: 0 (store) to 9 (smallest).

    Left alone are server-sent events; media types that are compressed already; responses with a Content-Encoding
    (`identity` too: so an application keeps its bytes) or with a digest of their bytes; files that the server
    sends by itself (pathsend, zerocopysend); and the statuses 204, 205, 206 and 304. But 206 and 304 say Vary, as
    the 200 in their place would, and a 304 has the ETag of that (RFC 9110, sections 15.3.7 and 15.4.5).
    HEAD gets the headers of GET as far as they are known, and no body: a Content-Encoding where GET would have
    one, judged by the Content-Length, but then no Content-Length, which nobody has found out (section 9.3.2).
    That GET would have left the file to the server cannot be seen.

    Raises ValueError for a `level` that zlib does not have, and for a negative `minimum_size`.
    """

    def __init__(self, app: ASGIApp, *, minimum_size: int = 500, level: int = 6) -> None:
        if not 0 <= level <= 9:
            raise ValueError(f"level={level!r} is no level of zlib: use 0 (store) to 9 (smallest)")
        if minimum_size < 0:
            raise ValueError(
                f"minimum_size={minimum_size!r} is negative: use 0 to compress whatever is not empty"
            )
        self._app = app
        self._minimum_size = minimum_size
        self._level = level

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a connection on; the messages of an HTTP response go through here (ASGI, Middleware)."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        raw = list(scope.get("headers") or ())  # may be read once only, and the application wants them too
        accepted = ", ".join(Headers(raw=raw).getlist("accept-encoding"))
        response = _Response(
            send,
            level=self._level if _takes_gzip(accepted) else None,
            minimum_size=self._minimum_size,
            is_head=scope["method"] == "HEAD",
        )
        await self._app({**scope, "headers": raw}, receive, response.take)
        return await response.release()


_Encode: TypeAlias = Callable[[bytes, bool], bytes]
"""Takes a piece of a body, and whether it is the last; gives all that a client needs to read it."""


class _Response:
    """One response on its way out. `level` is None for a client that takes no gzip."""

    def __init__(self, send: Send, *, level: int | None, minimum_size: int, is_head: bool) -> None:
        self._send = send
        self._level = level
        self._minimum_size = minimum_size
        self._is_head = is_head
        self._held: Message | None = None
        self._encode: _Encode | None = None

    async def take(self, message: Message) -> None:
        """Take a message of the application's, in place of the server's `send`."""
        kind = message["type"]
        if kind == "http.response.start":
            await self._start(message)
        elif kind == "http.response.body":
            await self._body(message)
        elif kind == "http.response.zerocopysend" and self._encode is not None:
            await self._copied(message)
        else:
            await self.release()
            await self._send(message)

    async def release(self) -> None:
        """Send the start, if it is still held back."""
        if self._held is not None:
            start, self._held = self._held, None
            await self._send(start)

    async def _start(self, message: Message) -> None:
        await self.release()
        self._held = {**message, "headers": list(message.get("headers") or ())}
        status, headers = message["status"], MutableHeaders(raw=self._held["headers"])
        if not _can_vary(status, headers):
            await self.release()
        elif status in (206, 304):
            _describe(headers, weaken=status == 304 and self._level is not None)
            self._held["headers"] = headers.raw
            await self.release()

    async def _body(self, message: Message) -> None:
        if self._held is not None:
            message = await self._first(self._held, message)
            await self.release()
        elif self._encode is not None:
            message = await self._compressed(self._encode, message)
        await self._send(message)

    async def _first(self, start: Message, message: Message) -> Message:
        """The first message of the body as it is to be sent; `start`, still held back, is made to fit it."""
        headers = MutableHeaders(raw=start["headers"])
        size = self._size(headers, message)
        if size is not None and size < max(self._minimum_size, 1):
            return message
        _describe(headers, weaken=self._level is not None)
        if self._level is not None:
            self._encode = _gzip(self._level)
            message = await self._compressed(self._encode, message)
            is_whole = not (message.get("more_body", False) or start.get("trailers", False) or self._is_head)
            _describe_gzip(headers, len(message["body"]) if is_whole else None)
        start["headers"] = headers.raw
        return message

    def _size(self, headers: Headers, message: Message) -> int | None:
        """How many bytes the body has before it is compressed, or None where that is not known yet."""
        declared = headers.get("content-length", "")
        if declared.isascii() and declared.isdigit():
            return int(declared)
        body = message.get("body", b"")
        is_missing = self._is_head and not body  # left out, as it may be: GET would have one
        return None if message.get("more_body", False) or is_missing else len(body)

    async def _compressed(self, encode: _Encode, message: Message) -> Message:
        """A message of the body as it is to be sent: much is compressed in a thread, little right here."""
        body, is_last = message.get("body", b""), not message.get("more_body", False)
        if is_last:
            self._encode = None
        if self._is_head:
            return {**message, "body": b""}
        if len(body) < _MUCH:
            return {**message, "body": encode(body, is_last)}
        return {**message, "body": await run_in_thread(encode, body, is_last)}

    async def _copied(self, message: Message) -> None:
        """Send as body what the server was to copy from a file: as it is, it would break what is being compressed."""
        async for chunk in iterate_in_thread(_read(message)):
            await self._body({"type": "http.response.body", "body": chunk, "more_body": True})
        await self._body({"type": "http.response.body", "more_body": message.get("more_body", False)})


def _gzip(level: int) -> _Encode:
    coder = zlib.compressobj(level, zlib.DEFLATED, _GZIP_FORMAT)

    def encode(body: bytes, is_last: bool) -> bytes:
        return coder.compress(body) + coder.flush(zlib.Z_FINISH if is_last else zlib.Z_SYNC_FLUSH)

    return encode


def _takes_gzip(accepted: str) -> bool:
    """Whether a client with this Accept-Encoding is to get gzip (RFC 9110, section 12.5.3).

    It is, if gzip has a weight there, by its name or by `*`, and not a lower one than `identity` has by its name.
    """
    weights = {}
    for element in accepted.lower().split(","):
        coding, semicolon, weight = element.partition(";")
        weights[coding.strip()] = _weight(weight) if semicolon else 1.0
    gzip = weights.get("gzip", weights.get("x-gzip", weights.get("*", 0.0)))
    return gzip > 0 and gzip >= weights.get("identity", 0.0)


def _weight(text: str) -> float:
    """The number in `q=0.5` (RFC 9110, section 12.4.2). What cannot be read is no wish: 0."""
    found = _WEIGHT.fullmatch(text.strip())
    return float(found[1]) if found else 0.0


def _can_vary(status: int, headers: Headers) -> bool:
    """Whether some client may get this response, or the 200 in place of a 206 or 304, compressed."""
    if status in (204, 205) or any(name in headers for name in _BOUND_TO_BYTES):
        return False
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    return _LEFT_ALONE.fullmatch(media_type) is None


def _describe(headers: MutableHeaders, *, weaken: bool) -> None:
    """Say that there are other representations; where the ETag is to be that of a compressed one, weaken it.

    Of the same meaning, but not of the same bytes, as the application had in mind (RFC 9110, section 8.8.3.3).
    """
    headers.add_vary("Accept-Encoding")
    if weaken and headers.get("etag", "").startswith('"'):
        headers["etag"] = f"W/{headers['etag']}"


def _describe_gzip(headers: MutableHeaders, length: int | None) -> None:
    """Say that the body is compressed, to `length` bytes; None where that is not known."""
    headers["content-encoding"] = "gzip"
    if length is not None:
        headers["content-length"] = str(length)
    elif "content-length" in headers:
        del headers["content-length"]
    if "accept-ranges" in headers:
        del headers["accept-ranges"]  # they are ranges of the bytes as they were (RFC 9110, section 14.3)


def _read(message: Message) -> Iterator[bytes]:
    """The bytes that a zerocopysend names (ASGI, Extensions, Zero Copy Send)."""
    descriptor, count = message["file"].fileno(), message.get("count")
    if message.get("offset") is not None:
        os.lseek(descriptor, message["offset"], os.SEEK_SET)
    while chunk := os.read(descriptor, _MUCH if count is None else min(_MUCH, count)):
        count = None if count is None else count - len(chunk)
        yield chunk


_GZIP_FORMAT = 16 + zlib.MAX_WBITS
_MUCH = 64 * 1024
_WEIGHT = re.compile(r"q=(0(?:\.[0-9]*)?|1(?:\.0*)?)")
_BOUND_TO_BYTES = ("content-encoding", "content-digest", "repr-digest", "digest", "content-md5")
_LEFT_ALONE = re.compile(
    r"text/event-stream|audio/.*|video/.*|image/(?!svg\+xml|bmp).*|font/woff2?"
    r"|application/(?:gzip|zip|zstd|x-gzip|x-bzip2?|x-xz|x-7z-compressed|x-brotli|x-rar-compressed|vnd\.rar"
    r"|java-archive|grpc.*)"
)
