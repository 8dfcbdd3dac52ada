"""The wire: one HTTP/1.1 connection, to the byte, for what no client library lets one do.

Rule 1: what is written goes out as it is given. What comes back is read by h11, which raises for what is no HTTP.
Rule 2: a response is read as far as it is asked for; the next one begins where it ended.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import h11


@dataclass(frozen=True)
class Reply:
    """A response that was read to its end."""

    status: int
    headers: dict[str, str]
    body: bytes


class Wire:
    """A connection to a server."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str) -> None:
        self._reader = reader
        self._writer = writer
        self._host = host
        self._parser: h11.Connection | None = None
        self._rest = b""

    def request(self, method: str, target: str, *headers: str) -> bytes:
        """The head of a request, with the blank line at its end."""
        return "\r\n".join([f"{method} {target} HTTP/1.1", f"host: {self._host}", *headers, "", ""]).encode()

    async def write(self, data: bytes) -> None:
        """Send bytes."""
        self._writer.write(data)
        await self._writer.drain()

    async def interim(self, method: str = "GET") -> int:
        """The status of the interim response (1xx) that comes next. Raises AssertionError where none does."""
        event = await self._event(method)
        assert isinstance(event, h11.InformationalResponse), event
        return event.status_code

    async def head(self, method: str = "GET") -> h11.Response:
        """The status and headers of the next response, to a request of this method; interim ones are skipped."""
        while not isinstance(event := await self._event(method), h11.Response):
            pass
        return event

    async def chunk(self) -> bytes:
        """The next piece of the body, or nothing at its end. Raises h11.RemoteProtocolError where it breaks off."""
        event = await self._event()
        if isinstance(event, h11.Data):
            return bytes(event.data)
        assert self._parser is not None
        self._rest = self._parser.trailing_data[0]
        self._parser = None
        return b""

    async def read(self, method: str = "GET") -> Reply:
        """The next response, to a request of this method, to its end."""
        head, body = await self.head(method), b""
        while chunk := await self.chunk():
            body += chunk
        return Reply(head.status_code, {name.decode(): value.decode() for name, value in head.headers}, body)

    async def ask(self, method: str, target: str, *headers: str, body: bytes = b"") -> Reply:
        """Send a request, read its response."""
        length = [f"content-length: {len(body)}"] if body else []
        await self.write(self.request(method, target, *headers, *length) + body)
        return await self.read(method)

    async def is_closed(self) -> bool:
        """Whether the server closes the connection and sends nothing before: this waits for it."""
        try:
            return not self._rest and await self._reader.read(1) == b""
        except ConnectionError:
            return True

    def break_off(self) -> None:
        """Leave at once, as a client does whose process ends."""
        self._writer.transport.abort()

    async def _event(self, method: str = "GET") -> Any:
        if self._parser is None:
            self._parser = h11.Connection(h11.CLIENT)
            # The parser wants to know what was asked for. That may be more than was written by now.
            self._parser.send(h11.Request(method=method, target="/", headers=[("host", self._host)]))
            self._parser.send(h11.EndOfMessage())
            if self._rest:
                self._parser.receive_data(self._rest)
        while (event := self._parser.next_event()) is h11.NEED_DATA:
            self._parser.receive_data(await self._reader.read(64 * 1024))
        return event


@asynccontextmanager
async def connected(url: str, *, window: int | None = None) -> AsyncIterator[Wire]:
    """Inside the block there is a connection. `window` is how many bytes the system takes before they are read."""
    host, port = urlsplit(url).hostname or "", urlsplit(url).port or 80
    sock = socket.socket()
    try:
        sock.setblocking(False)
        if window is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
        await asyncio.get_running_loop().sock_connect(sock, (host, port))
        reader, writer = await asyncio.open_connection(sock=sock, limit=64 * 1024)
    except BaseException:
        sock.close()
        raise
    try:
        yield Wire(reader, writer, f"{host}:{port}")
    finally:
        writer.transport.abort()
