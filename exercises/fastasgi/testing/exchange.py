"""The exchange: one HTTP request and its response, as a server sees them, without I/O and without tasks.

Rule 1: `next_event` and `take` are what the application's `receive` and `send` stand on; all else is for the client.
Rule 2: the client is told what a client can see. What a client cannot see, but a test wants to, has names of its own.
Rule 3: once the response is complete or the client has left, nothing that the application does changes anything.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..asgi_types import Message
from ..status import has_no_body
from .conversation import HTTP, Conversation, Http
from .failures import ClientGone, ProtocolError

BUFFER = 65_536
"""Bytes that may wait to be read before `send` waits, too."""


@dataclass(frozen=True, slots=True)
class Head:
    """The beginning of a response: its status and its headers, in order."""

    status: int
    headers: list[tuple[bytes, bytes]]


@dataclass
class Extras:
    """What came beside head and body: by extensions, and after the end."""

    debug: Mapping[str, Any] | None = None
    early_hints: list[bytes] = field(default_factory=list)
    trailers: list[tuple[bytes, bytes]] = field(default_factory=list)
    ignored: list[Message] = field(default_factory=list)


class Exchange:
    """One request, of which the application may ask for the body, and its response."""

    def __init__(self, label: str, *, method: str, takes_trailers: bool, offered: Collection[str]) -> None:
        """Begin an exchange. Trailers are for a client that said `te: trailers` (ASGI Extensions, HTTP trailers)."""
        self.label = label
        self.head: Head | None = None
        self.extras = Extras()
        self.gone = False
        self.cause: BaseException | None = None
        self._talk = Conversation(HTTP, label, offered)
        self._method = method
        self._takes_trailers = takes_trailers
        self.uploaded = False
        self._inbox: deque[Message] = deque()
        self._chunks: deque[bytes] = deque()
        self._waiting = 0
        self._length: int | None = None
        self._sent = 0
        self._answered_for = False

    @property
    def complete(self) -> bool:
        """Whether the response has come to its end."""
        return self._answered_for or self._talk.state is Http.COMPLETE

    @property
    def over(self) -> bool:
        """Whether nothing more will be read or written."""
        return self.complete or self.gone

    @property
    def starved(self) -> bool:
        """Whether more of the request's body is needed before `receive` can give anything."""
        return not self.uploaded and not self._inbox

    @property
    def congested(self) -> bool:
        """Whether `send` must wait until the client has read on."""
        return self._waiting >= BUFFER and not self.over

    @property
    def readable(self) -> bool:
        """Whether a piece of the response's body is there to be read."""
        return bool(self._chunks)

    @property
    def fault(self) -> ProtocolError | None:
        """The first rule that the application broke."""
        return self._talk.fault

    def feed(self, chunk: bytes, *, more: bool) -> None:
        """Give the application a piece of the request's body; `more` tells whether others follow."""
        self.uploaded = not more
        self._inbox.append({"type": "http.request", "body": chunk, "more_body": more})

    def read(self) -> bytes:
        """The next piece of the response's body; `readable` tells whether there is one."""
        chunk = self._chunks.popleft()
        self._waiting -= len(chunk)
        return chunk

    def leave(self, cause: BaseException | None = None) -> None:
        """The client goes away, if the response is not complete; `cause` is the error that made it go."""
        if not self.complete:
            self.gone = True
            self.cause = self.cause or cause

    def next_event(self) -> Message | None:
        """What `receive` gives now, or None where it must wait (ASGI HTTP, Request and Disconnect)."""
        if self.over:
            return {"type": "http.disconnect"}
        return self._inbox.popleft() if self._inbox else None

    def take(self, message: Message) -> None:
        """What `send` was given. Raises ProtocolError, or ClientGone where nobody is left to get it."""
        if self.gone:
            raise ClientGone(f"{self.label}: the client has left, and does not get {message!r:.200}")
        if self.complete:  # "any further messages on the channel will be ignored" (ASGI HTTP, Response body)
            self.extras.ignored.append(message)
            return
        values = self._talk.take(message, self._prepare)
        _TAKES[values["type"]](self, values)

    def end(self, error: BaseException | None) -> None:
        """The application's call has ended, with `error` if it raised one.

        A server then answers for an application that has not (ASGI 3.0, Error handling).
        """
        if self.over:
            return
        if error is None:
            self._talk.broken(
                f"the application returned {self._talk.state.value}; expected before: {self._talk.expected()}",
                "ASGI HTTP & WebSocket 2.5, Response body",
            )
        if self.head is None:
            self._answered_for = True
            self.head = Head(500, [(b"content-type", b"text/plain; charset=utf-8")])
            self._write(b"Internal Server Error")

    def awaited(self) -> str:
        """In words, what the application owes."""
        return f"has not sent {self._talk.expected()}" if not self.over else "has not returned"

    def _prepare(self, values: dict[str, Any]) -> None:
        """Look at what a message means for the response as a whole. Raises ValueError where that cannot be."""
        if values["type"] == "http.response.start":
            values["length"] = _declared_length(values["headers"])
        elif _TAKES[values["type"]] is Exchange._take_content:
            if "body" not in values:
                values["body"] = _file_content(values)
            self._check_length(len(values["body"]), more=values.get("more_body", False))

    def _take_start(self, values: Mapping[str, Any]) -> None:
        self._length = values["length"]
        # ASGI HTTP, Response start: transfer-encoding is the server's, and ignored where the application sends it.
        headers = [pair for pair in values["headers"] if pair[0] != b"transfer-encoding"]
        self.head = Head(values["status"], headers)

    def _take_content(self, values: Mapping[str, Any]) -> None:
        self._write(values["body"])

    def _take_debug(self, values: Mapping[str, Any]) -> None:
        self.extras.debug = values["info"]

    def _take_hint(self, values: Mapping[str, Any]) -> None:
        self.extras.early_hints += values["links"]

    def _take_trailers(self, values: Mapping[str, Any]) -> None:
        if self._takes_trailers:
            self.extras.trailers += values["headers"]

    def _write(self, data: bytes) -> None:
        self._sent += len(data)
        if data and self._has_body():
            self._chunks.append(data)
            self._waiting += len(data)

    def _check_length(self, size: int, *, more: bool) -> None:
        """Hold the body against its content-length, with `size` bytes more (RFC 9110, section 8.6)."""
        sent, length = self._sent + size, self._length
        if length is not None and self._has_body() and (sent > length or (sent < length and not more)):
            raise ValueError(f"makes a body of {sent} bytes, and content-length says {length}")

    def _has_body(self) -> bool:
        """Whether the client gets the body: not for HEAD, 204 and 304 (RFC 9110, sections 6.4.1 and 9.3.2)."""
        return self._method != "HEAD" and self.head is not None and not has_no_body(self.head.status)


_TAKES: Mapping[str, Callable[[Exchange, Mapping[str, Any]], None]] = {
    "http.response.start": Exchange._take_start,
    "http.response.body": Exchange._take_content,
    "http.response.pathsend": Exchange._take_content,
    "http.response.zerocopysend": Exchange._take_content,
    "http.response.debug": Exchange._take_debug,
    "http.response.early_hint": Exchange._take_hint,
    "http.response.trailers": Exchange._take_trailers,
}


def _declared_length(headers: list[tuple[bytes, bytes]]) -> int | None:
    values = {value for name, value in headers if name == b"content-length"}
    if len(values) > 1 or not all(value.isdigit() for value in values):
        raise ValueError("needs one content-length, in digits (RFC 9110, section 8.6)")
    return int(values.pop()) if values else None


def _file_content(values: Mapping[str, Any]) -> bytes:
    """What a server would copy from a file: by its path, or from an open one that stays the application's to close.

    Raises ValueError where it cannot be read: an OSError would pass for a client that has gone.
    """
    try:
        if "path" in values:
            return Path(values["path"]).read_bytes()
        descriptor, offset = values["file"].fileno(), values["offset"]
        if offset is not None:
            return _read(values["count"], lambda size, done: os.pread(descriptor, size, offset + done))
        return _read(values["count"], lambda size, _: os.read(descriptor, size))
    except OSError as error:
        raise ValueError(f"names a file that cannot be read: {error}") from error


def _read(count: int | None, read: Callable[[int, int], bytes]) -> bytes:
    """Up to `count` bytes, or all; `read` gets how many to read at most, and how many were read before."""
    content = bytearray()
    while count is None or len(content) < count:
        piece = read(BUFFER if count is None else count - len(content), len(content))
        if not piece:
            break
        content += piece
    return bytes(content)
