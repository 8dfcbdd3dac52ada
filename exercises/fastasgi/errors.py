"""Errors: which function answers which exception, and the boundary at which exceptions become responses.

Rule 1: what has a handler becomes a response at the inner boundary, where middleware sees it; what middleware
        itself raises meets the same handlers at the outer one.
Rule 2: nothing is answered twice: after the response has begun, or the client is gone, an exception only passes.
Rule 3: nobody's mistake is hidden: what has no handler is answered by a bare 500, and goes on to the server.
Rule 4: only HTTP is answered here; other connections pass through.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from .asgi_types import ASGIApp, Receive, Scope, Send
from .requests import Request

ErrorHandler: TypeAlias = Callable[[Request, Any], Any]
"""Called with the request and the exception; what it returns, or its coroutine, becomes the response."""


class ExceptionHandlers:
    """The handlers of an application, by status of HTTPException and by class of exception."""

    def __init__(self, handlers: Mapping[int | type[Exception], ErrorHandler] | None = None) -> None:
        raise NotImplementedError("errors: ExceptionHandlers.__init__")

    def add(self, key: int | type[Exception], handler: ErrorHandler) -> None:
        """Have `handler` answer a status, or a class of exceptions; it takes the place of an earlier one.

        The handler for 500 also makes the answer to an exception that has no handler. Raises ValueError for a
        key that is neither a status nor a class of exceptions.
        """
        raise NotImplementedError("errors: ExceptionHandlers.add")

    def find(self, error: Exception, *, outermost: bool = False) -> ErrorHandler | None:
        """The handler for an exception: by the status of an HTTPException, else by the nearest of its classes.

        Those for 500 and for Exception are kept for the outermost boundary. An HTTPException always has one
        there: without another, its detail is the answer.
        """
        raise NotImplementedError("errors: ExceptionHandlers.find")

    @property
    def last_resort(self) -> ErrorHandler | None:
        """The handler for 500, which makes the page for what has no other handler."""
        raise NotImplementedError("errors: ExceptionHandlers.last_resort")


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
        raise NotImplementedError("errors: ErrorBoundary.__init__")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application for one connection. Raises what nobody has handled."""
        raise NotImplementedError("errors: ErrorBoundary.__call__")
