"""Errors: which function answers which exception, and the boundary at which exceptions become responses.

Rule 1: what has a handler becomes a response at the inner boundary, where middleware sees it; what middleware
        itself raises meets the same handlers at the outer one.
Rule 2: nothing is answered twice: after the response has begun, or the client is gone, an exception only passes.
Rule 3: nobody's mistake is hidden: what has no handler is answered by a bare 500, and goes on to the server.
Rule 4: only HTTP is answered here; other connections pass through.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from html import escape
from typing import Any, NoReturn, TypeAlias

from .asgi_types import ASGIApp, Message, Receive, Scope, Send
from .concurrency import call
from .exceptions import ClientDisconnect, HTTPException
from .handlers import to_response
from .requests import Request
from .responses import Response, error_response, html_response, text_response

ErrorHandler: TypeAlias = Callable[[Request, Any], Any]
"""Called with the request and the exception; what it returns, or its coroutine, becomes the response."""


class ExceptionHandlers:
    """The handlers of an application, by status of HTTPException and by class of exception."""

    def __init__(self, handlers: Mapping[int | type[Exception], ErrorHandler] | None = None) -> None:
        self._handlers: dict[Any, ErrorHandler] = {HTTPException: _answer_http}
        for key, handler in (handlers or {}).items():
            self.add(key, handler)

    def add(self, key: int | type[Exception], handler: ErrorHandler) -> None:
        """Have `handler` answer a status, or a class of exceptions; it takes the place of an earlier one.

        The handler for 500 also makes the answer to an exception that has no handler. Raises ValueError for a
        key that is neither a status nor a class of exceptions.
        """
        if not (_is_status(key) or (isinstance(key, type) and issubclass(key, Exception))):
            raise ValueError(f"{key!r} is neither a status (200 to 999) nor a class of exceptions")
        self._handlers[key] = handler

    def find(self, error: Exception, *, outermost: bool = False) -> ErrorHandler | None:
        """The handler for an exception: by the status of an HTTPException, else by the nearest of its classes.

        Those for 500 and for Exception are kept for the outermost boundary. An HTTPException always has one
        there: without another, its detail is the answer.
        """
        status = error.status_code if isinstance(error, HTTPException) else None
        if status == 500 and 500 in self._handlers and not outermost:
            return None
        keys = [status, *(each for each in type(error).__mro__ if outermost or each is not Exception)]
        return next((self._handlers[key] for key in keys if key in self._handlers), None)

    @property
    def last_resort(self) -> ErrorHandler | None:
        """The handler for 500, which makes the page for what has no other handler."""
        return self._handlers.get(500)


class ErrorBoundary:
    """An ASGI application around `app`, at which exceptions become responses.

    An application has two of them, with the same `handlers`: an inner one around its routes, and, with
    `outermost`, one around all its middleware. There an exception without a handler is answered by
    "Internal Server Error", with the traceback if `debug` is set, and then re-raised to the server.
    An exception after the response has begun is re-raised, and so is ClientDisconnect: nobody would read an
    answer. An OSError out of `send` is nothing else (HTTP & WebSocket, Disconnected Client).
    """

    def __init__(
        self, app: ASGIApp, handlers: ExceptionHandlers, *, outermost: bool = False, debug: bool = False
    ) -> None:
        self._app = app
        self._handlers = handlers
        self._outermost = outermost
        self._page = _debug_page if debug else _plain_page

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application for one connection. Raises what nobody has handled."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(scope, receive, send)
        try:
            await self._app(scope, exchange.receive, exchange.send)
        except Exception as error:
            if (
                exchange.begun
                or isinstance(error, ClientDisconnect)
                or not await self._handle(error, exchange)
            ):
                raise

    async def _handle(self, error: Exception, exchange: _Exchange) -> bool:
        """Answer an exception. False where it has to go on to the server."""
        handler = self._handlers.find(error, outermost=self._outermost)
        if handler is None and not self._outermost:
            return False
        try:
            await exchange.answer(handler or self._handlers.last_resort or self._page, error)
        except Exception as failure:
            # The handler's own. At the inner boundary, middleware and the outer one see it.
            if self._outermost and not exchange.begun and not isinstance(failure, ClientDisconnect):
                await exchange.answer(self._page, failure)
            raise
        return handler is not None


class _Exchange:
    """One request on its way through a boundary: what has been read of it, and whether an answer has begun."""

    __slots__ = ("_read", "_receive", "_scope", "_send", "begun")

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._read = False
        self.begun = False

    async def receive(self) -> Message:
        self._read = True
        return await self._receive()

    async def send(self, message: Message) -> None:
        # Hints and debug information come before the response (ASGI extensions), and do not begin it.
        self.begun = self.begun or message["type"] == "http.response.start"
        try:
            await self._send(message)
        except OSError:
            self.begun = True  # nobody is left to read an answer
            raise

    async def answer(self, handler: ErrorHandler, error: Exception) -> None:
        """Send what `handler` makes of an exception."""
        request = Request(self._scope, _spent if self._read else self.receive)
        try:
            response = to_response(await call(handler, request, error))
            await response(self._scope, self.receive, self.send)
        finally:
            await request.close()


async def _spent() -> NoReturn:
    raise RuntimeError(
        "the body was already being read when the exception was raised: it cannot be read again here"
    )


def _answer_http(request: Request, error: HTTPException) -> Response:
    return error_response(error)


def _plain_page(request: Request, error: Exception) -> Response:
    return text_response("Internal Server Error", 500)


def _debug_page(request: Request, error: Exception) -> Response:
    title = _printable("".join(traceback.format_exception_only(error)))
    trace = _printable("".join(traceback.format_exception(error)))
    return html_response(f"<!doctype html><title>{title}</title><h1>{title}</h1><pre>{trace}</pre>", 500)


def _printable(text: str) -> str:
    """`text` as HTML; what UTF-8 has no form for, such as half of an undecodable file name, as an escape."""
    return escape(text.encode(errors="backslashreplace").decode())


def _is_status(key: object) -> bool:
    return isinstance(key, int) and 200 <= key <= 999
