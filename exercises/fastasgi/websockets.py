"""WebSockets: one connection as a handler sees it, and the order in which things may happen to it.

Rule 1: everything that moves the connection from one state to another stands here, and the table STATES tells
        what each state allows. What it does not allow raises and sends nothing.
Rule 2: the handshake comes first: nothing is answered before `websocket.connect` has come, and data flows only
        between accept and the end (ASGI WebSocket, Connect).
Rule 3: there is at most one close, and none once the client is gone.
Rule 4: a client that goes away is WebSocketDisconnect, whether it said goodbye or `send` found out.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from enum import Enum
from types import TracebackType
from typing import Any, Literal, NoReturn, TypeVar

from .asgi_types import ASGIApp, Message, Receive, Scope, Send, extension, require_type, spec_version
from .datastructures import Headers
from .requests import HTTPConnection
from .status import CloseCode

T = TypeVar("T")


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


STATES: Mapping[str, frozenset[WebSocketState]] = {
    "accept": frozenset({WebSocketState.CONNECTING}),
    "deny": frozenset({WebSocketState.CONNECTING}),
    "send": frozenset({WebSocketState.OPEN}),
    "receive": frozenset({WebSocketState.OPEN}),
}
"""In which states each thing may be done. `close` may be called in any: it makes sure that the end has come."""


class WebSocket(HTTPConnection):
    """One WebSocket connection.

    `scope`, `receive` and `send` are those of the ASGI call. As `async with websocket:` it ends as the handler
    does: with close code 1000 where the handler returns, 1011 where it raises, a plain refusal where it had not
    accepted; a WebSocketDisconnect that escapes ends it quietly, any other exception goes on to the server.
    Raises RuntimeError for a scope of another kind.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        require_type(scope, "websocket")
        super().__init__(scope)
        self._receive = receive
        self._send = send
        self.connection_state = WebSocketState.NEW
        self.subprotocol: str | None = None

    @property
    def subprotocols(self) -> list[str]:
        """The subprotocols that the client offers, most wanted first (RFC 6455, section 4.1)."""
        return list(self.scope.get("subprotocols") or ())

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
        chosen = self._choose(subprotocol)
        raw = _accept_headers(headers)
        await self._connected()
        self._check("accept")
        message: Message = {"type": "websocket.accept", "subprotocol": chosen}
        if spec_version(self.scope) >= (2, 1):
            message["headers"] = raw
        self.connection_state = WebSocketState.OPEN
        self.subprotocol = chosen
        await self._deliver(message)

    async def receive(self) -> str | bytes:
        """The next message from the client, text or bytes; an empty one is one too (ASGI WebSocket, Receive).

        Raises WebSocketDisconnect when the client goes, RuntimeError where nothing can come any more.
        """
        self._check("receive")
        event = await self._next_event()
        if event["type"] != "websocket.receive":
            raise RuntimeError(f"expected websocket.receive from the server, got {event['type']!r}")
        text, data = event.get("text"), event.get("bytes")
        if isinstance(text, str) and data is None:
            return text
        if isinstance(data, bytes) and text is None:
            return data
        raise RuntimeError(
            "expected a str as `text`, or bytes as `bytes`, of websocket.receive from the server"
        )

    async def receive_text(self) -> str:
        """The next message, which has to be text. Raises RuntimeError for bytes, and what `receive` raises."""
        data = await self.receive()
        if not isinstance(data, str):
            raise RuntimeError(
                "receive_text got bytes: the client has sent bytes, use receive_bytes or receive"
            )
        return data

    async def receive_bytes(self) -> bytes:
        """The next message, which has to be bytes. Raises RuntimeError for text, and what `receive` raises."""
        data = await self.receive()
        if not isinstance(data, bytes):
            raise RuntimeError(
                "receive_bytes got text: the client has sent text, use receive_text or receive"
            )
        return data

    async def receive_json(self) -> Any:
        """The value that the next message, text or bytes, holds as JSON (RFC 8259). Raises ValueError for others."""
        return _json(await self.receive())

    def iter_text(self) -> AsyncIterator[str]:
        """All further messages as `receive_text` gives them, until the client goes or this side closes."""
        return self._until_end(self.receive_text)

    def iter_bytes(self) -> AsyncIterator[bytes]:
        """All further messages as `receive_bytes` gives them, until the client goes or this side closes."""
        return self._until_end(self.receive_bytes)

    def iter_json(self) -> AsyncIterator[Any]:
        """All further messages as `receive_json` gives them, until the client goes or this side closes."""
        return self._until_end(self.receive_json)

    async def send_text(self, text: str) -> None:
        """Send one text message (ASGI WebSocket, Send).

        Raises TypeError for anything but str, RuntimeError where the connection is not open,
        WebSocketDisconnect where the client is gone.
        """
        await self._send_data("text", text, str)

    async def send_bytes(self, data: bytes) -> None:
        """Send one message of bytes; see `send_text`."""
        await self._send_data("bytes", data, bytes)

    async def send_json(self, value: Any, mode: Literal["text", "bytes"] = "text") -> None:
        """Send a value as JSON (RFC 8259), in a message of text or of bytes; see `send_text`.

        Raises TypeError or ValueError for a value that JSON has no form for.
        """
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        await (self.send_text(text) if mode == "text" else self.send_bytes(text.encode()))

    async def close(self, code: int = CloseCode.NORMAL, reason: str = "") -> None:
        """End the connection; before `accept` that refuses it (ASGI WebSocket, Close). Nothing where it has ended.

        `reason` is at most 123 bytes of UTF-8; servers before 2.3 do not get it. Raises ValueError for a code or
        reason that cannot be sent (RFC 6455, sections 5.5 and 7.4).
        """
        _check_close(code, reason)
        with suppress(WebSocketDisconnect):
            await self._connected()
        if self.connection_state in (WebSocketState.CLOSED, WebSocketState.DISCONNECTED):
            return
        self.connection_state = WebSocketState.CLOSED
        message: Message = {"type": "websocket.close", "code": int(code)}
        if spec_version(self.scope) >= (2, 3):
            message["reason"] = reason
        try:
            await self._send(message)
        except OSError:
            self.connection_state = WebSocketState.DISCONNECTED

    async def deny(self, response: ASGIApp) -> None:
        """Refuse the connection with an HTTP response, such as `text_response("no", 401)`.

        A server that does not offer the extension WebSocket Denial Response sends its own 403 instead. Raises
        RuntimeError where the connection was answered before, WebSocketDisconnect where the client is gone.
        """
        await self._connected()
        self._check("deny")
        if extension(self.scope, "websocket.http.response") is None:
            await self.close()
            return
        scope = {**self.scope, "type": "http", "method": "GET", "extensions": {}}
        await response(scope, self._receive_for_denial, self._send_denial)

    async def __aenter__(self) -> WebSocket:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if error is None or isinstance(error, WebSocketDisconnect):
            await self.close()
        elif isinstance(error, Exception):
            accepted = self.connection_state is WebSocketState.OPEN
            await self.close(CloseCode.INTERNAL_ERROR if accepted else CloseCode.NORMAL)
        return isinstance(error, WebSocketDisconnect)

    async def _connected(self) -> None:
        """Take `websocket.connect`, unless that was done."""
        if self.connection_state is not WebSocketState.NEW:
            return
        event = await self._next_event()
        if event["type"] != "websocket.connect":
            self.connection_state = WebSocketState.CLOSED  # whatever this server waits for, it is no close
            raise RuntimeError(f"expected websocket.connect first from the server, got {event['type']!r}")
        self.connection_state = WebSocketState.CONNECTING

    async def _next_event(self) -> Message:
        event = await self._receive()
        if event["type"] == "websocket.disconnect":
            self.connection_state = WebSocketState.DISCONNECTED
            raise WebSocketDisconnect(
                event.get("code") or int(CloseCode.NO_STATUS), event.get("reason") or ""
            )
        return event

    async def _until_end(self, receive: Callable[[], Awaitable[T]]) -> AsyncIterator[T]:
        while self.connection_state not in (WebSocketState.CLOSED, WebSocketState.DISCONNECTED):
            try:
                message = await receive()
            except WebSocketDisconnect:
                return
            yield message

    async def _send_data(self, key: str, data: str | bytes, kind: type) -> None:
        if not isinstance(data, kind):
            raise TypeError(f"send_{key} takes {kind.__name__}, not {type(data).__name__}")
        self._check("send")
        await self._deliver({"type": "websocket.send", key: data})

    async def _deliver(self, message: Message) -> None:
        try:
            await self._send(message)
        except OSError as error:
            self.connection_state = WebSocketState.DISCONNECTED
            raise WebSocketDisconnect(int(CloseCode.ABNORMAL)) from error

    def _check(self, what: str) -> None:
        """Raise where the state does not allow `what`."""
        state = self.connection_state
        if state in STATES[what]:
            return
        if state is WebSocketState.DISCONNECTED and what == "send":
            raise WebSocketDisconnect(int(CloseCode.ABNORMAL))
        raise RuntimeError(
            f"cannot {what}: the connection is {state.value}. {_CURES.get(state, '')}".rstrip()
        )

    def _choose(self, wanted: str | Sequence[str] | None) -> str | None:
        if wanted is None:
            return None
        if not isinstance(wanted, str):
            return next((offered for offered in self.subprotocols if offered in wanted), None)
        if wanted not in self.subprotocols:
            raise ValueError(
                f"subprotocol {wanted!r} is none of those that the client offers: {self.subprotocols}"
            )
        return wanted

    async def _receive_for_denial(self) -> Message:
        while (await self._receive())["type"] != "websocket.disconnect":
            pass
        return {"type": "http.disconnect"}

    async def _send_denial(self, message: Message) -> None:
        self.connection_state = WebSocketState.CLOSED
        await self._deliver({**message, "type": f"websocket.{message['type']}"})


def _accept_headers(headers: Mapping[str, str] | None) -> list[tuple[bytes, bytes]]:
    checked = Headers(headers or {})
    if "sec-websocket-protocol" in checked:
        raise ValueError("choose a subprotocol by accept(subprotocol=...), not by a header")
    return list(checked.raw)


def _json(data: str | bytes) -> Any:
    """The value of a JSON text, which is UTF-8 (RFC 8259, section 8.1)."""
    try:
        return json.loads(data if isinstance(data, str) else data.decode(), parse_constant=_no_constant)
    except RecursionError:
        raise ValueError("the message is nested too deeply") from None


def _no_constant(name: str) -> NoReturn:
    """NaN and infinity are no JSON (RFC 8259, section 6), though Python reads them unless told otherwise."""
    raise ValueError(f"{name} is no number in JSON")


def _check_close(code: int, reason: str) -> None:
    if not (code in _SENDABLE or 3000 <= code <= 4999):
        raise ValueError(
            f"{code} is no close code that may be sent: use 1000, 1001, 1008, 1011 or 3000 to 4999"
        )
    if len(reason.encode()) > 123:
        raise ValueError("the reason of a close is at most 123 bytes of UTF-8 (RFC 6455, section 5.5)")


_CURES = {
    WebSocketState.NEW: "Await accept() first.",
    WebSocketState.CONNECTING: "Await accept() first.",
}
_SENDABLE = frozenset(CloseCode) - {CloseCode.NO_STATUS, CloseCode.ABNORMAL, CloseCode.TLS_HANDSHAKE}
