"""The other way round: the function runs in a task of its own, and the application in the task of the call."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import Context, copy_context
from typing import Any, TypeAlias

from ..asgi_types import ASGIApp, Message, Receive, Scope, Send
from ..concurrency import is_async
from ..datastructures import MutableHeaders
from ..handlers import to_response
from ..requests import Request
from ..responses import Response

CallNext: TypeAlias = Callable[[Request], Awaitable[Response]]
MiddlewareFunction: TypeAlias = Callable[[Request, CallNext], Awaitable[Any]]


class MiddlewareChain:
    def __init__(self, app: ASGIApp) -> None:
        self.innermost = app
        self.recipes: list[tuple[Callable[..., ASGIApp], dict[str, Any]]] = []
        self.outermost: ASGIApp | None = None
        self.open = True

    def add(self, factory: Callable[..., ASGIApp], /, **options: Any) -> None:
        if not callable(factory):
            raise TypeError("middleware has to be callable")
        if not self.open:
            raise RuntimeError("it is too late to add middleware")
        self.recipes.insert(0, (factory, options))

    def add_function(self, function: MiddlewareFunction) -> None:
        if not is_async(function):
            raise TypeError("a middleware function is written with async def")
        self.add(lambda app: Around(app, function))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.open = False
        if self.outermost is None:
            try:
                app = self.innermost
                for factory, options in self.recipes:
                    app = factory(app, **options)
            except Exception as error:
                if scope["type"] == "lifespan":
                    await receive()
                    await send({"type": "lifespan.startup.failed", "message": str(error)})
                raise
            self.outermost = app
        await self.outermost(scope, receive, send)


class Around:
    def __init__(self, app: ASGIApp, function: MiddlewareFunction) -> None:
        self.app = app
        self.function = function

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await Exchange(self.app, Request(scope, receive), send).run(self.function)
        else:
            await self.app(scope, receive, send)


class Begun(Response):
    """What call_next gives: a start message that waits in the application's send."""

    def __init__(self, start: Message) -> None:
        super().__init__()
        self.start = start
        self.status_code = start["status"]
        self.headers = MutableHeaders(raw=start.get("headers", ()))

    def message(self) -> Message:
        return {**self.start, "status": self.status_code, "headers": self.headers.raw}


class Exchange:
    """One request on its way through one function."""

    def __init__(self, app: ASGIApp, request: Request, send: Send) -> None:
        self.app = app
        self.request = request
        self.server_send = send
        loop = asyncio.get_running_loop()
        self.asked: asyncio.Future[tuple[Request, Context]] = loop.create_future()
        self.begun: asyncio.Future[Begun] = loop.create_future()
        self.limit: asyncio.Timeout | None = None
        self.function: asyncio.Task[Any]

    async def run(self, function: MiddlewareFunction) -> None:
        async def work() -> Any:
            return await function(self.request, self.call_next)

        self.function = asyncio.create_task(work())
        self.function.add_done_callback(self.give_up)
        try:
            await asyncio.wait([self.function, self.asked], return_when=asyncio.FIRST_COMPLETED)
            if self.asked.done():
                await self.run_app(*self.asked.result())
            if not self.passes():
                await to_response(await self.function)(
                    self.request.scope, self.request.receive, self.server_send
                )
        finally:
            self.function.cancel()
            await asyncio.gather(self.function, return_exceptions=True)
            await self.request.close()
            if self.begun.done() and not self.begun.cancelled():
                self.begun.exception()  # seen, or not wanted any more

    async def call_next(self, request: Request) -> Response:
        if self.asked.done():
            raise RuntimeError("call_next may be called once")
        self.asked.set_result((request, copy_context()))
        return await asyncio.shield(self.begun)

    async def run_app(self, request: Request, context: Context) -> None:
        for variable, value in context.items():
            variable.set(value)
        try:
            async with asyncio.timeout(None) as self.limit:
                if self.function.done():
                    return
                await self.app(request.scope, request.forward, self.send)
        except Exception as error:
            if self.passes() or (not self.function.done() and self.begun.done()):
                raise
            if not self.begun.done():
                self.begun.set_exception(error)
        finally:
            self.limit = None
        if not self.begun.done():
            self.begun.set_exception(RuntimeError("the application has not sent a response"))

    async def send(self, message: Message) -> None:
        if message["type"] != "http.response.start":
            await self.server_send(message)
            return
        begun = Begun(message)
        self.begun.set_result(begun)
        await asyncio.wait([self.function])
        if not self.passes():
            await asyncio.Event().wait()  # until the limit is over
        await self.server_send(begun.message())

    def passes(self) -> bool:
        """Whether the function has returned the application's response."""
        if not self.function.done() or self.function.cancelled() or self.function.exception() is not None:
            return False
        if not self.begun.done() or self.begun.exception() is not None:
            return False
        return self.function.result() is self.begun.result()

    def give_up(self, function: asyncio.Task[Any]) -> None:
        """The function has ended: unless it wants the application's response, that is cancelled."""
        if self.limit is not None and not self.passes():
            self.limit.reschedule(asyncio.get_running_loop().time())
