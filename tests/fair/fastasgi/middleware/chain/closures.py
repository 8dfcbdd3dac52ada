"""Closures instead of classes, and a queue of one place, whose `join` tells that a message was sent on."""

from __future__ import annotations

import asyncio
from functools import partial, reduce
from typing import Any, Awaitable, Callable

from fastasgi.concurrency import is_async
from fastasgi.datastructures import MutableHeaders
from fastasgi.handlers import to_response
from fastasgi.requests import Request
from fastasgi.responses import Response

CallNext = Callable[[Request], Awaitable[Response]]
MiddlewareFunction = Callable[[Request, CallNext], Awaitable[Any]]


class MiddlewareChain:
    def __init__(self, app):
        self._app, self._makers, self._served = app, [], False
        self._whole = None

    def add(self, factory, /, **options):
        if not callable(factory):
            raise TypeError(f"{factory!r} cannot be called")
        if self._served:
            raise RuntimeError("add middleware before the first connection")
        self._makers.append(partial(_make, factory, options))

    def add_function(self, function):
        if not is_async(function):
            raise TypeError(f"{function!r} is not async")
        self.add(around, function=function)

    async def __call__(self, scope, receive, send):
        self._served = True
        if self._whole is None:
            try:
                self._whole = reduce(lambda app, make: make(app), reversed(self._makers), self._app)
            except Exception:
                if scope["type"] == "lifespan":
                    await receive()
                    await send({"type": "lifespan.startup.failed"})
                raise
        return await self._whole(scope, receive, send)


def _make(factory, options, app):
    return factory(app, **options)


def around(app, function):
    async def middleware(scope, receive, send):
        if scope["type"] != "http":
            return await app(scope, receive, send)

        outbox = asyncio.Queue(maxsize=1)
        errors = []
        running = []
        request = Request(scope, receive)

        async def app_send(message):
            await outbox.put(message)
            await outbox.join()
            if errors:
                raise errors.pop()

        async def next_message():
            """The next message of the application, or None at its end; raises what it raised."""
            getting = asyncio.ensure_future(outbox.get())
            try:
                await asyncio.wait([getting, *running], return_when=asyncio.FIRST_COMPLETED)
                if getting.done():
                    return getting.result()
            finally:
                getting.cancel()
            await running[0]
            return None

        async def pass_on(message):
            try:
                await send(message)
            except Exception as error:
                errors.append(error)
            outbox.task_done()

        class Passing(Response):
            async def __call__(self, scope, receive, send):
                message = self.first | {"status": self.status_code, "headers": self.headers.raw}
                while message is not None:
                    await pass_on(message)
                    message = await next_message()

        async def call_next(request):
            if running:
                raise RuntimeError("call_next was called before")
            running.append(asyncio.create_task(app(request.scope, request.forward, app_send)))
            while (message := await next_message()) is not None:
                if message["type"] == "http.response.start":
                    response = Passing()
                    response.first, response.status_code = dict(message), message["status"]
                    response.headers = MutableHeaders(raw=message.get("headers") or [])
                    return response
                await pass_on(message)
            raise RuntimeError("there was no response")

        try:
            await to_response(await function(request, call_next))(scope, request.receive, send)
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
            await request.close()

    return middleware
