"""Scripted ASGI conversations: the server's side of one call, with every sent message held against the protocol.

Rule 1: the application meets what the specification allows and nothing kinder: positional-only callables, and a
        `receive` that waits for ever when nothing more will come.
Rule 2: a message that breaks the protocol fails the test where it was sent, unless the test asks for `checked=False`.
Rule 3: no clock decides: the one time limit only turns a test that hangs into one that fails.
"""

from __future__ import annotations

import asyncio
from asyncio import FIRST_COMPLETED
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Message = dict[str, Any]
PATIENCE = 30.0
"""Seconds after which a call that never ends fails its test."""
End = Literal["block", "disconnect", "raise"]


class ProtocolBroken(AssertionError):
    """The application sent what the protocol does not allow."""


class Exhausted(Exception):
    """The application asked for an event after the last one, where that was to be an error."""


@dataclass
class Log:
    """What happened: messages sent, the exception that came out, events taken, and whether it was left waiting."""

    sent: list[Message] = field(default_factory=list)
    raised: BaseException | None = None
    received: int = 0
    parked: bool = False

    @property
    def types(self) -> list[str]:
        """The types of the messages sent, in order."""
        return [message["type"] for message in self.sent]

    @property
    def start(self) -> Message:
        """The message that begins the response."""
        return next(message for message in self.sent if message["type"].endswith("http.response.start"))

    @property
    def status(self) -> int:
        """The response's status."""
        return int(self.start["status"])

    @property
    def headers(self) -> list[tuple[str, str]]:
        """The response's headers, as text, in order."""
        return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in self.start["headers"]]

    def header(self, name: str) -> str | None:
        """The first header called `name`, or None."""
        return next((value for key, value in self.headers if key == name), None)

    @property
    def body(self) -> bytes:
        """The response's body, in one piece."""
        return b"".join(m.get("body", b"") for m in self.sent if m["type"].endswith("http.response.body"))

    @property
    def complete(self) -> bool:
        """Whether the last message ends the response."""
        return bool(self.sent) and _ends(self.sent[-1])


def http_scope(method: str = "GET", path: str = "/", **keys: Any) -> dict[str, Any]:
    """An HTTP connection scope; a key given as `...` is left out."""
    scope = {
        "type": "http", "asgi": {"version": "3.0", "spec_version": "2.5"}, "http_version": "1.1",
        "method": method, "scheme": "http", "path": path, "raw_path": path.encode(), "query_string": b"",
        "root_path": "", "headers": [(b"host", b"testserver")], "client": ("127.0.0.1", 5000),
        "server": ("testserver", 80), "extensions": {}, "state": {},
    }  # fmt: skip
    return _with(scope, keys)


def websocket_scope(path: str = "/", **keys: Any) -> dict[str, Any]:
    """A WebSocket connection scope; a key given as `...` is left out."""
    scope = http_scope(path=path) | {"type": "websocket", "scheme": "ws", "subprotocols": []}
    del scope["method"]
    return _with(scope, keys)


def lifespan_scope(**keys: Any) -> dict[str, Any]:
    """A lifespan scope; a key given as `...` is left out."""
    scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": {}}
    return _with(scope, keys)


def body_events(*chunks: bytes) -> list[Message]:
    """The events of a request body that comes in these chunks."""
    return [
        {"type": "http.request", "body": chunk, "more_body": place < len(chunks)}
        for place, chunk in enumerate(chunks or (b"",), start=1)
    ]


async def play(
    app: Any,
    scope: Mapping[str, Any],
    events: Iterable[Message] | None = None,
    *,
    end: End = "block",
    fail_send_at: int | None = None,
    error: BaseException | None = None,
    checked: bool = True,
    stop_when_parked: bool = False,
) -> Log:
    """Run `app` for one connection to its end.

    `events` are what `receive` gives (default: an empty body); then it waits for ever, gives a disconnect or raises.
    The send number `fail_send_at` (from 0) and all later ones raise `error` (default: ConnectionResetError).
    With `stop_when_parked` the call is cancelled as soon as it waits for an event that will never come; without, that
    fails the test.
    """
    log = Log()
    scope = dict(scope)
    pending = list(body_events() if events is None else events)
    checker = Checker(scope)
    parked = asyncio.Event()

    async def receive() -> Message:
        log.received += 1
        if pending:
            return dict(pending.pop(0))
        if end == "disconnect":
            return {"type": f"{scope['type']}.disconnect"} | (
                {"code": 1006} if scope["type"] == "websocket" else {}
            )
        if end == "raise":
            raise Exhausted("receive was called after the last event")
        parked.set()
        await asyncio.Event().wait()
        raise AssertionError("never reached")

    async def send(message: Message, /) -> None:
        if fail_send_at is not None and len(log.sent) >= fail_send_at:
            log.sent.append(dict(message))
            raise ConnectionResetError("the client is gone") if error is None else error
        log.sent.append(dict(message))
        if checked:
            checker.check(message)

    task = asyncio.ensure_future(app(scope, receive, send))
    waits = asyncio.ensure_future(parked.wait())
    await asyncio.wait(
        {task, waits} if stop_when_parked else {task}, timeout=PATIENCE, return_when=FIRST_COMPLETED
    )
    log.parked = not task.done()
    for each in (task, waits):
        each.cancel()
    await asyncio.wait({task, waits})
    if log.parked and not stop_when_parked:
        raise AssertionError(f"the application waits for ever; it has sent {log.types}")
    log.raised = None if task.cancelled() else task.exception()
    if isinstance(log.raised, ProtocolBroken):
        raise log.raised
    return log


def _with(scope: dict[str, Any], keys: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in (scope | keys).items() if value is not ...}


def _ends(message: Message) -> bool:
    kind = message["type"].removeprefix("websocket.")
    if kind == "http.response.pathsend":
        return True
    return kind in ("http.response.body", "http.response.zerocopysend") and not message.get(
        "more_body", False
    )


class Checker:
    """Holds the messages of one call against the protocol, in order, and raises ProtocolBroken."""

    def __init__(self, scope: Mapping[str, Any]) -> None:
        self._kind: str = scope["type"]
        self._extensions = scope.get("extensions") or {}
        self._state = "new"
        self._trailers = False

    def check(self, message: Any) -> None:
        """Take the next message."""
        if type(message) is not dict or type(message.get("type")) is not str:
            raise ProtocolBroken(f"a message is a dict with a str `type`, not {message!r}")
        _plain(message)
        kind = message["type"]
        if kind.split(".")[0] != self._kind:
            raise ProtocolBroken(f"{kind} does not belong to {self._kind}")
        if kind.startswith("websocket.http.response."):
            if "websocket.http.response" not in self._extensions:
                raise ProtocolBroken(f"{kind}: the server does not offer it")
            if self._state == "new" or self._state in ("started",):
                return self._response(message, kind.removeprefix("websocket."))
            raise ProtocolBroken(f"{kind} after {self._state}")
        step = getattr(self, f"_{self._kind}")
        return step(message, kind)

    def _http(self, message: Message, kind: str) -> None:
        self._response(message, kind)

    def _response(self, message: Message, kind: str) -> None:
        if kind == "http.response.debug":
            return self._go(kind, "new", "new", offered=kind)
        if kind == "http.response.start":
            status = message.get("status")
            if type(status) is not int or not 200 <= status <= 999:
                raise ProtocolBroken(f"status is {status!r}")
            _headers(message.get("headers", ()))
            self._trailers = bool(message.get("trailers", False))
            return self._go(kind, "new", "started")
        if kind == "http.response.body":
            body, more = message.get("body", b""), message.get("more_body", False)
            if type(body) is not bytes or type(more) is not bool:
                raise ProtocolBroken(f"body is {body!r}, more_body {more!r}")
            return self._go(kind, "started", "started" if more else self._after())
        if kind == "http.response.pathsend":
            return self._go(kind, "started", self._after(), offered=kind)
        if kind == "http.response.zerocopysend":
            message["file"].fileno()
            return self._go(
                kind, "started", "started" if message.get("more_body") else self._after(), offered=kind
            )
        if kind in ("http.response.push", "http.response.early_hint"):
            return self._go(kind, "started", "started", offered=kind)
        if kind == "http.response.trailers":
            _headers(message["headers"])
            return self._go(
                kind, "trailers", "trailers" if message.get("more_trailers") else "ended", offered=kind
            )
        raise ProtocolBroken(f"there is no message {kind}")

    def _after(self) -> str:
        return "trailers" if self._trailers else "ended"

    def _websocket(self, message: Message, kind: str) -> None:
        if kind == "websocket.accept":
            if not isinstance(message.get("subprotocol"), str | None):
                raise ProtocolBroken(f"subprotocol is {message['subprotocol']!r}")
            names = _headers(message.get("headers", ()))
            if b"sec-websocket-protocol" in names:
                raise ProtocolBroken("accept holds a header sec-websocket-protocol")
            return self._go(kind, "new", "open")
        if kind == "websocket.send":
            values = [value for value in (message.get("bytes"), message.get("text")) if value is not None]
            if len(values) != 1:
                raise ProtocolBroken("websocket.send has one of bytes and text")
            return self._go(kind, "open", "open")
        if kind == "websocket.close":
            if type(message.get("code", 1000)) is not int or not isinstance(
                message.get("reason", ""), str | None
            ):
                raise ProtocolBroken(f"close with {message!r}")
            if message.get("code") in (1005, 1006, 1015):
                raise ProtocolBroken(f"{message['code']} never goes over the wire")
            if self._state not in ("new", "open"):
                raise ProtocolBroken(f"{kind} after {self._state}")
            self._state = "closed"
            return None
        raise ProtocolBroken(f"there is no message {kind}")

    def _lifespan(self, message: Message, kind: str) -> None:
        if not isinstance(message.get("message", ""), str):
            raise ProtocolBroken(f"message is {message['message']!r}")
        if kind in ("lifespan.startup.complete", "lifespan.startup.failed"):
            return self._go(kind, "new", "up" if kind.endswith("complete") else "failed")
        if kind in ("lifespan.shutdown.complete", "lifespan.shutdown.failed"):
            return self._go(kind, "up", "down")
        raise ProtocolBroken(f"there is no message {kind}")

    def _go(self, kind: str, before: str, after: str, *, offered: str | None = None) -> None:
        if offered is not None and offered not in self._extensions:
            raise ProtocolBroken(f"{kind}: the server does not offer it")
        if self._state != before:
            raise ProtocolBroken(f"{kind} while {self._state}, not {before}")
        self._state = after


def _headers(headers: Any) -> list[bytes]:
    pairs = [tuple(pair) for pair in headers]
    for pair in pairs:
        if len(pair) != 2 or any(type(part) is not bytes for part in pair):
            raise ProtocolBroken(f"a header is a pair of bytes, not {pair!r}")
        name, value = pair
        if name != name.lower() or name.startswith(b":") or not name or set(value) & set(b"\r\n\0"):
            raise ProtocolBroken(f"header {name!r}: {value!r}")
    return [name for name, _ in pairs]


def _plain(value: Any) -> None:
    """Only what ASGI allows in messages (ASGI, Events), but for an extension's own objects such as open files."""
    if isinstance(value, dict):
        for key, item in value.items():
            if type(key) is not str:
                raise ProtocolBroken(f"the key {key!r} is no str")
            if key not in ("file", "info"):
                _plain(item)
    elif isinstance(value, list | tuple):
        for item in value:
            _plain(item)
    elif value is not None and type(value) not in (bytes, str, int, float, bool):
        raise ProtocolBroken(f"{value!r} is not of the types that messages may hold")
