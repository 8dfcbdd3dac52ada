"""The middleware chain: applications around an application, as an onion.

Rule 1: what was added first is outermost: it sees a request first and its response last.
Rule 2: the chain is closed by the first connection, of whatever kind; adding after that is an error.
Rule 3: a function gets HTTP only; connections of other kinds go past it untouched.
Rule 4: a message goes on when the next one asks for it: nothing is collected, a slow client slows the sender, and
        an exception on either side of `call_next` reaches the other as itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeAlias

from ..asgi_types import ASGIApp, Message, Receive, Scope, Send
from ..concurrency import is_async
from ..datastructures import MutableHeaders
from ..handlers import to_response
from ..requests import Request
from ..responses import Response

CallNext: TypeAlias = Callable[[Request], Awaitable["PassedResponse"]]
"""Runs the rest of the chain for a request and gives its response, as soon as that begins."""
MiddlewareFunction: TypeAlias = Callable[[Request, CallNext], Awaitable[Any]]
"""`async def middleware(request, call_next)`; what it returns becomes the response, as a handler's value does."""


class MiddlewareChain:
    """An ASGI application: `app` with middleware around it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._layers: list[Callable[[ASGIApp], ASGIApp]] = []
        self._built: ASGIApp | None = None

    def add(self, factory: Callable[..., ASGIApp], /, **options: Any) -> None:
        """Put an ASGI middleware inside of those that were added before; it is made by `factory(app, **options)`.

        Raises RuntimeError once the first connection has come, TypeError for what cannot be called.
        """
        if not callable(factory):
            raise TypeError(f"middleware is a class or function that takes an application, not {factory!r}")
        if self._built is not None:
            raise RuntimeError(
                "middleware cannot be added once the application has begun to serve: add it before"
            )
        self._layers.append(lambda app: factory(app, **options))

    def add_function(self, function: MiddlewareFunction) -> None:
        """Put `async def function(request, call_next)` inside of those that were added before.

        Raises what `add` raises, and TypeError for a plain function, which could not await `call_next`.
        """
        if not is_async(function):
            raise TypeError(f"{function!r} is no async function: middleware awaits call_next(request)")
        self.add(FunctionMiddleware, function=function)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the chain for one connection. Raises what comes out of it."""
        if self._built is None:
            self._built = self._build()
        await self._built(scope, receive, send)

    def _build(self) -> ASGIApp:
        app = self._app
        for layer in reversed(self._layers):
            app = layer(app)
        return app


class FunctionMiddleware:
    """An ASGI middleware made of a function `(request, call_next)`."""

    def __init__(self, app: ASGIApp, *, function: MiddlewareFunction) -> None:
        self._app = app
        self._function = function

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the function for one HTTP request. Raises what it raises, and what the application raises."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        call = _Call(self._app)
        try:
            response = to_response(await self._function(request, call.next))
            await response(scope, request.receive, send)
        finally:
            await call.end()


class PassedResponse(Response):
    """The response of the rest of the chain, which passes through as it comes.

    `status_code`, `headers` and `background` may be changed before it is returned. To make another response of
    its body, take that from `chunks()`, and return the other one instead.
    """

    def __init__(self, call: _Call, start: Message) -> None:
        self._call = call
        self._start = start
        self.status_code = start["status"]
        self.headers = MutableHeaders(raw=start.get("headers") or ())
        self.background = None

    @property
    def body(self) -> bytes:
        """Raises RuntimeError, read or set: the body has not come yet."""
        raise RuntimeError("the body of this response is still to come: go through response.chunks()")

    @body.setter
    def body(self, body: bytes) -> None:
        raise RuntimeError("the body of this response passes through: return another response instead")

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body in chunks, as they come; none is empty.

        Raises what the application raises, RuntimeError where it has left the body to the server (as a file).
        """
        self._call.answer(None)
        while (message := await self._call.take()) is not None:
            if message["type"] in ("http.response.pathsend", "http.response.zerocopysend"):
                raise RuntimeError(
                    "the body of this response is a file that the server sends: it has no chunks"
                )
            if message["type"] == "http.response.body" and message.get("body"):
                yield message["body"]
            self._call.answer(None)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response on, message by message, until the application ends. Raises what that raises."""
        start = {**self._start, "status": int(self.status_code), "headers": list(self.headers.raw)}
        await self._call.deliver(start, send)
        while (message := await self._call.take()) is not None:
            await self._call.deliver(message, send)
        if self.background is not None:
            await self.background()


class _Call:
    """One run of the rest of the chain, in a task of its own, whose messages are taken one at a time."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._task: asyncio.Task[None] | None = None
        self._turn = asyncio.Lock()
        self._messages: asyncio.Queue[Message | None] = asyncio.Queue()
        self._answers: asyncio.Queue[OSError | None] = asyncio.Queue()

    async def next(self, request: Request) -> PassedResponse:
        """`call_next`: run the application until its response begins."""
        if self._task is not None:
            raise RuntimeError(
                "call_next was called twice for one request: keep the response of the first call"
            )
        self._task = asyncio.create_task(self._run(request))
        start = await self.take()
        if start is None:
            raise RuntimeError("the application has returned without a response")
        return PassedResponse(self, start)

    async def take(self) -> Message | None:
        """The next message of the application; None once it has returned. Raises what it raises."""
        message = await self._messages.get()
        if message is None and self._task is not None:
            await self._task
        return message

    def answer(self, error: OSError | None) -> None:
        """Let `send` return to the application, or raise, for the message that was taken last."""
        self._answers.put_nowait(error)

    async def deliver(self, message: Message, send: Send) -> None:
        """Send a message on. Where the client is gone, the application learns it and decides what comes of it."""
        try:
            await send(message)
        except OSError as error:
            self.answer(error)
        else:
            self.answer(None)

    async def end(self) -> None:
        """See to it that nothing is left running: an application whose response was not wanted is cancelled."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self, request: Request) -> None:
        try:
            await self._app(request.scope, request.forward, self._send)
        finally:
            self._messages.put_nowait(None)

    async def _send(self, message: Message) -> None:
        async with self._turn:
            self._messages.put_nowait(message)
            error = await self._answers.get()
        if error is not None:
            raise error
