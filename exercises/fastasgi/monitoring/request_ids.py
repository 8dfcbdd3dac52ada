"""Request ids: a name for each request, by which all that is told of it can be found.

Rule 1: the id is in a context variable, so each request sees its own, however many are answered at once.
Rule 2: once a request has ended, its id is gone from its context: the server may use that for the next one.
Rule 3: an id from outside is taken only if it was asked for, and only if it can do no harm where ids are written.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from contextvars import ContextVar
from uuid import uuid4

from ..asgi_types import ASGIApp, Message, Receive, Scope, Send, spec_version
from ..datastructures import Headers, MutableHeaders
from .trace import TRACE

request_id: ContextVar[str] = ContextVar("request_id", default="-")
"""The id of the request that is being answered here, also in tasks and threads that it starts; "-" outside."""


def new_request_id() -> str:
    """A random id of 32 hexadecimal digits."""
    return uuid4().hex


class RequestIDs:
    """Middleware that gives an id to each request and each WebSocket connection.

    It is the value of `request_id` meanwhile, and goes out in the response header `header`, also in that of an
    accepted WebSocket (from ASGI WebSocket 2.1 on). It is what `make` gives. With `trust` it is what came in
    `header`, if that is there just once and has 1 to 128 letters, digits and `-._:=+/`. Trust only a proxy that
    sets the header itself. An answer that is sent further out does not carry the id, such as the 500 of an error
    boundary around this middleware. Raises ValueError for a `header` that is no token (RFC 9110, section 5.6.2).
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        header: str = "x-request-id",
        make: Callable[[], str] = new_request_id,
        trust: bool = False,
    ) -> None:
        Headers({header: ""})  # raises for what is no name of a header
        self._app = app
        self._header = header
        self._make = make
        self._trust = trust

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the connection on under its id (ASGI, Middleware)."""
        if scope["type"] not in ("http", "websocket"):
            return await self._app(scope, receive, send)
        raw = list(scope.get("headers") or ())  # may be read once only, and the application wants them too
        own = self._trusted(Headers(raw=raw)) or self._make()
        carriers = _CARRIERS if spec_version(scope) >= (2, 1) else _CARRIERS - {"websocket.accept"}

        async def send_with_id(message: Message) -> None:
            await send(self._with_header(message, own) if message["type"] in carriers else message)

        if TRACE in scope:
            scope[TRACE]["request_id"] = own
        token = request_id.set(own)
        try:
            await self._app({**scope, "headers": raw}, receive, send_with_id)
        finally:
            request_id.reset(token)

    def _trusted(self, headers: Headers) -> str | None:
        found = headers.getlist(self._header) if self._trust else []
        return found[0] if len(found) == 1 and _WELL_FORMED.fullmatch(found[0]) else None

    def _with_header(self, message: Message, own: str) -> Message:
        headers = MutableHeaders(raw=message.get("headers") or ())
        headers[self._header] = own
        return {**message, "headers": headers.raw}


class RequestIDFilter(logging.Filter):
    """A filter for the handlers of a log: each record gets the attribute `request_id`, for use in formats.

    A record that has one keeps it: behind a queue it is filtered again, in a thread that knows of no request.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record through, with its `request_id`."""
        if not hasattr(record, "request_id"):
            record.request_id = request_id.get()
        return True


def id_of(scope: Scope) -> str:
    """The id of the request with this traced scope, whether it was given further in or further out; else "-"."""
    found: str = scope[TRACE].get("request_id") or request_id.get()
    return found


_CARRIERS = frozenset({"http.response.start", "websocket.accept", "websocket.http.response.start"})
_WELL_FORMED = re.compile(r"[A-Za-z0-9._:=+/-]{1,128}")
