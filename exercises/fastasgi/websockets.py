"""WebSockets: one connection as a handler sees it, and the order in which things may happen to it.

Rule 1: everything that moves the connection from one state to another stands here, and the table STATES tells
        what each state allows. What it does not allow raises and sends nothing.
Rule 2: the handshake comes first: nothing is answered before `websocket.connect` has come, and data flows only
        between accept and the end (ASGI WebSocket, Connect).
Rule 3: there is at most one close, and none once the client is gone.
Rule 4: a client that goes away is WebSocketDisconnect, whether it said goodbye or `send` found out.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from enum import Enum
from types import TracebackType
from typing import Any, Literal

from .asgi_types import ASGIApp, Receive, Scope, Send
from .requests import HTTPConnection
from .status import CloseCode


class WebSocketDisconnect(Exception):
    """The client is gone. `code` is 1005 where it gave none, 1006 where the connection broke (RFC 6455, 7.4.1)."""

    def __init__(self, code: int = 1000, reason: str = "") -> None:
        self.code = code
        self.reason = reason
        super().__init__(code, reason)


class WebSocketState(Enum):
    """Where a connection stands. The values say it in words, for messages."""

    NEW = "not yet connected"
    CONNECTING = "not yet accepted"
    OPEN = "open"
    CLOSED = "closed by this side"
    DISCONNECTED = "left by the client"


STATES: Mapping[str, frozenset[WebSocketState]]
"""In which states each thing may be done. `close` may be called in any: it makes sure that the end has come."""


class WebSocket(HTTPConnection):
    """One WebSocket connection.

    `scope`, `receive` and `send` are those of the ASGI call. As `async with websocket:` it ends as the handler
    does: with close code 1000 where the handler returns, 1011 where it raises, a plain refusal where it had not
    accepted; a WebSocketDisconnect that escapes ends it quietly, any other exception goes on to the server.
    Raises RuntimeError for a scope of another kind.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        raise NotImplementedError("websockets: WebSocket.__init__")

    @property
    def subprotocols(self) -> list[str]:
        """The subprotocols that the client offers, most wanted first (RFC 6455, section 4.1)."""
        raise NotImplementedError("websockets: WebSocket.subprotocols")

    async def accept(
        self, subprotocol: str | Sequence[str] | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        """Open the connection, as soon as `websocket.connect` has come (ASGI WebSocket, Accept).

        `subprotocol` is one that the client offers, or a sequence of those that the application knows: of these,
        the first that the client offers is taken, or none. It is in `self.subprotocol` afterwards.
        `headers` go into the handshake's answer, if the server speaks version 2.1 or newer.
        Raises ValueError for a subprotocol that was not offered or that is asked for by a header, RuntimeError
        where the connection was answered before, WebSocketDisconnect where the client is gone.
        """
        raise NotImplementedError("websockets: WebSocket.accept")

    async def receive(self) -> str | bytes:
        """The next message from the client, text or bytes; an empty one is one too (ASGI WebSocket, Receive).

        Raises WebSocketDisconnect when the client goes, RuntimeError where nothing can come any more.
        """
        raise NotImplementedError("websockets: WebSocket.receive")

    async def receive_text(self) -> str:
        """The next message, which has to be text. Raises RuntimeError for bytes, and what `receive` raises."""
        raise NotImplementedError("websockets: WebSocket.receive_text")

    async def receive_bytes(self) -> bytes:
        """The next message, which has to be bytes. Raises RuntimeError for text, and what `receive` raises."""
        raise NotImplementedError("websockets: WebSocket.receive_bytes")

    async def receive_json(self) -> Any:
        """The value that the next message, text or bytes, holds as JSON (RFC 8259). Raises ValueError for others."""
        raise NotImplementedError("websockets: WebSocket.receive_json")

    def iter_text(self) -> AsyncIterator[str]:
        """All further messages as `receive_text` gives them, until the client goes or this side closes."""
        raise NotImplementedError("websockets: WebSocket.iter_text")

    def iter_bytes(self) -> AsyncIterator[bytes]:
        """All further messages as `receive_bytes` gives them, until the client goes or this side closes."""
        raise NotImplementedError("websockets: WebSocket.iter_bytes")

    def iter_json(self) -> AsyncIterator[Any]:
        """All further messages as `receive_json` gives them, until the client goes or this side closes."""
        raise NotImplementedError("websockets: WebSocket.iter_json")

    async def send_text(self, text: str) -> None:
        """Send one text message (ASGI WebSocket, Send).

        Raises TypeError for anything but str, RuntimeError where the connection is not open,
        WebSocketDisconnect where the client is gone.
        """
        raise NotImplementedError("websockets: WebSocket.send_text")

    async def send_bytes(self, data: bytes) -> None:
        """Send one message of bytes; see `send_text`."""
        raise NotImplementedError("websockets: WebSocket.send_bytes")

    async def send_json(self, value: Any, mode: Literal["text", "bytes"] = "text") -> None:
        """Send a value as JSON (RFC 8259), in a message of text or of bytes; see `send_text`.

        Raises TypeError or ValueError for a value that JSON has no form for.
        """
        raise NotImplementedError("websockets: WebSocket.send_json")

    async def close(self, code: int = CloseCode.NORMAL, reason: str = "") -> None:
        """End the connection; before `accept` that refuses it (ASGI WebSocket, Close). Nothing where it has ended.

        `reason` is at most 123 bytes of UTF-8; servers before 2.3 do not get it. Raises ValueError for a code or
        reason that cannot be sent (RFC 6455, sections 5.5 and 7.4).
        """
        raise NotImplementedError("websockets: WebSocket.close")

    async def deny(self, response: ASGIApp) -> None:
        """Refuse the connection with an HTTP response, such as `text_response("no", 401)`.

        A server that does not offer the extension WebSocket Denial Response sends its own 403 instead. Raises
        RuntimeError where the connection was answered before, WebSocketDisconnect where the client is gone.
        """
        raise NotImplementedError("websockets: WebSocket.deny")

    async def __aenter__(self) -> WebSocket:
        raise NotImplementedError("websockets: WebSocket.__aenter__")

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        raise NotImplementedError("websockets: WebSocket.__aexit__")
