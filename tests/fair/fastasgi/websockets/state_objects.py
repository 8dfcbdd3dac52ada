"""A class for each state, whose methods are what the state allows; the WebSocket asks the one that it is in."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from functools import partial
from typing import Any, NoReturn

from fastasgi.asgi_types import extension, require_type, spec_version
from fastasgi.datastructures import Headers
from fastasgi.requests import HTTPConnection


class WebSocketDisconnect(Exception):
    """The client is gone."""

    def __init__(self, code: int = 1000, reason: str = "") -> None:
        self.code, self.reason = code, reason

    def __str__(self) -> str:
        return f"{self.code} {self.reason}".strip()


class State:
    """What no state allows."""

    words = "in no state at all"
    ended = False

    def __init__(self, wire: Wire) -> None:
        self.wire = wire

    async def _no(self, *_: Any) -> NoReturn:
        raise RuntimeError(f"that cannot be done: the connection is {self.words}")

    answer = deny = send = receive = _no

    async def close(self, message: dict[str, Any]) -> None:
        """Nothing."""


class Waiting(State):
    """Before accept."""

    words = "not accepted yet, await accept() first"

    async def answer(self, message: dict[str, Any]) -> None:
        await self.wire.connect()
        await self.wire.put(message, Open)

    async def close(self, message: dict[str, Any]) -> None:
        try:
            await self.wire.connect()
        except WebSocketDisconnect:
            return
        await self.wire.put(message, Closed)

    async def deny(self) -> None:
        await self.wire.connect()


class Open(State):
    """Messages go both ways."""

    words = "open"

    async def send(self, message: dict[str, Any]) -> None:
        await self.wire.put(message, Open)

    async def receive(self) -> Mapping[str, Any]:
        return await self.wire.get()

    async def close(self, message: dict[str, Any]) -> None:
        await self.wire.put(message, Closed)


class Closed(State):
    """This side has ended it."""

    words = "closed by this side"
    ended = True


class Gone(State):
    """The other side has."""

    words = "left by the client"
    ended = True

    async def send(self, message: dict[str, Any]) -> NoReturn:
        raise WebSocketDisconnect(1006)


class Wire:
    """The server's two functions, and the state that follows from what they brought."""

    def __init__(self, receive: Any, send: Any) -> None:
        self._receive, self._send = receive, send
        self.connected = False
        self.state: State = Waiting(self)

    async def get(self) -> Mapping[str, Any]:
        match await self._receive():
            case {"type": "websocket.disconnect", **rest}:
                self.state = Gone(self)
                raise WebSocketDisconnect(rest.get("code") or 1005, rest.get("reason") or "")
            case event:
                return event

    async def connect(self) -> None:
        if not self.connected and (await self.get())["type"] != "websocket.connect":
            raise RuntimeError("the server has not begun with websocket.connect")
        self.connected = True

    async def put(self, message: Mapping[str, Any], state: type[State]) -> None:
        self.state = state(self)
        try:
            await self._send({key: value for key, value in message.items() if value is not None})
        except OSError as error:
            self.state = Gone(self)
            raise WebSocketDisconnect(1006, "") from error


class WebSocket(HTTPConnection):
    """One connection."""

    subprotocol: str | None = None

    def __init__(self, scope: Any, receive: Any, send: Any) -> None:
        require_type(scope, "websocket")
        HTTPConnection.__init__(self, scope)
        self._wire = Wire(receive, send)

    @property
    def _state(self) -> State:
        return self._wire.state

    @property
    def subprotocols(self) -> list[str]:
        return list(self.scope.get("subprotocols") or [])

    async def accept(
        self, subprotocol: str | Sequence[str] | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        match subprotocol:
            case None:
                chosen = None
            case str() if subprotocol in self.subprotocols:
                chosen = subprotocol
            case str():
                raise ValueError(f"the client offers {self.subprotocols}, and not {subprotocol!r}")
            case _:
                chosen = next(iter([one for one in self.subprotocols if one in list(subprotocol)]), None)
        fields = Headers(headers or {})
        if "Sec-WebSocket-Protocol" in fields:
            raise ValueError("say it by subprotocol=")
        raw = fields.raw if spec_version(self.scope) >= (2, 1) else None
        await self._state.answer({"type": "websocket.accept", "subprotocol": chosen, "headers": raw})
        self.subprotocol = chosen

    async def deny(self, response: Any) -> None:
        await self._state.deny()
        if extension(self.scope, "websocket.http.response") is None:
            await self.close()
            return
        copied = dict(self.scope) | {"type": "http", "method": "GET", "extensions": {}}
        await response(copied, self._disconnected, self._denying)

    async def _denying(self, message: Mapping[str, Any]) -> None:
        await self._wire.put({**message, "type": f"websocket.{message['type']}"}, Closed)

    async def _disconnected(self) -> dict[str, Any]:
        try:
            while True:
                await self._wire.get()
        except WebSocketDisconnect:
            return {"type": "http.disconnect"}

    async def close(self, code: int = 1000, reason: str = "") -> None:
        allowed = {*range(1000, 1004), *range(1007, 1015), *range(3000, 5000)}
        if code not in allowed or len(reason.encode()) > 123:
            raise ValueError(f"a close cannot say {code} {reason!r}")
        said = reason if spec_version(self.scope) >= (2, 3) else None
        try:
            await self._state.close({"type": "websocket.close", "code": int(code), "reason": said})
        except WebSocketDisconnect:
            return

    async def receive(self) -> str | bytes:
        match await self._state.receive():
            case {"type": "websocket.receive", "text": str(text), **rest} if rest.get("bytes") is None:
                return text
            case {"type": "websocket.receive", "bytes": bytes(data), **rest} if rest.get("text") is None:
                return data
            case event:
                raise RuntimeError(f"{event} is no message of a WebSocket")

    async def _receive_kind(self, kind: type) -> Any:
        message = await self.receive()
        if not isinstance(message, kind):
            names = {str: "text", bytes: "bytes"}
            raise RuntimeError(f"{names[type(message)]} came where {names[kind]} was asked for")
        return message

    async def receive_text(self) -> str:
        return await self._receive_kind(str)

    async def receive_bytes(self) -> bytes:
        return await self._receive_kind(bytes)

    async def receive_json(self) -> Any:
        message = await self.receive()
        text = message if isinstance(message, str) else message.decode("utf-8")
        return json.loads(text, parse_constant=partial(int, base=2))  # "NaN" is a ValueError of int

    def iter_text(self) -> AsyncIterator[str]:
        return _Messages(self, self.receive_text)

    def iter_bytes(self) -> AsyncIterator[bytes]:
        return _Messages(self, self.receive_bytes)

    def iter_json(self) -> AsyncIterator[Any]:
        return _Messages(self, self.receive_json)

    async def send_text(self, text: str) -> None:
        if type(text) is not str:
            raise TypeError("send_text takes text")
        await self._state.send({"type": "websocket.send", "text": text})

    async def send_bytes(self, data: bytes) -> None:
        if type(data) is not bytes:
            raise TypeError("send_bytes takes bytes")
        await self._state.send({"type": "websocket.send", "bytes": data})

    async def send_json(self, value: Any, mode: str = "text") -> None:
        encoder = json.JSONEncoder(allow_nan=False, ensure_ascii=False, indent=1)
        text = encoder.encode(value)
        await (self.send_text(text) if mode == "text" else self.send_bytes(bytes(text, "utf-8")))

    async def __aenter__(self) -> WebSocket:
        return self

    async def __aexit__(self, kind: Any, error: BaseException | None, trace: Any) -> bool:
        match error:
            case None | WebSocketDisconnect():
                await self.close()
            case Exception():
                await self.close(1011)
        return isinstance(error, WebSocketDisconnect)


class _Messages:
    """An iterator by hand."""

    def __init__(self, websocket: WebSocket, receive: Any) -> None:
        self._websocket, self._receive = websocket, receive

    def __aiter__(self) -> _Messages:
        return self

    async def __anext__(self) -> Any:
        if self._websocket._state.ended:
            raise StopAsyncIteration
        try:
            return await self._receive()
        except WebSocketDisconnect:
            raise StopAsyncIteration from None
