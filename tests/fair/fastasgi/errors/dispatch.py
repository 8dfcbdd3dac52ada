"""Classes are found by `functools.singledispatch`; an answer is a context manager; what may be answered is an event."""

from __future__ import annotations

import traceback
from asyncio import Event
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from functools import singledispatch
from html import escape
from typing import Any, TypeAlias

from fastasgi.asgi_types import ASGIApp, Message, Receive, Scope, Send
from fastasgi.concurrency import call
from fastasgi.exceptions import ClientDisconnect, HTTPException
from fastasgi.handlers import to_response
from fastasgi.requests import Request
from fastasgi.responses import error_response, html_response, text_response

ErrorHandler: TypeAlias = Callable[[Request, Any], Any]


def nobody(error: object) -> None:
    """No handler."""


async def its_own(request: Request, error: HTTPException) -> Any:
    return error_response(error)


class ExceptionHandlers:
    """The outer table is for all classes, the inner one for all but Exception."""

    def __init__(self, handlers: Mapping[int | type[Exception], ErrorHandler] | None = None) -> None:
        self._outer, self._inner = singledispatch(nobody), singledispatch(nobody)
        self._by_status: dict[int, ErrorHandler] = {}
        self.add(HTTPException, its_own)
        for key, handler in dict(handlers or {}).items():
            self.add(key, handler)

    def add(self, key: int | type[Exception], handler: ErrorHandler) -> None:
        match key:
            case bool():
                raise ValueError("True and False are no statuses")
            case int() if 200 <= key < 1000:
                self._by_status[key] = handler
            case type() if issubclass(key, Exception):
                self._outer.register(key, handler)
                if key is not Exception:
                    self._inner.register(key, handler)
            case _:
                raise ValueError(f"{key!r}: give a status from 200 to 999, or a class of exceptions")

    def find(self, error: Exception, *, outermost: bool = False) -> ErrorHandler | None:
        status = getattr(error, "status_code", 0) if isinstance(error, HTTPException) else 0
        handler = self._by_status.get(status)
        if handler is None:
            table = self._outer if outermost else self._inner
            found = table.dispatch(type(error))
            return None if found is nobody else found
        return handler if outermost or status != 500 else None

    def page(self) -> ErrorHandler | None:
        return self._by_status.get(500)


class ErrorBoundary:
    """One of the two."""

    def __init__(
        self, app: ASGIApp, handlers: ExceptionHandlers, *, outermost: bool = False, debug: bool = False
    ) -> None:
        self._app = app
        self._handlers = handlers
        self._last: list[ErrorHandler] = [_debug if debug else _plain] if outermost else []
        self._outermost = outermost

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._guard(scope, receive, send, too_late=Event(), begun_to_read=Event())
        else:
            await self._app(scope, receive, send)

    async def _guard(
        self, scope: Scope, receive: Receive, send: Send, *, too_late: Event, begun_to_read: Event
    ) -> None:
        async def receiving() -> Message:
            begun_to_read.set()
            return await receive()

        async def sending(message: Message) -> None:
            if message["type"].endswith(".response.start"):
                too_late.set()
            try:
                return await send(message)
            except OSError:
                too_late.set()
                raise

        async def answer(handler: ErrorHandler, error: Exception) -> None:
            reader = _refusing if begun_to_read.is_set() else receiving
            async with _request(scope, reader) as request:
                response = to_response(await call(handler, request, error))
                await response(scope, receiving, sending)

        error = await _failure(self._app(scope, receiving, sending))
        if error is None:
            return
        if too_late.is_set() or isinstance(error, ClientDisconnect):
            raise error
        handler = self._handlers.find(error, outermost=self._outermost)
        answers = handler or (self._handlers.page() if self._outermost else None)
        for each in [*([answers] if answers else []), *self._last]:
            second = await _failure(answer(each, error))
            if second is None:
                break
            if too_late.is_set() or isinstance(second, ClientDisconnect) or not self._outermost:
                raise second
            handler, error = None, second
        if handler is None:
            raise error


async def _failure(doing: Awaitable[None]) -> Exception | None:
    """What it raises."""
    try:
        await doing
    except Exception as error:
        return error
    return None


@asynccontextmanager
async def _request(scope: Scope, receive: Receive) -> AsyncIterator[Request]:
    request = Request(scope, receive)
    try:
        yield request
    finally:
        await request.close()


async def _refusing() -> Message:
    raise RuntimeError("its body is being read by somebody else")


def _plain(request: Request, error: Exception) -> Any:
    return text_response("Internal Server Error", 500)


def _debug(request: Request, error: Exception) -> Any:
    text = "".join(traceback.TracebackException.from_exception(error).format())
    return html_response(f"<h1>500</h1><pre>{escape(text)}</pre>", 500)
