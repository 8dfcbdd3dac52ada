"""Exchange: one request and its response, or one WebSocket connection, as seen on the way to the server.

Rule 1: it only looks: messages go through as they are.
Rule 2: it ends once: with the last message of a response, or with the end of the call if that comes first.
Rule 3: nobody was there any more where `send` raised OSError, or where a disconnect came before the end of the
        response (ASGI HTTP, Disconnect and Disconnected client; after the end a disconnect says nothing).
"""

from __future__ import annotations

from asyncio import CancelledError
from collections.abc import Callable
from pathlib import Path

from ..asgi_types import ASGIApp, Message, Receive, Scope, Send
from ..exceptions import ClientDisconnect


class Exchange:
    """One connection. When it has ended, `report` is called with it, and `seconds` and all else is known.

    `size` is how many bytes were sent as bodies, files or WebSocket messages (a file that the server sends without
    knowing how much of it counts for nothing); `seconds` is how long it took by `clock`.
    """

    def __init__(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        clock: Callable[[], float],
        report: Callable[[Exchange], None],
    ) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._clock = clock
        self._report = report
        self._ended = False
        self._answer: int | None = None
        self._complete = False
        self._gone = False
        self._error: BaseException | None = None
        self.size = 0
        self._began = clock()
        self.seconds = 0.0

    async def run(self, app: ASGIApp) -> None:
        """Have `app` answer. What it raises comes out."""
        try:
            await app(self._scope, self._watched_receive, self._watched_send)
        except BaseException as error:
            self._error = error
            self._gone = self._gone or isinstance(error, ClientDisconnect)
            raise
        finally:
            self._end()

    @property
    def status(self) -> int | None:
        """The status that the client sees, or None where it went away before there was one.

        A WebSocket has 101 if it was accepted and 403 if it was closed before (ASGI WebSocket, Close). Where the
        application did not begin to answer, the client gets a 500 from whoever stands further out.
        """
        if self._answer is not None:
            return self._answer
        return None if self._gone or isinstance(self._error, CancelledError) else 500

    @property
    def outcome(self) -> str:
        """How it ended: complete, disconnected, cancelled, incomplete, or "raised" and the class of an exception."""
        if isinstance(self._error, CancelledError):
            return "cancelled"
        if self._gone and isinstance(self._error, OSError | ClientDisconnect | None):
            return "disconnected"
        if self._error is not None:
            return f"raised {type(self._error).__name__}"
        return "complete" if self._complete else "incomplete"

    async def _watched_receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "websocket.disconnect" and self._answer is not None:
            self._complete = True  # that is how an open WebSocket ends
        elif message["type"].endswith(".disconnect"):
            self._gone = True
        return message

    async def _watched_send(self, message: Message) -> None:
        kind = message["type"].removeprefix("websocket.")
        if self._answer is None:
            self._answer = message.get("status") if kind == "http.response.start" else _HANDSHAKE.get(kind)
        try:
            await self._send(message)
        except OSError:
            self._gone = True
            raise
        self.size += _size(kind, message)
        if kind in _LAST and not message.get("more_body", False):
            self._complete = True
            self._end()

    def _end(self) -> None:
        if not self._ended:
            self._ended = True
            self.seconds = self._clock() - self._began
            self._report(self)


_HANDSHAKE = {"accept": 101, "close": 403}
_LAST = frozenset({"http.response.body", "http.response.pathsend", "http.response.zerocopysend", "close"})


def _size(kind: str, message: Message) -> int:
    if kind == "http.response.body":
        return len(message.get("body", b""))
    if kind == "send":
        return len(message.get("bytes") or (message.get("text") or "").encode(errors="replace"))
    if kind == "http.response.pathsend":
        return _file_size(message["path"])
    return message.get("count") or 0  # of http.response.zerocopysend


def _file_size(path: str) -> int:
    try:
        return Path(path).stat().st_size
    except OSError:  # removed since then; to raise it would look as if the client had gone
        return 0
