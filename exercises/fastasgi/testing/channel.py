"""The channel: one websocket, from its handshake to its close, as a server sees it, without I/O and without tasks.

Rule 1: what the client sent before it closed reaches the application before the disconnect, and the other way round.
Rule 2: a channel has one end, told to both sides: to the application by `websocket.disconnect`, to the client by
        `closed` (or by `refusal`, where the handshake failed). Who ends it first, wins.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..asgi_types import Message
from ..datastructures import Headers
from ..status import CloseCode
from .conversation import WEBSOCKET, Conversation, Ws
from .exchange import BUFFER, Head
from .failures import ClientGone, ProtocolError, WebSocketClosed, WebSocketRefused


@dataclass(frozen=True, slots=True)
class Accepted:
    """The answer to a handshake that was accepted."""

    subprotocol: str | None
    headers: Headers


class Channel:
    """One websocket: its handshake, the messages both ways, its end."""

    def __init__(self, label: str, subprotocols: Sequence[str], offered: Collection[str]) -> None:
        """Begin a handshake in which the client asks for one of `subprotocols`."""
        self.label = label
        self.accepted: Accepted | None = None
        self.refusal: WebSocketRefused | None = None
        self.closed: WebSocketClosed | None = None
        self._talk = Conversation(WEBSOCKET, label, offered)
        self._subprotocols = subprotocols
        self._inbox: deque[Message] = deque([{"type": "websocket.connect"}])
        self._outbox: deque[str | bytes] = deque()
        self._waiting = 0
        self._denial: tuple[Head, bytearray] | None = None
        self._left = False

    @property
    def answered(self) -> bool:
        """Whether the handshake is over, one way or the other."""
        return self.accepted is not None or self.refusal is not None

    @property
    def over(self) -> bool:
        """Whether neither side will say anything more."""
        return self.closed is not None or self.refusal is not None

    @property
    def gone(self) -> bool:
        """Whether it was the client who ended it."""
        return self._left

    @property
    def congested(self) -> bool:
        """Whether `send` must wait until the client has read on."""
        return self._waiting >= BUFFER and not self.over

    @property
    def readable(self) -> bool:
        """Whether a message for the client is there to be read."""
        return bool(self._outbox)

    @property
    def fault(self) -> ProtocolError | None:
        """The first rule that the application broke."""
        return self._talk.fault

    def read(self) -> str | bytes:
        """The next message for the client; `readable` tells whether there is one."""
        message = self._outbox.popleft()
        self._waiting -= len(message)
        return message

    def deliver(self, data: str | bytes) -> None:
        """The client sends a message."""
        key = "text" if isinstance(data, str) else "bytes"
        self._inbox.append({"type": "websocket.receive", key: data})

    def leave(self, code: int = CloseCode.ABNORMAL, reason: str = "") -> None:
        """The client closes, or, as 1006 tells, is lost. That it closes without a code is told by 1005."""
        if not self.over:
            self._left = True
            self.closed = WebSocketClosed(int(code), reason)

    def next_event(self) -> Message | None:
        """What `receive` gives now, or None where it must wait (ASGI WebSocket, Connect, Receive and Disconnect)."""
        if self._inbox:
            return self._inbox.popleft()
        if self.closed is not None:
            return {"type": "websocket.disconnect", "code": self.closed.code, "reason": self.closed.reason}
        if self.refusal is not None:
            return {"type": "websocket.disconnect", "code": int(CloseCode.ABNORMAL), "reason": ""}
        return None

    def take(self, message: Message) -> None:
        """What `send` was given. Raises ProtocolError, or ClientGone where nobody is left to get it."""
        if self._left or self._talk.is_late(message):
            raise ClientGone(f"{self.label}: the websocket is closed, and {message!r:.200} reaches nobody")
        values = self._talk.take(message, self._check_subprotocol)
        match values["type"]:
            case "websocket.accept":
                self._accept(values)
            case "websocket.send":
                self._send(values["bytes"] if values["text"] is None else values["text"])
            case "websocket.close" if self._talk.state is Ws.REFUSED:
                self._refuse(Head(403, []), b"")
            case "websocket.close":
                self.closed = WebSocketClosed(values["code"], values["reason"])
            case _:
                self._deny(values)

    def end(self, error: BaseException | None) -> None:
        """The application's call has ended, with `error` if it raised one.

        A server then closes what is still open (ASGI WebSocket, Connection scope).
        """
        if self.over:
            return
        if self.accepted is not None:
            code = CloseCode.NORMAL if error is None else CloseCode.INTERNAL_ERROR
            self.closed = WebSocketClosed(int(code), "")
            return
        if error is None:
            self._talk.broken(
                f"the application returned {self._talk.state.value}; expected before: {self._talk.expected()}",
                "ASGI HTTP & WebSocket 2.5, Connect",
            )
        self._refuse(Head(500, []), b"")

    def awaited(self) -> str:
        """In words, what the application owes."""
        return "has not returned" if self.over else f"has not sent {self._talk.expected()}"

    def _check_subprotocol(self, values: Mapping[str, Any]) -> None:
        """A client fails the handshake if it is given what it did not offer (RFC 6455, section 4.1)."""
        chosen = values.get("subprotocol")
        if chosen is not None and chosen not in self._subprotocols:
            offer = ", ".join(self._subprotocols) or "none"
            raise ValueError(f"chose the subprotocol {chosen!r}, and the client offers {offer}")

    def _accept(self, values: Mapping[str, Any]) -> None:
        self.accepted = Accepted(values["subprotocol"], Headers(raw=values["headers"]))

    def _send(self, data: str | bytes) -> None:
        self._outbox.append(data)
        self._waiting += len(data)

    def _deny(self, values: Mapping[str, Any]) -> None:
        """Take a part of the response that denies the handshake (ASGI Extensions, WebSocket denial response)."""
        if self._denial is None:
            self._denial = Head(values["status"], values["headers"]), bytearray()
            return
        head, body = self._denial
        body += values["body"]
        if self._talk.state is Ws.DENIED:
            self._refuse(head, bytes(body))

    def _refuse(self, head: Head, body: bytes) -> None:
        self.refusal = WebSocketRefused(head.status, Headers(raw=head.headers), body)
