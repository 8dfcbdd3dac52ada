"""The middleware chain: applications around an application, as an onion.

Rule 1: what was added first is outermost: it sees a request first and its response last.
Rule 2: the chain is closed by the first connection, of whatever kind; adding after that is an error.
Rule 3: a function gets HTTP only; connections of other kinds go past it untouched.
Rule 4: a message goes on when the next one asks for it: nothing is collected, a slow client slows the sender, and
        an exception on either side of `call_next` reaches the other as itself.
Rule 5: nothing that a call has started outlives it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from contextvars import Context, ContextVar, Token, copy_context
from dataclasses import dataclass
from typing import Any, TypeAlias

from ..asgi_types import ASGIApp, Message, Receive, Scope, Send
from ..concurrency import is_async
from ..datastructures import MutableHeaders
from ..exceptions import ClientDisconnect
from ..handlers import to_response
from ..requests import Request
from ..responses import Response
from ..status import has_no_body

CallNext: TypeAlias = Callable[[Request], Awaitable[Response]]
"""Runs the rest of the chain for a request and gives its response, as soon as that begins."""
MiddlewareFunction: TypeAlias = Callable[[Request, CallNext], Awaitable[Any]]
"""`async def middleware(request, call_next)`; what it returns becomes the response, as a handler's value does."""


class MiddlewareChain:
    """An ASGI application: `app` with middleware around it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._layers: list[Callable[[ASGIApp], ASGIApp]] = []
        self._built: ASGIApp | None = None
        self._closed = False

    def add(self, factory: Callable[..., ASGIApp], /, **options: Any) -> None:
        """Put an ASGI middleware inside of those that were added before; it is made by `factory(app, **options)`.

        Raises RuntimeError once the first connection has come, TypeError for what cannot be called.
        """
        if not callable(factory):
            raise TypeError(f"middleware is a class or function that takes an application, not {factory!r}")
        if self._closed:
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
        self.add(_FunctionMiddleware, function=function)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the chain for one connection. Raises what comes out of it, and what a middleware refuses to be made of.

        That fails a startup: a server would take a mere exception for an application without lifespan.
        """
        self._closed = True
        if self._built is None:
            try:
                self._built = self._build()
            except Exception as error:
                if scope["type"] == "lifespan":
                    await receive()
                    words = f"{type(error).__name__}: {error}"
                    await send({"type": "lifespan.startup.failed", "message": words})
                raise
        await self._built(scope, receive, send)

    def _build(self) -> ASGIApp:
        app = self._app
        for layer in reversed(self._layers):
            app = layer(app)
        return app


class _FunctionMiddleware:
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
        call = _Call(self._app, send)
        try:
            response = to_response(await self._function(request, call.next))
            await response(scope, request.receive, send)
            await call.finish()
        finally:
            await call.end()
            await request.close()


class _PassedResponse(Response):
    """The response of the rest of the chain, which passes through as it comes.

    `status_code`, `headers` and `background` may be changed before it is returned. To make another response of
    its body, take that from `chunks()`, and return the other one instead.
    """

    def __init__(self, call: _Call, start: _Passing) -> None:
        super().__init__()
        self._call = call
        self._start = start
        self._taken = False
        self.status_code = start.message["status"]
        self.headers = MutableHeaders(raw=start.message.get("headers") or ())

    @property
    def body(self) -> bytes:
        """Raises RuntimeError, read or set: the body has not come yet."""
        raise RuntimeError("the body of this response is still to come: go through response.chunks()")

    @body.setter
    def body(self, body: bytes) -> None:
        if hasattr(self, "_start"):  # before that, a Response begins with none
            raise RuntimeError("the body of this response passes through: return another response instead")

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body in chunks, as they come; none is empty. After that, this response cannot be returned.

        Raises what the application raises, RuntimeError where it has left the body to the server (as a file), and
        where the body was taken before.
        """
        self._take_body()
        self._start.answer()
        while (passing := await self._call.take()) is not None:
            if passing.message["type"] in ("http.response.pathsend", "http.response.zerocopysend"):
                raise RuntimeError(
                    "the body of this response is a file that the server sends: it has no chunks"
                )
            if passing.message["type"] == "http.response.body" and passing.message.get("body"):
                yield passing.message["body"]
            passing.answer()
            if passing.is_last:
                self._call.taken = True
                return

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response on, message by message, until the application ends. Raises what that raises."""
        self._take_body()
        await self._start.deliver({**self._start.message, **self.start_message()}, send)
        silent = scope["method"] == "HEAD" or has_no_body(self.status_code)
        while (passing := await self._call.take()) is not None:
            await passing.deliver(_without_body(passing.message) if silent else passing.message, send)
        if self.background is not None:
            await self.background()

    def _take_body(self) -> None:
        if self._taken:
            raise RuntimeError(
                "the body of this response was taken already: return another one made of its chunks"
            )
        self._taken = True


@dataclass(frozen=True, slots=True)
class _Passing:
    """A message on its way out of the application, which waits in `send` until it is answered."""

    message: Message
    answered: asyncio.Future[None]

    @property
    def is_last(self) -> bool:
        """Whether it is the last of the body (ASGI HTTP, Response body)."""
        return self.message["type"] == "http.response.body" and not self.message.get("more_body", False)

    async def deliver(self, message: Message, send: Send) -> None:
        """Send `message` in its place. The application learns how that went, and decides what comes of it."""
        try:
            await send(message)
        except Exception as error:  # noqa: BLE001 - the application raises it, or handles it
            if not self.answered.done():
                self.answered.set_exception(error)
        else:
            self.answer()

    def answer(self) -> None:
        """Let `send` return to the application, unless it has stopped waiting."""
        if not self.answered.done():
            self.answered.set_result(None)


def _without_body(message: Message) -> Message:
    """A message of a body that is not to be sent: for HEAD, and where the status was set to 204 or 304."""
    if message["type"] == "http.response.body":
        return {**message, "body": b""}
    if message["type"] in ("http.response.pathsend", "http.response.zerocopysend"):
        return {"type": "http.response.body", "body": b"", "more_body": message.get("more_body", False)}
    return message


class _Call:
    """One run of the rest of the chain, in a task of its own, whose messages are taken one at a time."""

    def __init__(self, app: ASGIApp, send: Send) -> None:
        self._app = app
        self._send = send
        self._task: asyncio.Task[None] | None = None
        self._messages: asyncio.Queue[_Passing | None] = asyncio.Queue()
        self._gone = False
        self._ended = False
        self.taken = False
        """Whether somebody has taken the whole body."""

    async def next(self, request: Request) -> _PassedResponse:
        """`call_next`: run the application until its response begins.

        Raises what the application raises; RuntimeError where it returns without a response, but ClientDisconnect
        where that was because nobody is left to read one.
        """
        if self._task is not None:
            raise RuntimeError(
                "call_next was called twice for one request: keep the response of the first call"
            )
        if self._ended:
            raise RuntimeError("call_next was called when its middleware had ended: await it before")
        self._variables = _Variables(copy_context())
        self._task = asyncio.create_task(self._run(request), context=self._variables.context)
        while (passing := await self.take()) is not None:
            if passing.message["type"] == "http.response.start":
                return _PassedResponse(self, passing)
            await passing.deliver(passing.message, self._send)  # such as a hint, which comes before
        if self._gone:
            raise ClientDisconnect("the client went away before the application had a response")
        raise RuntimeError("the application has returned without a response")

    async def take(self) -> _Passing | None:
        """The next message of the application; None once it has returned. Raises what it raises."""
        passing = await self._messages.get()
        self._variables.share()
        if passing is None and self._task is not None:
            await self._task
        return passing

    async def finish(self) -> None:
        """Let an application whose whole body was taken come to its end: it may have work to do in the background.

        Raises what it raises.
        """
        while self.taken and (passing := await self.take()) is not None:
            passing.answer()

    async def end(self) -> None:
        """See to it that nothing is left running: an application whose response was not wanted is cancelled."""
        self._ended = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self, request: Request) -> None:
        async def receive() -> Message:
            event = await request.forward()
            self._gone = self._gone or event["type"] == "http.disconnect"
            return event

        try:
            await self._app(request.scope, receive, self._pass)
        finally:
            self._messages.put_nowait(None)

    async def _pass(self, message: Message) -> None:
        """The application's `send`."""
        if self._ended:
            raise ConnectionAbortedError("nobody takes this response any more: a middleware has sent another")
        passing = _Passing(message, asyncio.get_running_loop().create_future())
        self._messages.put_nowait(passing)
        await passing.answered


class _Variables:
    """The context variables of a task, shared with the one who waits for it, who so never notices it (PEP 567)."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self._before = context.copy()
        self._tokens: dict[ContextVar[Any], Token[Any]] = {}

    def share(self) -> None:
        """Set, or reset, here what the task has since the last time, as if it had been called directly."""
        for variable, value in self.context.items():
            if self._before.get(variable, self) is not value:
                self._tokens.setdefault(variable, variable.set(value))
        for variable in self._tokens.keys() - self.context.keys():
            token = self._tokens.pop(variable)
            with suppress(ValueError):  # set in another context: whoever waits here now has not seen it
                variable.reset(token)
        self._before = self.context.copy()
