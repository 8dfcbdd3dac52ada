"""The session: the client's end of one websocket.

Rule 1: each message is whole, and is text or bytes: asking for the wrong kind is an error that names both.
Rule 2: what the application sent before the end can still be read after it; then WebSocketClosed tells of the end.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

from ..datastructures import Headers
from ..status import CloseCode
from .call import Call
from .channel import Accepted, Channel
from .failures import WebSocketClosed
from .messages import SHAPES, read_message


class WebSocketSession:
    """A websocket whose handshake was accepted, with this `subprotocol` and these `headers`."""

    def __init__(self, accepted: Accepted, channel: Channel, call: Call) -> None:
        """Speak with `call` over `channel`. The client makes sessions."""
        self.subprotocol: str | None = accepted.subprotocol
        self.headers: Headers = accepted.headers
        self._channel = channel
        self._call = call

    async def send_text(self, data: str) -> None:
        """Send a message of text. Raises WebSocketClosed after the end, ValueError for what is not in UTF-8."""
        if not isinstance(data, str):
            raise TypeError(f"send_text takes a str, not the {type(data).__name__} {data!r}: use send_bytes")
        data.encode()  # a lone surrogate cannot go over the wire
        await self._send(data)

    async def send_bytes(self, data: bytes) -> None:
        """Send a message of bytes. Raises WebSocketClosed after the end."""
        if not isinstance(data, bytes):
            raise TypeError(f"send_bytes takes bytes, not the {type(data).__name__} {data!r}: use send_text")
        await self._send(data)

    async def send_json(self, value: Any) -> None:
        """Send a value as JSON, in a message of text."""
        await self._send(json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False))

    async def receive(self) -> str | bytes:
        """The next message, of either kind.

        Raises WebSocketClosed after the last one, what the application raised, or Stalled if none can come.
        """
        channel = self._channel
        await self._call.until(lambda: channel.readable or channel.over)
        if channel.readable and not channel.gone:
            data = channel.read()
            self._call.changed()
            return data
        if self._call.ended and (failure := self._call.failure()) is not None:
            raise failure
        raise self._closed()

    async def receive_text(self) -> str:
        """The next message, which must be text: raises RuntimeError if it is bytes."""
        data = await self.receive()
        if not isinstance(data, str):
            raise RuntimeError(f"receive_text got a message of bytes, {data!r}: use receive_bytes")
        return data

    async def receive_bytes(self) -> bytes:
        """The next message, which must be bytes: raises RuntimeError if it is text."""
        data = await self.receive()
        if not isinstance(data, bytes):
            raise RuntimeError(f"receive_bytes got a message of text, {data!r}: use receive_text")
        return data

    async def receive_json(self) -> Any:
        """The value of the next message, text or bytes, as JSON. Raises ValueError if it is not."""
        return json.loads(await self.receive())

    async def close(self, code: int | None = CloseCode.NORMAL, reason: str = "") -> None:
        """Close the websocket; the application gets the messages sent before, then this code and reason.

        None closes without either, which the application sees as 1005. After the end nothing happens.
        Raises ValueError for a code or a reason that cannot go over the wire (RFC 6455, sections 5.5 and 7.4).
        """
        if code is None:
            await self._leave(CloseCode.NO_STATUS, "")
            return
        close = read_message(
            {"type": "websocket.close", "code": code, "reason": reason}, SHAPES["websocket.close"]
        )
        await self._leave(close["code"], close["reason"])

    async def abort(self) -> None:
        """Lose the connection without a close: the application sees 1006 (RFC 6455, section 7.1.5)."""
        await self._leave(CloseCode.ABNORMAL, "")

    async def _send(self, data: str | bytes) -> None:
        if self._channel.over:
            raise self._closed()
        self._channel.deliver(data)
        self._call.changed()
        await asyncio.sleep(0)  # the application may look at it before the test goes on

    async def _leave(self, code: int, reason: str) -> None:
        self._channel.leave(code, reason)
        self._call.changed()
        await asyncio.sleep(0)

    def _closed(self) -> WebSocketClosed:
        closed = self._channel.closed or WebSocketClosed(CloseCode.ABNORMAL, "")
        return WebSocketClosed(closed.code, closed.reason)  # anew, since a traceback grows with each raise
